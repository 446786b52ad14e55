import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { withClickHouse } from '../components/clickhouse/client.ts';
import { withPostgres } from '../components/postgres/client.ts';
import { observeSlot } from '../components/postgres/observe.ts';
import { dropSlotStatement } from '../components/postgres/prepare.ts';
import { loadConfig } from '../config/load.ts';
import { type Manifest, newestBefore, segmentName, segmentOf } from '../core/backups.ts';
import { parseLsn } from '../core/lsn.ts';
import { Problem } from '../core/problems.ts';
import { fileProblem, readJson, writeFileAtomic } from '../lib/files.ts';
import type { Stack } from '../pipeline/state/stack.ts';
import { currentRuntime } from '../runtimes/registry.ts';
import { knownEndpoints } from '../runtimes/resolve.ts';
import { type Recovered, RecoveryError } from '../runtimes/runtime.ts';
import { SERVER_NAMES } from '../stack/endpoints.ts';
import { createLayout, ensureSecrets, type Layout, layoutOf } from '../stack/layout.ts';
import { namesOf } from '../stack/names.ts';
import { liveState, readState } from '../stack/state.ts';
import { linkBackups, restoreClickHouse } from './clickhouse.ts';
import { copyFile, eachFile, withBytes } from './files.ts';
import { POSTGRES } from './postgres.ts';
import { openSecrets, restoreSettings } from './settings.ts';
import { settleSlot } from './slot.ts';
import { listBackups, requireChain, verifyFiles, WAL } from './store.ts';
import { archived } from './wal.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** What is to be restored, and how far. */
export interface Wanted {
  readonly target: string;
  readonly chain: readonly Manifest[];
  readonly backup: Manifest;
  /** Absent: as the backup was made (`end`), or all that was archived since (`newest`). */
  readonly until: Date | 'end' | 'newest';
}

