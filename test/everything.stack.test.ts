import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { stringify } from 'yaml';
import type { LeftOut } from '../cli/core/leftOut.ts';
import { chIdent, pgIdent } from '../cli/lib/sql.ts';
import {
  cdc,
  cdcJson,
  countRows,
  eventually,
  forgetIsolations,
  freshSchema,
  source,
  target,
} from './harness/database.ts';
import { expectNowhere } from './harness/leaks.ts';

/**
 * What other people's nights were made of, all at once in one database: everything that can be copied is, what cannot
 * is named with its reason and statement, and neither holds up the other.
 */

const MIB = 1024 * 1024;
const SECRET = 'jo@kept-back.example';
let schema = '';
let file = '';
let before = '';

/** By the statement that makes a table and those that write it: `%` is the schema. */
type Case = readonly [table: string, columns: string, row: string, another: string];

const wide = (n: number) =>
  Array.from({ length: n }, (_, i) => `c${i} int DEFAULT ${i}`).join(', ');
const named = (...names: string[]) => names.map((name) => `${pgIdent(name)} text`).join(', ');
const THEIRS = ['route', 'image', 'problem', 'before', 'after', 'op', 'source', '__cdc_row'];
const VIRTUAL = ['_table', '_part', '_row_exists', '_topic', '_key', '_error', '_raw_message'];
const OURS = ['_version', '_deleted', '_exact', '_sign', 'null', 'NULL '];

const COPIED: readonly Case[] = [
  ['orders', 'id int PRIMARY KEY, v text', "1, 'a'", "2, 'b'"],
  ['orders_final', 'id int PRIMARY KEY, v text', "1, 'a'", "2, 'b'"],
  ['orders_mv', 'id int PRIMARY KEY, v text', "1, 'a'", "2, 'b'"],
  ['Orders', 'id int PRIMARY KEY, v text', "1, 'a'", "2, 'b'"],
  [
    'trail ',
    `" lead" int PRIMARY KEY, ${named('tab\tin', 'new\nline', '%41', '$1', '{x}', '?')}`,
    '1',
    '2',
  ],
  [
    'é'.repeat(31),
    `id int PRIMARY KEY, ${named('漢'.repeat(21), '🐘'.repeat(15), 'x'.repeat(63))}`,
    '1',
    '2',
  ],
  ['theirs', `id int PRIMARY KEY, ${named(...THEIRS)}`, '1', '2'],
  ['virtual', `id int PRIMARY KEY, ${named(...VIRTUAL)}`, '1', '2'],
  ['ours', `id int PRIMARY KEY, ${named(...OURS)}`, '1', '2'],
  [
    'nested',
    'id int PRIMARY KEY, "tag.name" text[], "tag.score" int[]',
    "1, '{a,b}', '{1}'",
    "2, '{}', '{1,2,3}'",
  ],
  ['wide', `id int PRIMARY KEY, ${wide(600)}`, '1', '2'],
  ['widest', `id int PRIMARY KEY, ${wide(1590)}`, '1', '2'],
  [
    'odd',
    'id int PRIMARY KEY, t timestamptz, n numeric, d date',
    "1, 'infinity', 'NaN', '0044-03-15 BC'",
    "2, '-infinity', 1e60, NULL",
  ],
  ['deferred', 'id int PRIMARY KEY DEFERRABLE, v text', "1, 'a'", "2, 'b'"],
  ['twins', 'v text', "'a'), ('a'), (NULL", "'a'"],
  ['tinted', 'c %.tint PRIMARY KEY, many %.tint[]', "'red', '{red,NULL}'", "'green', '{}'"],
  [
    'builtin',
    'id int PRIMARY KEY, i %."int4", d %."date", t %."text"',
    "1, 'one', '(1)', 7",
    "2, 'two', NULL, 8",
  ],
  [
    'labels',
    'l %.label PRIMARY KEY, d %.must, p %.pair',
    "'old', 'x', '(1,a)'",
    "'other', NULL, '(2,b,3)'",
  ],
  ['large', 'id int PRIMARY KEY, body text', "1, 'small'", `2, repeat('x', ${66 * MIB})`],
  [
    'people',
    'id int PRIMARY KEY, password text, email text, note text',
    `1, '${SECRET}', '${SECRET}x', 'n'`,
    `2, '${SECRET}', '${SECRET}x', 'n'`,
  ],
  ['viewed', 'id int PRIMARY KEY, v text, doomed text', "1, 'a', 'd'", "2, 'bad', 'd'"],
  ['dropped', 'id int PRIMARY KEY, v text', "1, 'a'", "2, 'b'"],
];

