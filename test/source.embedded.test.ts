import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSlot } from '../cli/components/postgres/prepare.ts';
import { freePort } from '../cli/lib/ports.ts';
import { pgIdent } from '../cli/lib/sql.ts';
import { layoutOf } from '../cli/stack/layout.ts';
import { liveState } from '../cli/stack/state.ts';
import { runCommand } from './harness/cli.ts';
import { type ForeignPostgres, foreignPostgres } from './harness/postgres.ts';

/** Somebody else's PostgreSQL, as it is before anybody prepared it. */
let unprepared: ForeignPostgres;
let ready: ForeignPostgres;
const folders: string[] = [];

beforeAll(async () => {
  unprepared = await foreignPostgres({ wal_level: 'replica' });
  ready = await foreignPostgres({});
});
afterAll(async () => {
  await unprepared[Symbol.asyncDispose]();
  await ready[Symbol.asyncDispose]();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function folder(yaml: string): string {
  const made = mkdtempSync(join(tmpdir(), 'cdc-source-'));
  folders.push(made);
  writeFileSync(join(made, 'cdc.yaml'), yaml);
  return made;
}

/** Runs a command, and holds that what it printed is for people and nothing was left behind. */
async function refused(yaml: string, argv: string[], env: Record<string, string> = {}) {
  const cwd = folder(yaml);
  const ran = await runCommand(argv, { cwd, env });
  expect(ran.stderr).not.toMatch(/^\s+at /m);
  const left = liveState(layoutOf(cwd));
  // What should not be there must not run on for ever.
  if (left) await runCommand(['down', '--delete-data'], { cwd, env });
  expect(left).toBeUndefined();
  return ran;
}

test('doctor names everything that is wrong with a database at once, each with the SQL that mends it', async () => {
  await using admin = await unprepared.connect();
  await admin.query(`CREATE ROLE limited LOGIN PASSWORD 'limited-secret'`);
  await admin.query('CREATE TABLE public.no_key (a int, b int)');
  await admin.query('CREATE TABLE public.fine (id int PRIMARY KEY)');
  await admin.query('CREATE UNLOGGED TABLE public.fast (id int PRIMARY KEY)');
  await admin.query('CREATE TABLE public.shapes (id int PRIMARY KEY, p regclass)');
  await admin.query('CREATE TYPE public.pair AS (a int, b text)');
  await admin.query('CREATE TABLE public.blind (id public.pair PRIMARY KEY, long text)');
  const overrides = `tables:\n  shapez:\n    columns: {}\n  shapes:\n    columns: { q: text, id: exclude }\n`;
  const yaml = `ports: auto\nsource:\n  url: ${unprepared.url({ user: 'limited' })}\n${overrides}`;
  const env = { CDC_SOURCE_PASSWORD: 'limited-secret' };
  const ran = await refused(yaml, ['doctor', '--json'], env);
  expect(ran.exit).toBe(6);
  const findings = ran.json().findings as { id: string; subject: string; fix: string }[];
  const ids = findings.map((f) => f.id);
  expect(ids).toEqual(
    expect.arrayContaining([
      'wal-level',
      'role-replication',
      'role-create',
      'identity-not-full',
      'table-unlogged',
      'type-not-carried',
      'key-not-looked-up',
      'table-select',
      'override-table',
      'override-column',
      'override-key',
    ]),
  );
  const fixOf = (id: string) => findings.find((f) => f.id === id)?.fix ?? '';
  expect(fixOf('wal-level')).toContain('ALTER SYSTEM SET wal_level = logical');
  expect(fixOf('type-not-carried')).toContain('"public.shapes": { columns: { "p": exclude } }');
  expect(fixOf('override-table')).toContain('public.shapes');
  expect(fixOf('role-replication')).toContain('ALTER ROLE "limited" REPLICATION');
  expect(fixOf('identity-not-full')).toContain(
    'ALTER TABLE "public"."no_key" REPLICA IDENTITY FULL',
  );
  // It only looked.
  const made = await admin.query(
    "SELECT (SELECT count(*) FROM pg_publication) + (SELECT count(*) FROM pg_replication_slots) + (SELECT count(*) FROM pg_namespace WHERE nspname = 'cdc') AS n",
  );
  expect(made.rows[0].n).toBe('0');
  const text = await runCommand(['doctor'], { cwd: folder(yaml), env, columns: 40 });
  expect(text.stdout).toContain('wal_level is replica');
  expect(text.stdout + text.stderr).not.toContain('limited-secret');
});

test('a wrong password, an unreachable host and a missing database end before anything is started', async () => {
  const wrong = await refused(`ports: auto\nsource:\n  url: ${ready.url()}\n`, ['up'], {
    CDC_SOURCE_PASSWORD: 'wrong-secret',
  });
  expect(wrong.exit).toBe(5);
  expect(wrong.stderr).toContain('SOURCE_AUTH');
  expect(wrong.stderr).not.toContain('wrong-secret');

  const port = await freePort();
  const gone = await refused(
    `ports: auto\nsource:\n  url: postgres://postgres@127.0.0.1:${port}/x\n`,
    ['up'],
    { CDC_SOURCE_PASSWORD: 'x' },
  );
  expect(gone.exit).toBe(4);
  expect(gone.stderr).toContain('SOURCE_UNREACHABLE');

  const missing = await refused(
    `ports: auto\nsource:\n  url: ${ready.url({ database: 'nothing' })}\n`,
    ['up'],
    { CDC_SOURCE_PASSWORD: ready.password },
  );
  expect(missing.exit).toBe(5);
  expect(missing.stderr).toContain('SOURCE_DATABASE');
});

test('a port that is taken is named with its owner, and ports: auto is offered', async () => {
  const server = createServer();
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  try {
    const ran = await refused(`ports:\n  postgres: ${port}\n`, ['up']);
    expect(ran.exit).toBe(3);
    expect(ran.stderr).toContain('PORT_IN_USE');
    expect(ran.stderr).toContain(`pid ${process.pid}`);
    expect(ran.stderr).toContain('ports: auto');
  } finally {
    server.close();
  }
});

test('no Java, and no Maven on a first start, end with the command that installs them', async () => {
  const bare = mkdtempSync(join(tmpdir(), 'cdc-bare-'));
  folders.push(bare);
  const noJava = await refused('ports: auto\n', ['up'], { PATH: bare, JAVA_HOME: '' });
  expect(noJava.exit).toBe(3);
  expect(noJava.stderr).toContain('JAVA_MISSING');
});

test('no network on the first start ends with a problem and leaves no half-made jars', async () => {
  const cache = mkdtempSync(join(tmpdir(), 'cdc-cache-'));
  folders.push(cache);
  const home = mkdtempSync(join(tmpdir(), 'cdc-home-'));
  folders.push(home);
  // Maven without a repository to reach: a mirror of everything at a port where nobody listens.
  mkdirSync(join(home, '.m2'));
  writeFileSync(
    join(home, '.m2', 'settings.xml'),
    `<settings><mirrors><mirror><id>none</id><mirrorOf>*</mirrorOf><url>http://127.0.0.1:${await freePort()}/</url></mirror></mirrors></settings>`,
  );
  const ran = await refused('ports: auto\n', ['up'], {
    CDC_CACHE: cache,
    MAVEN_OPTS: `-Duser.home=${home}`,
  });
  expect(ran.exit).toBe(4);
  expect(ran.stderr).toContain('JARS_UNAVAILABLE');
  expect(readdirSync(cache)).toEqual([]);
});

test('an existing database is described, prepared, loaded and proved; leaving it leaves no process', async () => {
  await using admin = await ready.connect();
  await admin.query('CREATE DATABASE shop');
  await using shop = await ready.connect({ database: 'shop' });
  await shop.query(
    `CREATE TABLE public.items (id bigint PRIMARY KEY, name text, price numeric(10,2)); INSERT INTO public.items SELECT g, 'item ' || g, g / 4.0 FROM generate_series(1, 5000) g`,
  );
  await shop.query('CREATE TABLE public.notes (body text)');
  const cwd = mkdtempSync(join(tmpdir(), 'cdc-shop-'));
  folders.push(cwd);
  const env = { PGPASSWORD: ready.password };
  const init = await runCommand(['init', '--source', ready.url({ database: 'shop' }), '--json'], {
    cwd,
    env,
  });
  expect(init.exit).toBe(0);
  const yaml = readFileSync(join(cwd, 'cdc.yaml'), 'utf8');
  expect(yaml).toContain('public.notes');
  expect(yaml).not.toContain(ready.password);
  const again = await runCommand(['init', '--source', ready.url({ database: 'shop' })], {
    cwd,
    env,
  });
  expect(again.exit).toBe(3);

  const auto = { ...env, CDC_PORTS: 'auto' };
  try {
    const up = await runCommand(['up', '--json'], { cwd, env: auto });
    expect(up.stderr + up.stdout).not.toContain(ready.password);
    expect(up.exit).toBe(0);
    expect(up.json()).toMatchObject({ runtime: 'embedded', tables: 1, loaded_rows: 5000 });
    await shop.query(
      'UPDATE public.items SET price = price + 1 WHERE id % 10 = 0; DELETE FROM public.items WHERE id > 4990',
    );
    const verify = await runCommand(['verify', '--json'], { cwd, env: auto });
    expect(verify.json()).toMatchObject({ ok: true, rows: 4990 });
    const second = await runCommand(['up', '--json'], { cwd, env: auto });
    expect(second.json()).toMatchObject({ result: 'unchanged' });
  } finally {
    const down = await runCommand(['down', '--delete-data', '--json'], { cwd, env: auto });
    expect(down.exit).toBe(0);
  }
  expect(existsSync(join(cwd, '.cdc', 'state.json'))).toBe(false);
});

test('an address is read as libpq reads it, and what would be ignored or cannot be reached is refused by name', async () => {
  const { port, password } = ready;
  const env = { CDC_SOURCE_PASSWORD: password };
  const said = async (url: string) => {
    const ran = await refused(`ports: auto\nsource:\n  url: ${url}\n`, ['doctor', '--json'], env);
    return (ran.json().findings as { id: string; message: string }[]).map(
      ({ id, message }) => `${id}: ${message}`,
    );
  };
  const all = async (url: string) => (await said(url)).join('\n');
  const found = await all(`postgres:///inventory?host=127.0.0.1&port=${port}&user=postgres`);
  expect(found).toContain('no table matches source.include');
  expect(found).not.toContain('5432');
  for (const [url, named] of [
    [`postgres://postgres@127.0.0.1:${port}/inventory?options=-csearch_path%3Dx`, 'options'],
    [`postgres://postgres@127.0.0.1:${port}/inventory?target_session_attrs=any`, 'target_session'],
    [`postgres:///inventory?host=/run/postgresql&port=${port}`, 'the folder of a socket'],
    [`postgres:///inventory?host=a.example,b.example`, 'several hosts'],
    [`postgres://postgres@[::1]:${port}/inventory`, 'no IPv6 address (::1)'],
    [`postgres:///inventory?port=many`, 'many is no port'],
  ] as const)
    expect(await all(url), url).toContain(named);
});

test.each(['a+b', '50%', 'why?'])(
  'a database called %s, which Debezium cannot address, is refused before anything is made',
  async (name) => {
    await using admin = await ready.connect();
    await admin.query(`CREATE DATABASE ${pgIdent(name)}`);
    const yaml = `ports: auto\nsource:\n  url: ${ready.url({ database: encodeURIComponent(name) })}\n`;
    const ran = await refused(yaml, ['up', '--json'], { CDC_SOURCE_PASSWORD: ready.password });
    expect(ran.exit).not.toBe(0);
    expect(ran.stderr).toContain(`a database with ${name.replace(/\w/g, '')} in its name`);
    const slots = await admin.query('SELECT 1 FROM pg_replication_slots WHERE database = $1', [
      name,
    ]);
    expect(slots.rowCount).toBe(0);
    await admin.query(`DROP DATABASE ${pgIdent(name)}`);
  },
);

test('a slot that waits for a transaction says for whose, and leaves nothing when it is given up', async () => {
  await using holder = await ready.connect();
  await using client = await ready.connect();
  await using watcher = await ready.connect();
  await holder.query("SET application_name = 'month end'");
  await holder.query('BEGIN; SELECT pg_current_xact_id()');
  const abort = new AbortController();
  const said: string[] = [];
  const making = createSlot(client, watcher, 'waits', abort.signal, (text) => {
    said.push(text);
    abort.abort(new Error('enough'));
  });
  await expect(making).rejects.toThrow();
  expect(said[0]).toMatch(/^the slot waits for pid \d+ of postgres \(month end\), for /);
  const left = await watcher.query(
    `SELECT slot_name FROM pg_replication_slots WHERE slot_name = 'waits' UNION ALL
     SELECT query FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_create_logical%' AND pid <> pg_backend_pid()`,
  );
  expect(left.rows).toEqual([]);
  // It is made once the transaction ends.
  const again = createSlot(client, watcher, 'waits', new AbortController().signal, () => {
    void holder.query('COMMIT');
  });
  expect(await again).toBeGreaterThan(0n);
  await watcher.query("SELECT pg_drop_replication_slot('waits')");
});

test('a standby is refused by doctor and by up, before anything is started', async () => {
  await ready.becomeStandby();
  const yaml = `ports: auto\nsource:\n  url: ${ready.url()}\n`;
  const env = { CDC_SOURCE_PASSWORD: ready.password };
  const looked = await refused(yaml, ['doctor', '--json'], env);
  expect(looked.json().findings).toContainEqual(
    expect.objectContaining({ id: 'source-standby', severity: 'error' }),
  );
  const ran = await refused(yaml, ['up'], env);
  expect(ran.exit).not.toBe(0);
  expect(ran.stderr).toContain('it is a standby');
});
