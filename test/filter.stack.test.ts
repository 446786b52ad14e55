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
import { writing } from './harness/writing.ts';

/** Row filters: `tables: { "schema.table": { where: … } }`. */

let schema = '';
let drop: () => Promise<void>;
/** Of all tests: a table without its entry would lose its filter. */
const filters: Record<string, { where: string }> = {};

beforeAll(async () => {
  await using client = await source();
  ({ name: schema, drop } = await freshSchema(client, 'filter'));
});
afterAll(async () => {
  await drop();
  await cdcJson('apply');
});

const config = () => withTables(filters);
const run = (...argv: string[]) => cdc(...argv, '--config', config());
// biome-ignore lint/suspicious/noExplicitAny: a test says what it expects to find
const runJson = (...argv: string[]): Promise<any> => cdcJson(...argv, '--config', config());

async function sql(...statements: string[]): Promise<void> {
  await using client = await source();
  await client.query(`SET search_path = ${schema}`);
  for (const statement of statements) await client.query(statement);
}

/** Makes a table, gives it a filter, and applies. */
async function made(name: string, where: string, ...statements: string[]): Promise<string> {
  await sql(...statements);
  filters[`${schema}.${name}`] = { where };
  await runJson('apply');
  return `${schema}.${name}`;
}

/** Keys of the rows in the copy, once it is proved equal. */
async function proved(table: string, key = 'id'): Promise<unknown[]> {
  const verified = await runJson('verify', table);
  expect(verified).toMatchObject({ ok: true, flowing: true });
  await using clickhouse = target();
  const [database = '', name = ''] = table.split('.');
  const rows = await clickhouse.rows<{ k: unknown }>(
    `SELECT ${key} AS k FROM ${chIdent(database, name)} ORDER BY k`,
  );
  expect(verified.tables[0].target_rows).toBe(rows.length);
  return rows.map((row) => row.k);
}

/** What `doctor` finds about tables of this test. */
async function findings() {
  const { findings: all } = (await run('doctor', '--json')).json();
  const own = all as { id: string; subject: string; message: string; fix: string }[];
  return own.filter((f) => f.subject.startsWith(`${schema}.`) && f.id.startsWith('filter-'));
}

const ORDERS = [
  'CREATE TABLE orders (id int PRIMARY KEY, status text, total numeric(10,2), note text)',
  'ALTER TABLE orders REPLICA IDENTITY FULL',
  `INSERT INTO orders SELECT g, CASE WHEN g % 2 = 0 THEN 'paid' ELSE 'draft' END, g, repeat('x', 99) FROM generate_series(1, 10) g`,
];

test('only rows inside a filter are copied; an update that crosses its border adds or ends a row', async () => {
  const table = await made('orders', `status <> 'draft'  -- drafts stay at home`, ...ORDERS);
  expect(await proved(table)).toEqual([2, 4, 6, 8, 10]);
  await sql(
    `INSERT INTO orders VALUES (11, 'draft', 1, 'a'), (12, 'paid', 1, 'b'), (13, NULL, 1, 'c')`,
    `UPDATE orders SET status = 'paid', total = 99 WHERE id IN (1, 11)`,
    `UPDATE orders SET status = 'draft' WHERE id IN (2, 4)`,
    `UPDATE orders SET status = NULL WHERE id = 6`,
    `UPDATE orders SET total = total + 1`,
    `DELETE FROM orders WHERE id IN (3, 8)`,
    `UPDATE orders SET id = id + 100 WHERE id IN (5, 10)`,
    `BEGIN`,
    `UPDATE orders SET status = 'paid' WHERE id = 4`,
    `UPDATE orders SET status = 'draft' WHERE id = 4`,
    `UPDATE orders SET status = 'paid' WHERE id = 7`,
    `COMMIT`,
  );
  expect(await proved(table)).toEqual([1, 7, 11, 12, 110]);
  await using clickhouse = target();
  const ever = await clickhouse.rows(
    `SELECT id FROM ${chIdent(schema, 'orders_final')} WHERE status = 'draft' AND _deleted = 0`,
  );
  expect(ever).toEqual([]);
});