/** How the runtime that a stack is restored for keeps and recovers PostgreSQL's data. */
export interface RestoreHost {
  /** Data that is not below `.cdc/`, where there is some. */
  readonly outside: string;
  /** @param target a setting `recovery_target_…`. Throws a RecoveryError. */
  recover(
    password: string,
    target: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Recovered>;
}

export interface RestoreOptions {
  readonly host: RestoreHost;
  readonly directory: string;
  readonly env: Env;
  readonly passphrase: string | undefined;
  readonly replace: boolean;
  readonly now: Date;
  readonly signal: AbortSignal;
  step(text: string): void;
  remark(text: string): void;
}

/** Of a folder of backups the newest, or the newest before a time; else the one that was asked for. */
export async function chooseBackup(
  { target, id }: { readonly target: string; readonly id: string | undefined },
  at: Date | undefined,
  now: Date,
): Promise<Wanted> {
  const all = await listBackups(target);
  const backup = id === undefined ? newestBefore(all, at) : all.find((one) => one.id === id);
  if (!backup) {
    const first = all[0];
    if (at !== undefined && first)
      throw new Problem('RESTORE_TIME', {
        at: at.toISOString(),
        detail: `The first backup ended at ${first.finished_at}.`,
      });
    throw new Problem('BACKUP_UNKNOWN', { backup: id ?? target, detail: `${target} has none.` });
  }
  const chain = requireChain(all, backup);
  if (at !== undefined) {
    const refuse = (detail: string) =>
      new Problem('RESTORE_TIME', { at: at.toISOString(), detail });
    if (!chain[0]?.postgres)
      throw refuse(
        'The source is not one that cdc runs: it is not in the backup, and the copy follows it as it is now.',
      );
    if (at < new Date(backup.finished_at))
      throw refuse(`Backup ${backup.id} ended at ${backup.finished_at}.`);
    if (at > now) throw refuse('It has not come yet.');
  }
  return { target, chain, backup, until: at ?? (id === undefined ? 'newest' : 'end') };
}

const MARKER = 'restoring.json';

/** Throws RESTORE_UNFINISHED where a restore in this folder was interrupted. */
export function refuseUnfinished(directory: string): void {
  const found = readMarker(layoutOf(directory));
  if (found)
    throw new Problem('RESTORE_UNFINISHED', {
      backup: found.backup,
      path: join(found.target, found.backup),
    });
}

export function isRestoring(layout: Pick<Layout, 'root'>): boolean {
  return readMarker(layout) !== undefined;
}

function readMarker({ root }: Pick<Layout, 'root'>) {
  return readJson<{ target: string; backup: string }>(join(root, MARKER));
}

/**
 * Puts the files of a backup into a folder: settings, secrets, and the data of a PostgreSQL that cdc runs, recovered.
 * What is wrong with the backup comes before anything is changed.
 */
export async function restoreFiles(
  wanted: Wanted,
  options: RestoreOptions,
): Promise<{ recovered: Recovered | undefined; aside: string | undefined }> {
  const { backup, chain, target } = wanted;
  const { directory, signal, step } = options;
  const folder = join(target, backup.id);
  const secrets = openSecrets(folder, backup.id, options.passphrase);
  if (backup.secrets === 'encrypted' && !secrets)
    options.remark('no passphrase was given: the stack gets new passwords');
  await withBytes('reading the backup', step, (onBytes) =>
    verifyFiles(target, chain, signal, onBytes),
  );
  const layout = layoutOf(directory);
  const aside = await makeRoom(wanted, options, layout);
  writeFileAtomic(join(layout.root, MARKER), JSON.stringify({ target, backup: backup.id }));
  for (const file of await restoreSettings(directory, folder, secrets, options.env, signal))
    options.remark(`${file} is there already and stays as it is`);
  await refuseSlotInUse(directory, options.env);
  const recovered = await restorePostgres(wanted, options, layout);
  return { recovered, aside };
}

/** Of a source elsewhere: before servers are started. */
async function refuseSlotInUse(directory: string, env: Env): Promise<void> {
  const loaded = loadConfig({ cwd: directory, env });
  const { postgres } = knownEndpoints({ ...loaded, env, ports: undefined, secrets: undefined });
  if (!postgres) return;
  const { slot } = namesOf(loaded);
  const seen = await withPostgres(postgres, (client) => observeSlot(client, slot));
  if (seen?.active) throw new Problem('RESTORE_SLOT_IN_USE', { slot });
}

/** Half a stack that an interrupted restore has left goes; a whole one only where that was asked for, and aside. */
async function makeRoom(
  { backup, target }: Wanted,
  { directory, env, host, replace, now, step }: RestoreOptions,
  layout: Layout,
): Promise<string | undefined> {
  const { outside } = host;
  const unfinished = readMarker(layout) !== undefined;
  const data = [...SERVER_NAMES.map((name) => layout.data(name)), outside].filter(existsSync);
  if (data.length > 0 || liveState(layout)) {
    const suffix = now
      .toISOString()
      .replace(/\.\d+Z$/, 'Z')
      .replaceAll(/[-:]/g, '');
    const aside = `${layout.root}-${suffix}`;
    if (!unfinished && !replace)
      throw new Problem('RESTORE_OVER_DATA', {
        directory,
        backup: join(target, backup.id),
        aside,
        detail: whatIsThere(layout, backup),
      });
    step('stopping what runs here');
    await currentRuntime(loadConfig({ cwd: directory, env }), env).stop(false);
    if (!unfinished) {
      renameSync(layout.root, aside);
      if (existsSync(outside)) renameSync(outside, `${outside}-${suffix}`);
      createLayout(layout);
      return aside;
    }
    for (const path of data) rmSync(path, { recursive: true, force: true });
    rmSync(layout.stateFile, { force: true });
  }
  createLayout(layout);
  return undefined;
}

function whatIsThere(layout: Layout, backup: Manifest): string {
  const files = existsSync(layout.logs)
    ? readdirSync(layout.logs).map((name) => join(layout.logs, name))
    : [];
  const newest = Math.max(...[...files, layout.root].map((path) => statSync(path).mtimeMs));
  const at = new Date(newest);
  const order =
    at > new Date(backup.finished_at)
      ? `It is newer than the backup, which ended at ${backup.finished_at}: all that was written since would be gone.`
      : `The backup ended at ${backup.finished_at}.`;
  return `It ${liveState(layout) ? 'runs' : `was last used at ${at.toISOString()}`}${readState(layout) ? '' : ', and was never whole'}. ${order}`;
}

async function restorePostgres(
  { backup, chain, target, until }: Wanted,
  { host, signal, step }: RestoreOptions,
  layout: Layout,
): Promise<Recovered | undefined> {
  const [full] = chain;
  if (!full?.postgres) return undefined;
  const { folders, segment_bytes: segmentBytes, start } = full.postgres;
  const from = join(target, full.id, POSTGRES);
  const data = layout.data('postgres');
  try {
    for (const folder of ['', 'pg_wal', ...folders])
      mkdirSync(join(data, folder), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw fileProblem(data, error);
  }
  await withBytes("copying PostgreSQL's data", step, (onBytes) =>
    eachFile(
      full.files
        .filter(({ path }) => path.startsWith(`${POSTGRES}/`))
        .map(({ path }) => path.slice(POSTGRES.length + 1)),
      async (path) => onBytes((await copyFile(join(from, path), join(data, path), signal)).bytes),
    ),
  );
  const archive = join(target, full.id, WAL);
  const timeline = { timeline: full.timeline ?? 1, segmentBytes };
  const segments = await archived(archive, timeline, parseLsn(start));
  const damaged = (detail: string) => new Problem('BACKUP_DAMAGED', { backup: backup.id, detail });
  const end = parseLsn(backup.positions.end);
  if (!segments.some(({ segment }) => segment === segmentOf(end, segmentBytes)))
    throw damaged(
      `The archive of WAL in ${archive} does not reach to ${backup.positions.end}: segment ${segmentName(timeline.timeline, segmentOf(end, segmentBytes), segmentBytes)} or one before it is missing.`,
    );
  for (const [index, { file, segment, isComplete }] of segments.entries()) {
    step(`unpacking WAL: ${index + 1} of ${segments.length} segments`);
    const to = join(data, 'pg_wal', segmentName(timeline.timeline, segment, segmentBytes));
    try {
      if (isComplete)
        await pipeline(
          createReadStream(join(archive, file)),
          createGunzip(),
          createWriteStream(to, { mode: 0o600 }),
          { signal },
        );
      else await copyFile(join(archive, file), to, signal);
    } catch (error) {
      if (String((error as NodeJS.ErrnoException).code).startsWith('Z_'))
        throw damaged(`${join(archive, file)}: ${(error as Error).message}`);
      throw fileProblem(to, error);
    }
    if (isComplete && statSync(to).size !== segmentBytes)
      throw damaged(`${join(archive, file)}: it is no whole segment`);
    truncateSync(to, segmentBytes);
  }
  writeFileSync(join(data, 'recovery.signal'), '');
  step('PostgreSQL replays its WAL');
  const goal: Record<string, string> =
    until === 'newest'
      ? {}
      : until === 'end'
        ? { recovery_target_lsn: backup.positions.end }
        : { recovery_target_time: until.toISOString().replace('T', ' ').replace('Z', '+00') };
  try {
    const password = ensureSecrets(layout).postgres;
    const recovered = await host.recover(password, goal, signal);
    if (recovered.end < end)
      throw damaged(
        `Its WAL ends before ${backup.positions.end}, where ClickHouse's part was made.`,
      );
    return recovered;
  } catch (error) {
    if (!(error instanceof RecoveryError)) throw error;
    if (/ended before configured recovery target/.test(error.message) && until instanceof Date)
      throw new Problem('RESTORE_TIME', {
        at: until.toISOString(),
        detail:
          'No transaction that was archived is younger. Without --at all of them are restored.',
      });
    throw damaged(`PostgreSQL does not recover from it: ${error.message}`);
  }
}

/**
 * ClickHouse's part, on servers that have just been started; and whether its changes can go on from where it was, or
 * the tables have to be loaded again, which `apply` does where the slot is another one.
 */
export async function restoreCopy(
  stack: Stack,
  { backup, chain, target }: Wanted,
  step: (text: string) => void,
): Promise<{ goesOn: boolean }> {
  const { postgres, kafka, connect } = stack.endpoints;
  const goesOn = await withPostgres(postgres, async (client) => {
    const isThere = await settleSlot(client, stack.names, backup);
    // Elsewhere Kafka and Connect remember that they have passed the changes which the backup lacks.
    if (!isThere || (kafka.managed && connect.managed)) return isThere;
    await client.query(dropSlotStatement(stack.names.slot));
    return false;
  });
  linkBackups(stack.layout, new Map(chain.map(({ id }) => [id, join(target, id)])));
  await withClickHouse(
    stack.endpoints.clickhouse,
    async (clickhouse) => {
      step("ClickHouse's RESTORE");
      await restoreClickHouse(clickhouse, backup.id, backup.clickhouse.databases);
    },
    { requestTimeoutMs: 12 * 3_600_000 },
  );
  linkBackups(stack.layout, new Map());
  return { goesOn };
}

/** It is a whole stack from now on. */
export function endRestore(directory: string): void {
  rmSync(join(layoutOf(directory).root, MARKER), { force: true });
}
