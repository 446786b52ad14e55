import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { ClickHouse } from '../cli/components/clickhouse/client.ts';
import { decode, HISTORY_SQL, RECORD_KINDS, type RecordKind } from '../cli/core/records.ts';
import { LEGACY_HISTORY_SQL } from '../cli/core/recordsLegacy.ts';
import { chLiteral } from '../cli/lib/sql.ts';
import { cdc, cdcJson, freshSchema, source, target } from './harness/database.ts';

/** What `cdc.loads` remembers: also of a copy that an earlier cdc made, and of one that a newer cdc has worked on. */

let schema: string;
let file: string;
let before: string;

function configure(ended: boolean): void {
  const tables = `tables:
  ${schema}.kept: { history: true, where: "n < 100" }
  ${schema}.ended: { history: ${!ended} }
  ${schema}.users: { columns: { password: exclude, email: mask } }
`;
  writeFileSync(file, `${before}${tables}`);
}

beforeAll(async () => {
  file = join(inject('stackDirectory'), 'cdc.yaml');
  before = readFileSync(file, 'utf8');
  await using client = await source();
  schema = (await freshSchema(client, 'records')).name;
  await client.query(`SET search_path = ${schema};
    CREATE TABLE kept (id int PRIMARY KEY, n int);
    ALTER TABLE kept REPLICA IDENTITY FULL;
    INSERT INTO kept SELECT g, g FROM generate_series(1, 200) g;
    CREATE TABLE ended (id int PRIMARY KEY, n int);
    INSERT INTO ended VALUES (1, 1);
    CREATE TABLE users (id int PRIMARY KEY, password text, email text);
    INSERT INTO users VALUES (1, 'secret-p', 'secret-m')`);
  configure(false);
  await cdcJson('apply');
});

afterAll(async () => {
  writeFileSync(file, before);
  await using client = await source();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await cdcJson('apply');
});

interface Row {
  readonly schema_name: string;
  readonly table_name: string;
  readonly chunk: string;
  readonly state: string;
  readonly at: string;
}

/** The agent writes how far topics are read at any time, and no cdc did before texts carried a version. */
const WRITTEN_BEFORE = RECORD_KINDS.filter((kind) => kind !== 'positions');

/** Rows of the records of this schema and of the slot. */
async function rows(clickhouse: ClickHouse): Promise<Row[]> {
  return clickhouse.rows<Row>(
    `SELECT schema_name, table_name, chunk, state, toString(l.at) AS at FROM cdc.loads AS l FINAL
      WHERE floor = 0 AND schema_name IN (${chLiteral(schema)}, '')
        AND chunk IN (${WRITTEN_BEFORE.map(chLiteral).join(', ')}) ORDER BY ALL`,
  );
}

/** The text that cdc wrote before texts carried a version. */
function earlier({ schema_name, table_name, chunk, state }: Row): string {
  const of = { schema: schema_name, table: table_name };
  const as = <K extends RecordKind>(kind: K) => decode(kind, state, of);
  const joined = (...parts: unknown[]) => parts.filter((part) => part !== undefined).join(':');
  switch (chunk) {
    case 'floor': {
      const floor = as('floor');
      return joined(floor?.position, floor?.oid);
    }
    case 'shape': {
      const shape = as('shape');
      return joined(shape?.shape, shape?.oid);
    }
    case 'history': {
      const history = as('history');
      const version = history?.state === 'done' ? history.version : undefined;
      return joined(history?.state, history?.oid, version);
    }
    case 'history end':
      return as('history end') ? 'ended' : 'open';
    case 'snapshot':
      return 'done';
    default:
      return JSON.stringify(as(chunk as RecordKind) ?? '').replace(/^""$/, '');
  }
}

/** Views that answer for earlier times, as an earlier cdc made them. */
async function makeEarlierViews(clickhouse: ClickHouse): Promise<void> {
  const views = await clickhouse.rows<{ statement: string }>(
    `SELECT create_table_query AS statement FROM system.tables
      WHERE database = ${chLiteral(schema)} AND name LIKE '%\\_as\\_of'`,
  );
  expect(views).toHaveLength(2);
  for (const { statement } of views) {
    const { isDone, version, isEnded } = HISTORY_SQL;
    const old = statement
      .replace('CREATE VIEW', 'CREATE OR REPLACE VIEW')
      .replace(`(${isDone})`, LEGACY_HISTORY_SQL.isDone)
      .replace(version, LEGACY_HISTORY_SQL.version)
      .replace(isEnded, `(${LEGACY_HISTORY_SQL.isEnded})`);
    for (const part of Object.values(LEGACY_HISTORY_SQL)) expect(old).toContain(part);
    await clickhouse.command(old);
  }
}

