import type { ClickHouse } from '../../components/clickhouse/client.ts';
import { type Records, readRecords, writeRecord } from '../../components/clickhouse/records.ts';
import { type Membership, markOf } from '../../core/membership.ts';
import type { TableId } from '../../core/names.ts';
import type { SourceTable } from '../../core/source.ts';

export const PUBLICATION_ALTERED =
  'somebody altered the publication: changes of it can have passed by';

/** Whether somebody else has altered how the publication has a table, so that changes of it can have passed by. */
export function isAltered(
  records: Records,
  table: TableId & { readonly oid: number },
  membership: Membership | undefined,
): boolean {
  const known = records.get(table, 'membership');
  // Of a table that an earlier cdc loaded, and of another one of this name, nothing is known.
  return known?.oid === table.oid && known.mark !== markOf(membership, table.oid);
}

/** How they stand by now: what somebody else altered is to be loaded again by then, or was recorded to be. */
export async function recordMembership(
  clickhouse: ClickHouse,
  tables: readonly SourceTable[],
  membership: Membership | undefined,
): Promise<void> {
  const records = await readRecords(clickhouse);
  for (const table of tables) {
    const mark = markOf(membership, table.oid);
    const known = records.get(table, 'membership');
    if (mark === undefined || (known?.oid === table.oid && known.mark === mark)) continue;
    await writeRecord(clickhouse, table, 'membership', { oid: table.oid, mark });
  }
}