test('loading again, by either way, repairing and TRUNCATE keep to the filter', async () => {
  const table = `${schema}.orders`;
  const inside = await proved(table);
  await using clickhouse = target();
  const final = chIdent(schema, 'orders_final');
  const version = `(SELECT max(_version) FROM ${final})`;
  for (const method of ['pull', 'debezium']) {
    await clickhouse.command(
      `INSERT INTO ${final} (id, status, _version) SELECT 4, 'draft', ${version}`,
    );
    const { tables } = await runJson('snapshot', table, '--method', method);
    expect(tables).toMatchObject([{ method, rows: inside.length, removed: 1 }]);
    expect(await proved(table)).toEqual(inside);
  }
  await clickhouse.command(
    `INSERT INTO ${final} (id, status, _version, _deleted) SELECT 4, 'draft', ${version}, 0 UNION ALL SELECT 1, 'gone', ${version}, 1`,
  );
  expect((await run('verify', table)).exit).toBe(6);
  const repaired = await runJson('verify', table, '--repair');
  expect(repaired.tables).toMatchObject([{ repaired: 2, missing: 0, extra: 0 }]);
  expect(await proved(table)).toEqual(inside);
  await sql('TRUNCATE orders', `INSERT INTO orders VALUES (1, 'draft'), (2, 'paid')`);
  expect(await proved(table)).toEqual([2]);
});

test('a filter over the key needs no more than the key: TOASTed values of a row that moves inside are there', async () => {
  const table = await made(
    'wide',
    'tenant = 1',
    'CREATE TABLE wide (tenant int, id int, n int, body text, PRIMARY KEY (tenant, id))',
    'ALTER TABLE wide ALTER body SET STORAGE EXTERNAL',
    `INSERT INTO wide SELECT 1 + g % 2, g, 0, repeat(md5(g::text), 500) FROM generate_series(1, 10) g`,
  );
  expect(await proved(table)).toEqual([2, 4, 6, 8, 10]);
  await sql(
    'UPDATE wide SET n = n + 1',
    'UPDATE wide SET tenant = 1 WHERE id IN (1, 3)',
    'UPDATE wide SET tenant = 2 WHERE id IN (2, 4)',
    'DELETE FROM wide WHERE id IN (5, 6)',
  );
  expect(await proved(table)).toEqual([1, 3, 8, 10]);
});

test('a partitioned table is filtered as one, and a row that changes its partition with it', async () => {
  const table = await made(
    'parts',
    `region IN ('eu', 'us')`,
    'CREATE TABLE parts (region text, id int, v int, PRIMARY KEY (region, id)) PARTITION BY LIST (region)',
    `CREATE TABLE parts_eu PARTITION OF parts FOR VALUES IN ('eu')`,
    // Its columns stand in another order.
    'CREATE TABLE parts_rest (v int, id int NOT NULL, region text NOT NULL, PRIMARY KEY (region, id))',
    'ALTER TABLE parts ATTACH PARTITION parts_rest DEFAULT',
    `INSERT INTO parts SELECT (ARRAY['eu', 'us', 'asia'])[1 + g % 3], g, 0 FROM generate_series(1, 9) g`,
  );
  expect(await proved(table)).toEqual([1, 3, 4, 6, 7, 9]);
  await sql(
    `UPDATE parts SET v = v + 1`,
    `UPDATE parts SET region = 'eu' WHERE id = 2`,
    `UPDATE parts SET region = 'asia' WHERE id IN (3, 4)`,
    `DELETE FROM parts WHERE id IN (5, 6)`,
  );
  expect(await proved(table)).toEqual([1, 2, 7, 9]);
  await sql('TRUNCATE parts', `INSERT INTO parts VALUES ('eu', 1, 1), ('asia', 2, 2)`);
  expect(await proved(table)).toEqual([1]);
});

