import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectPostgres } from '../cli/components/postgres/client.ts';
import { StopWaiting, waitFor } from '../cli/lib/wait.ts';
import { attach } from '../cli/pipeline/state/stack.ts';
import { cleanEnvironment, MAIN, type Ran, runCommand, testContext } from './harness/cli.ts';
import { eventually, WAIT_MS } from './harness/database.ts';
import { type ForeignPostgres, foreignPostgres } from './harness/postgres.ts';

const parent = realpathSync(mkdtempSync(join(tmpdir(), 'cdc-backup-')));
const target = join(parent, 'backups');
const PASSPHRASE = { CDC_BACKUP_PASSPHRASE: 'horse battery' };

afterAll(() => rmSync(parent, { recursive: true, force: true }));

function folder(name: string, ...settings: string[]): string {
  const path = join(parent, name);
  mkdirSync(path);
  const lines = ['ports: auto', 'observability: off', 'agent: { schema_changes: report }'];
  if (settings.length > 0)
    writeFileSync(join(path, 'cdc.yaml'), `${[...lines, ...settings].join('\n')}\n`);
  return path;
}

const run = (cwd: string, args: string[], env: Record<string, string> = PASSPHRASE): Promise<Ran> =>
  runCommand([...args, '--json'], { cwd, env });

// biome-ignore lint/suspicious/noExplicitAny: a test says what it expects to find
async function result(cwd: string, ...args: string[]): Promise<any> {
  const ran = await run(cwd, args);
  expect(ran.exit, ran.stderr).toBe(0);
  return ran.json();
}

async function refusal(cwd: string, args: string[], env = PASSPHRASE): Promise<string> {
  const ran = await run(cwd, args, env);
  expect(ran.exit).not.toBe(0);
  expect(ran.stderr).not.toContain('    at ');
  return ran.json().error.code;
}

async function write(cwd: string, ...statements: string[]): Promise<void> {
  const { endpoints } = attach(testContext({ cwd }).context, {});
  const client = await connectPostgres(endpoints.postgres);
  for (const statement of statements) await client.query(statement);
  await client.end();
}

const customers = (from: number, to: number) =>
  `INSERT INTO inventory.customers (first_name, last_name, email)
   SELECT 'A', 'B', g || '@backup.example' FROM generate_series(${from}, ${to}) g`;

async function count(cwd: string, of: string): Promise<number> {
  const { endpoints } = attach(testContext({ cwd }).context, {});
  const client = await connectPostgres(endpoints.postgres);
  const found = await client.query(`SELECT count(*) AS n FROM ${of}`);
  await client.end();
  return Number(found.rows[0]?.n);
}

/** Starts a command as a process of its own, and kills it as soon as it has come to some point. */
async function killedAt(isThere: () => boolean, cwd: string, ...args: string[]): Promise<void> {
  const env = { ...cleanEnvironment(), ...PASSPHRASE };
  const child = spawn(process.execPath, [MAIN, ...args], { cwd, env, stdio: 'ignore' });
  const ended = once(child, 'exit');
  await waitFor(`cdc ${args.join(' ')} to come so far`, { timeoutMs: WAIT_MS, everyMs: 2 }, () => {
    if (child.exitCode !== null) throw new StopWaiting(new Error(`it ended: ${child.exitCode}`));
    return isThere() ? { ready: true } : { seen: 'not yet' };
  });
  child.kill('SIGKILL');
  expect(await ended).toEqual([null, 'SIGKILL']);
}

