import type pg from 'pg';
import type { ClickHouse } from '../../cli/components/clickhouse/client.ts';
import { type TargetNames, tableLabelKey, targetNames } from '../../cli/core/names.ts';
import { chIdent, pgIdent } from '../../cli/lib/sql.ts';
import {
  type Beside,
  countedDifferences,
  type Difference,
  differencesOf,
  type OracleColumn,
  ofCopy,
  ofSource,
  rowOf,
  selectOf,
} from './oracle.ts';

/** What the oracle found out about one table. */
export interface Compared {
  readonly rows: number;
  readonly values: number;
  /** Values that do not fit, whose texts the copy has beside them; NULL arrays are none. */
  readonly kept: number;
  readonly differences: readonly Difference[];
}

/**
 * The source's columns, and which of them are its key: of the replica identity index, else primary. One that is
 * deferrable tells no rows apart, since two may have it for a moment.
 */
async function describe(client: pg.ClientBase, schema: string, table: string) {
  const found = await client.query<Record<string, string>>(
    `SELECT a.attname AS name, coalesce(d.typname, e.typname, b.typname) AS base, (e.oid IS NOT NULL)::int AS array,
            greatest(a.attndims, t.typndims) AS dimensions,
            CASE WHEN d.oid IS NOT NULL THEN e.typtypmod WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS modifier,
            coalesce(e.typdelim, b.typdelim) AS delimiter,
            (NOT a.attnotnull AND NOT t.typnotnull)::int AS nullable,
            (a.attnum = ANY ((SELECT indkey FROM pg_index WHERE indrelid = a.attrelid AND (indisreplident OR indisprimary) AND indimmediate
               ORDER BY indisreplident DESC LIMIT 1)::int2[]))::int AS key
       FROM pg_attribute a
       JOIN pg_type t ON t.oid = a.atttypid
       JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
       LEFT JOIN pg_type e ON e.oid = b.typelem AND e.typarray = b.oid
       LEFT JOIN pg_type d ON d.oid = e.typbasetype
      WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    [pgIdent(schema, table)],
  );
  return found.rows.map((row) => ({
    isKey: row.key === '1',
    column: {
      name: row.name ?? '',
      base: row.base ?? '',
      array: row.array === '1',
      asText: row.array === '1' && (Number(row.dimensions) > 1 || row.key === '1'),
      nullable: row.nullable === '1',
      modifier: Number(row.modifier),
      delimiter: row.delimiter ?? ',',
    } satisfies OracleColumn,
  }));
}

const SHOWN = { output_format_json_quote_denormals: 1, output_format_json_quote_decimals: 1 };

/** Names of a table's copy: a long one is another one there. */
export function copyNames(schema: string, table: string): TargetNames {
  const id = { schema, table };
  return targetNames([id], undefined).get(tableLabelKey(id)) as TargetNames;
}

/** Reads a table on both sides and compares every value by the oracle's own rules. */
export async function compareTable(
  client: pg.ClientBase,
  clickhouse: ClickHouse,
  schema: string,
  table: string,
): Promise<Compared> {
  const columns = await describe(client, schema, table);
  const names = columns.map(({ column }) => pgIdent(column.name)).join(', ');
  const source = await client.query<(string | null)[]>({
    text: `SELECT ${names} FROM ${pgIdent(schema, table)}`,
    rowMode: 'array',
  });
  const selected = columns.map(
    ({ column }, i) => `${selectOf(column, `t.${chIdent(column.name)}`)} AS __${i}`,
  );
  // Not as a map, of which JSON would show the last of two that have one name.
  selected.push(`CAST(t._exact, 'Array(Tuple(String, Nullable(String)))') AS __exact`);
  const copy = await clickhouse.rows<Record<string, unknown>>(
    `SELECT ${selected.join(', ')} FROM ${chIdent(schema, copyNames(schema, table).view)} AS t`,
    {},
    SHOWN,
  );
  const isKey = (nth: number) => columns[nth]?.isKey === true;
  const held = source.rows.map((row) => columns.map((c, i) => ofSource(c.column, row[i] ?? null)));
  const theirs = copy.map((row) => {
    const beside = row.__exact as Beside;
    const strangers = beside.filter(([name]) => !columns.some((c) => c.column.name === name));
    const values = columns.map(({ column }, i) => ofCopy(column, row[`__${i}`], beside));
    return rowOf(values, isKey, strangers);
  });
  const ours = held.map((values) => rowOf(values, isKey));
  const texts = (rows: typeof ours) => rows.map(({ text }) => text);
  return {
    rows: held.length,
    values: held.length * columns.length,
    kept: held.flat().filter(({ exact }) => typeof exact === 'string').length,
    differences: columns.some((c) => c.isKey)
      ? differencesOf(ours, theirs)
      : countedDifferences(texts(ours), texts(theirs)),
  };
}
