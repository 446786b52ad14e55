import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { canonicalRowSource, canonicalRowTarget } from '../cli/core/columns.ts';
import type { TablePlan } from '../cli/core/ddl.ts';
import { tableLabel } from '../cli/core/names.ts';
import { packageRoot } from '../cli/lib/packageRoot.ts';
import { pgIdent } from '../cli/lib/sql.ts';
import { waitUntilCaughtUp } from '../cli/pipeline/inspect/caughtUp.ts';
import { desiredOf } from '../cli/pipeline/inspect/desired.ts';
import { inspectSource } from '../cli/pipeline/inspect/source.ts';
import { cdc, cdcJson, freshSchema, source, stack, target, WAIT_MS } from './harness/database.ts';
import { kill } from './harness/servers.ts';
import { writing } from './harness/writing.ts';

const TABLES = `
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE items (id int PRIMARY KEY, n int, note text, price numeric(10,2), tags text[], at timestamptz, mood mood);
ALTER TABLE items ALTER note SET STORAGE EXTERNAL;
ALTER TABLE items REPLICA IDENTITY FULL;
INSERT INTO items SELECT g, g, repeat('x' || g, 3000), g / 3.0, ARRAY['a', NULL], now(), 'ok' FROM generate_series(1, 20) g;
CREATE TABLE plain (id int, region text, v text, PRIMARY KEY (region, id));
CREATE TABLE long (id int PRIMARY KEY, n int, note text);
ALTER TABLE long ALTER note SET STORAGE EXTERNAL;
INSERT INTO long VALUES (1, 1, repeat('long', 3000)), (2, 1, repeat('long', 3000));
CREATE TABLE grown (id int PRIMARY KEY, n int);
INSERT INTO grown SELECT g, g FROM generate_series(1, 5) g;
CREATE TABLE switched (id int PRIMARY KEY, v int);
INSERT INTO switched SELECT g, g FROM generate_series(1, 5) g;
CREATE TABLE killed (id int PRIMARY KEY, v int);
CREATE TABLE orders (id int PRIMARY KEY, status text, total numeric(10,2));
ALTER TABLE orders REPLICA IDENTITY FULL;
`;

let schema: string;
let file: string;
let before: string;

function configure(...without: string[]): void {
  const entries = without.map((table) => `  ${schema}.${table}: { history: false }\n`);
  writeFileSync(file, `${before}tables:\n  ${schema}.*: { history: true }\n${entries.join('')}`);
}

beforeAll(async () => {
  file = join(inject('stackDirectory'), 'cdc.yaml');
  before = readFileSync(file, 'utf8');
  await using client = await source();
  schema = (await freshSchema(client, 'history')).name;
  await client.query(`SET search_path = ${schema}; ${TABLES}`);
  await cdcJson('apply');
});

afterAll(async () => {
  writeFileSync(file, before);
  await using client = await source();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await cdcJson('apply');
});

async function planOf(name: string): Promise<TablePlan> {
  const { tables } = await inspectSource(stack());
  const plan = desiredOf(stack(), tables).tables.find((t) => tableLabel(t) === `${schema}.${name}`);
  if (!plan) throw new Error(`${name} is not captured`);
  return plan;
}

/** Every value of every row, as the source has them now. */
async function sourceRows(plan: TablePlan): Promise<string[]> {
  await using client = await source();
  const found = await client.query<{ row: string }>(
    `SELECT ${canonicalRowSource(plan.columns, 't')} AS row FROM ${pgIdent(plan.schema, plan.table)} t`,
  );
  return found.rows.map(({ row }) => row).sort();
}

/** Every value of every row, as the history has them at a time. */
async function rowsAsOf(plan: TablePlan, at: string): Promise<string[]> {
  await using clickhouse = target();
  const rows = await clickhouse.rows<{ row: string }>(
    `SELECT ${canonicalRowTarget(plan.columns)} AS row FROM ${schema}.${plan.table}_as_of(at = '${at}')`,
  );
  return rows.map(({ row }) => row).sort();
}

async function now(): Promise<string> {
  await using clickhouse = target();
  const [found] = await clickhouse.rows<{ at: string }>(`SELECT toString(now64(6, 'UTC')) AS at`);
  return found?.at ?? '';
}

