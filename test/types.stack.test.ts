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
import { type TypeCase, typeCases, typesSql, vectorsSql } from './harness/types.ts';

let schema = '';
let cases: readonly TypeCase[] = [];

beforeAll(async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'types')).name;
  await client.query(typesSql(schema) + vectorsSql(schema));
  cases = typeCases(schema);
});
afterAll(async () => {
  await using client = await source();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await cdcJson('apply');
});

const FIRST = '1900-01-01 00:00:00.000000';
const LAST = '2299-12-31 23:59:59.999999';

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
      `SELECT * EXCEPT id FROM ${chIdent(schema, 'printed')} ORDER BY id`,
    );
  await eventually('both rows', 2, async () => (await rows()).length);
  const wanted = Object.fromEntries(printed.map((c, i) => [`c${i}`, c.printed]));
  expect(await rows()).toEqual([wanted, wanted]);
});

/** Values that their column cannot hold, each in a row of its own: what is shown, and the exact text. */
const BEYOND: readonly (readonly [column: string, value: string, shown: unknown, exact: string])[] =
  [
    ['n', 'NaN', null, 'NaN'],
    ['m', 'NaN', 0, 'NaN'],
    ['w', 'NaN', null, 'NaN'],
    ['w', '-Infinity', null, '-Infinity'],
    ['w', '1e60', null, `1${'0'.repeat(60)}`],
    ['w', `0.${'1'.repeat(46)}`, `0.${'1'.repeat(38)}`, `0.${'1'.repeat(46)}`],
    ['h', `${'9'.repeat(80)}.25`, null, `${'9'.repeat(80)}.25`],
    ['d', 'infinity', '2299-12-31', 'infinity'],
    ['d', '1999-01-01 BC', '1900-01-01', '1999-01-01 BC'],
    ['d', '1899-12-31', '1900-01-01', '1899-12-31'],
    ['d', '0001-01-01', '1900-01-01', '0001-01-01'],
    ['d', '2300-01-01', '2299-12-31', '2300-01-01'],
    ['d', '5874897-12-31', '2299-12-31', '5874897-12-31'],
    ['d', '4713-01-01 BC', '1900-01-01', '4713-01-01 BC'],
    ['t', '294276-12-31 23:59:59.999999', LAST, '294276-12-31 23:59:59.999999'],
    ['t', '-infinity', FIRST, '-infinity'],
    ['t', '20000-01-01', LAST, '20000-01-01 00:00:00'],
    ['z', '4713-01-01 00:00+00 BC', FIRST, '4713-01-01 00:00:00+00 BC'],
    ['z', 'infinity', LAST, 'infinity'],
    ['z', '1582-10-10 12:00+00', FIRST, '1582-10-10 12:00:00+00'],
    ['i', '{{1,2},{3,4}}', [], '{{1,2},{3,4}}'],
    ['i', '[0:1]={1,2}', [], '[0:1]={1,2}'],
    ['s', '{{a}}', [], '{{a}}'],
    ['na', '{1,NaN}', [1, null], '{1.00,NaN}'],
    [
      'za',
      '{2024-01-01 00:00+00,infinity}',
      ['2024-01-01 00:00:00.000000', LAST],
      '{"2024-01-01 00:00:00+00",infinity}',
    ],
  ];

