import { join } from 'node:path';
import { tryLock } from '../lib/lock.ts';
import { waitFor } from '../lib/wait.ts';

const WAIT_MS = 120_000;

/** Those of this process: a file's lock keeps out others only. */
let last: Promise<unknown> = Promise.resolve();

/** One at a time writes WAL to the archives of a folder of backups. */
export function withArchive<T>(target: string, work: () => Promise<T>): Promise<T> {
  const run = last.then(async () => {
    const lock = await waitFor('the archive of WAL', { timeoutMs: WAIT_MS, everyMs: 20 }, () => {
      const taken = tryLock(join(target, 'archive.lock'));
      return 'heldBy' in taken ? { seen: `pid ${taken.heldBy}` } : { ready: taken };
    });
    try {
      return await work();
    } finally {
      lock.release();
    }
  });
  last = run.catch(() => {});
  return run;
}
