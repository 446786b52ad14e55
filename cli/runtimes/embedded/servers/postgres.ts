import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { parseLsn } from '../../../core/lsn.ts';
import { Problem } from '../../../core/problems.ts';
import { fileProblem, freeBytes } from '../../../lib/files.ts';
import { isAlive, programName } from '../../../lib/processes.ts';
import { runProgram } from '../../../lib/run.ts';
import { pgIdent, pgLiteral } from '../../../lib/sql.ts';
import type { Layout } from '../../../stack/layout.ts';
import { POSTGRES_DATABASE, POSTGRES_USER } from '../../../stack/users.ts';
import { type Recovered, RecoveryError } from '../../runtime.ts';
import { postgresHome, postgresPackageVersion } from '../packages.ts';
import { runToEnd } from './run.ts';
import type { EmbeddedServer, Launch, ServerSetting } from './server.ts';

/** An unprivileged user that every Linux has. */
const NOBODY = 65_534;
const AS_NOBODY = ['-U', `--map-user=${NOBODY}`, `--map-group=${NOBODY}`];

/** What its place depends on. */
type Place = Pick<ServerSetting, 'layout' | 'env'>;

/**
 * PostgreSQL refuses to run as root, and for a user without a name. For those it runs in a user namespace that shows
 * them as `nobody`: that works from any path. Where such namespaces are closed, root's runs as `nobody`, with binaries
 * and data where `nobody` can reach them.
 */
interface Identity {
  readonly home: string;
  readonly data: string;
  wrap(command: string, args: readonly string[]): Launch;
}

function identity(setting: Place, from: string | undefined): Identity {
  const home = postgresHome(from);
  const data = setting.layout.data('postgres');
  const isRoot = process.getuid?.() === 0;
  if (!isRoot && hasName()) return { home, data, wrap: (command, args) => ({ command, args }) };
  const outside = postgresOutsideFolder(setting.layout.root);
  const theirs = join(outside, 'data');
  // Data that were given to nobody stay there, whatever this machine allows now.
  if (!(isRoot && existsSync(theirs)) && hasNamespaces(setting.env)) {
    return {
      home,
      data,
      wrap: (command, args) => ({ command: 'unshare', args: [...AS_NOBODY, command, ...args] }),
    };
  }
  if (!isRoot) throw unnamed();
  // Another version's binaries are another folder.
  const copy = join(outside, `home-${postgresPackageVersion(from)}`);
  try {
    mkdirSync(outside, { recursive: true, mode: 0o755 });
    copyWhole(home, copy);
    if (existsSync(join(data, 'PG_VERSION'))) {
      // Made while user namespaces were open.
      copyWhole(data, theirs, giveToNobody);
      rmSync(data, { recursive: true });
    }
    mkdirSync(theirs, { recursive: true, mode: 0o700 });
    chownSync(theirs, NOBODY, NOBODY);
  } catch (error) {
    throw fileProblem(outside, error);
  }
  return {
    home: copy,
    data: theirs,
    wrap: (command, args) => ({ command, args, uid: NOBODY, gid: NOBODY }),
  };
}

/** Throws USER_UNNAMED where PostgreSQL would not start for this user. */
export function requireName(env: NodeJS.ProcessEnv): void {
  if (process.getuid?.() !== 0 && !hasName() && !hasNamespaces(env)) throw unnamed();
}

function hasName(): boolean {
  try {
    return userInfo().username !== '';
  } catch {
    return false;
  }
}

function hasNamespaces(env: NodeJS.ProcessEnv): boolean {
  return spawnSync('unshare', [...AS_NOBODY, 'true'], { env }).status === 0;
}

function unnamed(): Problem {
  return new Problem('USER_UNNAMED', {
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
  });
}

/** Copies a folder so that it is there as a whole or not at all; one that is there stays. */
function copyWhole(from: string, to: string, before: (half: string) => void = () => {}): void {
  if (existsSync(to)) return;
  const half = `${to}.half`;
  rmSync(half, { recursive: true, force: true });
  cpSync(from, half, { recursive: true, verbatimSymlinks: true });
  before(half);
  renameSync(half, to);
}