test('a value that does not fit shows the nearest one, and its exact text stands beside, loaded and streamed', async () => {
  await using client = await source();
  await using clickhouse = target();
  await client.query(
    `CREATE TABLE ${schema}.odd (id int PRIMARY KEY, n numeric(6,2), m numeric(6,2) NOT NULL DEFAULT 1, w numeric, h numeric(100,2), d date, t timestamp, z timestamptz, i int[], s text[], na numeric(6,2)[], za timestamptz[])`,
  );
  const arrays = ['i', 's', 'na', 'za'];
  const insert = async (offset: number) => {
    for (const [i, [column, value]] of BEYOND.entries()) {
      const others = arrays.filter((name) => name !== column);
      await client.query(
        `INSERT INTO ${schema}.odd (id, ${[column, ...others].join(', ')}) VALUES (${offset + i}, '${value}'${", '{}'".repeat(others.length)})`,
      );
    }
    await client.query(
      `INSERT INTO ${schema}.odd VALUES (${offset + 99}, 1, 1, 1.50, 1, '2024-01-01', '2024-01-01', '2024-01-01', '{1}', '{}', '{1}', '{}')`,
    );
  };
  await insert(0);
  const applied = await cdcJson('apply');
  expect(applied.kept_values.map(({ column }: { column: string }) => column).sort()).toEqual(
    [...new Set(BEYOND.map(([column]) => column))].sort(),
  );
  await insert(100);
  const verified = await cdcJson('verify', `${schema}.odd`);
  expect(verified).toMatchObject({ ok: true, rows: 2 * (BEYOND.length + 1) });
  expect(verified.tables[0].kept).toBe(2 * BEYOND.length);
  const view = chIdent(schema, 'odd');
  for (const offset of [0, 100]) {
    for (const [i, [column, , shown, exact]] of BEYOND.entries()) {
      const [row] = await clickhouse.rows(
        `SELECT ${column} AS shown, _exact AS exact FROM ${view} WHERE id = ${offset + i}`,
        {},
        { output_format_json_quote_decimals: typeof shown === 'string' ? 1 : 0 },
      );
      expect(row, `${offset === 0 ? 'loaded' : 'streamed'} ${column} ${exact}`).toEqual({
        shown,
        exact: { [column]: exact },
      });
    }
    expect(
      await clickhouse.rows(`SELECT w, _exact FROM ${view} WHERE id = ${offset + 99}`),
    ).toEqual([{ w: 1.5, _exact: {} }]);
  }
  // Whoever asks for everything does not see it.
  const [all] = await clickhouse.rows<object>(`SELECT * FROM ${view} LIMIT 1`);
  expect(Object.keys(all ?? {})).not.toContain('_exact');
  const [sum] = await clickhouse.rows<{ n: number; open: string }>(
    `SELECT sum(w) AS n, countIf(now() < z) AS open FROM ${view}`,
  );
  expect(sum).toMatchObject({ open: '2' });
  const letters = await clickhouse.rows(
    `SELECT reason FROM cdc.dead_letters FINAL WHERE schema_name = '${schema}'`,
  );
  expect(letters).toEqual([]);
});

test('it is kept by updates of other columns, by snapshots and by repairs, and goes with the value', async () => {
  await using client = await source();
  await using clickhouse = target();
  await client.query(
    `CREATE TABLE ${schema}.kept (id int PRIMARY KEY, n int, d date, a int[]);
     INSERT INTO ${schema}.kept VALUES (1, 1, 'infinity', NULL), (2, 1, '2024-01-01', '{}')`,
  );
  await cdcJson('apply');
  const rows = () =>
    clickhouse.rows(`SELECT id, n, d, _exact FROM ${chIdent(schema, 'kept')} ORDER BY id`);
  const verify = async () => {
    expect(await cdcJson('verify', `${schema}.kept`)).toMatchObject({ ok: true });
    return rows();
  };
  const second = { id: 2, n: 1, d: '2024-01-01', _exact: {} };
  await client.query(`UPDATE ${schema}.kept SET n = 2 WHERE id = 1`);
  const first = { id: 1, n: 2, d: '2299-12-31', _exact: { d: 'infinity', a: null } };
  expect(await verify()).toEqual([first, second]);
  await cdcJson('snapshot', `${schema}.kept`);
  expect(await verify()).toEqual([first, second]);
  const last = '18446744073709551615';
  await clickhouse.command(
    `INSERT INTO ${chIdent(schema, 'kept_final')} (id, n, d, _version) VALUES (1, 2, '2299-12-31', ${last})`,
  );
  const differs = await cdc('verify', `${schema}.kept`, '--json');
  expect(differs.json().tables[0]).toMatchObject({ different: 1, missing: 0, extra: 0 });
  expect(await cdcJson('verify', `${schema}.kept`, '--repair')).toMatchObject({ ok: true });
  expect(await verify()).toEqual([first, second]);
  await client.query(`UPDATE ${schema}.kept SET d = '2025-01-01', a = '{1}' WHERE id = 1`);
  expect(await verify()).toEqual([{ id: 1, n: 2, d: '2025-01-01', _exact: {} }, second]);
});

