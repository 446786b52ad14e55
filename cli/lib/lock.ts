import { randomBytes } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { fileProblem } from './files.ts';
import { isSameProcess, processStart } from './processes.ts';

/** A lock that a crash cannot leave behind: it names its owner, and a dead owner's lock is taken over. */
export interface FileLock {
  release(): void;
}

/** Takes the lock, or returns the process that holds it. */
export function tryLock(path: string): FileLock | { readonly heldBy: number } {
  for (let attempt = 0; attempt < 10; attempt += 1) {
    try {
      writeFileSync(path, `${process.pid} ${processStart(process.pid) ?? ''}`, {
        flag: 'wx',
        mode: 0o600,
      });
      return {
        release: () => {
          if (ownerOf(path)?.pid === process.pid) rmSync(path, { force: true });
        },
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw fileProblem(path, error);
    }
    const owner = ownerOf(path);
    if (owner && owner.pid !== process.pid && isSameProcess(owner.pid, owner.start)) {
      return { heldBy: owner.pid };
    }
    // Of several who found the same dead owner the first took it over already, perhaps: what turns
    // out to be a lock of somebody alive is put back.
    const stale = `${path}.${randomBytes(4).toString('hex')}`;
    try {
      renameSync(path, stale);
      if (ownerOf(stale)?.text !== owner?.text) linkSync(stale, path);
    } catch {
      // Somebody else took it over; look again.
    }
    rmSync(stale, { force: true });
  }
  return { heldBy: ownerOf(path)?.pid ?? 0 };
}

interface Owner {
  readonly pid: number;
  /** Absent where the system does not tell when a process was started. */
  readonly start: string | undefined;
  readonly text: string;
}

function ownerOf(path: string): Owner | undefined {
  try {
    const text = readFileSync(path, 'utf8');
    const [pid, start] = text.split(' ');
    const number = Number(pid);
    return Number.isInteger(number) && number > 0
      ? { pid: number, start: start || undefined, text }
      : undefined;
  } catch {
    return undefined;
  }
}
