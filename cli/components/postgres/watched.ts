import type pg from 'pg';
import { Problem } from '../../core/problems.ts';
import { withUndo } from '../../lib/undo.ts';
import { WaitTimeout, waitFor } from '../../lib/wait.ts';

const WAIT_MS = 600_000;

/**
 * Runs a statement that may wait in the server, for a transaction or for a lock. A second connection looks what it
 * waits for, and ends the waiting when the signal fires or it takes too long: else the server would go on with it
 * after its client is gone, and do it in the end.
 *
 * @param look what is seen of the waiting; it may tell it, too.
 */
export async function watched(
  { client, watcher, signal }: Watch,
  what: string,
  look: (pid: number) => Promise<string>,
  run: () => Promise<unknown>,
): Promise<void> {
  const found = await client.query<{ pid: string }>('SELECT pg_backend_pid() AS pid');
  const pid = Number(found.rows[0]?.pid);
  let ended = false;
  const running = run().finally(() => {
    ended = true;
  });
  // It is looked at below; until then its failure is nobody's.
  running.catch(() => {});
  const cancel = async () => {
    await watcher.query('SELECT pg_cancel_backend($1)', [pid]);
    await running.catch(() => {});
    // The server says that it gave up before it lets go of what it had; what it answers next comes after.
    await client.query('SELECT 1').catch(() => {});
  };
  try {
    await withUndo(cancel, () =>
      waitFor(what, { timeoutMs: WAIT_MS, everyMs: 100, signal }, async () =>
        ended ? { ready: true } : { seen: await look(pid) },
      ),
    );
  } catch (error) {
    throw openProblem(error);
  }
  await running;
}

export interface Watch {
  readonly client: pg.ClientBase;
  readonly watcher: pg.ClientBase;
  readonly signal: AbortSignal;
}

export function openProblem(error: unknown): unknown {
  if (!(error instanceof WaitTimeout)) return error;
  return new Problem('TRANSACTION_OPEN', { detail: error.message });
}