test('keys that do not fit stay different rows, through updates and deletes', async () => {
  await using client = await source();
  await using clickhouse = target();
  await client.query(
    `CREATE TABLE ${schema}.days (day date, n numeric, v int, PRIMARY KEY (day, n));
     INSERT INTO ${schema}.days VALUES ('infinity', 1, 1), ('2300-01-01', 1, 2), ('-infinity', 'NaN', 3), ('2024-01-01', 1e70, 4), ('2024-01-01', 2e70, 5)`,
  );
  await cdcJson('apply');
  await client.query(
    `INSERT INTO ${schema}.days VALUES ('0044-03-15 BC', 1, 6), ('1850-01-01', 1, 7), ('1850-01-01', 1.10, 8)`,
  );
  await client.query(`UPDATE ${schema}.days SET v = v + 10 WHERE day = 'infinity' OR n = 2e70`);
  await client.query(`UPDATE ${schema}.days SET day = '2400-01-01' WHERE day = '2300-01-01'`);
  await client.query(`DELETE FROM ${schema}.days WHERE day = '1850-01-01' AND n = 1.1`);
  await client.query(`DELETE FROM ${schema}.days WHERE n = 1e70`);
  expect(await cdcJson('verify', `${schema}.days`)).toMatchObject({ ok: true, rows: 6 });
  const rows = await clickhouse.rows<{ v: number }>(
    `SELECT v FROM ${chIdent(schema, 'days')} ORDER BY v`,
  );
  expect(rows.map(({ v }) => v)).toEqual([2, 3, 6, 7, 11, 15]);
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
    `CREATE TABLE ${schema}.toast (id uuid PRIMARY KEY, n int, b bytea, j jsonb, a int[], h hstore, x varbit, p ${schema}."Pair", r int4multirange, d text[][], v ${schema}.vector)`,
  );
  for (const column of ['b', 'j', 'a', 'h', 'x', 'p', 'r', 'd', 'v'])
    await client.query(`ALTER TABLE ${schema}.toast ALTER ${column} SET STORAGE EXTERNAL`);
  await cdcJson('apply');
  await client.query(
    `INSERT INTO ${schema}.toast SELECT gen_random_uuid(), 0, convert_to(t, 'UTF8'), to_jsonb(t), a, hstore(t, NULL) || hstore('é"', E'\\\\') || hstore('b', ''), repeat('01', 9999)::varbit, ROW(1, t, NULL)::${schema}."Pair", (SELECT range_agg(int4range(g * 9, g * 9 + 5)) FROM unnest(a) g), ARRAY[ARRAY[t, NULL]], translate(a::text, '{}', '[]')::${schema}.vector FROM (SELECT repeat(md5('1'), 999) AS t, array_agg(g) AS a FROM generate_series(1, 2000) g) v`,
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
  const verified = await cdcJson('verify', `${schema}.users`, '--config', file);
  expect(verified).toMatchObject({ ok: true, rows: 8 });
  const digest = createHash('sha256').update('a@b').digest('hex');
  const full = { email: digest, born: 'infinity', kind: 'integer', n: 1 };
  const empty = { email: null, born: '0044-03-15 BC', kind: null, n: 1 };
  const rows = [{ ...full, n: null }, empty, full, empty];
  expect(
    await clickhouse.rows(`SELECT * EXCEPT id FROM ${chIdent(schema, 'users')} ORDER BY id`),
  ).toEqual([...rows, ...rows]);
  // What stands beside a value that does not fit is of that column only.
  const stored = await clickhouse.rows<{ row: string }>(
    `SELECT toString(tuple(*, _exact)) AS row FROM ${chIdent(schema, 'users_final')}`,
  );
  for (const { row } of stored) expect(row).not.toMatch(/hidden|password|a@b/);
  await client.query(`DROP TABLE ${schema}.users`);
});

test('every value of every type can be carried as text', async () => {
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
});