function giveToNobody(folder: string): void {
  lchownSync(folder, NOBODY, NOBODY);
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }))
    lchownSync(join(folder, name), NOBODY, NOBODY);
}

function shortDigest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

/**
 * The folder outside `.cdc/` that `down --delete-data` has to remove too. Not below a folder where
 * everybody may write: others could make it first; and what is there for a month is swept away.
 */
export function postgresOutsideFolder(root: string): string {
  return join('/var/lib', `cdc-${shortDigest(root)}`);
}

/** Where the data of a stack's PostgreSQL can be. */
export function postgresFolders(layout: Layout): string[] {
  return [layout.data('postgres'), join(postgresOutsideFolder(layout.root), 'data')];
}

/**
 * PostgreSQL does not start while the process that its pid file names is there. That one can be dead, and wait for an
 * init that reaps late; or its pid, after a restart of the machine or the container, is another program's.
 */
export function forgetDeadPostmaster(data: string): void {
  const file = join(data, 'postmaster.pid');
  let pid: number;
  try {
    pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
  } catch {
    return;
  }
  const program = programName(pid);
  if (!isAlive(pid) || (program !== undefined && program !== 'postgres'))
    rmSync(file, { force: true });
}

const SHARED_MEMORY_BYTES = 32 * 1024 ** 2;

/** What processes share is in /dev/shm, which containers make small; else it is in the folder of the data. */
function sharedMemory(): Record<string, string> {
  try {
    if (freeBytes('/dev/shm') >= SHARED_MEMORY_BYTES) return {};
  } catch {
    // There is none.
  }
  return { dynamic_shared_memory_type: 'mmap' };
}

export function postgresSettings(setting: ServerSetting): Record<string, string> {
  return {
    listen_addresses: '127.0.0.1',
    port: String(setting.ports.postgres),
    unix_socket_directories: '',
    wal_level: 'logical',
    max_wal_senders: '10',
    max_replication_slots: '10',
    max_connections: '100',
    // Two-phase commits work as they do on a server that uses them; none are made by cdc.
    max_prepared_transactions: '10',
    password_encryption: 'scram-sha-256',
    shared_buffers: '128MB',
    max_wal_size: '2GB',
    timezone: 'UTC',
    log_timezone: 'UTC',
    // A slot that nobody reads must not fill the disk of a laptop.
    max_slot_wal_keep_size: '10GB',
  };
}

