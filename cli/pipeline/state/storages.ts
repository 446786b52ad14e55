import type { ClickHouse } from '../../components/clickhouse/client.ts';
import { type Records, readRecords, writeRecord } from '../../components/clickhouse/records.ts';
import type { TableId } from '../../core/names.ts';
import type { SourceTable } from '../../core/source.ts';

export const STORAGE_CHANGED = 'somebody made its storage again: rows of it can be missing';

export const STORAGE_GONE = 'its copy is not there any more';

/** Whether the storage is another one than that which its rows were loaded into. */
export function isOtherStorage(
  records: Records,
  table: TableId & { readonly oid: number },
  uuid: string | undefined,
): boolean {
  const known = records.get(table, 'storage');
  return uuid !== undefined && known?.oid === table.oid && known.uuid !== uuid;
}

/** @param uuids of the storages that stand now, of tables whose rows are loaded. */
export async function recordStorages(
  clickhouse: ClickHouse,
  uuids: ReadonlyMap<SourceTable, string>,
): Promise<void> {
  const records = await readRecords(clickhouse);
  for (const [table, uuid] of uuids) {
    const known = records.get(table, 'storage');
    if (known?.oid === table.oid && known.uuid === uuid) continue;
    await writeRecord(clickhouse, table, 'storage', { oid: table.oid, uuid });
  }
}
