import { chIdent, chLiteral } from '../lib/sql.ts';
import { canonicalRowTarget, EXACT, ownAlias } from './columns.ts';
import {
  extraction,
  ownRows,
  routeOf,
  type StorageObject,
  storageColumns,
  storageFrom,
  type TablePlan,
  type TargetObject,
  TIME_COLUMNS,
  viewColumns,
} from './ddl.ts';
import { MULTISET_COLUMNS, ROW_HASH } from './multisetColumns.ts';
import { CH_CDC } from './names.ts';
import type { SharedQueue } from './sharedQueues.ts';
import { columnDefinition, targetAlive } from './storage.ts';

/**
 * Tables without a key. Their rows cannot be told apart, so none is ever replaced: storage has a row
 * for each that a change added (+1) or took away (-1), and the view shows a row as often as these add
 * up to. A change that comes again has the same sorting key and is merged: its WAL position, and among
 * rows of one statement its ordinal.
 *
 * A load cannot meet the stream by key, either. It is a generation: all rows as one snapshot sees them.
 * Of what was streamed only the changes count that this snapshot does not see. A record in
 * cdc.generations makes a complete one current, at once.
 */

const KEY: readonly string[] = [ROW_HASH, '_generation', '_version', '_ordinal', '_sign'];

/** What tells different rows apart: the whole row's text, with the exact texts of what does not fit. */
export function rowHash(plan: TablePlan): string {
  return `sipHash128(${plan.columns.length === 0 ? "''" : canonicalRowTarget(plan.columns)})`;
}

export function multisetStorage(plan: TablePlan): StorageObject {
  const source = storageColumns(plan.columns);
  return storageFrom(plan, {
    columns: [...source, EXACT, ...MULTISET_COLUMNS.map(({ name, type }) => ({ name, type }))],
    definitions: [
      ...source.map(columnDefinition),
      `${EXACT.name} ${EXACT.type}`,
      ...MULTISET_COLUMNS.map(({ name, type, codec }) => `${name} ${type}${codec}`),
      ...TIME_COLUMNS,
    ],
    engine: 'ReplacingMergeTree',
    key: KEY,
    order: KEY,
  });
}

/** Elements of the current generation, as the views read it. */
export interface Generation {
  readonly generation: string;
  /** Every change up to this position is in its rows. */
  readonly seen: string;
  /** No change from this position on is. */
  readonly after: string;
  /** The first transaction that its snapshot does not see, and older ones that ran then. */
  readonly xmax: string;
  readonly xips: string;
}

/**
 * Whether a generation's rows have a change. PostgreSQL sends 32 bits of a transaction's number; between
 * the two positions there are never 2^31 transactions, so the difference says which is older.
 */
export function isSeen(g: Generation, version: string, txid: string): string {
  return `(${version} <= ${g.seen} OR (${version} < ${g.after} AND toInt32(${txid} - ${g.xmax}) < 0 AND NOT has(${g.xips}, toUInt64(${txid}))))`;
}

/**
 * Each row as often as it is there. (ClickHouse takes an ARRAY JOIN inside a view and one in a query on
 * it for the same; as a function in the SELECT list it might be left out where nobody reads it.)
 */
export function multisetView(plan: TablePlan): TargetObject {
  const { database, final, view } = plan.names;
  const table = ownRows(plan);
  const own = ownAlias(plan.columns);
  const [generation, truncate, row, count] = ['generation', 'truncate', 'row', 'count'].map(
    (name) => own + name,
  );
  const names = [...plan.columns.map((c) => chIdent(c.name)), EXACT.name];
  const alive = targetAlive(plan.source, `${row}.`);
  const element = (n: number) => `tupleElement(${generation}, ${n})`;
  const current: Generation = {
    generation: element(1),
    seen: element(2),
    after: element(3),
    xmax: element(4),
    xips: element(5),
  };
  const truncated = [`tupleElement(${truncate}, 1)`, `tupleElement(${truncate}, 2)`] as const;
  return {
    own: plan.own,
    database,
    name: view,
    kind: 'view',
    create: `CREATE OR REPLACE VIEW ${chIdent(database, view)}
(
${viewColumns(plan)}
) AS
WITH
    (SELECT argMax(tuple(generation, seen, after, xmax, xips), generation) FROM ${chIdent(plan.own, CH_CDC.generations)} WHERE ${table}) AS ${generation},
    (SELECT argMax(tuple(version, transaction_id), version) FROM ${chIdent(plan.own, CH_CDC.truncates)} WHERE ${table}) AS ${truncate}
SELECT ${names.join(', ')}
FROM
(
    SELECT ${names.map((name) => `any(${row}.${name}) AS ${name}`).join(', ')}, sum(${row}._sign) AS ${count}
    FROM ${chIdent(database, final)} AS ${row} FINAL
    WHERE ${row}._sign != 0${alive === undefined ? '' : ` AND ${alive}`} AND if(${row}._generation = 0,
        ${row}._version > ${truncated[0]} AND NOT ${isSeen(current, `${row}._version`, `${row}._txid`)},
        ${row}._generation = ${current.generation} AND ${isSeen(current, ...truncated)})
    GROUP BY ${row}._row_hash
    HAVING ${count} > 0
)
WHERE arrayJoin(range(toUInt64(${count}))) >= 0`,
  };
}

/** From the queue's rows into storage. A change is a row that it takes away, one that it adds, or both. */
export function multisetRowView(plan: TablePlan, sharedQueue: SharedQueue): TargetObject {
  const { database, mv, final } = plan.names;
  const row = `${ownAlias(plan.columns)}row`;
  const { named, values, exact } = extraction(plan, `${row}.`, '0');
  const columns = plan.columns.map((c, i) => `        ${values[i]} AS ${chIdent(c.name)}`);
  return {
    own: plan.own,
    database,
    name: mv,
    kind: 'materialized-view',
    create: `CREATE MATERIALIZED VIEW IF NOT EXISTS ${chIdent(database, mv)} TO ${chIdent(database, final)} AS
SELECT *, ${rowHash(plan)} AS _row_hash
FROM
(
    WITH ${named}
    SELECT
${[...columns, `        ${exact} AS ${EXACT.name}`].join(',\n')},
        ${row}.change_version AS _version,
        ${row}.change_ordinal AS _ordinal,
        ${row}.sign AS _sign,
        ${row}.txid AS _txid,
        ${row}.change_time AS _committed_at
    FROM
    (
        SELECT
            arrayJoin(multiIf(lane.op = 'u', [(toInt8(-1), ifNull(lane.before, '')), (toInt8(1), lane.image)], lane.op = 'd', [(toInt8(-1), lane.image)], [(toInt8(1), lane.image)])) AS side,
            tupleElement(side, 1) AS sign,
            tupleElement(side, 2) AS image,
            lane.version AS change_version,
            lane.ordinal AS change_ordinal,
            toUInt32(ifNull(lane.transaction_id, 0)) AS txid,
            lane.committed_at AS change_time
        FROM ${chIdent(sharedQueue.names.database, sharedQueue.names.fanout)} AS lane
        WHERE lane.route = ${chLiteral(routeOf(plan))} AND lane.op IN ('c', 'u', 'd')
    ) AS ${row}
)`,
  };
}
