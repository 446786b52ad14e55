import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withArchive } from '../cli/backup/archive.ts';
import { connectPostgres } from '../cli/components/postgres/client.ts';
import { StopWaiting, waitFor } from '../cli/lib/wait.ts';
import { attach } from '../cli/pipeline/state/stack.ts';
import { folder, PASSPHRASE, parent, refusal, removeFolders, result } from './harness/backups.ts';
import { cleanEnvironment, MAIN, testContext } from './harness/cli.ts';
import { eventually, WAIT_MS } from './harness/database.ts';

const target = join(parent, 'backups');

removeFolders();

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
    // The agent archives WAL here meanwhile: what it writes and takes away would fail the copy.
    await withArchive(target, async () => cpSync(target, damaged, { recursive: true }));
    rmSync(join(damaged, 'archive.lock'));
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
