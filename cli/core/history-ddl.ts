import { chIdent, chLiteral } from '../lib/sql.ts';
import {
  KEY_TEXT,
  keyColumns,
  ownRows,
  routeOf,
  type StorageObject,
  storageObject,
  type TablePlan,
  type TargetObject,
} from './ddl.ts';
import { positionSql } from './lineage.ts';
import { CH_CDC, historyNames } from './names.ts';
import { HISTORY_SQL } from './records.ts';
import { LEGACY_HISTORY_SQL } from './recordsLegacy.ts';
import type { SharedQueue } from './sharedQueues.ts';
import { codecMark, tableBody } from './storage.ts';

/**
 * The history of a table, where cdc.yaml asks for it. Two storages, each right for one question:
 *
 * - every change as the source sent it, as JSON, with its transaction. No change of the table
 *   changes it, and what a dropped column held stays.
 * - every version of every row as the copy has had it, with its types. It hangs behind the copy's
 *   own storage, so nothing that writes there can be forgotten: loads and repairs are in it, too.
 */

/** Routes of changes that lack a value, which no other view takes. */
export function incompleteRoute(route: string): string {
  return `\u001f${route}`;
}

export interface HistoryObjects {
  readonly versions: StorageObject;
  readonly log: TargetObject;
  readonly changes: TargetObject;
  readonly asOf: TargetObject;
}

export function historyObjects(plan: TablePlan): HistoryObjects {
  return {
    versions: versionsObject(plan),
    log: logObject(plan),
    changes: changesView(plan),
    asOf: asOfView(plan),
  };
}

/** The views that fill it, in the order in which they are made. */
export function historyViews(
  plan: TablePlan,
  sharedQueue: SharedQueue,
  placeholder: string,
): TargetObject[] {
  return [versionsView(plan), logView(plan, sharedQueue, placeholder)];
}

function logObject(plan: TablePlan): TargetObject {
  const { database } = plan.names;
  const { log } = historyNames(plan.names);
  return {
    own: plan.own,
    database,
    name: log,
    kind: 'storage',
    definitions: LOG_COLUMNS,
    // A change that comes again may have lost a value meanwhile: the complete one stays.
    create: `CREATE TABLE IF NOT EXISTS ${chIdent(database, log)}
${tableBody(LOG_COLUMNS, 'ENGINE = ReplacingMergeTree(complete)\nORDER BY (key, version)')}`,
  };
}

const LOG_COLUMNS = [
  'op LowCardinality(String)',
  'key String CODEC(ZSTD(1))',
  'before String CODEC(ZSTD(1))',
  'after String CODEC(ZSTD(1))',
  'unchanged Array(LowCardinality(String))',
  'version UInt64 CODEC(Delta, ZSTD(1))',
  'transaction_id Nullable(UInt64) CODEC(ZSTD(1))',
  "committed_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1))",
  "captured_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1))",
  "written_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') CODEC(Delta, ZSTD(1))",
  'complete UInt8 MATERIALIZED empty(unchanged)',
];

const ROW = '__cdc_row';

/** Every change once. One statement may write many rows at one position, but a key only once. */
function changesView(plan: TablePlan): TargetObject {
  const { database } = plan.names;
  const { changes, log } = historyNames(plan.names);
  const half = (shift: number) =>
    `trim(LEADING '0' FROM hex(bitAnd(bitShiftRight(${positionSql('version')}, ${shift}), 0xFFFFFFFF)))`;
  return {
    own: plan.own,
    database,
    name: changes,
    kind: 'view',
    create: `CREATE OR REPLACE VIEW ${chIdent(database, changes)} AS
SELECT op, key, before, after, unchanged,
    version,
    concat(if(${positionSql('version')} < 4294967296, '0', ${half(32)}), '/', ${half(0)}) AS lsn,
    transaction_id, committed_at, captured_at, written_at
FROM ${chIdent(database, log)} FINAL`,
  };
}

