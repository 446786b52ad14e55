import { join } from 'node:path';
import { withPublicationLock } from '../../components/postgres/lock.ts';
import { Problem } from '../../core/problems.ts';
import { tryLock } from '../../lib/lock.ts';
import { WaitTimeout, waitFor } from '../../lib/wait.ts';
import type { Stack } from './stack.ts';

const LOCK_TIMEOUT_MS = 120_000;

/**
 * One apply at a time; a second waits for the first, which usually leaves it nothing to do.
 *
 * @param onWait told for whom, as long as it waits.
 */
export async function withApplyLock<T>(
  stack: Stack,
  signal: AbortSignal,
  onWait: (text: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  const path = join(stack.layout.root, 'apply.lock');
  let heldBy = 0;
  try {
    const lock = await waitFor(
      'another cdc command',
      { timeoutMs: LOCK_TIMEOUT_MS, signal },
      () => {
        const taken = tryLock(path);
        if (!('heldBy' in taken)) return { ready: taken };
        heldBy = taken.heldBy;
        const who = heldBy === stack.agent?.pid ? 'the agent' : 'another cdc command';
        onWait(`waiting for ${who} that works on this stack (pid ${heldBy})`);
        return { seen: `pid ${taken.heldBy}` };
      },
    );
    try {
      const { endpoints, names } = stack;
      const options = { timeoutMs: LOCK_TIMEOUT_MS, signal, onWait };
      return await withPublicationLock(endpoints.postgres, names.publication, options, work);
    } finally {
      lock.release();
    }
  } catch (error) {
    if (error instanceof WaitTimeout)
      throw new Problem(
        'STACK_BUSY',
        { pid: heldBy, detail: error.message },
        // Whoever ends the agent has nobody who supervises the servers.
        heldBy === stack.agent?.pid
          ? {
              fix: 'cdc logs agent   # what it applies; when that is done, run the same command again',
            }
          : {},
      );
    throw error;
  }
}