interface ChangeRow {
  readonly op: string;
  readonly key: string;
  readonly before: string;
  readonly after: string;
  readonly version: string;
  readonly lsn: string;
  readonly transaction_id: string | null;
  readonly at: string;
  readonly unchanged: readonly string[];
}

/** All that is committed by now is stored: a block's changes and versions are a moment after its rows. */
async function stored(name: string): Promise<void> {
  await using clickhouse = target();
  await using client = await source();
  const signal = AbortSignal.timeout(WAIT_MS);
  await waitUntilCaughtUp(stack(), { schema, table: name }, client, clickhouse, {
    timeoutMs: WAIT_MS,
    signal,
  });
}

async function rowsNow(plan: TablePlan) {
  await stored(plan.table);
  return await rowsAsOf(plan, await now());
}

async function changesOf(name: string): Promise<ChangeRow[]> {
  await stored(name);
  await using clickhouse = target();
  return await clickhouse.rows<ChangeRow>(
    `SELECT op, unchanged, key, before, after, version, lsn, transaction_id, toString(committed_at) AS at
       FROM ${schema}.${name}_changes ORDER BY version, op = 'd' DESC, key`,
  );
}

/** Runs statements in one transaction; what it left, and under which number. */
async function transaction(plan: TablePlan, statements: readonly string[]) {
  await using client = await source();
  await client.query(`SET search_path = ${schema}; BEGIN`);
  for (const statement of statements) await client.query(statement);
  const found = await client.query<{ id: string }>('SELECT pg_current_xact_id() AS id');
  await client.query('COMMIT');
  return { id: found.rows[0]?.id ?? '', rows: await sourceRows(plan) };
}

/** Proves that the history has the rows of every transaction, at the moment of its commit. */
async function proveEach(name: string, program: readonly (readonly string[])[]): Promise<void> {
  const plan = await planOf(name);
  const left = [];
  for (const statements of program) left.push(await transaction(plan, statements));
  expect(await cdcJson('verify', `${schema}.${name}`)).toMatchObject({ ok: true });
  const changes = await changesOf(name);
  for (const [i, { id, rows }] of left.entries()) {
    const at = changes.find((change) => change.transaction_id === id)?.at ?? `no ${id}`;
    expect({ i, rows: await rowsAsOf(plan, at) }).toEqual({ i, rows });
  }
}

test('turned on, it is in the plan, and the rows that are there are its beginning', async () => {
  configure();
  const objects = (await cdcJson('plan')).changes.map((c: { object: string }) => c.object);
  const names = ['table items_changes_log', 'table items_versions', 'view items_changes'];
  const wanted = [...names, 'view items_as_of'].map((n) => n.replace(' ', ` ${schema}.`));
  expect(objects).toEqual(expect.arrayContaining(wanted));
  const early = await now();
  const applied = await cdcJson('apply');
  expect(applied.loads.map((l: { table: string }) => l.table)).toContain(`${schema}.items`);
  expect(await cdcJson('apply')).toMatchObject({ result: 'unchanged' });

  const plan = await planOf('items');
  expect(await rowsNow(plan)).toEqual(await sourceRows(plan));
  await expect(rowsAsOf(plan, early)).rejects.toThrow('does not reach to this time');
  await using clickhouse = target();
  const [view, then] = await Promise.all(
    ['', `_as_of(at = '${await now()}')`].map((of) =>
      clickhouse.rows(`DESCRIBE (SELECT * EXCEPT _exact, _exact FROM ${schema}.items${of})`),
    ),
  );
  expect(then).toEqual(view);
});

