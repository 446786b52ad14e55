import { afterAll, beforeAll, expect, test } from 'vitest';
import { chIdent, pgIdent } from '../cli/lib/sql.ts';
import { cdcJson, eventually, freshSchema, source, target } from './harness/database.ts';

/** A type is known by its OID: what a user calls a type is no sign of what it is. */

/** Built-in types, and those that Debezium or the driver treat by their names alone. */
const NAMES = [
  ...'point box path polygon hstore geometry vector ltree citext json money inet uuid interval'.split(
    ' ',
  ),
  ...'date time timestamptz numeric int2 int4 int8 serial float8 bool bytea text name bit'.split(
    ' ',
  ),
  ...'tsvector refcursor regclass unknown'.split(' '),
  ...['timestamp with time zone', 'we.ird', '(x', 'x[1', '"q"', '_int8', '7'],
];

interface Kind {
  readonly kind: string;
  readonly base?: string;
  define(type: string): string;
  readonly values: readonly [string, string];
}

const KINDS: readonly Kind[] = [
  {
    kind: 'composite',
    define: (type) => `CREATE TYPE ${type} AS (x int, y text)`,
    values: ['(1,"a, b")', '(,)'],
  },
  {
    kind: 'enum',
    define: (type) => `CREATE TYPE ${type} AS ENUM ('so', 'it''s')`,
    values: ['so', "it's"],
  },
  {
    kind: 'range',
    define: (type) =>
      `CREATE TYPE ${type} AS RANGE (subtype = float8, multirange_type_name = ${type.replace(/"$/, '_many"')})`,
    values: ['[1,2.5)', 'empty'],
  },
  {
    kind: 'domain',
    define: (type) => `CREATE DOMAIN ${type} AS text`,
    values: ['a, b', ''],
  },
  {
    kind: 'domain of times',
    base: 'array',
    define: (type) => `CREATE DOMAIN ${type} AS timestamptz[]`,
    values: ['{"0044-03-15 00:00:00+00 BC",infinity}', '{}'],
  },
];

const BUILT_IN = [
  ['int4', '-5'],
  ['int8', '9223372036854775807'],
  ['bool', 't'],
  ['bytea', '\\x00ff'],
  ['text', 'it is'],
  ['float8', '0.1'],
  ['numeric', '1.50'],
  ['money', '1234.50'],
  ['point', '(1,2)'],
  ['uuid', '76019d1a-ad2e-4b22-96e9-1a6d6543c818'],
  ['json', '{"a": 1}'],
  ['date', '2024-02-29'],
  ['time', '24:00:00'],
  ['interval', '-1 days +02:00:00'],
  ['timestamptz', '2024-02-29 12:00:00+00'],
  ['bit', '1'],
  ['hstore', ''],
] as const;

let schema = '';
const dropped: (() => Promise<void>)[] = [];

beforeAll(async () => {
  await using client = await source();
  const made = await freshSchema(client, 'type_names');
  schema = made.name;
  dropped.push(made.drop);
  await client.query(`CREATE TABLE ${schema}.plain (id int PRIMARY KEY)`);
});
afterAll(async () => {
  for (const drop of dropped) await drop();
  await cdcJson('apply');
});

/** The rows of the copy, without their keys. */
async function copied(table: string): Promise<Record<string, unknown>[]> {
  await using clickhouse = target();
  return clickhouse.rows(`SELECT * EXCEPT id FROM ${chIdent(schema, table)} ORDER BY id`);
}

/** A row of another table arrives. */
async function flows(id: number): Promise<void> {
  await using client = await source();
  await using clickhouse = target();
  await client.query(`INSERT INTO ${schema}.plain VALUES (${id})`);
  await eventually(`row ${id}`, 1, async () => {
    const rows = await clickhouse.rows(
      `SELECT id FROM ${chIdent(schema, 'plain')} WHERE id = ${id}`,
    );
    return rows.length;
  });
}

/** Loaded, streamed, read again by Debezium, and streamed once more, which goes by what Debezium has read. */
async function everyWay(table: string, values: string, beside: string): Promise<void> {
  const name = `${schema}.${table}`;
  await using client = await source();
  const write = async (id: number) => {
    await client.query(`INSERT INTO ${name} VALUES (${id}, ${values})`);
    await client.query(`UPDATE ${name} SET ${beside} = ${beside} + 1 WHERE id = ${id}`);
  };
  await write(1);
  await cdcJson('apply');
  await write(2);
  await flows(Date.now() % 1_000_000_000);
  expect(await cdcJson('verify', name)).toMatchObject({ ok: true, rows: 2 });
  await cdcJson('snapshot', name, '--method', 'debezium');
  expect(await cdcJson('verify', name)).toMatchObject({ ok: true, rows: 2 });
  await write(3);
  await client.query(`DELETE FROM ${name} WHERE id = 1`);
  await flows((Date.now() % 1_000_000_000) + 1);
  expect(await cdcJson('verify', name)).toMatchObject({ ok: true, rows: 2 });
}

