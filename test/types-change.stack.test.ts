import { afterAll, beforeAll, expect, test } from 'vitest';
import { cdcJson, countRows, eventually, freshSchema, source, target } from './harness/database.ts';

/** Changes of types of which PostgreSQL sends no row: rows of before are read again. */

let schema = '';

beforeAll(async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'typed')).name;
});
afterAll(async () => {
  await using client = await source();
  await client.query(`DROP SCHEMA ${schema} CASCADE`);
  await cdcJson('apply');
});

async function run(...statements: string[]): Promise<void> {
  await using client = await source();
  for (const statement of statements) await client.query(statement);
}

async function loadsOf(): Promise<string[]> {
  const { loads } = (await cdcJson('apply')) as { loads: { table: string }[] };
  return loads.map(({ table }) => table).sort();
}

test('a label that is renamed is so in rows of before, in keys, arrays, domains and composites', async () => {
  const color = `${schema}.color`;
  await run(
    `CREATE TYPE ${color} AS ENUM ('red', 'green')`,
    `CREATE DOMAIN ${schema}.shade AS ${color}`,
    `CREATE TYPE ${schema}.mark AS (c ${color}, n int)`,
    `CREATE TABLE ${schema}.keyed (c ${color} PRIMARY KEY, n int)`,
    `INSERT INTO ${schema}.keyed VALUES ('red', 1), ('green', 2)`,
    `CREATE TABLE ${schema}.other (id int PRIMARY KEY, cs ${color}[], s ${schema}.shade, m ${schema}.mark)`,
    `INSERT INTO ${schema}.other VALUES (1, '{red,green}', 'red', '(red,1)')`,
    `CREATE TABLE ${schema}.plain (id int PRIMARY KEY)`,
  );
  await cdcJson('apply');
  await run(`ALTER TYPE ${color} ADD VALUE 'blue' BEFORE 'red'`);
  expect(await loadsOf()).toEqual([]);
  await run(
    `ALTER TYPE ${color} RENAME VALUE 'red' TO 'rouge'`,
    `UPDATE ${schema}.keyed SET n = 3 WHERE c = 'rouge'`,
  );
  expect(await loadsOf()).toEqual([`${schema}.keyed`, `${schema}.other`]);
  expect(await cdcJson('verify', `${schema}.*`)).toMatchObject({ ok: true, rows: 3 });
  expect(await countRows(schema, 'keyed')).toBe(2);
  expect(await loadsOf()).toEqual([]);
});

test('a composite that gets a field has it in rows of before', async () => {
  await run(
    `CREATE TYPE ${schema}.pair AS (a int, b text)`,
    `CREATE TABLE ${schema}.pairs (id int PRIMARY KEY, p ${schema}.pair, ps ${schema}.pair[])`,
    `INSERT INTO ${schema}.pairs VALUES (1, '(1,x)', '{"(1,x)"}')`,
  );
  await cdcJson('apply');
  await run(`ALTER TYPE ${schema}.pair ADD ATTRIBUTE c int`);
  expect(await loadsOf()).toEqual([`${schema}.pairs`]);
  expect(await cdcJson('verify', `${schema}.pairs`)).toMatchObject({ ok: true, rows: 1 });
});

test('a cast to text that somebody made changes nothing: what is loaded is what is sent', async () => {
  const color = `${schema}.tint`;
  await run(
    `CREATE TYPE ${color} AS ENUM ('red', 'green')`,
    `CREATE FUNCTION ${schema}.loud(${color}) RETURNS text LANGUAGE sql AS $$ SELECT upper(textin(enum_out($1))) || '!' $$`,
    `CREATE CAST (${color} AS text) WITH FUNCTION ${schema}.loud(${color}) AS ASSIGNMENT`,
    `CREATE TYPE ${schema}.spot AS (x int, y int)`,
    `CREATE FUNCTION ${schema}.brief(${schema}.spot) RETURNS text LANGUAGE sql AS $$ SELECT 'spot' $$`,
    `CREATE CAST (${schema}.spot AS text) WITH FUNCTION ${schema}.brief(${schema}.spot)`,
    `CREATE TABLE ${schema}.tints (c ${color} PRIMARY KEY, cs ${color}[], s ${schema}.spot)`,
    `INSERT INTO ${schema}.tints VALUES ('red', '{red,NULL}', '(1,2)')`,
  );
  await cdcJson('apply');
  await run(
    `INSERT INTO ${schema}.tints VALUES ('green', '{green}', '(,)')`,
    `UPDATE ${schema}.tints SET s = NULL WHERE c = 'red'`,
  );
  expect(await cdcJson('verify', `${schema}.tints`)).toMatchObject({ ok: true, rows: 2 });
  await using clickhouse = target();
  expect(await clickhouse.rows(`SELECT c, cs, s FROM ${schema}.tints ORDER BY c`)).toEqual([
    { c: 'green', cs: ['green'], s: '(,)' },
    { c: 'red', cs: ['red', null], s: null },
  ]);
});

test('a load is ended by no timeout that is set for the role or the database', async () => {
  await using client = await source();
  const { rows } = await client.query('SELECT current_user AS role, current_database() AS db');
  const { role, db } = rows[0] as { role: string; db: string };
  const timeouts = {
    statement_timeout: '20ms',
    lock_timeout: '20ms',
    idle_in_transaction_session_timeout: '20ms',
    // A statement can set this one only once it runs.
    transaction_timeout: '1s',
  };
  for (const [name, value] of Object.entries(timeouts))
    await client.query(`ALTER ROLE "${role}" IN DATABASE "${db}" SET ${name} = '${value}'`);
  try {
    await run(
      `CREATE TABLE ${schema}.many AS SELECT i AS id, repeat('x', 100) AS v FROM generate_series(1, 600000) i`,
      `ALTER TABLE ${schema}.many ADD PRIMARY KEY (id)`,
    );
    expect(await loadsOf()).toEqual([`${schema}.many`]);
    await run(`ALTER TABLE ${schema}.many ADD COLUMN w int DEFAULT 7`);
    expect(await loadsOf()).toEqual([`${schema}.many`]);
    expect(await cdcJson('verify', `${schema}.many`)).toMatchObject({ ok: true, rows: 600_000 });
    await eventually('its rows', 600_000, () => countRows(schema, 'many'));
  } finally {
    for (const name of Object.keys(timeouts))
      await client.query(`ALTER ROLE "${role}" IN DATABASE "${db}" RESET ${name}`);
  }
});
