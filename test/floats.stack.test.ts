import { afterAll, beforeAll, expect, test } from 'vitest';
import { chIdent } from '../cli/lib/sql.ts';
import { cdc, cdcJson, freshSchema, source, target, withTables } from './harness/database.ts';
import { vectorsSql } from './harness/types.ts';

/** Points and pgvector's vectors, which ClickHouse computes with, and has no NULL of. */

let schema = '';

beforeAll(async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'floats')).name;
  await client.query(vectorsSql(schema));
});
afterAll(async () => {
  await using client = await source();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await cdcJson('apply');
});

const QUOTED = { output_format_json_quote_denormals: 1 };
const NOWHERE = ['nan', 'nan'];

async function shown(table: string): Promise<unknown[]> {
  await using clickhouse = target();
  return clickhouse.rows(
    `SELECT id, p, v, h, _exact AS exact FROM ${chIdent(schema, table)} ORDER BY id`,
    {},
    QUOTED,
  );
}

/** What `verify` finds equal, as it is shown. */
async function proved(table: string, ...options: string[]): Promise<unknown[]> {
  expect(await cdcJson('verify', `${schema}.${table}`, ...options)).toMatchObject({ ok: true });
  return shown(table);
}

test.each(['DEFAULT', 'FULL'])(
  'points and vectors are numbers, and a NULL stands beside: replica identity %s',
  async (identity) => {
    await using client = await source();
    await using clickhouse = target();
    const table = `of_${identity.toLowerCase()}`;
    const insert = (from: number) =>
      client.query(
        `INSERT INTO ${schema}.${table} VALUES (${from}, '(3,4)', '[1,2,3]', '[0.5,-0]'),
           (${from + 1}, NULL, NULL, NULL), (${from + 2}, '(NaN,NaN)', '[1e-45]', '[65504]')`,
      );
    await client.query(
      `CREATE TABLE ${schema}.${table} (id int PRIMARY KEY, p point, v ${schema}.vector, h ${schema}.halfvec);
       ALTER TABLE ${schema}.${table} REPLICA IDENTITY ${identity}`,
    );
    await insert(1);
    await cdcJson('apply');
    await insert(11);
    const rows = (from: number) => [
      { id: from, p: [3, 4], v: [1, 2, 3], h: [0.5, -0], exact: {} },
      { id: from + 1, p: NOWHERE, v: [], h: [], exact: { p: null, v: null, h: null } },
      { id: from + 2, p: NOWHERE, v: [1e-45], h: [65504], exact: {} },
    ];
    expect(await proved(table)).toEqual([...rows(1), ...rows(11)]);
    const [computed] = await clickhouse.rows(
      `SELECT toTypeName(p) AS point, toTypeName(v) AS vector, L2Norm(p) AS far, L2Distance(v, [1, 2, 5]) AS near
         FROM ${chIdent(schema, table)} WHERE id = 1`,
    );
    expect(computed).toEqual({ point: 'Point', vector: 'Array(Float32)', far: 5, near: 2 });

    await client.query(
      `UPDATE ${schema}.${table} SET p = NULL, h = NULL WHERE id IN (1, 3);
       UPDATE ${schema}.${table} SET p = '(1e-300,-Infinity)', v = '[7]' WHERE id = 2;
       DELETE FROM ${schema}.${table} WHERE id > 10`,
    );
    const changed = [
      { id: 1, p: NOWHERE, v: [1, 2, 3], h: [], exact: { p: null, h: null } },
      { id: 2, p: [1e-300, '-inf'], v: [7], h: [], exact: { h: null } },
      { id: 3, p: NOWHERE, v: [1e-45], h: [], exact: { p: null, h: null } },
    ];
    expect(await proved(table)).toEqual(changed);
    // What is gone has nothing beside it.
    const [gone] = await clickhouse.rows(
      `SELECT count() AS n, countIf(notEmpty(_exact)) AS kept FROM ${chIdent(schema, `${table}_final`)} FINAL WHERE _deleted = 1`,
    );
    expect(gone).toEqual({ n: '3', kept: '0' });
    for (const method of ['pull', 'debezium']) {
      await cdcJson('snapshot', `${schema}.${table}`, '--method', method);
      expect(await proved(table)).toEqual(changed);
    }

    const last = '18446744073709551615';
    await clickhouse.command(
      `INSERT INTO ${chIdent(schema, `${table}_final`)} (id, p, v, h, _version) VALUES (1, (nan, nan), [1, 2, 3], [], ${last}), (2, (0, 0), [8], [], ${last})`,
    );
    const differs = await cdc('verify', `${schema}.${table}`, '--json');
    expect(differs.json().tables[0]).toMatchObject({ different: 2, missing: 0, extra: 0 });
    expect(await proved(table, '--repair')).toEqual(changed);
  },
);