test('a filter that is changed or removed is in the plan, and applied while rows are written', async () => {
  const table = await made(
    'moving',
    'n < 100',
    'CREATE TABLE moving (id int PRIMARY KEY, n int, v text)',
    'ALTER TABLE moving REPLICA IDENTITY FULL',
    `INSERT INTO moving SELECT g, g, 'v' FROM generate_series(1, 300) g`,
  );
  expect(await proved(table)).toHaveLength(99);
  const writer = writing(async (client, i) => {
    await client.query(`UPDATE ${table} SET n = (n + 37) % 300 WHERE id = 1 + $1::int % 300`, [i]);
    await client.query(`INSERT INTO ${table} VALUES (1000 + $1::int, $1::int % 300, 'w')`, [i]);
  });
  await writer.passes(10);
  filters[table] = { where: 'n >= 50 AND n < 200' };
  const unproven = await run('verify', table);
  expect(unproven.stderr).toContain('it is not copied yet as cdc.yaml says');
  expect(unproven.exit).toBe(6);
  const early = await run('snapshot', table);
  expect(early.stderr).toContain('TABLE_NOT_APPLIED');
  expect(early.exit).toBe(5);
  const { changes } = await runJson('plan');
  expect(changes).toMatchObject([
    { component: 'postgres', action: 'update' },
    { component: 'clickhouse', action: 'load', object: `table ${table}` },
  ]);
  expect(changes[0].object).toContain(`filter of table ${table}`);
  expect((await runJson('apply')).loads).toMatchObject([{ table }]);
  await writer.passes(10);
  expect(await runJson('verify', table)).toMatchObject({ ok: true });
  delete filters[table];
  expect((await runJson('apply')).loads).toMatchObject([{ table }]);
  await writer.passes(10);
  await writer.stop();
  await proved(table);
});

test('a filter that somebody changed in the source is put right, and the table loaded again', async () => {
  const table = `${schema}.moving`;
  filters[table] = { where: `n = ANY ('{1,2,3}')` };
  await runJson('apply');
  const before = await proved(table);
  await using client = await source();
  await client.query(
    `ALTER PUBLICATION cdc_cdc DROP TABLE ${table}; ALTER PUBLICATION cdc_cdc ADD TABLE ${table} WHERE (n = 4)`,
  );
  await client.query(`INSERT INTO ${table} VALUES (-1, 1, 'unseen'), (-2, 4, 'outside')`);
  expect((await runJson('apply')).loads).toMatchObject([{ table }]);
  expect(await proved(table)).toEqual([-1, ...before]);
  expect(await runJson('apply')).toMatchObject({ result: 'unchanged' });
});

