import type { ClickHouse } from '../../components/clickhouse/client.ts';
import { recordsOf, writeRecord } from '../../components/clickhouse/records.ts';
import { type KnownNames, type TableId, tableLabelKey } from '../../core/names.ts';
import type { RecordOf } from '../../core/records.ts';

/** A table whose rows cannot be stored shares a queue with no other, so that it holds up none. */
type Isolation = RecordOf<'isolated'>;

export type Isolations = ReadonlyMap<string, { readonly table: TableId } & Isolation>;

/** By tableLabelKey, also those that are over. */
export async function readIsolations(clickhouse: ClickHouse): Promise<Isolations> {
  const records = await recordsOf(clickhouse, 'isolated');
  return new Map(records.map(({ id, record }) => [tableLabelKey(id), { table: id, ...record }]));
}

/** Those that are not over. */
export function current(isolations: Isolations): Isolations {
  return new Map([...isolations].filter(([, { why }]) => why !== ''));
}

export async function recordIsolation(
  clickhouse: ClickHouse,
  table: TableId,
  state: Isolation,
): Promise<void> {
  await writeRecord(clickhouse, table, 'isolated', state);
}

/** The table whose storage, or a view into it, has this name. */
export function tableOf(
  known: ReadonlyMap<string, KnownNames>,
  object: { readonly database: string; readonly name: string },
): string | undefined {
  for (const [key, names] of known) {
    const { database, final, mv, historyStem } = names;
    const own = [final, mv, `${historyStem}versions_mv`, `${historyStem}changes_mv`];
    if (database === object.database && own.includes(object.name)) return key;
  }
  return undefined;
}
