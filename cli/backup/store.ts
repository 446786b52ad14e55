import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type LoadedConfig, resolveFrom } from '../config/load.ts';
import {
  type BackupFile,
  chainOf,
  MANIFEST_FILE,
  MANIFEST_VERSION,
  type Manifest,
  manifestSchema,
} from '../core/backups.ts';
import { Problem } from '../core/problems.ts';
import { fileProblem, readJson, writeFileAtomic } from '../lib/files.ts';
import { tryLock } from '../lib/lock.ts';
import { eachFile, hashFile, namesIn, type OnBytes, syncFolder } from './files.ts';

/** Where a backup is while it is made: under this name none is listed. */
const UNFINISHED = '.unfinished';
const OWNER_FILE = 'cdc-backups.json';
/** WAL of a chain, in the folder of its full backup. */
export const WAL = 'wal';

/** The folder of backups that cdc.yaml names. */
export function targetOf({
  config,
  directory,
}: Pick<LoadedConfig, 'config' | 'directory'>): string | undefined {
  const { to } = config.backup;
  if (to === undefined) return undefined;
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(to))
    throw new Problem('BACKUP_TARGET_UNSUPPORTED', {
      to,
      detail: 'It is an address; this cdc writes to folders alone.',
    });
  return resolveFrom(directory, to);
}

/** Throws BACKUP_NO_TARGET. */
export function requireTarget(loaded: Pick<LoadedConfig, 'config' | 'directory'>): string {
  const to = targetOf(loaded);
  if (to === undefined) throw new Problem('BACKUP_NO_TARGET');
  return to;
}

/** One at a time may write there. */
export async function withBackupLock<T>(target: string, work: () => Promise<T>): Promise<T> {
  try {
    mkdirSync(target, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw fileProblem(target, error);
  }
  const lock = tryLock(join(target, 'create.lock'));
  if ('heldBy' in lock) throw new Problem('BACKUP_BUSY', { pid: lock.heldBy });
  try {
    return await work();
  } finally {
    lock.release();
  }
}

/** Throws BACKUP_FOLDER_TAKEN where the folder holds backups of something else. */
export function claimFolder(target: string, ours: { pipeline: string; source: string }): void {
  const path = join(target, OWNER_FILE);
  const theirs = readJson<typeof ours>(path);
  if (!theirs) writeFileAtomic(path, `${JSON.stringify(ours)}\n`);
  else if (theirs.pipeline !== ours.pipeline || theirs.source !== ours.source) {
    const label = (of: typeof ours) => `pipeline ${of.pipeline} of source ${of.source}`;
    throw new Problem('BACKUP_FOLDER_TAKEN', {
      path: target,
      theirs: label(theirs),
      ours: label(ours),
    });
  }
}

/** Backups that came to their end, the oldest first. */
export async function listBackups(target: string): Promise<Manifest[]> {
  const names = (await namesIn(target)).filter((name) => /^\d{8}T\d{6}Z$/.test(name)).sort();
  const found = await Promise.all(
    names.map(async (name) => {
      const folder = join(target, name);
      return (await exists(join(folder, MANIFEST_FILE))) ? readManifest(folder) : [];
    }),
  );
  return found.flat();
}

/** Throws BACKUP_UNKNOWN, BACKUP_NEWER or BACKUP_DAMAGED. */
export async function readManifest(folder: string): Promise<Manifest> {
  const backup = basename(folder);
  let text: string;
  try {
    text = await readFile(join(folder, MANIFEST_FILE), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw fileProblem(folder, error);
    throw new Problem('BACKUP_UNKNOWN', { backup, detail: `${folder} has no ${MANIFEST_FILE}.` });
  }
  const damaged = (detail: string) =>
    new Problem('BACKUP_DAMAGED', { backup, detail: `${MANIFEST_FILE}: ${detail}` });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged((error as Error).message);
  }
  const version = (value as { v?: unknown } | null)?.v;
  if (typeof version === 'number' && version > MANIFEST_VERSION)
    throw new Problem('BACKUP_NEWER', { backup, detail: `version ${version}` });
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw damaged(`${issue?.path.join('.')}: ${issue?.message}`);
  }
  if (parsed.data.id !== backup) throw damaged(`it is the one of backup ${parsed.data.id}`);
  return parsed.data;
}