test('rows that cannot be told apart, histories and times past have them', async () => {
  await using client = await source();
  await using clickhouse = target();
  const columns = `id int, p point, v ${schema}.vector, h ${schema}.halfvec`;
  await client.query(
    `CREATE TABLE ${schema}.counted (${columns});
     ALTER TABLE ${schema}.counted REPLICA IDENTITY FULL;
     INSERT INTO ${schema}.counted VALUES (1, '(1,2)', '[1]', NULL), (1, '(1,2)', '[1]', NULL), (1, NULL, NULL, NULL), (1, '(NaN,NaN)', NULL, NULL);
     CREATE TABLE ${schema}.past (${columns}, PRIMARY KEY (id));
     INSERT INTO ${schema}.past VALUES (1, '(1,2)', '[1]', NULL), (2, NULL, '[2]', '[2]')`,
  );
  const file = withTables({ [`${schema}.past`]: { history: true } });
  await cdcJson('apply', '--config', file);
  const [at] = await clickhouse.rows<{ t: string }>(`SELECT toString(now64(6, 'UTC')) AS t`);
  await client.query(
    `DELETE FROM ${schema}.counted WHERE ctid = (SELECT min(ctid) FROM ${schema}.counted);
     DELETE FROM ${schema}.counted WHERE p ~= '(NaN,NaN)';
     INSERT INTO ${schema}.counted VALUES (1, NULL, NULL, NULL);
     UPDATE ${schema}.past SET p = '(3,4)', h = '[3]'`,
  );
  const none = { id: 1, p: NOWHERE, v: [], h: [], exact: { p: null, v: null, h: null } };
  const one = { id: 1, p: [1, 2], v: [1], h: [], exact: { h: null } };
  const counted = await proved('counted', '--config', file);
  expect(counted).toHaveLength(3);
  expect(counted).toEqual(expect.arrayContaining([none, one]));
  expect(await proved('past', '--config', file)).toEqual([
    { id: 1, p: [3, 4], v: [1], h: [3], exact: {} },
    { id: 2, p: [3, 4], v: [2], h: [3], exact: {} },
  ]);
  const before = await clickhouse.rows(
    `SELECT id, p, v, h, _exact AS exact, toTypeName(p) AS type FROM ${schema}.past_as_of(at = '${at?.t}') ORDER BY id`,
    {},
    QUOTED,
  );
  expect(before).toEqual([
    { ...one, type: 'Point' },
    { id: 2, p: NOWHERE, v: [2], h: [2], exact: { p: null }, type: 'Point' },
  ]);
});

test('a copy that has them as text is planned to have them as numbers, and every value comes again', async () => {
  await using client = await source();
  await client.query(
    `CREATE TABLE ${schema}.live (id int PRIMARY KEY, p point NOT NULL, v ${schema}.vector, h ${schema}.halfvec NOT NULL);
     INSERT INTO ${schema}.live VALUES (1, '(1,-0)', '[1]', '[2]'), (2, '(Infinity,0)', NULL, '[3]')`,
  );
  const text = { p: 'text', v: 'text', h: 'text' };
  const file = withTables({ [`${schema}.live`]: { columns: text } });
  await cdcJson('apply', '--config', file);
  expect(await proved('live', '--config', file)).toMatchObject([{ p: '(1,-0)' }, { v: null }]);
  const planned = JSON.stringify(await cdcJson('plan'));
  for (const type of ['Point', 'Array(Float32)']) expect(planned).toContain(type);
  await cdcJson('apply');
  await client.query(`INSERT INTO ${schema}.live VALUES (3, '(0,0)', '[5]', '[6]')`);
  expect(await proved('live')).toEqual([
    { id: 1, p: [1, -0], v: [1], h: [2], exact: {} },
    { id: 2, p: ['inf', 0], v: [], h: [3], exact: { v: null } },
    { id: 3, p: [0, 0], v: [5], h: [6], exact: {} },
  ]);
  expect(await cdcJson('plan')).toMatchObject({ changes: [] });
});
