import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../cli/lib/ports.ts';
import { StopWaiting, waitFor } from '../../cli/lib/wait.ts';
import type { ForeignPostgres } from './postgres.ts';

/** It does not run as root. */
const NOBODY = 65_534;

export interface Pooler extends AsyncDisposable {
  readonly port: number;
}

/** A PgBouncer in front of somebody's PostgreSQL; one that is not installed is a failure that says so. */
export async function pgBouncer(
  server: Pick<ForeignPostgres, 'port' | 'password'>,
  mode: 'session' | 'transaction' | 'statement',
): Promise<Pooler> {
  const directory = mkdtempSync(join(tmpdir(), 'cdc-pooler-'));
  const port = await freePort();
  const users = join(directory, 'users.txt');
  const config = join(directory, 'pgbouncer.ini');
  writeFileSync(users, `"postgres" "${server.password}"\n`);
  writeFileSync(
    config,
    `[databases]
* = host=127.0.0.1 port=${server.port} user=postgres password=${server.password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = md5
auth_file = ${users}
pool_mode = ${mode}
`,
  );
  const isRoot = process.getuid?.() === 0;
  if (isRoot) for (const path of [directory, users, config]) chownSync(path, NOBODY, NOBODY);
  const child = spawn('pgbouncer', ['-q', config], {
    cwd: '/',
    stdio: 'ignore',
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
    ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}),
  });
  let failed: Error | undefined;
  child.once('error', () => {
    failed = new Error(
      'pgbouncer is not installed: apt-get install -y --no-install-recommends pgbouncer',
    );
  });
  await waitFor('PgBouncer', { timeoutMs: 300_000 }, async () => {
    if (failed) throw new StopWaiting(failed);
    return (await listens(port)) ? { ready: true } : { seen: 'nothing listens' };
  });
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      await ended(child);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Hands connections on: those that are to replicate to one port, the others to another. */
export async function dividing(port: number, replication: number): Promise<Pooler> {
  const open = new Set<Socket>();
  const server = createServer((client) => {
    open.add(client);
    client.on('error', () => {});
    client.once('data', (startup) => {
      const beyond = connect(startup.includes('replication\0') ? replication : port, '127.0.0.1');
      open.add(beyond);
      beyond.on('error', () => client.destroy());
      beyond.write(startup);
      client.pipe(beyond).pipe(client);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });
}
