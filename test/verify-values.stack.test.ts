import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, inject, test } from 'vitest';
import { chIdent } from '../cli/lib/sql.ts';
import { cdc, cdcJson, freshSchema, source, target } from './harness/database.ts';

/** Tables of this file share a schema; each test has its own of them. */
let schema = '';
afterAll(async () => {
  await using client = await source();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await cdcJson('apply');
});

const LAST = '18446744073709551615';
const final = (table: string) => chIdent(schema, `${table}_final`);

test('tables with every kind of key are made', async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'values')).name;
  await client.query(`SET search_path = ${schema};
    CREATE TABLE wide (id int PRIMARY KEY, n numeric(10,2), f float8, b bytea, at timestamptz, tags text[], body text, gone text);
    INSERT INTO wide SELECT g, g + 0.50, g / 4.0, '\\x00ff', '2024-01-31 10:20:30.12+00', '{a,NULL}', repeat('x', 5000) || g, NULL FROM generate_series(1, 5) g;
    CREATE TABLE secret (id int PRIMARY KEY, email text, password text);
    INSERT INTO secret VALUES (1, 'ann@example.org', 'swordfish'), (2, 'bob@example.org', 'hunter2');
    CREATE TABLE words (w text COLLATE "en-x-icu" PRIMARY KEY, n int);
    INSERT INTO words SELECT x || g, g FROM generate_series(1, 300) g, unnest('{a,A,b,B,é,Z,_," ",ß,🐘}'::text[]) x;
    CREATE TABLE ids (id uuid PRIMARY KEY, n int);
    INSERT INTO ids SELECT md5(g::text)::uuid, g FROM generate_series(1, 3000) g;
    CREATE TABLE pairs (tenant int, name text, n int, PRIMARY KEY (tenant, name));
    INSERT INTO pairs SELECT g % 3, 'n' || g, g FROM generate_series(1, 30000) g;
    CREATE TABLE one (id bigint PRIMARY KEY, v text);
    INSERT INTO one VALUES (9223372036854775807, 'last');
    CREATE TABLE none (id bigint PRIMARY KEY, v text);
    CREATE TABLE named (key text, hash int, rows int, sum int, cell int, n int, PRIMARY KEY (key, hash));
    INSERT INTO named SELECT 'k' || g, g, g, g, g, g FROM generate_series(1, 100) g;
    CREATE TABLE ends (id int PRIMARY KEY, v text);
    INSERT INTO ends SELECT g, 'v' || g FROM generate_series(-50000, 50000) g;
    ANALYZE`);
  await cdcJson('apply');
  const equal = await cdcJson('verify', `${schema}.*`);
  expect(equal).toMatchObject({ ok: true });
  const rows = Object.fromEntries(
    equal.tables.map((t: { table: string; source_rows: number }) => [
      t.table.split('.')[1],
      t.source_rows,
    ]),
  );
  expect(rows).toMatchObject({ one: 1, none: 0, named: 100, pairs: 30_000, ends: 100_001 });
});