/** Members of an image, as pairs of name and raw value. */
function members(image: string, condition: string): string {
  return `arrayFilter(m -> ${condition}, JSONExtractKeysAndValuesRaw(${image}))`;
}

function logView(plan: TablePlan, sharedQueue: SharedQueue, placeholder: string): TargetObject {
  const { database } = plan.names;
  const { logMv, log } = historyNames(plan.names);
  const route = chLiteral(routeOf(plan));
  const unsent = chLiteral(JSON.stringify(placeholder));
  const image = `${ROW}.image`;
  const kept = `arrayMap(m -> concat(toJSONString(m.1), ':', m.2), ${members(image, `m.2 != ${unsent}`)})`;
  // Unless the replica identity is full, the source sends NULL or 0 for what is not of the key.
  const before =
    plan.source.replicaIdentity === 'f'
      ? `ifNull(${ROW}.before, '')`
      : `if(${ROW}.op = 'd', ${ROW}.message_key, '')`;
  return {
    own: plan.own,
    database,
    name: logMv,
    kind: 'materialized-view',
    create: `CREATE MATERIALIZED VIEW IF NOT EXISTS ${chIdent(database, logMv)} TO ${chIdent(database, log)} AS
SELECT
    ${ROW}.op AS op,
    ${ROW}.message_key AS key,
    ${before} AS before,
    multiIf(${ROW}.op IN ('d', 't'), '', ${ROW}.route = ${route}, ${image}, concat('{', arrayStringConcat(${kept}, ','), '}')) AS after,
    if(${ROW}.route = ${route}, [], arrayMap(m -> m.1, ${members(image, `m.2 = ${unsent}`)})) AS unchanged,
    ${ROW}.version AS version,
    ${ROW}.transaction_id AS transaction_id,
    ${ROW}.committed_at AS committed_at,
    ${ROW}.captured_at AS captured_at
FROM ${chIdent(sharedQueue.names.database, sharedQueue.names.fanout)} AS ${ROW}
WHERE ${ROW}.route IN (${route}, ${chLiteral(incompleteRoute(routeOf(plan)))}) AND ${ROW}.op != 'r'`,
  };
}

/** Columns by which versions of one row are told apart. */
const VERSION_COLUMNS = [
  { name: '_version', type: 'UInt64' },
  { name: '_committed_at', type: "DateTime64(6, 'UTC')" },
] as const;

function versionsObject(plan: TablePlan): StorageObject {
  const { database } = plan.names;
  const { versions } = historyNames(plan.names);
  const storage = storageObject(plan);
  const names = VERSION_COLUMNS.map((column) => column.name);
  const { definitions } = storage;
  const body = tableBody(
    definitions,
    `ENGINE = ReplacingMergeTree(_written_at)
ORDER BY (${[...keyColumns(plan), ...names].join(', ')})`,
  );
  // A TTL or settings of the copy are not the history's.
  return {
    own: plan.own,
    database,
    name: versions,
    kind: 'storage',
    columns: [...storage.columns, ...VERSION_COLUMNS],
    key: [...storage.key, ...names],
    definitions,
    body,
    marks: { layout: '', options: codecMark(storage.columns) },
    create: `CREATE TABLE IF NOT EXISTS ${chIdent(database, versions)}\n${body}`,
  };
}

function sourceColumns(plan: TablePlan): string[] {
  return storageObject(plan).columns.map(({ name }) => chIdent(name));
}

function versionsView(plan: TablePlan): TargetObject {
  const { database, final } = plan.names;
  const { versions, versionsMv } = historyNames(plan.names);
  return {
    own: plan.own,
    database,
    name: versionsMv,
    kind: 'materialized-view',
    create: `CREATE MATERIALIZED VIEW IF NOT EXISTS ${chIdent(database, versionsMv)} TO ${chIdent(database, versions)} AS
SELECT ${sourceColumns(plan).join(', ')}, _version, _deleted, _committed_at, _written_at
FROM ${chIdent(database, final)}`,
  };
}

