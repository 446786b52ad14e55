import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, opendir, readdir } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import pLimit from 'p-limit';
import type { BackupFile } from '../core/backups.ts';
import { fileProblem } from '../lib/files.ts';
import { formatBytes } from '../lib/format.ts';

const CHUNK_BYTES = 1024 * 1024;
/** Files at once: most of them are small, and each waits for the disk. */
const AT_ONCE = 8;

/** Told of bytes that are done. */
export type OnBytes = (bytes: number) => void;

/** Regular files below a folder, as paths relative to it, and all of its folders. */
export async function treeOf(
  root: string,
  skip: (path: string) => boolean = () => false,
): Promise<{ files: string[]; folders: string[] }> {
  const files: string[] = [];
  const folders: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    for await (const entry of await opendir(folder)) {
      const path = join(folder, entry.name);
      const shown = relative(root, path);
      if (skip(shown)) continue;
      if (entry.isDirectory()) {
        folders.push(shown);
        await walk(path);
      } else if (entry.isFile()) files.push(shown);
    }
  };
  await walk(root);
  return { files: files.sort(), folders: folders.sort() };
}

/** Reads a file to its end. @returns its bytes and their SHA-256. */
async function readThrough(
  handle: FileHandle,
  each: (chunk: Buffer) => Promise<unknown>,
  signal: AbortSignal,
): Promise<Omit<BackupFile, 'path'>> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  let bytes = 0;
  for (;;) {
    signal.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, bytes);
    if (bytesRead === 0) return { bytes, sha256: hash.digest('hex') };
    const chunk = buffer.subarray(0, bytesRead);
    hash.update(chunk);
    await each(chunk);
    bytes += bytesRead;
  }
}

/** Copies a file to where none is. */
export async function copyFile(
  from: string,
  to: string,
  signal: AbortSignal,
): Promise<Omit<BackupFile, 'path'>> {
  const source = await open(from, 'r');
  try {
    await mkdir(dirname(to), { recursive: true, mode: 0o700 });
    const target = await open(to, 'w', 0o600);
    try {
      return await readThrough(source, (chunk) => writeAll(target, chunk), signal);
    } finally {
      await target.close();
    }
  } catch (error) {
    throw fileProblem(to, error);
  } finally {
    await source.close();
  }
}

async function writeAll(target: FileHandle, chunk: Buffer): Promise<void> {
  for (let at = 0; at < chunk.length; )
    at += (await target.write(chunk, at, chunk.length - at)).bytesWritten;
}

export async function hashFile(path: string, signal: AbortSignal) {
  const handle = await open(path, 'r');
  try {
    return await readThrough(handle, async () => {}, signal);
  } finally {
    await handle.close();
  }
}

/** Does something with each of many files, some at once; what fails ends it once those that run have ended. */
export async function eachFile<T>(
  paths: readonly string[],
  work: (path: string) => Promise<T>,
): Promise<T[]> {
  const limit = pLimit(AT_ONCE);
  const results = await Promise.allSettled(paths.map((path) => limit(() => work(path))));
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

/** Files below some folders of a root that are there already, with their checksums. */
export async function hashTrees(
  root: string,
  below: readonly string[],
  signal: AbortSignal,
  onBytes: OnBytes,
): Promise<BackupFile[]> {
  const trees = await Promise.all(
    below.map(async (folder) =>
      (await treeOf(join(root, folder))).files.map((path) => join(folder, path)),
    ),
  );
  return eachFile(trees.flat(), async (path) => {
    const found = await hashFile(join(root, path), signal);
    onBytes(found.bytes);
    return { path, ...found };
  });
}

/**
 * Makes all that is below a folder survive a power cut. At the end and not file by file: the first flush takes the
 * others along.
 */
export async function syncTree(root: string): Promise<void> {
  const { files, folders } = await treeOf(root);
  await eachFile(files, (path) => syncFolder(join(root, path)));
  for (const path of ['', ...folders]) await syncFolder(join(root, path));
}

/** Makes the names in a folder, or what a file has, survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw fileProblem(folder, error);
  });
}

/** Says how much is done while bytes are copied or read. */
export async function withBytes<T>(
  text: string,
  step: (text: string) => void,
  work: (onBytes: (bytes: number) => void) => Promise<T>,
): Promise<T> {
  let done = 0;
  step(text);
  return work((bytes) => {
    done += bytes;
    step(`${text}: ${formatBytes(done)}`);
  });
}
