import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommand } from './harness/cli.ts';
import { type ForeignPostgres, foreignPostgres } from './harness/postgres.ts';

/**
 * Somebody else's database, and a role in it that owns nothing: its owner has run what `cdc init --sql`
 * printed, and nothing else.
 */
let server: ForeignPostgres;
let owner: pg.Client & AsyncDisposable;
let cwd = '';
const SECRET = 'reader-secret';

beforeAll(async () => {
  server = await foreignPostgres({});
  await using admin = await server.connect();
  await admin.query(`CREATE ROLE shopkeeper LOGIN PASSWORD 'owner' SUPERUSER`);
  await admin.query('CREATE DATABASE "The Shop" OWNER shopkeeper');
  owner = await server.connect({ user: 'shopkeeper', password: 'owner', database: 'The Shop' });
  await owner.query(`
    CREATE SCHEMA "s p";
    CREATE TABLE items (id bigint PRIMARY KEY, name text, until timestamptz DEFAULT 'infinity');
    CREATE TABLE "s p"."It's $cdc$ ""x" (id int PRIMARY KEY);
    CREATE TABLE "s p"."It's $cdc$" (id int PRIMARY KEY, n numeric);
    INSERT INTO items SELECT g, 'item ' || g FROM generate_series(1, 1000) g;
    INSERT INTO "s p"."It's $cdc$" VALUES (1, 'NaN')`);
  cwd = mkdtempSync(join(tmpdir(), 'cdc-rights-'));
  const url = server.url({ user: 'Reader%20%22x%22', database: 'The%20Shop' });
  writeFileSync(
    join(cwd, 'cdc.yaml'),
    `ports: auto\nobservability: off\nagent: { schema_changes: report }\nsource: { url: '${url}' }\n`,
  );
});
afterAll(async () => {
  await run('down', '--delete-data');
  await owner.end();
  await server[Symbol.asyncDispose]();
  rmSync(cwd, { recursive: true, force: true });
});

const run = (...argv: string[]) => runCommand(argv, { cwd, env: { CDC_SOURCE_PASSWORD: SECRET } });

async function script(): Promise<string> {
  const ran = await runCommand(
    ['init', '--sql', '--source', server.url({ user: 'shopkeeper', database: 'The%20Shop' })],
    { cwd, env: { CDC_SOURCE_PASSWORD: 'owner' } },
  );
  expect(ran.exit, ran.stderr).toBe(0);
  expect(ran.stdout).not.toContain('owner\n');
  return ran.stdout;
}

/** All that `cdc up` could alter in the source. */
async function standing(): Promise<unknown> {
  const found = await owner.query(
    `SELECT (SELECT json_agg(p.xmin::text) FROM pg_publication p) AS publications,
            (SELECT json_agg(r.xmin::text ORDER BY r.oid) FROM pg_publication_rel r) AS members,
            (SELECT json_agg(c.xmin::text ORDER BY c.oid) FROM pg_class c WHERE c.relnamespace = 'cdc'::regnamespace AND c.relkind = 'r') AS own`,
  );
  return found.rows[0];
}

test('the script of cdc init --sql can be run twice, holds no password, and is all that a role needs which owns nothing', async () => {
  const sql = await script();
  await owner.query(sql);
  await owner.query(await script());
  expect(await script()).toBe(sql);
  await owner.query(`ALTER ROLE "Reader ""x""" PASSWORD '${SECRET}'`);
  const before = await standing();
  const up = await run('up', '--json');
  expect(up.exit, up.stderr).toBe(0);
  // A name with a double quote stops Debezium: it is left out, and named.
  expect(up.json()).toMatchObject({ tables: 2, loaded_rows: 1001 });
  expect(up.json().left_out).toHaveLength(1);
  expect(await standing()).toEqual(before);

  await owner.query(
    `UPDATE items SET name = name || '!' WHERE id % 10 = 0; DELETE FROM items WHERE id > 990; INSERT INTO items VALUES (5000, 'new')`,
  );
  const verified = await run('verify', 'public.*', '--json');
  expect(verified.json()).toMatchObject({ ok: true, rows: 991 });
  const again = await run('up', '--json');
  expect(again.json()).toMatchObject({ result: 'unchanged' });
  expect(await standing()).toEqual(before);
}, 180_000);

test('a table that comes later is one statement away, and others flow on without it', async () => {
  await owner.query('CREATE TABLE later (id int PRIMARY KEY); INSERT INTO later VALUES (1)');
  await owner.query(`INSERT INTO items VALUES (6000, 'beside it')`);
  const applied = await run('apply', '--json');
  expect(applied.exit, applied.stderr).toBe(0);
  expect((await run('verify', 'public.items', '--json')).json()).toMatchObject({ ok: true });
  const { findings } = (await run('doctor', '--json')).json() as {
    findings: { id: string; subject: string; fix: string }[];
  };
  const own = findings.filter(({ subject }) => subject === 'public.later');
  expect(own.map(({ id }) => id)).toEqual(['table-owner']);
  await owner.query(own[0]?.fix ?? '');
  expect((await run('apply', '--json')).exit).toBe(0);
  expect((await run('verify', 'public.later', '--json')).json()).toMatchObject({
    ok: true,
    rows: 1,
  });
}, 120_000);

test('a publication that lacks the tables of cdc itself is a finding with the statement', async () => {
  await owner.query('ALTER PUBLICATION cdc_cdc DROP TABLE cdc.signal');
  const { findings } = (await run('doctor', '--json')).json() as {
    findings: { id: string; fix: string }[];
  };
  const found = findings.find(({ id }) => id === 'publication-own-tables');
  expect(found?.fix).toContain('ADD TABLE ONLY "cdc"."signal"');
  expect(found?.fix).toContain('cdc init --sql');
  await owner.query(found?.fix ?? '');
  const after = (await run('doctor', '--json')).json() as { findings: { id: string }[] };
  expect(after.findings.map(({ id }) => id)).not.toContain('publication-own-tables');
}, 60_000);
