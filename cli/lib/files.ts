import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { Problem } from '../core/problems.ts';

/** Writes so that a reader sees the old content or the new, never half of it. */
export function writeFileAtomic(path: string, content: string, mode = 0o644): void {
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(temporary, content, { mode, flag: 'wx' });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw fileProblem(path, error);
  }
}

/** @returns whether the file had another content, or was not there. */
export function writeFileIfOther(path: string, content: string, mode: number): boolean {
  if (existsSync(path) && readFileSync(path, 'utf8') === content) return false;
  writeFileAtomic(path, content, mode);
  return true;
}

export function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) {
      return undefined;
    }
    throw fileProblem(path, error);
  }
}

/** Maps what a file system says to the catalogue. */
export function fileProblem(path: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  const detail = (error as Error).message;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    // `df` wants a path that is there.
    const at = existsSync(path) ? path : dirname(path);
    return new Problem('DISK_FULL', { path: at, detail }, { cause: error });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR') {
    return new Problem('STATE_UNWRITABLE', { path, detail }, { cause: error });
  }
  return error;
}

export function freeBytes(path: string): number {
  const stats = statfsSync(path);
  return stats.bavail * stats.bsize;
}
