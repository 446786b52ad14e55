import { type ColumnPlan, ownAlias, type ReadRow, readRow } from '../../core/columns.ts';
import { keptColumns, keyColumns, keyTextOf, type TablePlan } from '../../core/ddl.ts';
import { SOURCE, sourceKeyCondition, targetKeyCondition } from '../../core/keys.ts';
import { historyNames } from '../../core/names.ts';
import { Problem } from '../../core/problems.ts';
import { sourceFrom } from '../../core/rowScope.ts';
import { chIdent, chLiteral, pgIdent, pgLiteral } from '../../lib/sql.ts';
import { isVerified } from '../../lib/tlsMaterial.ts';
import type { ClickHouseEndpoint, PostgresEndpoint } from '../../stack/endpoints.ts';
import type { ClickHouse } from './client.ts';

/** The source as ClickHouse sees it. */
export interface PulledSource {
  readonly address: string;
  readonly endpoint: PostgresEndpoint;
}

/**
 * @throws {Problem} SOURCE_UNVERIFIED where certificates are to be looked at: `postgresql()` has no argument for that, so
 * only the server's own environment can ask for it.
 */
export function pulledSource(
  endpoint: PostgresEndpoint,
  { sourceAddress, sourceVerified, url }: ClickHouseEndpoint,
): PulledSource {
  const { sslmode, tls } = endpoint;
  const isAsked = isVerified(sslmode) || tls.ca !== undefined || tls.cert !== undefined;
  if (isAsked && !sourceVerified)
    throw new Problem('SOURCE_UNVERIFIED', { endpoint: url, sslmode: sslmode ?? 'verify-full' });
  return {
    address: sourceAddress ?? `${endpoint.internal.host}:${endpoint.internal.port}`,
    endpoint,
  };
}

/** Whether a statement failed because ClickHouse cannot reach the source, or may not. */
export function isSourceUnreachable(detail: string): boolean {
  return (
    /\((POSTGRESQL_CONNECTION_FAILURE|UNACCEPTABLE_URL)\)/.test(detail) ||
    /POSTGRES.*\(ACCESS_DENIED\)/.test(detail)
  );
}

/** A range of pages of one relation; the last of a relation has no end. */
export interface PageRange {
  readonly schema: string;
  readonly relation: string;
  readonly fromPage: number;
  readonly toPage: number | undefined;
}

/**
 * ClickHouse's sessions have the server's settings, on which PostgreSQL's text of times, intervals,
 * floats and bytes depends; PostgreSQL 17 and later may end them. A condition that reads no row is evaluated once, before any.
 */
export const SETTINGS = `(SELECT ${Object.entries({
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  extra_float_digits: '1',
  bytea_output: 'hex',
})
  .map(([name, value]) => `set_config(${pgLiteral(name)}, ${pgLiteral(value)}, true)`)
  .join(' || ')}) IS NOT NULL
  AND coalesce((SELECT set_config(name, '0', true) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout'), '') IS NOT NULL`;

/** Which of a table's rows a statement reads. */
export interface SourceRows {
  /** A partition, where they are read from one. */
  readonly relation?: string;
  readonly where: string;
}

/** Ranges are physical (ctid), so any table can be cut, whatever its key. */
export function rowsOfPages(range: PageRange): SourceRows {
  const to = range.toPage === undefined ? '' : ` AND ${SOURCE}.ctid < '(${range.toPage},0)'::tid`;
  return {
    relation: `ONLY ${pgIdent(range.schema, range.relation)}`,
    where: `${SOURCE}.ctid >= '(${range.fromPage},0)'::tid${to}`,
  };
}

/** Rows by their keys' canonical texts. */
export function rowsOfKeys(plan: TablePlan, keys: readonly string[]): SourceRows {
  return { where: sourceKeyCondition(plan, keys) };
}

/**
 * The query that PostgreSQL runs: every column as text, cast in the source, since one value that
 * ClickHouse cannot read would fail a whole table.
 */
function sourceQuery(plan: TablePlan, { relation, where }: SourceRows): string {
  const columns = plan.columns.map(
    (c) => `${c.loadSelect(`${SOURCE}.${pgIdent(c.source.name)}`)} AS ${loadedText(plan, c)}`,
  );
  return `SELECT ${columns.join(', ')} ${sourceFrom(plan, [SETTINGS, where], relation)}`;
}

