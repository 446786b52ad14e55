import { randomBytes } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { fileProblem } from './files.ts';
import { isAlive } from './processes.ts';

/** A lock that a crash cannot leave behind: it names its owner, and a dead owner's lock is taken over. */
export interface FileLock {
  release(): void;
}

/** Takes the lock, or returns the process that holds it. */
export function tryLock(path: string): FileLock | { readonly heldBy: number } {
  for (let attempt = 0; attempt < 10; attempt += 1) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx', mode: 0o600 });
      return {
        release: () => {
          if (ownerOf(path) === process.pid) rmSync(path, { force: true });
        },
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw fileProblem(path, error);
    }
    const owner = ownerOf(path);
    if (owner !== undefined && owner !== process.pid && isAlive(owner)) return { heldBy: owner };
    // Of several who found the same dead owner the first took it over already, perhaps: what turns
    // out to be a lock of somebody alive is put back.
    const stale = `${path}.${randomBytes(4).toString('hex')}`;
    try {
      renameSync(path, stale);
      if (ownerOf(stale) !== owner) linkSync(stale, path);
    } catch {
      // Somebody else took it over; look again.
    }
    rmSync(stale, { force: true });
  }
  return { heldBy: ownerOf(path) ?? 0 };
}

function ownerOf(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, 'utf8'));
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}
