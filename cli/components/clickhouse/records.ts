import { renewedAsOf } from '../../core/history-ddl.ts';
import { CH_CDC, type TableId } from '../../core/names.ts';
import { isOwnedSql } from '../../core/plan.ts';
import {
  decode,
  encode,
  IS_LEGACY_SQL,
  IS_LOADED_SQL,
  LOAD,
  RECORD_KINDS,
  type RecordKind,
  type RecordOf,
  type WholeKind,
} from '../../core/records.ts';
import { chIdent, chLiteral } from '../../lib/sql.ts';
import type { ClickHouse } from './client.ts';
import { hasOwnTable } from './statements.ts';

/** `cdc.loads`: what is remembered of tables and slots (core/records.ts), and how far loads have come. */
const tableOf = (clickhouse: ClickHouse) => chIdent(clickhouse.own, CH_CDC.loads);
const KINDS = RECORD_KINDS.map(chLiteral).join(', ');
const READING = 'debezium' satisfies RecordKind;

/** What was remembered when it was read; a record that cannot be read is a problem of who asks for it. */
export interface Records {
  /** Undefined when there is none, or it was forgotten. */
  get<K extends WholeKind>(id: TableId, kind: K): RecordOf<K> | undefined;
  /** Tables that have one of a kind. */
  tablesWith(kind: WholeKind): TableId[];
  /** Absent when no load with this floor was begun. */
  load(id: TableId, floor: bigint): 'begun' | 'done' | undefined;
}

/** Of all tables and slots, or of one; nothing before the first `apply`. */
export async function readRecords(clickhouse: ClickHouse, only?: TableId): Promise<Records> {
  const rows = !(await hasOwnTable(clickhouse, CH_CDC.loads))
    ? []
    : await clickhouse.rows<{
        schema: string;
        table: string;
        floor: string;
        part: string;
        state: string;
      }>(
        `SELECT schema_name AS schema, table_name AS table, loads.floor AS floor,
            if(loads.floor = 0, chunk, '') AS part,
            if(loads.floor = 0, any(state), if(max(${IS_LOADED_SQL}) = 1, 'done', 'begun')) AS state
       FROM ${tableOf(clickhouse)} AS loads FINAL
      ${only ? 'WHERE schema_name = {schema:String} AND table_name = {table:String}' : ''}
      GROUP BY schema_name, table_name, loads.floor, part`,
        only ? { schema: only.schema, table: only.table } : {},
      );
  const key = (id: TableId, floor: string, part: string) =>
    JSON.stringify([id.schema, id.table, floor, part]);
  const states = new Map(rows.map((row) => [key(row, row.floor, row.part), row.state]));
  return {
    get: (id, kind) => {
      const text = states.get(key(id, '0', kind));
      return text === undefined ? undefined : decode(kind, text, id);
    },
    tablesWith: (kind) => rows.filter(({ floor, part }) => floor === '0' && part === kind),
    load: (id, floor) => states.get(key(id, floor.toString(), '')) as 'begun' | 'done' | undefined,
  };
}

/** Of one kind, of all tables, whether or not they are copied; the oldest first, without those that were forgotten. */
export async function recordsOf<K extends WholeKind>(
  clickhouse: ClickHouse,
  kind: K,
): Promise<{ id: TableId; record: RecordOf<K> }[]> {
  if (!(await hasOwnTable(clickhouse, CH_CDC.loads))) return [];
  const rows = await clickhouse.rows<{ schema: string; table: string; state: string }>(
    `SELECT schema_name AS schema, table_name AS table, state FROM ${tableOf(clickhouse)} FINAL
      WHERE floor = 0 AND chunk = {kind:String} ORDER BY at`,
    { kind },
  );
  return rows.flatMap(({ schema, table, state }) => {
    const id = { schema, table };
    const record = decode(kind, state, id);
    return record === undefined ? [] : [{ id, record }];
  });
}

export async function writeRecord<K extends WholeKind>(
  clickhouse: ClickHouse,
  id: TableId,
  kind: K,
  record: RecordOf<K>,
): Promise<void> {
  await insert(clickhouse, id, 0n, { chunk: kind, state: encode(kind, record), rows: 0 });
}

export async function forgetRecord(
  clickhouse: ClickHouse,
  id: TableId,
  kind: WholeKind,
): Promise<void> {
  await insert(clickhouse, id, 0n, { chunk: kind, state: encode(kind, undefined), rows: 0 });
}

/** How far the load of a table with some floor has come. */
export interface LoadParts {
  /** Rows of the ranges that are loaded, by their names. */
  readonly ranges: ReadonlyMap<string, number>;
  /** What Debezium reads, or has read, instead. */
  readonly reading: RecordOf<typeof READING> | undefined;
}