test('what PostgreSQL does not take as a filter is a finding with its sentence, before anything is changed', async () => {
  const refused: readonly (readonly [where: string, sentence: RegExp])[] = [
    ['id = ', /syntax error/],
    ['nosuch = 1', /column "nosuch" does not exist/],
    ['id + 1', /must be type boolean/],
    ['random() > 0.5', /mutable functions are not allowed/],
    ['at > now()', /mutable functions are not allowed/],
    [`id = ${schema}.one()`, /User-defined/],
    ['id = (SELECT 1)', /Only columns, constants, built-in operators/],
    ['id = $1', /supplies 0 parameters/],
    ["id = 'x'", /invalid input syntax for type integer/],
    [`true) ; DROP TABLE ${schema}.strict_0; SELECT (true`, /syntax error at or near ";"/],
    ['true), TABLE other WHERE (true', /syntax error/],
    ['true) UNION SELECT 1 WHERE (true', /syntax error/],
    ["true /* '", /unterminated/],
  ];
  const table = (n: number) => `${schema}.strict_${n}`;
  await sql(
    `CREATE FUNCTION one() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'`,
    ...refused.map((_, n) => `CREATE TABLE ${table(n)} (id int PRIMARY KEY, at timestamptz)`),
  );
  for (const [n, [where]] of refused.entries()) filters[table(n)] = { where };
  const found = await findings();
  for (const [n, [where, sentence]] of refused.entries()) {
    const own = found.filter((finding) => finding.subject === table(n));
    expect(own, where).toMatchObject([{ id: 'filter-invalid', severity: 'warning' }]);
    expect(own[0]?.message, where).toMatch(sentence);
  }
  const applied = await run('apply', '--strict');
  expect(applied.exit).toBe(5);
  expect(applied.stderr).toContain('unterminated');
  await using client = await source();
  const left = await client.query(
    `SELECT pubname FROM pg_publication WHERE pubname LIKE '%trial%' UNION ALL SELECT 'gone' WHERE to_regclass('${table(0)}') IS NULL`,
  );
  expect(left.rows).toEqual([]);
  for (const n of refused.keys()) delete filters[table(n)];
  // What is used is PostgreSQL's own text, which means the same in every session.
  await client.query(`ALTER TABLE ${table(0)} REPLICA IDENTITY FULL`);
  filters[table(0)] = { where: `id = 1 OR strict_0.at >= '2024-06-01' -- since June` };
  const planned = await run('plan', '--sql');
  expect(planned.stdout).toContain(`'2024-06-01 00:00:00+00'::timestamp with time zone`);
  delete filters[table(0)];
  await sql(...refused.map((_, n) => `DROP TABLE ${table(n)}`), 'DROP FUNCTION one');
});

test('columns that the replica identity lacks are a finding with the SQL that mends it, for each partition', async () => {
  await sql(
    'CREATE TABLE loose (id int, region text, n int, PRIMARY KEY (id, region)) PARTITION BY LIST (region)',
    `CREATE TABLE loose_eu PARTITION OF loose FOR VALUES IN ('eu')`,
    `CREATE TABLE "Loose rest" PARTITION OF loose DEFAULT`,
    `INSERT INTO loose VALUES (1, 'eu', 1), (2, 'us', 2)`,
  );
  const table = `${schema}.loose`;
  filters[table] = { where: 'n > 1' };
  const found = await findings();
  expect(found.map(({ id, subject }) => [id, subject])).toEqual([
    ['filter-identity', `${schema}.Loose rest`],
    ['filter-identity', `${schema}.loose_eu`],
  ]);
  expect(found[0]?.message).toContain('UPDATE and DELETE');
  expect((await run('apply', '--strict')).exit).toBe(5);
  // The source's own writers were never in danger.
  await sql('UPDATE loose SET n = n + 1', ...found.map((f) => f.fix));
  await runJson('apply');
  expect(await findings()).toEqual([]);
  await sql('UPDATE loose SET n = n - 1');
  expect(await proved(table)).toEqual([2]);
});

test('where Debezium has to read, an operator that it takes for a parameter is a problem that says so', async () => {
  const table = await made(
    'documents',
    `data ? 'a'`,
    'CREATE TABLE documents (id int PRIMARY KEY, data jsonb)',
    'ALTER TABLE documents REPLICA IDENTITY FULL',
    `INSERT INTO documents VALUES (1, '{"a": 1}'), (2, '{}')`,
  );
  expect(await proved(table)).toEqual([1]);
  const ran = await run('snapshot', table, '--method', 'debezium');
  expect(ran.exit).toBe(5);
  expect(ran.stderr).toContain('jsonb_exists');
  filters[table] = { where: `jsonb_exists(data, 'b?')` };
  await runJson('apply');
  await sql(`UPDATE documents SET data = '{"b?": 1}' WHERE id = 2`);
  await eventually('the row that is inside now', [2], () => proved(table));
  const { tables } = await runJson('snapshot', table, '--method', 'debezium');
  expect(tables).toMatchObject([{ rows: 1, method: 'debezium' }]);
  expect(await proved(table)).toEqual([2]);
});
