import { EXACT } from '../../core/columns.ts';
import { keptAsText } from '../../core/kept.ts';
import { isOwnedSql } from '../../core/plan.ts';
import { chIdent, chLiteral } from '../../lib/sql.ts';
import type { ClickHouse } from './client.ts';

/** Values of one column that its type cannot hold: their exact text stands beside them. */
export interface KeptValues {
  readonly table: string;
  readonly column: string;
  readonly values: number;
  /** One of them, its beginning. */
  readonly example: string;
}

/** A table of the copy as far as its kept values are looked for. */
export interface CopiedTable {
  readonly label: string;
  readonly database: string;
  readonly view: string;
  readonly final: string;
}

const EXAMPLE_CHARACTERS = 60;
/** Tables that one statement asks about. */
const TOGETHER = 200;

/**
 * Values that are kept beside, by table and column; NULL arrays are none. Tables without any cost the
 * reading of the sizes of their maps, which are all 0.
 */
export async function keptValues(
  clickhouse: ClickHouse,
  tables: readonly CopiedTable[],
): Promise<KeptValues[]> {
  const found: KeptValues[] = [];
  for (let i = 0; i < tables.length; i += TOGETHER) {
    const some = tables.slice(i, i + TOGETHER);
    const have = await clickhouse.rows<{ nth: number }>(
      some
        .map(
          ({ database, final }, n) =>
            `SELECT ${n} AS nth FROM ${chIdent(database, final)} WHERE notEmpty(${EXACT.name}) AND NOT mapContains(${EXACT.name}, '') AND ${keptAsText('')} > 0 LIMIT 1`,
        )
        .join(' UNION ALL '),
    );
    for (const { nth } of have) {
      const table = some[Number(nth)];
      if (table) found.push(...(await ofTable(clickhouse, table)));
    }
  }
  return found.sort((a, b) => (a.table + a.column < b.table + b.column ? -1 : 1));
}

async function ofTable(
  clickhouse: ClickHouse,
  { label, database, view }: CopiedTable,
): Promise<KeptValues[]> {
  const rows = await clickhouse.rows<{ column: string; n: string; example: string }>(
    `SELECT kept.1 AS column, count() AS n, substringUTF8(any(kept.2), 1, ${EXAMPLE_CHARACTERS}) AS example
       FROM ${chIdent(database, view)} ARRAY JOIN arrayFilter(k -> isNotNull(k.2), CAST(${EXACT.name}, 'Array(Tuple(String, Nullable(String)))')) AS kept
      WHERE notEmpty(${EXACT.name}) GROUP BY column`,
  );
  return rows.map(({ column, n, example }) => ({
    table: label,
    column,
    values: Number(n),
    example,
  }));
}

/** The tables of the copy as ClickHouse knows them: under their names there. */
async function copiedTables(clickhouse: ClickHouse): Promise<CopiedTable[]> {
  const rows = await clickhouse.rows<{ database: string; view: string; final: string }>(
    // What belongs to a view is named after it, with one underscore or more between.
    `SELECT f.database AS database, argMax(v.name, length(v.name)) AS view, f.name AS final
       FROM system.tables AS f JOIN system.tables AS v ON v.database = f.database
       JOIN system.columns AS c ON c.database = f.database AND c.table = f.name AND c.name = ${chLiteral(EXACT.name)}
      WHERE ${isOwnedSql(clickhouse.own, 'storage', 'f.comment')} AND ${isOwnedSql(clickhouse.own, 'view', 'v.comment')}
        AND startsWith(f.name, v.name) AND match(substring(f.name, length(v.name) + 1), '^_+final$')
      GROUP BY f.database, f.name`,
  );
  return rows.map((row) => ({ ...row, label: `${row.database}.${row.view}` }));
}

/** Of every table of the copy. */
export async function keptInCopy(clickhouse: ClickHouse): Promise<KeptValues[]> {
  return keptValues(clickhouse, await copiedTables(clickhouse));
}