async function initialize(
  setting: ServerSetting,
  who: Identity,
  signal: AbortSignal,
): Promise<void> {
  if (existsSync(join(who.data, 'PG_VERSION')) && existsSync(join(who.data, 'cdc-initialized')))
    return;
  // A half-made folder of an interrupted initdb is emptied; a finished one is never touched.
  if (existsSync(who.data)) {
    for (const entry of readdirSync(who.data))
      rmSync(join(who.data, entry), { recursive: true, force: true });
  } else {
    mkdirSync(who.data, { recursive: true, mode: 0o700 });
  }
  const launch = who.wrap(join(who.home, 'bin', 'initdb'), []);
  const passwordFile = `${who.data}.pw`;
  writeFileSync(passwordFile, `${setting.secrets.postgres}\n`, { mode: 0o600 });
  try {
    if (launch.uid !== undefined) chownSync(passwordFile, launch.uid, launch.uid);
    await runToEnd(
      'postgres',
      who.wrap(join(who.home, 'bin', 'initdb'), [
        '-D',
        who.data,
        '-U',
        POSTGRES_USER,
        '--pwfile',
        passwordFile,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C.UTF-8',
        '--no-sync',
        ...Object.entries(sharedMemory()).map(([name, value]) => `--set=${name}=${value}`),
      ]),
      setting,
      signal,
    );
    const marker = join(who.data, 'cdc-initialized');
    writeFileSync(marker, '');
    if (launch.uid !== undefined) chownSync(marker, launch.uid, launch.uid);
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

export const postgresServer = postgresServerFrom(undefined);

/**
 * Has PostgreSQL replay the WAL that is in a folder put there from a base backup, until a target or its end, and begin a
 * new timeline. Without a listener, so that nobody writes before the copy follows. What it ends with is stopped.
 *
 * @param target a setting of recovery_target_…
 * @throws {RecoveryError} where it did not get there.
 */
export async function recoverPostgres(
  place: Place,
  password: string,
  target: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Recovered> {
  const who = identity(place, undefined);
  const settings = {
    wal_level: 'logical',
    max_prepared_transactions: '10',
    timezone: 'UTC',
    log_timezone: 'UTC',
    // All of it is in pg_wal; without a command PostgreSQL does not take this for a recovery.
    restore_command: 'false',
    recovery_target_timeline: 'current',
    recovery_target_action: 'promote',
    // A server of one user has no place for its snapshots.
    hot_standby: 'off',
    ...sharedMemory(),
    ...target,
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
  const launch = who.wrap(join(who.home, 'bin', 'postgres'), [
    ...['--single', '-D', who.data, ...options],
    'postgres',
  ]);
  const { code, output } = await runProgram(launch.command, launch.args, {
    cwd: launch.uid === undefined ? place.layout.root : '/',
    env: { PATH: place.env.PATH, LC_ALL: 'C.UTF-8' },
    uid: launch.uid,
    gid: launch.gid,
    signal,
    input: `ALTER ROLE ${pgIdent(POSTGRES_USER)} PASSWORD ${pgLiteral(password)};\nSELECT pg_current_wal_lsn() AS lsn;\n`,
  });
  const end = /lsn = "([0-9A-F]+\/[0-9A-F]+)"/.exec(output)?.[1];
  const said = output.split('\n').filter((line) => /\b(ERROR|FATAL|PANIC):/.test(line));
  if (code !== 0 || end === undefined || said.length > 0)
    throw new RecoveryError(said.at(-1) ?? (output.trim() || `exit code ${code}`));
  const last = /last completed transaction was at log time ([^\n]+)/.exec(output)?.[1];
  return { end: parseLsn(end), lastCommit: last === undefined ? undefined : new Date(last) };
}

/** @param from the npm package that brings it; by default the one that cdc runs. */
export function postgresServerFrom(from: string | undefined): EmbeddedServer {
  return {
    name: 'postgres',
    needs: [],
    uses: [],
    // SIGINT is PostgreSQL's "fast" shutdown: sessions are cut, data are flushed.
    stopSignal: 'SIGINT',
    async prepare(setting, signal) {
      const who = identity(setting, from);
      await initialize(setting, who, signal);
      forgetDeadPostmaster(who.data);
      for (const binary of ['postgres', 'initdb', 'pg_ctl']) {
        try {
          chmodSync(join(who.home, 'bin', binary), 0o755);
        } catch {
          // Already executable, in a folder of somebody else's.
        }
      }
      const options = Object.entries({ ...postgresSettings(setting), ...sharedMemory() }).flatMap(
        ([key, value]) => ['-c', `${key}=${value}`],
      );
      return who.wrap(join(who.home, 'bin', 'postgres'), ['-D', who.data, ...options]);
    },
    async ready(setting) {
      const client = new pg.Client({
        host: '127.0.0.1',
        port: setting.ports.postgres,
        user: POSTGRES_USER,
        password: setting.secrets.postgres,
        database: 'postgres',
        connectionTimeoutMillis: 2000,
      });
      client.on('error', () => {});
      await client.connect();
      try {
        const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [
          POSTGRES_DATABASE,
        ]);
        if (found.rowCount === 0) await client.query(`CREATE DATABASE ${POSTGRES_DATABASE}`);
        return true;
      } finally {
        await client.end();
      }
    },
  };
}