/** The chain of a backup, from its full one on. Throws BACKUP_DAMAGED where one of it is missing. */
export function requireChain(all: readonly Manifest[], of: Manifest): Manifest[] {
  const chain = chainOf(all, of);
  if (!chain)
    throw new Problem('BACKUP_DAMAGED', {
      backup: of.id,
      detail: `It holds only what changed since backup ${of.base}, and that or an earlier one of its chain is not there.`,
    });
  return chain;
}

export function unfinishedFolder(target: string, id: string): string {
  return join(target, `${id}${UNFINISHED}`);
}

/** Removes what backups that were killed have left. Only with the lock. */
export async function removeUnfinished(target: string): Promise<string[]> {
  const left = (await namesIn(target)).filter((name) => name.endsWith(UNFINISHED));
  for (const name of left) rmSync(join(target, name), { recursive: true, force: true });
  return left;
}

/** Gives a backup that is whole its name. */
export async function publish(target: string, manifest: Manifest): Promise<void> {
  const from = unfinishedFolder(target, manifest.id);
  writeFileAtomic(join(from, MANIFEST_FILE), `${JSON.stringify(manifest, null, 1)}\n`, 0o600);
  try {
    await syncFolder(from);
    await rename(from, join(target, manifest.id));
    await syncFolder(target);
  } catch (error) {
    throw fileProblem(target, error);
  }
}

/** First under another name: half of one must not be taken for a backup. */
export async function removeBackup(target: string, id: string): Promise<void> {
  const aside = unfinishedFolder(target, id);
  try {
    await rename(join(target, id), aside);
    await rm(aside, { recursive: true });
  } catch (error) {
    throw fileProblem(target, error);
  }
}

/** Files of a backup with where they are; those of WAL are in the folder of the full one. */
export function filesOf(target: string, manifest: Manifest): (BackupFile & { at: string })[] {
  return [
    ...manifest.files.map((file) => ({ ...file, at: join(target, manifest.id, file.path) })),
    ...manifest.wal.map((file) => ({ ...file, at: join(target, manifest.full, WAL, file.path) })),
  ];
}

/** Reads every file of some backups. Throws BACKUP_DAMAGED, naming the first that is another one or is missing. */
export async function verifyFiles(
  target: string,
  chain: readonly Manifest[],
  signal: AbortSignal,
  onBytes: OnBytes,
): Promise<{ files: number; bytes: number }> {
  let bytes = 0;
  let files = 0;
  for (const manifest of chain) {
    const expected = new Map(filesOf(target, manifest).map((file) => [file.at, file]));
    const damaged = (at: string, what: string) =>
      new Problem('BACKUP_DAMAGED', { backup: manifest.id, detail: `${at}: ${what}` });
    await eachFile([...expected.keys()], async (at) => {
      const file = expected.get(at);
      const found = await hashFile(at, signal).catch((error: NodeJS.ErrnoException) => {
        if (signal.aborted) throw error;
        throw damaged(at, error.code === 'ENOENT' ? 'it is missing' : error.message);
      });
      if (found.bytes !== file?.bytes)
        throw damaged(at, `it has ${found.bytes} bytes, not ${file?.bytes}`);
      if (found.sha256 !== file.sha256) throw damaged(at, 'its checksum is another one');
      onBytes(found.bytes);
      bytes += found.bytes;
      files += 1;
    });
  }
  return { files, bytes };
}

/** What was asked for: a backup's folder, one of a folder of backups, or by its id one of the folder of cdc.yaml. */
export async function locate(
  asked: string,
  cwd: string,
  configured: string | undefined,
): Promise<{ target: string; id: string | undefined }> {
  const path = resolveFrom(cwd, asked);
  if (await exists(join(path, MANIFEST_FILE))) return { target: dirname(path), id: basename(path) };
  if (await exists(join(path, OWNER_FILE))) return { target: path, id: undefined };
  if (configured !== undefined && (await exists(join(configured, asked, MANIFEST_FILE))))
    return { target: configured, id: asked };
  throw new Problem('BACKUP_UNKNOWN', {
    backup: asked,
    detail: `${path} is no backup and no folder of backups${configured ? `, and ${configured} has none of this name` : ''}.`,
  });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileProblem(path, error);
  }
}