const LEFT_OUT: readonly (readonly [...Case, finding: string])[] = [
  ['keyless', 'v text', "'a'", "'b'", 'identity-not-full'],
  ['with "quotes"', 'id int PRIMARY KEY', '1', '2', 'name-not-carried'],
  ['cases', '"Key" int PRIMARY KEY, "key" text, "KEY" text', '1', '2', 'columns-by-case'],
  ['unlogged', 'id int PRIMARY KEY', '1', '2', 'table-unlogged'],
  [
    'classes',
    'id int PRIMARY KEY, c regclass',
    "1, 'pg_class'",
    "2, 'pg_type'",
    'type-not-carried',
  ],
];

const idOf = (table: string) => `${pgIdent(schema)}.${pgIdent(table)}`;
const labelOf = (table: string) => `${schema}.${table}`;

async function sql(...statements: string[]): Promise<void> {
  await using client = await source();
  for (const statement of statements) await client.query(statement.replaceAll('%.', `${schema}.`));
}

beforeAll(async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'all')).name;
  file = join(inject('stackDirectory'), 'cdc.yaml');
  before = readFileSync(file, 'utf8');
  const rules = { columns: { password: 'exclude', email: 'mask' } };
  writeFileSync(file, before + stringify({ tables: { [`${schema}.people`]: rules } }));
  await sql(
    "CREATE TYPE %.tint AS ENUM ('red', 'green')",
    "CREATE FUNCTION %.loud(%.tint) RETURNS text LANGUAGE sql AS $$ SELECT upper(textin(enum_out($1))) || '!' $$",
    'CREATE CAST (%.tint AS text) WITH FUNCTION %.loud(%.tint)',
    `CREATE TYPE %."int4" AS ENUM ('one', 'two')`,
    'CREATE TYPE %."date" AS (x int)',
    'CREATE DOMAIN %."text" AS bigint',
    "CREATE TYPE %.label AS ENUM ('old', 'other')",
    'CREATE DOMAIN %.must AS text NOT NULL',
    'CREATE TYPE %.pair AS (a int, b text)',
  );
  for (const [table, columns, row] of [...COPIED, ...LEFT_OUT]) {
    const unlogged = table === 'unlogged' ? 'UNLOGGED ' : '';
    await sql(`CREATE ${unlogged}TABLE ${idOf(table)} (${columns})`, insert(table, row));
  }
  await sql(`ALTER TABLE ${idOf('twins')} REPLICA IDENTITY FULL`);
  await sql(`ALTER TABLE ${idOf('deferred')} REPLICA IDENTITY FULL`);
});
afterAll(async () => {
  writeFileSync(file, before);
  await sql(`DROP SCHEMA ${schema} CASCADE`);
  await cdcJson('apply');
  await forgetIsolations();
});

function insert(table: string, values: string): string {
  // The rest has defaults.
  const key = { 'trail ': '" lead"', cases: '"Key"' }[table] ?? 'id';
  return `INSERT INTO ${idOf(table)} ${/^\d+$/.test(values) ? `(${key})` : ''} VALUES (${values})`;
}

const mine = (all: readonly LeftOut[]) => all.filter(({ table }) => table.startsWith(`${schema}.`));

