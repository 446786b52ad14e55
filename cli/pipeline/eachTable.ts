import pLimit from 'p-limit';
import { Problem, plural } from '../core/problems.ts';
import type { ExistingEvents } from './existing.ts';

/** Most of a small table's load is waiting for answers; pulls are limited for themselves. */
const PARALLEL_TABLES = 4;

/**
 * Loads several tables at once; results are in their order. What fails of one table alone, which may
 * have been changed or dropped meanwhile, is thrown when the others are done. Anything else ends all.
 */
export async function eachTable<T, R>(
  tables: readonly T[],
  options: { readonly signal: AbortSignal; readonly events: ExistingEvents },
  load: (table: T, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  const ending = new AbortController();
  const signal = AbortSignal.any([options.signal, ending.signal]);
  const limit = pLimit(PARALLEL_TABLES);
  const failed: Problem[] = [];
  const results = await Promise.allSettled(
    tables.map((table) =>
      limit(async () => {
        signal.throwIfAborted();
        try {
          return [await load(table, signal)];
        } catch (error) {
          if (!(error instanceof Problem) || error.code !== 'LOAD_FAILED') {
            ending.abort(error);
            throw error;
          }
          failed.push(error);
          options.events.failed?.(error.message);
          return [];
        }
      }),
    ),
  );
  if (ending.signal.aborted) throw ending.signal.reason;
  options.signal.throwIfAborted();
  refuseFailed(failed);
  return results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
}

function refuseFailed(failed: readonly Problem[]): void {
  const [first, ...others] = failed;
  if (!first) return;
  if (others.length === 0) throw first;
  const table = plural(failed.length, 'table');
  throw new Problem('LOAD_FAILED', { table, detail: failed.map((f) => f.message).join('; ') });
}