async function asOf(clickhouse: ClickHouse, table: string, at: string) {
  const [found] = await clickhouse.rows<{ rows: string; sum: string }>(
    `SELECT count() AS rows, sum(n) AS sum FROM ${schema}.${table}_as_of(at = '${at}')`,
  );
  return found;
}

async function now(clickhouse: ClickHouse): Promise<string> {
  const [found] = await clickhouse.rows<{ at: string }>(`SELECT toString(now64(6, 'UTC')) AS at`);
  return found?.at ?? '';
}

test('apply writes what an earlier cdc remembered anew: nothing is loaded again, histories answer for times before', async () => {
  await using clickhouse = target();
  await using client = await source();
  const tables = ['kept', 'ended', 'users'].map((name) => `${schema}.${name}`);
  await client.query(`UPDATE ${schema}.kept SET n = n - 1 WHERE n <= 50`);
  expect(await cdcJson('verify', ...tables)).toMatchObject({ ok: true });
  const then = await now(clickhouse);
  const seen = [await asOf(clickhouse, 'kept', then), await asOf(clickhouse, 'ended', then)];
  expect(seen).toMatchObject([{ rows: '99', sum: '4900' }, { rows: '1' }]);
  configure(true);
  await cdcJson('apply');
  await client.query(`UPDATE ${schema}.kept SET n = 0 WHERE id = 7`);

  const known = await rows(clickhouse);
  await clickhouse.insert(
    'cdc.loads',
    known.map((row) => ({ ...row, floor: 0, rows: 0, state: earlier(row) })),
  );
  await makeEarlierViews(clickhouse);
  const legacy = await rows(clickhouse);
  expect(legacy.map(({ state }) => state).filter((state) => state.includes('"v":'))).toEqual([]);
  expect(legacy.map(({ chunk }) => chunk)).toEqual(
    expect.arrayContaining(['floor', 'history', 'history end', 'names', 'rules', 'shape']),
  );
  expect(await asOf(clickhouse, 'kept', then)).toEqual(seen[0]);

  expect(await cdcJson('plan')).toMatchObject({ result: 'unchanged', changes: [] });
  expect(await cdcJson('status')).toMatchObject({ healthy: true });
  const applied = await cdcJson('apply');
  expect(applied).toMatchObject({ loads: [] });
  expect(await rows(clickhouse)).toEqual(known);
  expect([await asOf(clickhouse, 'kept', then), await asOf(clickhouse, 'ended', then)]).toEqual(
    seen,
  );
  // Of a history that was turned off, the end stays where it was.
  await expect(asOf(clickhouse, 'ended', await now(clickhouse))).rejects.toThrow(
    'the history does not reach to this time',
  );
  expect(await cdcJson('plan')).toMatchObject({ result: 'unchanged', changes: [] });
  expect(await cdcJson('verify', ...tables)).toMatchObject({ ok: true });

  // The rules are still known by the columns' numbers.
  await client.query(`ALTER TABLE ${schema}.users RENAME COLUMN email TO mail`);
  await client.query(`INSERT INTO ${schema}.users VALUES (2, 'secret-p', 'secret-m')`);
  expect((await cdcJson('apply')).loads).toMatchObject([{ table: `${schema}.users` }]);
  const copied = await clickhouse.rows<{ mail: string }>(`SELECT mail FROM ${schema}.users`);
  expect(copied).toHaveLength(2);
  expect(JSON.stringify(copied)).not.toContain('secret');
});

test('what a newer cdc remembered of columns that are kept back stops apply, and cdc doctor names it', async () => {
  await using clickhouse = target();
  const rules = (await rows(clickhouse)).find(({ chunk }) => chunk === 'rules');
  const write = (state: string | undefined) =>
    clickhouse.insert('cdc.loads', [
      { schema_name: schema, table_name: 'users', floor: 0, chunk: 'rules', state, rows: 0 },
    ]);
  await write('{"v":2,"columns":{}}');
  try {
    for (const verb of ['plan', 'apply']) {
      const ran = await cdc(verb);
      expect(ran.exit, ran.stderr).toBe(5);
      expect(ran.stderr).toContain('RECORD_UNREADABLE');
      expect(ran.stderr).toContain(`${schema}.users`);
      expect(ran.stderr).toContain('A newer cdc wrote it');
    }
    const { findings } = (await cdc('doctor', '--json')).json();
    expect(findings).toContainEqual(
      expect.objectContaining({ id: 'record-unreadable', severity: 'error' }),
    );
  } finally {
    await write(rules?.state);
  }
  expect(await cdcJson('plan')).toMatchObject({ result: 'unchanged' });
});
