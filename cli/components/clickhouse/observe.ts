import { CH_CDC, type TableId } from '../../core/names.ts';
import { type ObservedObject, objectKey, parseComment } from '../../core/plan.ts';
import { chIdent } from '../../lib/sql.ts';
import type { ClickHouse } from './client.ts';

/**
 * Tables and views of the given databases, and every object of ours elsewhere (of a schema that is
 * not copied any more), by objectKey.
 */
export async function observeTarget(
  clickhouse: ClickHouse,
  databases: readonly string[],
): Promise<Map<string, ObservedObject & { kind: string | undefined }>> {
  const rows = await clickhouse.rows<{
    database: string;
    name: string;
    engine: string;
    engine_full: string;
    comment: string;
  }>(
    `SELECT database, name, engine, engine_full, comment FROM system.tables WHERE database IN ({databases:Array(String)}) OR comment LIKE 'cdc %'`,
    { databases },
  );
  const columns = await clickhouse.rows<{
    database: string;
    table: string;
    name: string;
    type: string;
    is_in_sorting_key: number;
    default_kind: string;
    compression_codec: string;
  }>(
    `SELECT database, table, name, type, is_in_sorting_key, default_kind, compression_codec FROM system.columns
      WHERE database IN ({databases:Array(String)}) ORDER BY database, table, position`,
    { databases },
  );
  const found = new Map<string, ObservedObject & { kind: string | undefined }>();
  for (const row of rows) {
    const mark = parseComment(row.comment);
    found.set(objectKey(row), {
      database: row.database,
      name: row.name,
      engine: row.engine,
      digest: mark?.digest,
      marks: mark?.marks ?? { layout: '', options: '' },
      engineFull: row.engine_full,
      kind: mark?.kind,
      columns: columns
        .filter((c) => c.database === row.database && c.table === row.name)
        .map(({ name, type, is_in_sorting_key, default_kind, compression_codec }) => ({
          name,
          type,
          isKey: is_in_sorting_key === 1,
          isComputed: !['', 'DEFAULT'].includes(default_kind),
          hasCodec: compression_codec !== '',
        })),
    });
  }
  return found;
}

/** A finished or begun load, as `cdc.loads` has it. */
export interface LoadRecord {
  readonly chunk: string;
  readonly state: string;
  readonly rows: number;
}

/** Records of a table's load for one floor; empty when none was begun. */
export async function loadRecords(
  clickhouse: ClickHouse,
  id: { schema: string; table: string },
  floor: bigint,
): Promise<Map<string, LoadRecord>> {
  const rows = await clickhouse.rows<{ chunk: string; state: string; rows: string }>(
    `SELECT chunk, state, rows FROM ${chIdent(CH_CDC.database, CH_CDC.loads)} FINAL
      WHERE schema_name = {schema:String} AND table_name = {table:String} AND floor = {floor:UInt64}`,
    { schema: id.schema, table: id.table, floor: floor.toString() },
  );
  return new Map(
    rows.map((r) => [r.chunk, { chunk: r.chunk, state: r.state, rows: Number(r.rows) }]),
  );
}

/** What `cdc.loads` says of tables and slots, read at once. */
export interface LoadStates {
  /** What is known of a table or a slot as a whole: states by chunk. */
  whole(id: TableId): ReadonlyMap<string, string>;
  /** Absent when no load with this floor was begun. */
  load(id: TableId, floor: bigint): 'begun' | 'done' | undefined;
}

/** Of all tables and slots, or of one. */
export async function readLoadStates(clickhouse: ClickHouse, only?: TableId): Promise<LoadStates> {
  const rows = await clickhouse.rows<{
    schema: string;
    table: string;
    floor: string;
    part: string;
    state: string;
  }>(
    `SELECT schema_name AS schema, table_name AS table, loads.floor AS floor,
            if(loads.floor = 0, chunk, '') AS part,
            if(loads.floor = 0, any(state), if(max(chunk = '' AND state = 'done') = 1, 'done', 'begun')) AS state
       FROM ${chIdent(CH_CDC.database, CH_CDC.loads)} AS loads FINAL
      ${only ? 'WHERE schema_name = {schema:String} AND table_name = {table:String}' : ''}
      GROUP BY schema_name, table_name, loads.floor, part`,
    only ? { schema: only.schema, table: only.table } : {},
  );
  const key = (id: TableId, floor: string) => JSON.stringify([id.schema, id.table, floor]);
  const found = new Map<string, Map<string, string>>();
  for (const row of rows) {
    const states = found.get(key(row, row.floor)) ?? new Map<string, string>();
    found.set(key(row, row.floor), states.set(row.part, row.state));
  }
  return {
    whole: (id) => found.get(key(id, '0')) ?? new Map(),
    load: (id, floor) =>
      found.get(key(id, floor.toString()))?.get('') as 'begun' | 'done' | undefined,
  };
}

/** Records of one kind, of all tables, whether or not they are copied; none where there are no loads yet. */
export async function statesOf(
  clickhouse: ClickHouse,
  chunk: string,
): Promise<{ schema: string; table: string; state: string }[]> {
  const { database, loads } = CH_CDC;
  const there = await clickhouse.rows(
    'SELECT 1 FROM system.tables WHERE database = {database:String} AND name = {loads:String}',
    { database, loads },
  );
  if (there.length === 0) return [];
  return clickhouse.rows(
    `SELECT schema_name AS schema, table_name AS table, state FROM ${chIdent(database, loads)} FINAL
      WHERE floor = 0 AND chunk = {chunk:String} ORDER BY at`,
    { chunk },
  );
}

/**
 * What is known of a table or a slot as a whole is kept among the loads, too, as records of floor 0:
 * floors, forms, histories, loadings that are due.
 */
export async function recordState(
  clickhouse: ClickHouse,
  id: { schema: string; table: string },
  chunk: string,
  state: string,
): Promise<void> {
  await recordLoad(clickhouse, id, 0n, { chunk, state, rows: 0 });
}

export async function recordLoad(
  clickhouse: ClickHouse,
  id: { schema: string; table: string },
  floor: bigint,
  record: LoadRecord,
): Promise<void> {
  await clickhouse.insert(chIdent(CH_CDC.database, CH_CDC.loads), [
    {
      schema_name: id.schema,
      table_name: id.table,
      floor: floor.toString(),
      chunk: record.chunk,
      state: record.state,
      rows: record.rows,
    },
  ]);
}
