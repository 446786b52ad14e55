import { afterAll, beforeAll, expect, test } from 'vitest';
import { chIdent } from '../cli/lib/sql.ts';
import { cdc, cdcJson, freshSchema, source, target, withTables } from './harness/database.ts';

/** Types of ClickHouse that cdc.yaml chooses for columns. */

let schema = '';

beforeAll(async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'chosen')).name;
});
afterAll(async () => {
  await using client = await source();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await cdcJson('apply');
});

test('a column has the type that cdc.yaml says, and what that does not give back stands beside', async () => {
  await using client = await source();
  await using clickhouse = target();
  const types: Record<string, string> = {
    d: 'Decimal(38, 9)',
    f: 'Float64',
    i: 'Int16',
    u: 'UInt64',
    big: 'Int128',
    p: "DateTime64(3, 'Europe/Berlin')",
    s: 'DateTime',
    day: 'Date',
    day32: 'Date32',
    dd: 'Date',
    l: 'LowCardinality(String)',
  };
  await client.query(
    `CREATE TABLE ${schema}.chosen (id int PRIMARY KEY, d numeric, f numeric NOT NULL, i numeric, u int8, big numeric,
       p timestamptz, s timestamp, day timestamp, day32 timestamp NOT NULL, dd date, l text)`,
  );
  const columns = Object.fromEntries(Object.entries(types).map(([name, type]) => [name, { type }]));
  const file = withTables({ [`${schema}.chosen`]: { columns } });
  const far = "'1e60'::numeric";
  const rows = [
    "1.5, 0.1, 7.00, 5, 12345678901234567890, '2024-07-01 10:00:00.123+00', '2024-01-01 10:00:00', '2024-01-01', '1950-01-01', '2024-02-29', 'a'",
    "1.0000000000001, 0.12345678901234567890123, 7.5, -5, 1.5, '2024-07-01 10:00:00.123456+00', '2024-01-01 10:00:00.5', '2024-01-01 10:00', '2024-01-01 10:00', '1950-01-01', NULL",
    `${far}, ${far}, ${far}, 9223372036854775807, ${far}, 'infinity', 'infinity', 'infinity', 'infinity', 'infinity', ''`,
    "'NaN', 'NaN', 'NaN', 0, '-Infinity', '-infinity', '-infinity', '-infinity', '-infinity', '-infinity', 'a'",
    "-1e30, 1e-30, 70000, NULL, NULL, '0044-03-15 BC', '2299-12-31 23:59:59.999999', '2149-06-07', '294276-12-31', '2149-06-07', 'é'",
    `NULL, 1e300, -32768, NULL, 1e38, NULL, NULL, NULL, '1900-01-01', NULL, NULL`,
  ];
  const insert = async (from: number) => {
    for (const [n, row] of rows.entries())
      await client.query(`INSERT INTO ${schema}.chosen VALUES (${from + n}, ${row})`);
  };
  await insert(1);
  await cdcJson('apply', '--config', file);
  await insert(101);
  expect(await cdcJson('verify', `${schema}.chosen`, '--config', file)).toMatchObject({
    ok: true,
    rows: 12,
  });
  const stored = await clickhouse.rows<Record<string, unknown>>(
    `SELECT * EXCEPT id, mapKeys(_exact) AS kept FROM ${chIdent(schema, 'chosen')} ORDER BY id`,
  );
  expect(stored.slice(6)).toEqual(stored.slice(0, 6));
  expect(stored[0]).toMatchObject({
    d: 1.5,
    f: 0.1,
    i: 7,
    p: '2024-07-01 12:00:00.123',
    day: '2024-01-01',
    dd: '2024-02-29',
    l: 'a',
    kept: [],
  });
  expect(stored[1]).toMatchObject({
    d: 1,
    p: '2024-07-01 12:00:00.123',
    s: '2024-01-01 10:00:00',
    day: '2024-01-01',
    dd: '1970-01-01',
    kept: ['d', 'f', 'i', 'u', 'big', 'p', 's', 'day', 'day32', 'dd'],
  });
  expect(stored[2]).toMatchObject({
    s: '2106-02-07 06:28:15',
    day: '2149-06-06',
    dd: '2149-06-06',
  });
  const described = await clickhouse.rows<{ name: string; type: string }>(
    `SELECT name, type FROM system.columns WHERE database = '${schema}' AND table = 'chosen'`,
  );
  const plain = (type = '') => type.replaceAll('Nullable(', '').replaceAll(')', '');
  for (const [name, type] of Object.entries(types))
    expect(plain(described.find((column) => column.name === name)?.type)).toBe(plain(type));
  const wrong = withTables({ [`${schema}.chosen`]: { columns: { d: { type: 'UUID' } } } });
  const refused = await cdc('plan', '--config', wrong);
  expect(refused.stderr + refused.stdout).toMatch(/numeric cannot be UUID[\s\S]*Decimal/);
  await client.query(`DROP TABLE ${schema}.chosen`);
});

test('a type that is chosen on a live table, and taken back, is planned, and every value comes again', async () => {
  await using client = await source();
  await using clickhouse = target();
  await client.query(
    `CREATE TABLE ${schema}.live (id int PRIMARY KEY, n numeric);
     INSERT INTO ${schema}.live VALUES (1, 1.5), (2, 0.00000000001), (3, 'NaN'), (4, NULL)`,
  );
  await cdcJson('apply');
  const file = withTables({ [`${schema}.live`]: { columns: { n: { type: 'Float32' } } } });
  const shown = () =>
    clickhouse.rows(
      `SELECT n, toTypeName(n) AS type, _exact['n'] AS exact FROM ${chIdent(schema, 'live')} ORDER BY id`,
    );
  const before = await shown();
  const planned = await cdcJson('plan', '--config', file);
  expect(JSON.stringify(planned)).toContain('Float32');
  await cdcJson('apply', '--config', file);
  expect(await shown()).toMatchObject([
    { n: 1.5, type: 'Nullable(Float32)', exact: null },
    { n: 1e-11, exact: null },
    { exact: 'NaN' },
    { n: null, exact: null },
  ]);
  await client.query(`UPDATE ${schema}.live SET n = 16777217 WHERE id = 1`);
  expect(await cdcJson('verify', `${schema}.live`, '--config', file)).toMatchObject({ ok: true });
  expect((await shown())[0]).toMatchObject({ n: 16777216, exact: '16777217' });
  await client.query(`UPDATE ${schema}.live SET n = 1.5 WHERE id = 1`);
  await cdcJson('apply');
  expect(await cdcJson('verify', `${schema}.live`)).toMatchObject({ ok: true });
  expect(await shown()).toEqual(before);
  await client.query(`DROP TABLE ${schema}.live`);
});
