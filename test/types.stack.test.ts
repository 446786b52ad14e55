import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chIdent } from '../cli/lib/sql.ts';
import {
  cdc,
  cdcJson,
  eventually,
  freshSchema,
  source,
  target,
  withTables,
} from './harness/database.ts';
import { type TypeCase, typeCases, typesSql } from './harness/types.ts';

let schema = '';
let cases: readonly TypeCase[] = [];

beforeAll(async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'types')).name;
  await client.query(typesSql(schema));
  cases = typeCases(schema);
});
afterAll(async () => {
  await using client = await source();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await cdcJson('apply');
});

// Some 150 columns in one table take a busy machine a while.
const PATIENCE = 180_000;

test('what is stored as text is what PostgreSQL prints', async () => {
  await using client = await source();
  await using clickhouse = target();
  const printed = cases.filter((c) => c.printed !== undefined);
  await client.query(
    `CREATE TABLE ${schema}.printed (id int PRIMARY KEY, ${printed.map((c, i) => `c${i} ${c.type}`).join(', ')})`,
  );
  const row = printed.map((c) => `(${c.values[0]})::${c.type}`).join(', ');
  await client.query(`INSERT INTO ${schema}.printed VALUES (1, ${row})`);
  await cdcJson('apply');
  await client.query(`INSERT INTO ${schema}.printed VALUES (2, ${row})`);
  const rows = () =>
    clickhouse.rows<Record<string, unknown>>(
      `SELECT * EXCEPT (id, _nulls) FROM ${chIdent(schema, 'printed')} ORDER BY id`,
    );
  await eventually('both rows', 2, async () => (await rows()).length);
  const wanted = Object.fromEntries(printed.map((c, i) => [`c${i}`, c.printed]));
  expect(await rows()).toEqual([wanted, wanted]);
});

/** Values that their column cannot hold, each in a row of its own. */
const MISFITS: readonly (readonly [column: string, value: string])[] = [
  ['n', "'NaN'"],
  ['d', "'infinity'"],
  ['d', "'1999-01-01 BC'"],
  ['d', "'1899-12-31'"],
  ['d', "'5874897-12-31'"],
  ['d', "'4713-01-01 BC'"],
  ['t', "'294276-12-31 23:59:59.999999'"],
  ['z', "'4713-01-01 00:00+00 BC'"],
  ['t', "'-infinity'"],
  ['t', "'20000-01-01'"],
  ['z', "'infinity'"],
  ['z', "'1999-01-01 BC'"],
  ['i', "'{{1,2},{3,4}}'"],
  ['i', "'[0:1]={1,2}'"],
  ['s', "'{{a}}'"],
  ['na', "'{1,NaN}'"],
  ['za', "'{2024-01-01 00:00+00,infinity}'"],
];

test('a value that does not fit is named, loaded or streamed, and stops nothing', async () => {
  await using client = await source();
  await using clickhouse = target();
  await client.query(
    `CREATE TABLE ${schema}.odd (id int PRIMARY KEY, n numeric(6,2), d date, t timestamp, z timestamptz, i int[], s text[], na numeric(6,2)[], za timestamptz[])`,
  );
  const insert = async (offset: number) => {
    for (const [i, [column, value]] of MISFITS.entries()) {
      await client.query(
        `INSERT INTO ${schema}.odd (id, ${column}) VALUES (${offset + i}, ${value})`,
      );
    }
    await client.query(`INSERT INTO ${schema}.odd (id, n) VALUES (${offset + 99}, 1)`);
  };
  await insert(0);
  await cdcJson('apply');
  await insert(100);
  await eventually('the rows that fit', ['99', '199'], async () =>
    (
      await clickhouse.rows<{ id: number }>(`SELECT id FROM ${chIdent(schema, 'odd')} ORDER BY id`)
    ).map((r) => String(r.id)),
  );
  await eventually('a dead letter for each other row', String(2 * MISFITS.length), async () => {
    const [found] = await clickhouse.rows<{ n: string }>(
      `SELECT count() AS n FROM cdc.dead_letters FINAL WHERE schema_name = '${schema}' AND table_name = 'odd'`,
    );
    return found?.n;
  });
  const verified = await cdc('verify', `${schema}.odd`, '--json');
  expect(verified.exit).toBe(6);
  expect(verified.json().tables[0]).toMatchObject({ missing: 2 * MISFITS.length, different: 0 });
});

