import type { Logger } from 'pino';
import { withClickHouse } from '../components/clickhouse/client.ts';
import { deadLettersToRead } from '../components/clickhouse/deadLetters.ts';
import { errorText } from '../core/problems.ts';
import { pause } from '../lib/wait.ts';
import type { Stack } from '../pipeline/state/stack.ts';
import { replayDeadLetters } from '../pipeline/verify/deadLetters.ts';

const LOOK_MS = 5000;
const RETRY_MS = 60_000;

/**
 * Reads rows from the source that no message could hold (cdc.BoundedJson), or of which a value could not be looked up
 * (cdc.QuotedLookup): a load has no such limit. What
 * cannot be read stays a dead letter, and is tried again.
 */
export async function readMissingRows(
  stack: () => Stack,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const triedAtMs = new Map<string, number>();
  const isDue = (id: string) => performance.now() - (triedAtMs.get(id) ?? -RETRY_MS) >= RETRY_MS;
  while (!signal.aborted) {
    try {
      const now = stack();
      const found = await withClickHouse(now.endpoints.clickhouse, deadLettersToRead);
      const due = found.filter(isDue);
      for (const id of due) triedAtMs.set(id, performance.now());
      if (due.length > 0) {
        const { replayed, left } = await replayDeadLetters(now, due, signal, () => {});
        for (const id of replayed) triedAtMs.delete(id);
        log.info({ replayed, left }, 'rows that no message held');
      }
    } catch (error) {
      // Servers that are gone are said by those who watch them.
      if (!signal.aborted) log.debug({ error: errorText(error) }, 'rows that no message held');
    }
    await pause(LOOK_MS, signal).catch(() => {});
  }
}
