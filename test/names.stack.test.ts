import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { recordsOf } from '../cli/components/clickhouse/records.ts';
import { tableLabel } from '../cli/core/names.ts';
import { chIdent } from '../cli/lib/sql.ts';
import {
  cdc,
  cdcJson,
  countRows,
  eventually,
  freshSchema,
  source,
  target,
  withTables,
} from './harness/database.ts';

/** Names in ClickHouse: those that a copy has stay its own, and cdc.yaml can choose others. */

let schema = '';

beforeAll(async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'named')).name;
});
afterAll(async () => {
  await using client = await source();
  await client.query(`DROP SCHEMA IF EXISTS ${schema}, ${schema}_b CASCADE`);
  await cdcJson('apply');
});

async function create(table: string, rows = 20): Promise<void> {
  await using client = await source();
  await client.query(`CREATE TABLE ${table} (id int PRIMARY KEY, v text)`);
  await client.query(`INSERT INTO ${table} SELECT i, 'v' FROM generate_series(1, ${rows}) i`);
}

async function insert(table: string, id: number): Promise<void> {
  await using client = await source();
  await client.query(`INSERT INTO ${table} VALUES (${id}, 'later')`);
}

/** What a table's copy is called. */
async function nameOf(table: string): Promise<string> {
  await using clickhouse = target();
  const records = await recordsOf(clickhouse, 'names');
  const names = records.find(({ id }) => tableLabel(id) === table)?.record;
  return names ? `${names.database}.${names.view}` : '';
}

describe('a table that joins', () => {
  test.each(['final', 'mv', 'queue', 'queue_rows', 'changes_log', 'versions', 'as_of'])(
    'under a name that another copy has (orders_%s) gets another one; that copy keeps its rows and flows',
    async (suffix) => {
      const [there, joins] = [`${schema}.o_${suffix}`, `${schema}.o_${suffix}_${suffix}`];
      await create(there);
      const file = withTables({ [`${schema}.*`]: { history: true } });
      await cdcJson('apply', '--config', file);
      await create(joins, 7);
      await insert(there, 21);
      await eventually('the copy that was there', 21, () => countRows(schema, `o_${suffix}`));
      await cdcJson('apply', '--config', file);
      expect(await nameOf(there)).toBe(there);
      expect(await nameOf(joins)).toMatch(new RegExp(`^${schema}\\.${schema}__o_`));
      await insert(there, 22);
      await insert(joins, 22);
      expect(await cdcJson('verify', there, joins, '--config', file)).toMatchObject({
        ok: true,
        rows: 22 + 8,
      });
      expect(await countRows(schema, `o_${suffix}`)).toBe(22);
    },
  );

  test('where a table or a view is that cdc did not make gets another name; that one is not touched', async () => {
    await using clickhouse = target();
    await clickhouse.command(`CREATE DATABASE IF NOT EXISTS ${chIdent(schema)}`);
    await clickhouse.command(
      `CREATE TABLE ${chIdent(schema, 'theirs')} (x UInt8) ENGINE = MergeTree ORDER BY x`,
    );
    await clickhouse.command(`INSERT INTO ${chIdent(schema, 'theirs')} VALUES (1)`);
    await clickhouse.command(`CREATE VIEW ${chIdent(schema, 'seen_final')} AS SELECT 1 AS x`);
    await create(`${schema}.theirs`);
    await create(`${schema}.seen`);
    await cdcJson('apply');
    expect(await countRows(schema, 'theirs')).toBe(1);
    expect(await countRows(schema, 'seen_final')).toBe(1);
    expect(await nameOf(`${schema}.theirs`)).toBe(`${schema}.${schema}__theirs`);
    expect(await nameOf(`${schema}.seen`)).toBe(`${schema}.seen`);
    expect(await countRows(schema, 'seen')).toBe(20);
    const doctor = (await cdc('doctor', '--json')).json();
    expect(doctor.findings).toContainEqual(
      expect.objectContaining({ id: 'named-differently', subject: `${schema}.theirs` }),
    );
    await clickhouse.command(`DROP TABLE ${chIdent(schema, 'theirs')}`);
    await cdcJson('apply');
    expect(await nameOf(`${schema}.theirs`)).toBe(`${schema}.${schema}__theirs`);
  });

  test('into one database for all schemas, under the name of another schema’s table', async () => {
    const one = `${schema}_one`;
    const both = (table: string) => ({ target: { database: one, ...(table ? { table } : {}) } });
    await create(`${schema}.users`);
    const file = withTables({ [`${schema}*.users`]: both('') });
    await cdcJson('apply', '--config', file);
    await using client = await source();
    await client.query(`CREATE SCHEMA ${schema}_b`);
    await create(`${schema}_b.users`, 5);
    await cdcJson('apply', '--config', file);
    await insert(`${schema}.users`, 99);
    await insert(`${schema}_b.users`, 99);
    expect(
      await cdcJson('verify', `${schema}.users`, `${schema}_b.users`, '--config', file),
    ).toMatchObject({ ok: true, rows: 21 + 6 });
    expect(await countRows(one, 'users')).toBe(21);
    expect(await countRows(one, `${schema}_b__users`)).toBe(6);
    const taken = withTables({
      [`${schema}*.users`]: both(''),
      [`${schema}_b.users`]: both('users'),
    });
    const ran = await cdc('plan', '--config', taken);
    expect(ran.stderr).toContain('[STORAGE_REFUSED]');
    expect(ran.stderr).toContain('is taken');
  });
});