describe('a stack whose PostgreSQL cdc runs', () => {
  let cwd = '';
  let first = '';
  let before = new Date();

  beforeAll(async () => {
    cwd = folder('stack', `backup: { to: ${JSON.stringify(target)} }`);
    await result(cwd, 'up');
  });
  afterAll(async () => {
    await result(cwd, 'down', '--delete-data');
  });

  it('is backed up by its agent without being asked', async () => {
    await eventually('the first backup', ['full'], async () => {
      const { backups } = await result(cwd, 'backup', 'list');
      first = backups[0]?.id;
      return backups.map(({ kind }: { kind: string }) => kind);
    });
    expect(await result(cwd, 'status')).toMatchObject({ last_backup: { id: first, kind: 'full' } });
  });

  it('has incremental ones on that, and what a kill left of another is no backup', async () => {
    await write(cwd, customers(1, 1000));
    before = new Date();
    await killedAt(
      () =>
        readdirSync(target).some(
          (name) => existsSync(join(target, name, 'clickhouse')) && name.endsWith('.unfinished'),
        ),
      cwd,
      'backup',
      'create',
    );
    expect(readdirSync(target).some((name) => name.endsWith('.unfinished'))).toBe(true);
    expect((await result(cwd, 'backup', 'list')).backups).toHaveLength(1);
    await write(cwd, customers(1001, 2000));
    const made = await result(cwd, 'backup', 'create');
    expect(made).toMatchObject({ kind: 'incremental', base: first, secrets: 'encrypted' });
    expect(readdirSync(target).some((name) => name.endsWith('.unfinished'))).toBe(false);
    expect(await result(cwd, 'backup', 'verify')).toMatchObject({ chain: [first, made.id] });
  });

  it('is not put back over itself, nor by a wrong passphrase, nor from a damaged backup', async () => {
    expect(await refusal(cwd, ['restore', target])).toBe('RESTORE_OVER_DATA');
    const empty = folder('empty');
    const wrong = { CDC_BACKUP_PASSPHRASE: 'another' };
    expect(await refusal(empty, ['restore', target], wrong)).toBe('BACKUP_PASSPHRASE');
    const damaged = join(parent, 'damaged');
    cpSync(target, damaged, { recursive: true });
    appendFileSync(join(damaged, first, 'postgres', 'PG_VERSION'), '\n');
    expect(await refusal(empty, ['restore', damaged])).toBe('BACKUP_DAMAGED');
    expect(await refusal(empty, ['restore', target, '--at', '2000-01-01T00:00:00Z'])).toBe(
      'RESTORE_TIME',
    );
    expect(await refusal(empty, ['restore', join(parent, 'nothing')])).toBe('BACKUP_UNKNOWN');
    expect(readdirSync(empty)).toEqual([]);
    rmSync(damaged, { recursive: true });
    expect((await result(cwd, 'verify')).ok).toBe(true);
  });

  it('no backup holds a password in clear', async () => {
    const { secrets } = attach(testContext({ cwd }).context, {});
    const texts = readdirSync(target, { recursive: true, encoding: 'utf8' }).filter((path) =>
      /settings\/|manifest\.json$/.test(path),
    );
    expect(texts.length).toBeGreaterThan(3);
    for (const path of texts
      .map((name) => join(target, name))
      .filter((p) => statSync(p).isFile())) {
      const text = readFileSync(path, 'utf8');
      expect(
        Object.values(secrets).filter((word) => text.includes(word)),
        path,
      ).toEqual([]);
    }
  });

  it('comes back after all of it is gone: what was written after the last backup, too, and changes flow', async () => {
    await write(cwd, customers(2001, 3000), 'DELETE FROM inventory.orders WHERE id = 10001');
    const rows = await count(cwd, 'inventory.customers');
    // PostgreSQL's last words are archived once the agent has seen them.
    const written = new Date();
    await eventually('the archive', true, async () => {
      const { archived_until: until } = await result(cwd, 'backup', 'list');
      return new Date(until) > written;
    });
    await result(cwd, 'down', '--delete-data');
    rmSync(join(cwd, 'cdc.yaml'));
    await killedAt(
      () => existsSync(join(cwd, '.cdc', 'postgres', 'recovery.signal')),
      cwd,
      'restore',
      target,
    );
    expect(await refusal(cwd, ['up'])).toBe('RESTORE_UNFINISHED');
    const restored = await result(cwd, 'restore', target);
    expect(restored.verification).toMatchObject({ ok: true, left_out: [] });
    expect(await count(cwd, 'inventory.customers')).toBe(rows);
    await write(
      cwd,
      customers(3001, 3100),
      "DELETE FROM inventory.customers WHERE email LIKE '%@backup.example' AND id < 1500",
    );
    expect((await result(cwd, 'verify')).ok).toBe(true);
    expect(existsSync(join(cwd, '.cdc', 'restoring.json'))).toBe(false);
  });

  it('begins a new chain then, since its past is another one', async () => {
    expect(await result(cwd, 'backup', 'create')).toMatchObject({ kind: 'full' });
  });

  it('comes back as it was at a time, what stood there is moved aside', async () => {
    const at = before.toISOString();
    const ids = (await result(cwd, 'backup', 'list')).backups.map((one: { id: string }) => one.id);
    expect(ids[0]).toBe(first);
    const restored = await result(cwd, 'restore', target, '--at', at, '--replace');
    expect(restored).toMatchObject({ backup: first, verification: { ok: true } });
    expect(new Date(restored.restored_to) <= new Date(at)).toBe(true);
    expect(await count(cwd, "inventory.customers WHERE email LIKE '%@backup.example'")).toBe(1000);
    expect(existsSync(join(restored.aside, 'postgres', 'PG_VERSION'))).toBe(true);
  });
});

