import type { ClickHouse } from '../../components/clickhouse/client.ts';
import {
  forgetRecord,
  type Records,
  readRecords,
  writeRecord,
} from '../../components/clickhouse/records.ts';
import type { Membership } from '../../core/membership.ts';
import type { TableId } from '../../core/names.ts';
import type { RecordOf } from '../../core/records.ts';
import type { SourceTable } from '../../core/source.ts';
import { isAltered, PUBLICATION_ALTERED } from './membership.ts';
import { isOtherStorage, STORAGE_CHANGED } from './storages.ts';

/** A known gap: changes of a table can have passed the copy by, and it is not loaded again yet. */
export type Gap = RecordOf<'gap'>;

/** Undefined when none is known of this very table. */
export function gapOf(
  records: Records,
  table: TableId & { readonly oid: number },
): Gap | undefined {
  const gap = records.get(table, 'gap');
  return gap?.oid === table.oid ? gap : undefined;
}

/** What is found of a table that `apply` is to record, of how it is published and of the storage that stands. */
export function gapFound(
  records: Records,
  table: TableId & { readonly oid: number },
  seen: { readonly membership: Membership | undefined; readonly uuid: string | undefined },
): string | undefined {
  if (isAltered(records, table, seen.membership)) return PUBLICATION_ALTERED;
  return isOtherStorage(records, table, seen.uuid) ? STORAGE_CHANGED : undefined;
}

export async function recordGap(
  clickhouse: ClickHouse,
  { schema, table, oid }: Pick<SourceTable, 'schema' | 'table' | 'oid'>,
  why: string,
): Promise<void> {
  await writeRecord(clickhouse, { schema, table }, 'gap', { oid, why, since_ms: Date.now() });
  // What a load that was begun has read is older than this.
  await writeRecord(clickhouse, { schema, table }, 'snapshot', { state: 'needed', oid });
}

/** After a load that began when `before` was known: one that was found meanwhile stays. */
export async function closeGap(
  clickhouse: ClickHouse,
  table: SourceTable,
  before: Gap | undefined,
): Promise<void> {
  const now = gapOf(await readRecords(clickhouse, table), table);
  if (now !== undefined && now.since_ms === before?.since_ms)
    await forgetRecord(clickhouse, table, 'gap');
}
