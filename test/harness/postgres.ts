import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from '../../cli/lib/ports.ts';
import { pgLiteral } from '../../cli/lib/sql.ts';
import { waitFor } from '../../cli/lib/wait.ts';
import {
  postgresOutsideFolder,
  postgresServerFrom,
} from '../../cli/runtimes/embedded/servers/postgres.ts';
import type { ServerSetting } from '../../cli/runtimes/embedded/servers/server.ts';
import { createLayout, ensureSecrets, layoutOf } from '../../cli/stack/layout.ts';
import { cleanEnvironment } from './cli.ts';
import type { Certificate } from './tls.ts';

/** A PostgreSQL that is not cdc's: somebody else's database, for tests of `source.url`. */
export interface ForeignPostgres extends AsyncDisposable {
  readonly port: number;
  readonly password: string;
  /** Does something to its files while it does not run. */
  whileStopped(work: (data: string) => void): Promise<void>;
  /** Another cluster takes its place, with the same password. */
  makeAnew(): Promise<void>;
  /** Starts it once more, as a standby without a primary. */
  becomeStandby(): Promise<void>;
  url(options?: { user?: string; database?: string }): string;
  connect(options?: {
    user?: string;
    password?: string;
    database?: string;
  }): Promise<pg.Client & AsyncDisposable>;
}

export async function foreignPostgres(
  parameters: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = cleanEnvironment(),
  {
    from,
    tls,
    of,
  }: {
    from?: string;
    tls?: Certificate & { clientCa: string };
    /** A folder of another server's data, which becomes its own, with that one's password. */
    of?: { data: string; password: string };
  } = {},
): Promise<ForeignPostgres> {
  const postgresServer = postgresServerFrom(from);
  const directory = mkdtempSync(join(tmpdir(), 'cdc-foreign-'));
  const layout = layoutOf(directory);
  createLayout(layout);
  const port = await freePort();
  const secrets = { ...ensureSecrets(layout), ...(of && { postgres: of.password }) };
  const setting = {
    layout,
    secrets,
    ports: { postgres: port },
    env,
  } as unknown as ServerSetting;
  if (of) renameSync(of.data, layout.data('postgres'));
  else mkdirSync(layout.data('postgres'), { recursive: true, mode: 0o700 });
  const launch = await postgresServer.prepare(setting, new AbortController().signal);
  const secured = tls ? tlsParameters(directory, tls, launch) : {};
  const extra = Object.entries({ ...parameters, ...secured }).flatMap(([key, value]) => [
    '-c',
    `${key}=${value}`,
  ]);
  const { uid, gid } = launch;
  const start = async () => {
    const child = spawn(launch.command, [...launch.args, ...extra], {
      stdio: 'ignore',
      ...(uid === undefined ? {} : { uid, gid: gid ?? uid, cwd: '/' }),
    });
    await waitFor('the foreign PostgreSQL', { timeoutMs: 300_000 }, async () => {
      const answer = await postgresServer.ready(setting);
      return answer === true ? { ready: true } : { seen: answer };
    });
    return child;
  };
  const connect: ForeignPostgres['connect'] = async ({
    user = 'postgres',
    password = secrets.postgres,
    database = 'inventory',
  } = {}) => {
    const client = new pg.Client({ host: '127.0.0.1', port, user, password, database });
    await client.connect();
    return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
  };
  let server = await start();
  return {
    port,
    password: secrets.postgres,
    whileStopped: async (work) => {
      await end(server);
      work(layout.data('postgres'));
      server = await start();
    },
    makeAnew: async () => {
      await end(server);
      rmSync(layout.data('postgres'), { recursive: true });
      mkdirSync(layout.data('postgres'), { recursive: true, mode: 0o700 });
      await postgresServer.prepare(setting, new AbortController().signal);
      server = await start();
    },
    becomeStandby: async () => {
      await using client = await connect();
      const found = await client.query<{ data_directory: string }>('SHOW data_directory');
      const signal = join(found.rows[0]?.data_directory ?? '', 'standby.signal');
      await client.query(`COPY (SELECT) TO ${pgLiteral(signal)}`);
      // The server ends its sessions, too.
      client.on('error', () => {});
      await end(server);
      server = await start();
    },
    url: ({ user = 'postgres', database = 'inventory' } = {}) =>
      `postgres://${user}@127.0.0.1:${port}/${database}`,
    connect,
    [Symbol.asyncDispose]: async () => {
      await end(server);
      rmSync(directory, { recursive: true, force: true });
      rmSync(postgresOutsideFolder(layout.root), { recursive: true, force: true });
    },
  };
}

/** Users called `tls_…` connect by TLS only, and `tls_cert_…` with a certificate. */
function tlsParameters(
  directory: string,
  { cert, key, clientCa }: Certificate & { clientCa: string },
  { uid, gid }: { uid?: number; gid?: number },
): Record<string, string> {
  const folder = join(directory, 'tls');
  mkdirSync(folder, { mode: 0o755 });
  chmodSync(directory, 0o755);
  const write = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    if (uid !== undefined) chownSync(path, uid, gid ?? uid);
    return path;
  };
  const hba = [
    'hostssl all,replication /^tls_cert_ all cert',
    'host all,replication /^tls_cert_ all reject',
    'hostnossl all,replication /^tls_ all reject',
    'host all,replication all all scram-sha-256',
  ];
  return {
    ssl: 'on',
    ssl_cert_file: write('server.crt', cert),
    ssl_key_file: write('server.key', key),
    ssl_ca_file: write('clients.crt', clientCa),
    hba_file: write('pg_hba.conf', hba.map((line) => `${line}\n`).join('')),
  };
}

function end(server: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (server.exitCode !== null || server.signalCode !== null) return resolve();
    server.once('exit', () => resolve());
    server.kill('SIGINT');
  });
}
