import type { ClickHouse } from '../../cli/components/clickhouse/client.ts';
import { isOwnColumn } from '../../cli/core/ddl.ts';
import { Problem } from '../../cli/core/problems.ts';
import { chIdent } from '../../cli/lib/sql.ts';
import { copyNames } from './compare.ts';

/**
 * What somebody makes on the storage of a copy: things that take every row, things that refuse one row in five, and
 * things that need a column which the source may drop. None of it may keep a row out.
 */
const OBJECTS: readonly ((storage: string, view: string, column: string) => string)[] = [
  (storage, view) => makeView(view, 'SELECT *', storage),
  (storage, view) => makeView(view, `SELECT throwIf(${ONE_IN_FIVE}) AS ok`, storage),
  (storage, view, column) => makeView(view, `SELECT ${column} AS needed`, storage),
  (storage) => `ALTER TABLE ${storage} ADD CONSTRAINT theirs CHECK NOT ${ONE_IN_FIVE}`,
  (storage, _, column) =>
    `ALTER TABLE ${storage} ADD INDEX theirs toString(${column}) TYPE bloom_filter`,
  (storage, _, column) =>
    `ALTER TABLE ${storage} ADD COLUMN theirs String MATERIALIZED toString(${column})`,
  (storage, _, column) =>
    `ALTER TABLE ${storage} MODIFY TTL toDateTime(4000000000 + length(toString(${column})) % 9) + INTERVAL 1 DAY`,
  (storage, _, column) =>
    `ALTER TABLE ${storage} MODIFY SETTING deduplicate_merge_projection_mode = 'rebuild', ADD PROJECTION theirs (SELECT ${column} ORDER BY ${column})`,
];

const ONE_IN_FIVE = '(_version % 5 = 0)';

function makeView(view: string, select: string, storage: string): string {
  return `CREATE MATERIALIZED VIEW ${view} ENGINE = MergeTree ORDER BY tuple() AS ${select} FROM ${storage}`;
}

/** Makes one of them, of one program in three; what was run, or what ClickHouse said, for the log. */
export async function hangOn(
  clickhouse: ClickHouse,
  schema: string,
  table: string,
  index: number,
): Promise<string | undefined> {
  if (index % 3 !== 1) return undefined;
  const { final } = copyNames(schema, table);
  const columns = await clickhouse.rows<{ name: string }>(
    'SELECT name FROM system.columns WHERE database = {schema:String} AND table = {final:String} AND is_in_sorting_key = 0 ORDER BY position',
    { schema, final },
  );
  const own = columns.filter(({ name }) => !isOwnColumn(name));
  const column = own[index % Math.max(own.length, 1)];
  const made = OBJECTS[Math.floor(index / 3) % OBJECTS.length];
  if (!column || !made) return undefined;
  const view = chIdent(schema, `t${index} theirs`);
  const statement = made(chIdent(schema, final), view, chIdent(column.name));
  try {
    await clickhouse.command(statement);
    return `ClickHouse: ${statement};`;
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== 'CLICKHOUSE_REFUSED') throw error;
    return `ClickHouse: ${statement};  -- ${error.message}`;
  }
}