describe("a stack whose source is the user's own", () => {
  const folders = ['own', 'moved', 'late'].map((name) => join(parent, name));
  const own = join(parent, 'own-backups');
  let source: ForeignPostgres;

  beforeAll(async () => {
    source = await foreignPostgres({});
    await using client = await source.connect();
    await client.query('CREATE SCHEMA shop');
    await client.query('CREATE TABLE shop.items (id int PRIMARY KEY, name text)');
    await client.query(
      "INSERT INTO shop.items SELECT g, 'item ' || g FROM generate_series(1, 1000) g",
    );
    writeFileSync(join(parent, 'source.password'), source.password);
    folder(
      'own',
      `source: { url: ${JSON.stringify(source.url())}, password_file: ../source.password, include: [shop.*] }`,
      `backup: { to: ${JSON.stringify(own)}, every: 1000h, source_slot: true }`,
    );
    for (const path of folders.slice(1)) mkdirSync(path);
  });
  afterAll(async () => {
    for (const cwd of folders) await run(cwd, ['down', '--delete-data']);
    await source?.[Symbol.asyncDispose]();
  });

  const change = async (...statements: string[]) => {
    await using client = await source.connect();
    for (const statement of statements) await client.query(statement);
  };

  it('goes on from its slot, where that has all that came after the backup', async () => {
    const [cwd = '', moved = ''] = folders;
    await result(cwd, 'up');
    await eventually(
      'a backup',
      1,
      async () => (await result(cwd, 'backup', 'list')).backups.length,
    );
    expect(await refusal(moved, ['restore', own])).toBe('RESTORE_SLOT_IN_USE');
    const made = await result(cwd, 'backup', 'create');
    expect(made.kind).toBe('incremental');
    await result(cwd, 'down', '--delete-data');
    await change(
      "UPDATE shop.items SET name = 'changed' WHERE id <= 500",
      'DELETE FROM shop.items WHERE id > 900',
    );
    const restored = await result(moved, 'restore', own);
    expect(restored).toMatchObject({ goes_on: true, verification: { ok: true, left_out: [] } });
    expect(restored.restored_to).toBeUndefined();
  });

  it('is loaded again where the slot has passed the backup, deletes of the time between included', async () => {
    const [, moved = '', late = ''] = folders;
    await change(
      'DELETE FROM shop.items WHERE id < 100',
      "INSERT INTO shop.items SELECT g, 'late ' || g FROM generate_series(2000, 2500) g",
    );
    expect((await result(moved, 'verify')).ok).toBe(true);
    await result(moved, 'down', '--delete-data');
    const [backup] = (await result(moved, 'backup', 'list', own)).backups;
    const restored = await result(late, 'restore', join(own, backup.id));
    expect(restored).toMatchObject({ goes_on: false, verification: { ok: true, left_out: [] } });
    await change("UPDATE shop.items SET name = 'again' WHERE id = 2000");
    expect((await result(late, 'verify')).ok).toBe(true);
  });
});