/** A query that PostgreSQL runs, as a table. */
export function pulledQuery(query: string, { address, endpoint }: PulledSource): string {
  const arguments_ = [
    chLiteral(address),
    chLiteral(endpoint.database),
    `query(${chLiteral(query)})`,
    chLiteral(endpoint.user),
    chLiteral(endpoint.password),
  ];
  return `postgresql(${arguments_.join(', ')})`;
}

/** A table's columns as a load reads them. */
export function loadedRow(plan: TablePlan): ReadRow {
  return readRow(
    plan.columns,
    (c) => c.loaded,
    (c) => loadedText(plan, c),
  );
}

/** What a column's text is called in a load: as no column is, for columns become aliases beside it. */
export function loadedText(plan: TablePlan, column: ColumnPlan): string {
  return `${ownAlias(plan.columns)}text_${plan.columns.indexOf(column)}`;
}

/** For the WITH of a statement; empty where a row has nothing to name. */
export function withNamed({ named }: ReadRow): string {
  return named.length === 0 ? '' : `WITH ${named.join(',\n    ')}\n`;
}

/** Of a statement that loads: one connection to the source, and texts only of rows that keep some. */
export const LOAD_SETTINGS = {
  max_threads: 1,
  max_insert_threads: 1,
  short_circuit_function_evaluation: 'enable',
} as const;

/** Pulls rows into storage. */
export function loadStatement(
  plan: TablePlan,
  rows: SourceRows,
  source: PulledSource,
  baseline: bigint,
): string {
  const row = loadedRow(plan);
  const keyText = () => keyTextOf(plan, (c) => loadedText(plan, c), row.unfit);
  const kept = keptColumns(plan).map(({ name }) => name);
  const columns = [
    ...plan.columns.map((c) => chIdent(c.name)),
    ...kept,
    '_version',
    '_deleted',
    '_committed_at',
  ];
  const values = [
    ...row.values,
    row.exact,
    ...(plan.hasKeyText ? [keyText()] : []),
    `toUInt64(${baseline})`,
    '0',
    "now64(6, 'UTC')",
  ];
  return `INSERT INTO ${chIdent(plan.names.database, plan.names.final)} (${columns.join(', ')})
${withNamed(row)}SELECT ${values.join(', ')}
FROM ${pulledQuery(sourceQuery(plan, rows), source)}`;
}

/** Rows of the copy with these keys, which the source does not have, end with a version. */
export function endStatement(plan: TablePlan, keys: readonly string[], version: bigint): string {
  const current = chIdent(plan.names.database, plan.names.view);
  return endRows(plan, version, `${current} WHERE ${targetKeyCondition(plan, keys)}`);
}

/** @param rows what stands after FROM: the rows of the copy that end. */
function endRows(plan: TablePlan, version: bigint, rows: string): string {
  const key = keyColumns(plan).join(', ');
  return `INSERT INTO ${chIdent(plan.names.database, plan.names.final)} (${key}, _version, _deleted, _committed_at)
SELECT ${key}, toUInt64(${version}), 1, now64(6, 'UTC') FROM ${rows}`;
}

/**
 * Rows of these keys whose version no change in the source can have yet: nothing that comes would
 * ever outrank them, so they are taken out for good.
 */
export function takeOutFutureStatements(
  plan: TablePlan,
  keys: readonly string[],
  now: bigint,
): string[] {
  const { database, final } = plan.names;
  const tables = plan.history ? [final, historyNames(plan.names).versions] : [final];
  return tables.map(
    (table) => `DELETE FROM ${chIdent(database, table)}
WHERE _version > ${now} AND ${targetKeyCondition(plan, keys)}`,
  );
}

/**
 * Rows of the copy that are older than a complete load and were not in it do not exist any more.
 *
 * @returns how many they were.
 */
export async function endOlderRows(
  clickhouse: ClickHouse,
  plan: TablePlan,
  version: bigint,
): Promise<number> {
  return clickhouse.command(endRows(plan, version, olderRows(plan, version)));
}

export async function hasOlderRows(
  clickhouse: ClickHouse,
  plan: TablePlan,
  version: bigint,
): Promise<boolean> {
  return (await clickhouse.rows(`SELECT 1 FROM ${olderRows(plan, version)} LIMIT 1`)).length > 0;
}

function olderRows(plan: TablePlan, version: bigint): string {
  return `${chIdent(plan.names.database, plan.names.final)} FINAL WHERE _version < ${version} AND _deleted = 0`;
}