test('AS OF gives every value of every row at every commit, whatever was done to the rows', async () => {
  await proveEach('items', [
    [`INSERT INTO items VALUES (30, 1, repeat('y', 9000), 1.5, NULL, '2026-01-01 10:00+02')`],
    ['UPDATE items SET n = n + 1 WHERE id < 10'],
    ['UPDATE items SET n = 1 WHERE id = 1', 'UPDATE items SET n = 2, tags = NULL WHERE id = 1'],
    ['UPDATE items SET id = 40 WHERE id = 2'],
    ['DELETE FROM items WHERE id = 3'],
    ['INSERT INTO items (id, n) VALUES (3, -3)'],
    ['DELETE FROM items WHERE id = 4', `INSERT INTO items (id, note) VALUES (4, 'again')`],
    ['UPDATE items SET note = NULL WHERE id = 5', 'UPDATE items SET n = 0 WHERE id = 5'],
    ['INSERT INTO items (id) VALUES (50)', 'DELETE FROM items WHERE id = 50'],
    ['INSERT INTO items (id) VALUES (60)', 'TRUNCATE items', 'INSERT INTO items (id) VALUES (61)'],
    ['INSERT INTO items (id, n) VALUES (1, 9)'],
  ]);
  await proveEach('plain', [
    [`INSERT INTO plain SELECT g, 'eu', 'v' || g FROM generate_series(1, 5) g`],
    [`UPDATE plain SET region = 'us' WHERE id = 1`, `UPDATE plain SET v = 'w' WHERE id = 2`],
    ['TRUNCATE plain'],
    [`INSERT INTO plain VALUES (1, 'eu', NULL)`],
  ]);
});

test('a change has what was before and after, its place in the WAL, and its transaction', async () => {
  const changes = await changesOf('items');
  const positions = changes.map(({ lsn }) => lsn);
  await using client = await source();
  const found = await client.query<{ n: string }>(
    `SELECT (x::pg_lsn - '0/0')::text AS n FROM unnest($1::text[]) x`,
    [positions],
  );
  expect(found.rows.map(({ n }) => n)).toEqual(changes.map(({ version }) => version));

  const image = (text: string) => (text === '' ? undefined : JSON.parse(text));
  const renamed = changes.filter(({ key }) => /"id":(2|40)\b/.test(key)).slice(-2);
  expect(renamed.map(({ op, before: was }) => [op, image(was)?.id])).toEqual([
    ['d', 2],
    ['c', undefined],
  ]);
  expect(renamed[0]?.version).toBe(renamed[1]?.version);
  const updated = changes.find(({ op, key }) => op === 'u' && key === '{"id":1}');
  // The long value did not change, so it is in the WAL only because all of the old row is.
  expect(image(updated?.before ?? '')).toMatchObject({ n: 1, note: 'x1'.repeat(3000) });
  expect(image(updated?.after ?? '')).toMatchObject({ n: 2, note: 'x1'.repeat(3000) });
  expect(changes.filter(({ op }) => op === 't')).toMatchObject([
    { key: '', before: '', after: '' },
  ]);
});

test('without a full replica identity, what was before is the key, and doctor says so', async () => {
  await using client = await source();
  await client.query(`DELETE FROM ${schema}.plain`);
  await cdcJson('verify', `${schema}.plain`);
  const deleted = (await changesOf('plain')).filter(({ op }) => op === 'd').at(-1);
  expect(JSON.parse(deleted?.before ?? '')).toEqual({ region: 'eu', id: 1 });
  const { findings } = (await cdc('doctor', '--json')).json();
  const own = findings.filter((f: { id: string }) => f.id === 'history-identity');
  expect(own.map((f: { subject: string }) => f.subject)).toContain(`${schema}.plain`);
  expect(own.map((f: { subject: string }) => f.subject)).not.toContain(`${schema}.items`);
});

test('an update of a row that was gone when its long value was looked up says which value it lacks', async () => {
  await using client = await source();
  // Sent when both are committed: whenever it is looked up, the row is gone.
  await client.query('BEGIN');
  await client.query(`UPDATE ${schema}.long SET n = id * 10`);
  await client.query(`DELETE FROM ${schema}.long WHERE id = 1`);
  await client.query('COMMIT');
  expect(await cdcJson('verify', `${schema}.long`)).toMatchObject({ ok: true });
  const images = (await changesOf('long')).map(({ op, unchanged, after }) => ({
    op,
    unchanged,
    after: after === '' ? undefined : JSON.parse(after),
  }));
  expect(images).toEqual([
    { op: 'u', unchanged: ['note'], after: { id: 1, n: 10 } },
    { op: 'u', unchanged: [], after: { id: 2, n: 20, note: 'long'.repeat(3000) } },
    { op: 'd', unchanged: [] },
  ]);
  const plan = await planOf('long');
  expect(await rowsNow(plan)).toEqual(await sourceRows(plan));
});