test('both values of every column that differs are shown, of long ones the place and the length', async () => {
  await using clickhouse = target();
  await clickhouse.command(
    `INSERT INTO ${final('wide')} (id, n, f, b, at, tags, body, gone, _version)
     SELECT id, 7, 0.1, unhex('ab'), '2024-01-31 10:20:31', ['a'], concat(substring(body, 1, 4990), 'Y', substring(body, 4992)), '', ${LAST}
       FROM ${chIdent(schema, 'wide')} WHERE id = 2`,
  );
  const ran = await cdc('verify', `${schema}.wide`, '--json');
  expect(ran.exit).toBe(6);
  const [row] = ran.json().tables[0].rows;
  expect(row).toMatchObject({ key: { id: '2' }, how: 'different' });
  const columns = Object.fromEntries(
    row.columns.map((c: { name: string; source: string; copy: string }) => [
      c.name,
      [c.source, c.copy],
    ]),
  );
  expect(columns).toMatchObject({
    n: ['2.50', '7.00'],
    f: ['0.5', '0.1'],
    b: ['\\x00ff', '\\xab'],
    at: ['2024-01-31 10:20:30.12+00', '2024-01-31 10:20:31+00'],
    tags: ['{a,NULL}', "['a']"],
    gone: [null, ''],
  });
  const body = row.columns.find((c: { name: string }) => c.name === 'body');
  expect(body).toMatchObject({ source_length: 5001, copy_length: 5001 });
  expect(body.source.length).toBeLessThanOrEqual(200);

  const text = await cdc('verify', `${schema}.wide`);
  expect(text.stdout).toContain('body (5,001 and 5,001 characters)');
  for (const line of text.stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
});

test('what is masked or left out is never shown', async () => {
  const file = join(inject('stackDirectory'), 'masked.yaml');
  const config = `ports: auto
agent: { schema_changes: report }
tables:
  ${schema}.secret:
    columns: { email: mask, password: exclude }
`;
  writeFileSync(file, config);
  await cdcJson('apply', '--config', file);
  await using clickhouse = target();
  await clickhouse.command(
    `INSERT INTO ${final('secret')} (id, email, _version) VALUES (1, 'overwritten', ${LAST})`,
  );
  for (const form of [['--json'], []]) {
    const ran = await cdc('verify', `${schema}.secret`, '--config', file, ...form);
    expect(ran.exit).toBe(6);
    expect(ran.stdout).toContain('overwritten');
    expect(ran.stdout).toMatch(/[0-9a-f]{40}/);
    expect(ran.stdout + ran.stderr).not.toMatch(/ann@|swordfish|hunter2|password/);
  }
  await cdcJson('apply');
});

test.each([
  ['words', '(w, n)', "('a1', -1), ('🐘300', -1), ('only here', 1)", ['a1', '🐘300']],
  [
    'ids',
    '(id, n)',
    "('c4ca4238-a0b9-2382-0dcc-509a6f75849b', -1), ('00000000-0000-0000-0000-000000000000', 1)",
    ['c4ca4238-a0b9-2382-0dcc-509a6f75849b'],
  ],
  ['pairs', '(tenant, name, n)', "(1, 'n1', -1), (0, 'n30000', -1), (9, '', 1)", ['n1', 'n30000']],
  ['named', '(key, hash, n)', "('k1', 1, -1), ('k100', 100, -1), ('k1', 2, 1)", ['k1', 'k100']],
])(
  'rows of %s are found and mended by their keys, whatever these are',
  async (table, columns, values, changed) => {
    await using clickhouse = target();
    await clickhouse.command(
      `INSERT INTO ${final(table)} (${columns.slice(1, -1)}, _version) VALUES ${values.replaceAll(')', `, ${LAST})`)}`,
    );
    const ran = await cdc('verify', `${schema}.${table}`, '--json');
    expect(ran.exit).toBe(6);
    const [found] = ran.json().tables;
    expect(found).toMatchObject({ extra: 1, missing: 0, different: changed.length });
    const shown = JSON.stringify(found.rows);
    for (const key of changed) expect(shown).toContain(key);
    expect(await cdcJson('verify', `${schema}.${table}`, '--repair')).toMatchObject({
      tables: [{ repaired: changed.length + 1, extra: 0, different: 0 }],
    });
  },
);

test('a difference at the very first and the very last key, and beyond them, is found', async () => {
  await using clickhouse = target();
  await clickhouse.command(
    `INSERT INTO ${final('ends')} (id, v, _version) VALUES (-50000, 'x', ${LAST}), (50000, 'x', ${LAST}), (-2147483648, 'below', 1), (2147483647, 'above', 1)`,
  );
  await clickhouse.command(
    `INSERT INTO ${final('one')} (id, v, _version) VALUES (9223372036854775807, 'x', ${LAST}), (-9223372036854775808, 'below', 1)`,
  );
  await clickhouse.command(`INSERT INTO ${final('none')} (id, v, _version) VALUES (0, 'x', 1)`);
  const names = ['ends', 'none', 'one'].map((name) => `${schema}.${name}`);
  const ran = await cdc('verify', ...names, '--json');
  expect(ran.json().tables).toMatchObject([
    { table: names[0], different: 2, extra: 2, missing: 0 },
    { table: names[1], different: 0, extra: 1, source_rows: 0, target_rows: 1 },
    { table: names[2], different: 1, extra: 1, source_rows: 1, target_rows: 2 },
  ]);
  const mended = await cdcJson('verify', ...names, '--repair');
  expect(mended.tables).toMatchObject([{ repaired: 4 }, { repaired: 1 }, { repaired: 2 }]);
});

test('of 100,000 rows that differ all are counted, few are shown, and it ends soon', async () => {
  await using clickhouse = target();
  await clickhouse.command(
    `INSERT INTO ${final('ends')} (id, v, _version) SELECT number - 50000, 'other', 5 FROM numbers(100000)`,
  );
  await clickhouse.command(`DELETE FROM ${final('ends')} WHERE _version > 5 OR v != 'other'`);
  const ran = await cdc('verify', `${schema}.ends`, '--rows', '3', '--json');
  const [table] = ran.json().tables;
  expect(table).toMatchObject({ different: 100_000, missing: 1, extra: 0, source_rows: 100_001 });
  expect(table.rows).toHaveLength(3);
  expect(table.seconds).toBeLessThan(120);
  const text = await cdc('verify', `${schema}.ends`, '--rows', '0');
  expect(text.stdout).toContain('100,001 rows differ, 0 shown');
  expect(text.stdout).not.toContain('other');
});
