import pLimit from 'p-limit';
import { Problem } from '../../core/problems.ts';
import type { LoadEvents } from './events.ts';

/** Most of a small table's load is waiting for answers; pulls are limited for themselves. */
const PARALLEL_TABLES = 4;
/** Servers answered, so that other tables may have more luck. */
const OF_ONE_TABLE = new Set([
  'LOAD_FAILED',
  'KEY_NOT_READABLE',
  'SOURCE_REFUSED',
  'CLICKHOUSE_REFUSED',
]);

export interface EachResult<T, R> {
  /** In the order of the tables. */
  readonly done: readonly R[];
  readonly failed: readonly { readonly table: T; readonly problem: Problem }[];
}

/**
 * Loads several tables at once. What fails of one table alone, which may have been changed or dropped
 * meanwhile, is reported with the result, and the others go on. Anything else ends all.
 */
export async function eachTable<T, R>(
  tables: readonly T[],
  options: { readonly signal: AbortSignal; readonly events: LoadEvents },
  load: (table: T, signal: AbortSignal) => Promise<R>,
): Promise<EachResult<T, R>> {
  const ending = new AbortController();
  const signal = AbortSignal.any([options.signal, ending.signal]);
  const limit = pLimit(PARALLEL_TABLES);
  const failed: { table: T; problem: Problem }[] = [];
  const results = await Promise.allSettled(
    tables.map((table) =>
      limit(async () => {
        signal.throwIfAborted();
        try {
          return [await load(table, signal)];
        } catch (error) {
          if (!(error instanceof Problem) || !OF_ONE_TABLE.has(error.code)) {
            ending.abort(error);
            throw error;
          }
          failed.push({ table, problem: error });
          options.events.failed?.(error.message);
          return [];
        }
      }),
    ),
  );
  if (ending.signal.aborted) throw ending.signal.reason;
  options.signal.throwIfAborted();
  const done = results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
  return { done, failed };
}