test.each(KINDS)(
  'a $kind with the name of another type is the text that PostgreSQL prints',
  async (kind) => {
    await using client = await source();
    const own = await freshSchema(client, 'o.d "d');
    dropped.unshift(own.drop);
    // In a schema of an odd name; composites in the table's own, too.
    const schemas = kind === KINDS[0] ? [own.name, schema] : [own.name];
    const types = schemas.flatMap((of, n) =>
      NAMES.map((name, i) => ({ type: pgIdent(of, name), column: `c${n}_${i}` })),
    );
    for (const { type } of types) await client.query(kind.define(type));
    const table = kind.kind.replaceAll(' ', '_');
    const columns = types.map(
      ({ column, type }, i) => `${column} ${type}${i % 3 === 0 ? '[]' : ''}`,
    );
    await client.query(
      `CREATE TABLE ${schema}.${table} (id pg_catalog.int4 PRIMARY KEY, n pg_catalog.int4, ${columns.join(', ')})`,
    );
    const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;
    const [one, other] = kind.values;
    const row = types.map(({ type }, i) => {
      const value = `${literal(i % 2 === 0 ? one : other)}::${type}`;
      return i % 3 === 0 ? `ARRAY[${value}, NULL]::${type}[]` : value;
    });
    await everyWay(table, `0, ${row.join(', ')}`, 'n');
    const wanted = types.flatMap(({ column }, i) =>
      i % 3 === 0 ? [] : [[column, i % 2 === 0 ? one : other]],
    );
    if (kind.base === undefined)
      expect((await copied(table))[0]).toMatchObject(Object.fromEntries(wanted));
  },
);

test('a built-in type beside a type of its name in the schema of the table is carried as ever', async () => {
  await using client = await source();
  await client.query('CREATE EXTENSION IF NOT EXISTS hstore');
  const types = BUILT_IN.map(([type, value]) => ({
    type: type === 'hstore' ? 'hstore' : `pg_catalog.${type}`,
    value,
    column: `c_${type}`,
  }));
  await client.query(
    `CREATE TABLE ${schema}.built_in (id int PRIMARY KEY, n int, ${types.map(({ column, type }) => `${column} ${type}`).join(', ')})`,
  );
  const row = types.map(({ type, value }) => `'${value}'::${type}`);
  await everyWay('built_in', `0, ${row.join(', ')}`, 'n');
  expect((await copied('built_in'))[0]).toMatchObject({
    c_int4: -5,
    c_bool: true,
    c_numeric: 1.5,
    c_point: [1, 2],
    c_time: '24:00:00.000000',
    c_uuid: '76019d1a-ad2e-4b22-96e9-1a6d6543c818',
  });
});

test('a type on the search path, with a default, and kept out of line, is carried too', async () => {
  await using client = await source();
  dropped.unshift(async () => {
    await using later = await source();
    await later.query('DROP TYPE public.uuid, public.refcursor, public.circle CASCADE');
  });
  await client.query(`
    CREATE TYPE public.uuid AS (x int, y text);
    CREATE TYPE public.refcursor AS ENUM ('so');
    CREATE TYPE public.circle AS (x int, y text);
    CREATE TABLE ${schema}.on_path (
      id int PRIMARY KEY, n int,
      u public.uuid DEFAULT '(1,a)', r public.refcursor DEFAULT 'so', c public.circle DEFAULT '(2,b)');
    ALTER TABLE ${schema}.on_path ALTER u SET STORAGE EXTERNAL, ALTER c SET STORAGE EXTERNAL`);
  const long = "ROW(1, repeat('long', 3000))";
  await everyWay('on_path', `0, ${long}::public.uuid, 'so', ${long}::public.circle`, 'n');
  await client.query(`INSERT INTO ${schema}.on_path (id, n) VALUES (9, 9)`);
  expect(await cdcJson('verify', `${schema}.on_path`)).toMatchObject({ ok: true, rows: 3 });
});

test('a key of such a type finds its row', async () => {
  await using client = await source();
  const own = await freshSchema(client, 'key.names');
  dropped.unshift(own.drop);
  const [date, int8] = [pgIdent(own.name, 'date'), pgIdent(own.name, 'int8')];
  await client.query(`
    CREATE TYPE ${date} AS ENUM ('one', 'two');
    CREATE DOMAIN ${int8} AS text;
    CREATE TABLE ${schema}.keyed (d ${date}, i ${int8}, n int, long text, PRIMARY KEY (d, i));
    ALTER TABLE ${schema}.keyed ALTER long SET STORAGE EXTERNAL;
    INSERT INTO ${schema}.keyed VALUES ('one', 'a', 1, repeat('x', 9000)), ('two', 'a', 1, 'y')`);
  await cdcJson('apply');
  await client.query(`UPDATE ${schema}.keyed SET n = 2`);
  await client.query(`UPDATE ${schema}.keyed SET i = 'b' WHERE d = 'two'`);
  await cdcJson('snapshot', `${schema}.keyed`, '--method', 'debezium');
  await client.query(`UPDATE ${schema}.keyed SET n = 3`);
  expect(await cdcJson('verify', `${schema}.keyed`)).toMatchObject({ ok: true, rows: 2 });
});