test('rows whose keys do not fit are named one by one', async () => {
  await using client = await source();
  await client.query(`CREATE TABLE ${schema}.days (day date PRIMARY KEY, n int)`);
  await client.query(
    `INSERT INTO ${schema}.days VALUES ('infinity', 1), ('-infinity', 2), ('2024-01-01', 3)`,
  );
  await cdcJson('apply');
  await client.query(`INSERT INTO ${schema}.days VALUES ('0044-03-15 BC', 4)`);
  const [days] = (await cdc('verify', `${schema}.days`, '--json')).json().tables;
  expect(days).toMatchObject({ source_rows: 4, target_rows: 1, missing: 3, different: 0 });
  expect(days.rows.map((row: { key: { day: string } }) => row.key.day).sort()).toEqual([
    '-infinity',
    '0044-03-15 BC',
    'infinity',
  ]);
});

test('an array of several dimensions keeps its shape where the column is declared with them', async () => {
  await using client = await source();
  await using clickhouse = target();
  const values = [`{{1,NULL},{3,4}}`, `{{{1}}}`, `[0:1]={1,2}`, '{}', '{5}'];
  const insert = async (offset: number) => {
    for (const [i, value] of values.entries())
      await client.query(`INSERT INTO ${schema}.deep VALUES (${offset + i}, '${value}')`);
    await client.query(`INSERT INTO ${schema}.deep VALUES (${offset + 9}, NULL)`);
  };
  await client.query(`CREATE TABLE ${schema}.deep (id int PRIMARY KEY, v int[][])`);
  await insert(0);
  await cdcJson('apply');
  await insert(10);
  expect(await cdcJson('verify', `${schema}.deep`)).toMatchObject({ ok: true, rows: 12 });
  const stored = await clickhouse.rows<{ v: string | null }>(
    `SELECT v FROM ${chIdent(schema, 'deep')} ORDER BY id`,
  );
  expect(stored.map((r) => r.v)).toEqual([...values, null, ...values, null]);
});

test('an enum value that was added a moment ago arrives', async () => {
  await using client = await source();
  await client.query(`CREATE TABLE ${schema}.moody (id int PRIMARY KEY, m ${schema}.mood)`);
  await cdcJson('apply');
  await client.query(`ALTER TYPE ${schema}.mood ADD VALUE 'new 🐘' BEFORE 'sad'`);
  await client.query(`INSERT INTO ${schema}.moody VALUES (1, 'new 🐘'), (2, 'sad'), (3, NULL)`);
  expect(await cdcJson('verify', `${schema}.moody`)).toMatchObject({ ok: true, rows: 3 });
});

test('a value kept out of line that did not change survives an update, whatever its type', async () => {
  await using client = await source();
  await client.query(
    `CREATE TABLE ${schema}.toast (id uuid PRIMARY KEY, n int, b bytea, j jsonb, a int[], h hstore, x varbit, p ${schema}."Pair", r int4multirange, d text[][])`,
  );
  for (const column of ['b', 'j', 'a', 'h', 'x', 'p', 'r', 'd'])
    await client.query(`ALTER TABLE ${schema}.toast ALTER ${column} SET STORAGE EXTERNAL`);
  await cdcJson('apply');
  await client.query(
    `INSERT INTO ${schema}.toast SELECT gen_random_uuid(), 0, convert_to(t, 'UTF8'), to_jsonb(t), a, hstore(t, NULL) || hstore('é"', E'\\\\') || hstore('b', ''), repeat('01', 9999)::varbit, ROW(1, t, NULL)::${schema}."Pair", (SELECT range_agg(int4range(g * 9, g * 9 + 5)) FROM unnest(a) g), ARRAY[ARRAY[t, NULL]] FROM (SELECT repeat(md5('1'), 999) AS t, array_agg(g) AS a FROM generate_series(1, 2000) g) v`,
  );
  // More often than the driver takes to prepare a statement on the server.
  for (let n = 1; n <= 8; n += 1) await client.query(`UPDATE ${schema}.toast SET n = ${n}`);
  expect(await cdcJson('verify', `${schema}.toast`)).toMatchObject({ ok: true, rows: 1 });
});