test('a snapshot and a repair of rows are in it, too', async () => {
  const plan = await planOf('items');
  await cdcJson('snapshot', `${schema}.items`);
  expect(await rowsNow(plan)).toEqual(await sourceRows(plan));
  await using clickhouse = target();
  await clickhouse.command(
    `INSERT INTO ${schema}.items_final (id, n, _version, _committed_at) VALUES (1, 77, 1000000000000000, now64(6))`,
  );
  expect(await cdcJson('verify', '--repair', `${schema}.items`)).toMatchObject({ ok: true });
  expect(await rowsNow(plan)).toEqual(await sourceRows(plan));
});

test('columns that come and go: earlier rows have the default, changes keep what they held', async () => {
  await proveEach('grown', [['UPDATE grown SET n = -1 WHERE id = 1']]);
  const at = (await changesOf('grown')).at(-1)?.at ?? '';
  await using client = await source();
  await client.query(
    `ALTER TABLE ${schema}.grown DROP COLUMN n, ADD COLUMN extra text NOT NULL DEFAULT 'old'`,
  );
  await cdcJson('apply');
  await proveEach('grown', [[`UPDATE grown SET extra = 'new' WHERE id = 1`]]);
  await using clickhouse = target();
  const rows = await clickhouse.rows(
    `SELECT * FROM ${schema}.grown_as_of(at = '${at}') ORDER BY id`,
  );
  expect(rows).toEqual([1, 2, 3, 4, 5].map((id) => ({ id, extra: '', _exact: {} })));
  expect((await changesOf('grown')).map((c) => JSON.parse(c.after))).toEqual([
    { id: 1, n: -1 },
    { id: 1, extra: 'new' },
  ]);
});

test('turned off, it stays as it is and refuses later times; turned on again, it begins anew', async () => {
  const plan = await planOf('switched');
  const first = await now();
  const was = await sourceRows(plan);
  configure('switched');
  await cdcJson('apply');
  await using client = await source();
  await client.query(`DELETE FROM ${schema}.switched WHERE id < 3`);
  expect(await cdcJson('verify', `${schema}.switched`)).toMatchObject({ ok: true });
  expect(await rowsAsOf(plan, first)).toEqual(was);
  await expect(rowsAsOf(plan, await now())).rejects.toThrow('does not reach to this time');
  configure();
  await cdcJson('apply');
  expect(await rowsNow(plan)).toEqual(await sourceRows(plan));
  await expect(rowsAsOf(plan, first)).rejects.toThrow('does not reach to this time');
});

test('the examples of docs/history.md work', async () => {
  await using client = await source();
  for (const sql of [
    `INSERT INTO ${schema}.orders VALUES (7, 'new', 9.5)`,
    `UPDATE ${schema}.orders SET status = 'paid'`,
  ])
    await client.query(sql);
  await cdcJson('verify', `${schema}.orders`);
  const text = readFileSync(join(packageRoot(), 'docs', 'history.md'), 'utf8');
  const examples = [...text.matchAll(/```sql\n(.*?);\n```/gs)].map((m) => m[1] ?? '');
  await using clickhouse = target();
  const results = [];
  for (const sql of examples)
    results.push(await clickhouse.rows(sql.replaceAll('shop.', `${schema}.`)));
  expect(results).toMatchObject([
    [
      { op: 'c', was: '', is: 'new' },
      { op: 'u', was: 'new', is: 'paid' },
    ],
    [{ id: 7, status: 'paid', total: 9.5 }],
    [{ status: 'paid' }],
  ]);
});

describe('kill -9 of ClickHouse while rows are written', () => {
  test('leaves every change in the history once, and none out', async () => {
    const writer = writing(async (client, i) => {
      await client.query(`INSERT INTO ${schema}.killed VALUES ($1, 0)`, [i]);
      await client.query(`UPDATE ${schema}.killed SET v = id WHERE id = $1`, [i]);
    });
    await writer.passes(50);
    const again = await kill('clickhouse');
    await again();
    await writer.passes(50);
    await writer.stop();
    expect(await cdcJson('verify', `${schema}.killed`)).toMatchObject({ ok: true });
    const changes = await changesOf('killed');
    const plan = await planOf('killed');
    const rows = await sourceRows(plan);
    expect(changes.filter(({ op }) => op === 'c')).toHaveLength(rows.length);
    expect(changes.filter(({ op }) => op === 'u')).toHaveLength(rows.length);
    expect(await rowsAsOf(plan, changes.at(-1)?.at ?? '')).toEqual(rows);
  });
});