describe('target', () => {
  test('another database and name are planned and carried out while rows are written, and what answers has every row', async () => {
    const table = `${schema}.moving`;
    await create(table, 5000);
    const history = { [table]: { history: true } };
    await cdcJson('apply', '--config', withTables(history));
    await using client = await source();
    await using clickhouse = target();
    const ended = new AbortController();
    let written = 5000;
    const seen = new Set<string>();
    const until = async (step: () => Promise<void>) => {
      for (; !ended.signal.aborted; await setTimeout(20)) await step();
    };
    const writing = until(async () => {
      written += 1;
      await client.query(`INSERT INTO ${table} VALUES (${written}, 'w')`);
    });
    const there = `${schema}_t`;
    const odd = 'a`b "c" — d.e';
    const watching = until(async () => {
      const counts = await Promise.all(
        [[schema, 'moving'] as const, [there, odd] as const].map(([database, name]) =>
          countRows(database, name).catch(() => -1),
        ),
      );
      // Between two statements neither name may answer; what answers has every row.
      const fewest = Math.min(...counts.filter((n) => n >= 0));
      seen.add(fewest >= 5000 ? 'all' : counts.join(' '));
    });
    const rule = { history: true, target: { database: there, table: odd } };
    const file = withTables({ [table]: rule });
    try {
      const plan = await cdcJson('plan', '--config', file);
      expect(plan.changes.map((c: { object: string }) => c.object)).toContain(
        `name ${schema}.moving by ${there}.${odd}`,
      );
      await cdcJson('verify', table, '--config', file);
      await cdcJson('apply', '--config', file);
      expect((await cdcJson('plan', '--config', file)).changes).toEqual([]);
    } finally {
      ended.abort();
      await Promise.all([writing, watching]);
    }
    expect([...seen]).toEqual(['all']);
    expect(await cdcJson('verify', table, '--config', file)).toMatchObject({
      ok: true,
      rows: written,
    });
    const left = await clickhouse.rows<{ name: string }>(
      `SELECT name FROM system.tables WHERE database = {schema:String} AND startsWith(name, 'moving')`,
      { schema },
    );
    expect(left).toEqual([]);
    expect(await countRows(there, `${odd}_changes`)).toBe(written - 5000);
    // And back.
    await cdcJson('apply', '--config', withTables(history));
    expect(await countRows(schema, 'moving')).toBe(written);
    await clickhouse.command(`DROP DATABASE ${chIdent(there)}`);
  });

  test('one name for several tables, or in a database of ClickHouse’s own, is refused', async () => {
    await create(`${schema}.several`);
    const many = await cdc(
      'plan',
      '--config',
      withTables({ [`${schema}.*`]: { target: { table: 'x' } } }),
    );
    expect(many.stderr).toContain('[override-target]');
    const own = await cdc(
      'plan',
      '--config',
      withTables({ [`${schema}.several`]: { target: { database: 'system' } } }),
    );
    expect(own.stderr).toContain('is a database of ClickHouse or of cdc itself');
  });
});

test('a copy that somebody dropped in ClickHouse is made again and loaded', async () => {
  await create(`${schema}.dropped`);
  await cdcJson('apply');
  await using clickhouse = target();
  await clickhouse.command(`DROP TABLE ${chIdent(schema, 'dropped_final')} SYNC`);
  await cdcJson('apply');
  expect(await cdcJson('verify', `${schema}.dropped`)).toMatchObject({ ok: true, rows: 20 });
});