/** On time-out it says what was not healthy. */
async function expectHealth(): Promise<void> {
  await eventually('health', { healthy: true }, async () => {
    const { healthy, heartbeat_age_ms, standing, left_out, components } = (
      await cdc('status', '--json')
    ).json();
    return healthy ? { healthy } : { healthy, heartbeat_age_ms, standing, left_out, components };
  });
}

async function verified(): Promise<void> {
  const ran = await cdc('verify', `${schema}.*`, '--json');
  const { ok, left_out, tables } = ran.json();
  const failed = tables.filter(
    (t: { missing: number; extra: number; different: number }) =>
      t.missing + t.extra + t.different > 0,
  );
  expect(failed).toEqual([]);
  expect(ok, ran.stderr).toBe(true);
  expect(
    mine(left_out)
      .map(({ table }) => table)
      .sort(),
  ).toEqual(LEFT_OUT.map(([table]) => labelOf(table)).sort());
  expect(tables.map(({ table }: { table: string }) => table).sort()).toEqual(
    COPIED.map(([table]) => labelOf(table)).sort(),
  );
}

test('cdc up ends with a copy of everything that can be copied, and names each table that cannot, with its statement', async () => {
  const ran = await cdc('up', '--json');
  expect(ran.exit, ran.stderr).toBe(0);
  await verified();
  const { findings } = (await cdc('doctor', '--json')).json() as {
    findings: { id: string; subject: string; fix: string }[];
  };
  for (const [table, , , , id] of LEFT_OUT) {
    const found = findings.filter((one) => one.subject.startsWith(labelOf(table)));
    expect(found.map((one) => one.id)).toContain(id);
    for (const { fix } of found) expect(fix).not.toBe('');
  }
  await expectHealth();
});

test('rows of all of them arrive while somebody works on types, on columns and in ClickHouse', async () => {
  await using clickhouse = target();
  const stored = (table: string) => chIdent(schema, `${table}_final`);
  await clickhouse.command(
    `CREATE MATERIALIZED VIEW ${chIdent(schema, 'their_view')} ENGINE = MergeTree ORDER BY id AS SELECT id, throwIf(v = 'bad') AS ok, doomed FROM ${stored('viewed')}`,
  );
  await clickhouse.command(`DROP TABLE ${stored('dropped')} SYNC`);
  await sql(insert('people', `3, '${SECRET}', '${SECRET}x', 'sent'`));
  await eventually('a row with values that are kept back', 2, () => countRows(schema, 'people'));
  await sql(
    "ALTER TYPE %.label RENAME VALUE 'old' TO 'new'",
    'ALTER DOMAIN %.must DROP NOT NULL',
    'ALTER TYPE %.pair ADD ATTRIBUTE c int',
    `ALTER TABLE ${idOf('people')} RENAME COLUMN password TO password_hash`,
    `ALTER TABLE ${idOf('people')} RENAME COLUMN email TO mail`,
    `ALTER TABLE ${idOf('viewed')} DROP COLUMN doomed`,
  );
  const rows = [...COPIED, ...LEFT_OUT].map(([table, , , another]) =>
    table === 'viewed' ? insert(table, "2, 'bad'") : insert(table, another),
  );
  await sql(...rows);
  // Those to which nothing was done do not wait for those to which something was.
  for (const table of ['orders', 'orders_final', 'trail ', 'widest', 'nested', 'twins'])
    await eventually(`rows of ${table}`, table === 'twins' ? 4 : 2, () => countRows(schema, table));
  const ran = await cdc('apply', '--json');
  expect(ran.exit, ran.stderr).toBe(0);
  await verified();
  await eventually('the large row', 2, () => countRows(schema, 'large'));
  await expectHealth();
  const seen = await clickhouse.rows<{ c: string }>(
    `SELECT c FROM ${chIdent(schema, 'tinted')} ORDER BY c`,
  );
  expect(seen.map(({ c }) => c)).toEqual(['green', 'red']);
  await expectNowhere(schema, SECRET);
});