export async function readLoad(
  clickhouse: ClickHouse,
  { schema, table }: TableId,
  floor: bigint,
): Promise<LoadParts> {
  const rows = await clickhouse.rows<{ chunk: string; state: string; rows: string }>(
    `SELECT chunk, state, rows FROM ${tableOf(clickhouse)} FINAL
      WHERE schema_name = {schema:String} AND table_name = {table:String} AND floor = {floor:UInt64}`,
    { schema, table, floor: floor.toString() },
  );
  const loaded = rows.filter(({ chunk, state }) => chunk !== LOAD.whole && state === LOAD.done);
  const reading = rows.find(({ chunk }) => chunk === READING);
  return {
    ranges: new Map(loaded.map(({ chunk, rows: n }) => [chunk, Number(n)])),
    reading: reading && decode(READING, reading.state, { schema, table }),
  };
}

/** All rows of the load are there. */
export async function recordLoaded(
  clickhouse: ClickHouse,
  id: TableId,
  floor: bigint,
  rows: number,
): Promise<void> {
  await insert(clickhouse, id, floor, { chunk: LOAD.whole, state: LOAD.done, rows });
}

export async function recordRange(
  clickhouse: ClickHouse,
  id: TableId,
  floor: bigint,
  range: string,
  rows: number,
): Promise<void> {
  await insert(clickhouse, id, floor, { chunk: range, state: LOAD.done, rows });
}

/** @param reading undefined: Debezium gave it up. */
export async function recordReading(
  clickhouse: ClickHouse,
  id: TableId,
  floor: bigint,
  reading: RecordOf<typeof READING> | undefined,
): Promise<void> {
  const row = { chunk: READING, state: encode(READING, reading), rows: reading?.rows ?? 0 };
  await insert(clickhouse, id, floor, row);
}

/**
 * Writes records of an earlier cdc as this one does, and has the views read them that answer by them, also those of
 * tables that are not copied any more. A record keeps its time: it tells since when a history answers, and what
 * somebody writes meanwhile is newer.
 */
export async function renewRecords(clickhouse: ClickHouse): Promise<void> {
  if (!(await hasOwnTable(clickhouse, CH_CDC.loads))) return;
  const rows = await clickhouse.rows<Row & { at: string }>(
    `SELECT schema_name, table_name, loads.floor AS floor, chunk, state, rows, toString(loads.at) AS at FROM ${tableOf(clickhouse)} AS loads FINAL
      WHERE ${IS_LEGACY_SQL} AND chunk IN (${KINDS}) AND (loads.floor = 0 OR chunk = ${chLiteral(READING)})`,
  );
  if (rows.length === 0) return;
  const renewed = rows.map((row) => {
    const id = { schema: row.schema_name, table: row.table_name };
    const kind = row.chunk as RecordKind;
    return { ...row, state: encode(kind, decode(kind, row.state, id)) };
  });
  const views = await clickhouse.rows<{ statement: string }>(
    `SELECT create_table_query AS statement FROM system.tables
      WHERE engine = 'View' AND ${isOwnedSql(clickhouse.own, 'view')} AND position(create_table_query, ${chLiteral(CH_CDC.loads)}) > 0`,
  );
  for (const { statement } of views) {
    const anew = renewedAsOf(statement);
    if (anew !== undefined) await clickhouse.command(anew);
  }
  // Last: while there are such records, a run that was killed is done again.
  await clickhouse.insert(tableOf(clickhouse), renewed);
}

interface Row {
  readonly schema_name: string;
  readonly table_name: string;
  readonly floor: string;
  readonly chunk: string;
  readonly state: string;
  readonly rows: number | string;
}

/** Later than what it replaces, also where the server's clock was put back. */
async function insert(
  clickhouse: ClickHouse,
  { schema, table }: TableId,
  floor: bigint,
  { chunk, state, rows }: Pick<Row, 'chunk' | 'state' | 'rows'>,
): Promise<void> {
  const key = {
    schema_name: chLiteral(schema),
    table_name: chLiteral(table),
    floor,
    chunk: chLiteral(chunk),
  };
  const same = Object.entries(key).map(([column, value]) => `loads.${column} = ${value}`);
  const before = `(SELECT max(loads.at) FROM ${tableOf(clickhouse)} AS loads WHERE ${same.join(' AND ')})`;
  await clickhouse.command(
    `INSERT INTO ${tableOf(clickhouse)} (${Object.keys(key).join(', ')}, state, rows, at)
SELECT ${Object.values(key).join(', ')}, ${chLiteral(state)}, ${Number(rows)}, greatest(now64(3, 'UTC'), ${before} + toIntervalMillisecond(1))`,
  );
}