/** Text by which a statement that asks for another time tells so. */
function outOfRange({ own }: TablePlan): string {
  return `cdc: the history does not reach to this time; SELECT chunk, state, at FROM ${own}.loads FINAL tells from when and until when it does`;
}

/**
 * The table's rows as they were at a time, with the columns and types that they have now. A row is
 * its latest version of those committed by then, with the exact text of what does not fit (a view that
 * takes a time cannot hide a column: `_exact` is in `SELECT *`); what is older than the last truncate by then is
 * not there, and what is older than the load with which the history began has no deletes.
 */
function asOfView(plan: TablePlan): TargetObject {
  const { database } = plan.names;
  const { asOf, versions, log } = historyNames(plan.names);
  const at = "{at:DateTime64(6, 'UTC')}";
  const storage = storageObject(plan);
  const columns = storage.columns.map(({ name, type }) => ({
    name: chIdent(name),
    type,
    isKey: storage.key.includes(name),
  }));
  const others = columns.filter(({ isKey }) => !isKey);
  const value = (column: (typeof columns)[number]) => {
    const element = `tupleElement(${ROW}, ${others.indexOf(column) + 2})`;
    // argMax keeps every type but this one.
    const kept = /LowCardinality/.test(column.type)
      ? `CAST(${element}, ${chLiteral(column.type)})`
      : element;
    return column.isKey ? column.name : `${kept} AS ${column.name}`;
  };
  const keys = columns
    .filter(({ isKey }) => isKey)
    .map(({ name }) => name)
    .join(', ');
  const latest = ['_deleted', ...others.map(({ name }) => name)].join(', ');
  const own = `${ownRows(plan)} AND floor = 0`;
  const { isBegin, isEnd, isDone, isEnded, version: begunAt } = HISTORY_SQL;
  const inRange = `countIf(${isBegin} AND ${isDone} AND at <= ${at}) > countIf(${isEnd} AND ${isEnded} AND at < ${at})`;
  // In the aggregate that the rows are compared with, the check is made even when there is no row.
  const version = `max(if(${isBegin}, toUInt64OrZero(${begunAt}), 0)) + throwIf(NOT (${inRange}), ${chLiteral(outOfRange(plan))})`;
  return {
    own: plan.own,
    database,
    name: asOf,
    kind: 'view',
    create: `CREATE OR REPLACE VIEW ${chIdent(database, asOf)} AS
SELECT ${columns
      .filter(({ name }) => name !== KEY_TEXT.name)
      .map(value)
      .join(', ')}
FROM
(
    SELECT ${keys}, argMax(tuple(${latest}), tuple(_version, _committed_at, _written_at)) AS ${ROW}
    FROM ${chIdent(database, versions)}
    WHERE _committed_at <= ${at}
        AND _version > (SELECT max(version) FROM ${chIdent(database, log)} WHERE op = 't' AND committed_at <= ${at})
        AND _version >= (SELECT ${version} FROM ${chIdent(plan.own, CH_CDC.loads)} FINAL WHERE ${own})
    GROUP BY ${keys}
)
WHERE tupleElement(${ROW}, 1) = 0`,
  };
}

/** A view of an earlier cdc, as ClickHouse shows it, made to read the records as they are written now; undefined for any other. */
export function renewedAsOf(statement: string): string | undefined {
  const { isDone, version, isEnded } = LEGACY_HISTORY_SQL;
  if (![isDone, version, isEnded].every((part) => statement.includes(part))) return undefined;
  return statement
    .replace(/^CREATE VIEW /, 'CREATE OR REPLACE VIEW ')
    .replaceAll(isDone, HISTORY_SQL.isDone)
    .replaceAll(version, HISTORY_SQL.version)
    .replaceAll(isEnded, HISTORY_SQL.isEnded);
}
