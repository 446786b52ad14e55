import { EXACT, ownAlias } from '../../core/columns.ts';
import { ownRows, type TablePlan } from '../../core/ddl.ts';
import { SOURCE } from '../../core/keys.ts';
import { isSeen, rowHash } from '../../core/multiset-ddl.ts';
import { CH_CDC } from '../../core/names.ts';
import { sourceFrom } from '../../core/rowScope.ts';
import { chIdent, pgIdent } from '../../lib/sql.ts';
import type { ClickHouse } from './client.ts';
import {
  loadedRow,
  loadedText,
  type PulledSource,
  pulledQuery,
  SETTINGS,
  withNamed,
} from './load.ts';

/** Loads of tables without a key: all rows as one snapshot sees them, and what it sees. */

/** Of a generation: positions, and the snapshot that its rows are of. */
export interface GenerationRecord {
  readonly generation: bigint;
  readonly seen: bigint;
  readonly after: bigint;
  readonly xmax: bigint;
  readonly xips: readonly bigint[];
}

/**
 * Reads the table with one statement, which has one snapshot, and writes its rows. One row more, which
 * counts nothing, has the snapshot's text.
 */
export function generationStatement(
  plan: TablePlan,
  source: PulledSource,
  generation: bigint,
  version: bigint,
): string {
  const own = ownAlias(plan.columns);
  const columns = plan.columns.map(
    (c) => `${c.loadSelect(`${SOURCE}.${pgIdent(c.source.name)}`)}::text AS ${loadedText(plan, c)}`,
  );
  const nulls = plan.columns.map((c) => `NULL::text AS ${loadedText(plan, c)}`);
  const snapshot = `${own}snapshot`;
  const query = `SELECT ${[`pg_current_snapshot()::text AS ${snapshot}`, ...nulls].join(', ')} WHERE ${SETTINGS} UNION ALL SELECT ${['NULL::text', ...columns].join(', ')} ${sourceFrom(plan, [SETTINGS])}`;
  const ours = ['_row_hash', '_generation', '_version', '_ordinal', '_sign', '_committed_at'];
  const names = [...plan.columns.map((c) => chIdent(c.name)), EXACT.name];
  const row = loadedRow(plan);
  const values = plan.columns.map((c, i) => `${row.values[i]} AS ${chIdent(c.name)}`);
  return `INSERT INTO ${chIdent(plan.names.database, plan.names.final)} (${[...names, ...ours].join(', ')})
SELECT ${names.join(', ')}, ${rowHash(plan)}, toUInt64(${generation}), toUInt64(${version}), ${own}ordinal, ${own}sign, now64(6, 'UTC')
FROM
(
    ${withNamed(row)}SELECT ${[...values, `if(isNull(${snapshot}), ${row.exact}, CAST(map('', ${snapshot}), '${EXACT.type}')) AS ${EXACT.name}`].join(', ')},
        rowNumberInAllBlocks() AS ${own}ordinal, toInt8(isNull(${snapshot})) AS ${own}sign
    FROM ${pulledQuery(query, source)}
)`;
}

/** What the rows of a generation say of their snapshot; absent when it was not read to its end. */
export async function snapshotOf(
  clickhouse: ClickHouse,
  plan: TablePlan,
  generation: bigint,
): Promise<{ xmax: bigint; xips: bigint[] } | undefined> {
  const [found] = await clickhouse.rows<{ snapshot: string }>(
    `SELECT ${EXACT.name}[''] AS snapshot FROM ${storage(plan)} WHERE _generation = ${generation} AND _sign = 0 LIMIT 1`,
  );
  if (!found) return undefined;
  const [, xmax = '0', xips = ''] = found.snapshot.split(':');
  return { xmax: BigInt(xmax), xips: xips === '' ? [] : xips.split(',').map(BigInt) };
}

/** From now on the view shows this generation. */
export async function makeCurrent(
  clickhouse: ClickHouse,
  plan: TablePlan,
  { generation, seen, after, xmax, xips }: GenerationRecord,
): Promise<void> {
  await clickhouse.insert(chIdent(clickhouse.own, CH_CDC.generations), [
    {
      schema_name: plan.schema,
      table_name: plan.table,
      generation: String(generation),
      seen: String(seen),
      after: String(after),
      xmax: String(xmax),
      // What the stream tells of a transaction's number.
      xips: xips.map((xip) => String(xip % 2n ** 32n)),
    },
  ]);
}

export async function currentGeneration(clickhouse: ClickHouse, plan: TablePlan): Promise<bigint> {
  const [found] = await clickhouse.rows<{ generation: string }>(
    `SELECT max(generation) AS generation FROM ${chIdent(clickhouse.own, CH_CDC.generations)} WHERE ${ownRows(plan)}`,
  );
  return BigInt(found?.generation ?? '0');
}

/**
 * Changes at positions that the source has not reached: no load would ever hide them. A true one that
 * goes with them was committed by now, so the load that follows has its rows.
 */
export async function takeOutFuture(
  clickhouse: ClickHouse,
  plan: TablePlan,
  now: bigint,
): Promise<void> {
  await clickhouse.command(
    `DELETE FROM ${storage(plan)} WHERE _generation = 0 AND _version > ${now}`,
  );
}

/**
 * Rows that the view does not show any more: of other generations, also of loads that were killed, and
 * changes that are in the current one. They only take room, so nobody waits for this.
 */
export async function forgetOlder(
  clickhouse: ClickHouse,
  plan: TablePlan,
  record: GenerationRecord,
): Promise<void> {
  const { generation, seen, after, xmax, xips } = record;
  const current = {
    generation: String(generation),
    seen: `toUInt64(${seen})`,
    after: `toUInt64(${after})`,
    xmax: `toUInt64(${xmax})`,
    xips: `CAST([${xips.map((xip) => xip % 2n ** 32n).join(', ')}], 'Array(UInt64)')`,
  };
  const old = `if(_generation = 0, ${isSeen(current, '_version', '_txid')}, _generation < ${generation})`;
  const found = await clickhouse.rows(`SELECT 1 FROM ${storage(plan)} WHERE ${old} LIMIT 1`);
  if (found.length > 0)
    await clickhouse.command(
      `DELETE FROM ${storage(plan)} WHERE ${old} SETTINGS lightweight_deletes_sync = 0`,
    );
}

function storage(plan: TablePlan): string {
  return chIdent(plan.names.database, plan.names.final);
}