test('a column is left out, masked or carried as text where cdc.yaml says so', async () => {
  await using client = await source();
  await using clickhouse = target();
  await client.query(
    `CREATE TABLE ${schema}.users (id int PRIMARY KEY, password text, email text, born date, kind regtype, n numeric(4,2))`,
  );
  const columns = { password: 'exclude', email: 'mask', born: 'text', kind: 'text' };
  const file = withTables({ [`${schema}.users`]: { columns } });
  const insert = (id: number, n: string) =>
    client.query(
      `INSERT INTO ${schema}.users VALUES (${id}, 'hidden', 'a@b', 'infinity', 'int', ${n}), (${id + 1}, NULL, NULL, '0044-03-15 BC', NULL, 1)`,
    );
  await insert(1, "'NaN'");
  await insert(3, '1');
  await cdcJson('apply', '--config', file);
  await insert(11, "'NaN'");
  await insert(13, '1');
  const verified = await cdc('verify', `${schema}.users`, '--config', file, '--json');
  expect(verified.json().tables[0]).toMatchObject({ source_rows: 8, missing: 2, different: 0 });
  const digest = createHash('sha256').update('a@b').digest('hex');
  const full = { email: digest, born: 'infinity', kind: 'integer', n: 1 };
  const empty = { email: null, born: '0044-03-15 BC', kind: null, n: 1 };
  expect(
    await clickhouse.rows(
      `SELECT * EXCEPT id FROM ${chIdent(schema, 'users')} WHERE id NOT IN (2, 12) ORDER BY id`,
    ),
  ).toEqual([full, empty, full, empty]);
  // Dead letters hold what came in, from Kafka and from the load.
  const letters = () =>
    clickhouse.rows<{ image: string }>(
      `SELECT image FROM cdc.dead_letters FINAL WHERE schema_name = '${schema}' AND table_name = 'users'`,
    );
  await eventually('both dead letters', 2, async () => (await letters()).length);
  for (const { image } of await letters()) {
    expect(image).toContain(digest);
    expect(image).not.toMatch(/hidden|password|a@b/);
  }
  await client.query(`DROP TABLE ${schema}.users`);
});

test(
  'every value of every type can be carried as text',
  async () => {
    await using client = await source();
    await using clickhouse = target();
    const dates = ["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'4713-01-01 BC'"];
    const all = [
      ...cases,
      { type: 'date', values: [...dates, "'5874897-12-31'", "'0001-01-01'"] },
      { type: 'timestamp', values: [...dates, "'294276-12-31 23:59:59.999999'", "'1000-01-01'"] },
      { type: 'timestamptz', values: [...dates, "'294276-12-31 23:59:59.999999+00'"] },
      {
        type: 'real',
        values: ['1e6', '123456', '1234567', '1e-4', '1e-5', '16777216', '8.5899346e9'],
      },
      {
        type: 'float8',
        values: ['1e15', '1e14', '2 ^ -44', '9007199254740993', '1e-5', '0.1 + 0.2'],
      },
    ];
    await client.query(
      `CREATE TABLE ${schema}.texts (id int PRIMARY KEY, ${all.map((c, i) => `c${i} ${c.type}`).join(', ')})`,
    );
    const rules = Object.fromEntries(all.map((_, i) => [`c${i}`, 'text']));
    const file = withTables({ [`${schema}.texts`]: { columns: rules } });
    const most = Math.max(...all.map((c) => c.values.length));
    const insert = async (offset: number) => {
      for (let n = 0; n < most; n += 1) {
        const row = all.map(({ type, values }) => `(${values[n % values.length]})::${type}`);
        await client.query(`INSERT INTO ${schema}.texts VALUES (${offset + n}, ${row.join(', ')})`);
      }
    };
    await insert(0);
    await cdcJson('apply', '--config', file);
    await insert(100);
    const verified = await cdcJson('verify', `${schema}.texts`, '--config', file);
    expect(verified).toMatchObject({ ok: true, rows: 2 * most });
    const types = await clickhouse.rows(
      `SELECT DISTINCT type FROM system.columns WHERE database = '${schema}' AND table = 'texts' AND name LIKE 'c%'`,
    );
    expect(types).toEqual([{ type: 'Nullable(String)' }]);
  },
  PATIENCE,
);
