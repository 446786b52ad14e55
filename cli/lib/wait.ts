import { setTimeout as delay } from 'node:timers/promises';

/** What one look returned: ready with a value, or what it saw instead. */
export type Look<T> = { readonly ready: T } | { readonly seen: string };

export class WaitTimeout extends Error {
  readonly seen: string;
  readonly seconds: number;
  constructor(what: string, seconds: number, seen: string) {
    super(`${what}: not within ${seconds} s; last seen: ${seen}`);
    this.name = 'WaitTimeout';
    this.seen = seen;
    this.seconds = seconds;
  }
}

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly everyMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** The time counts from the last look that saw something else: what moves is given its time. */
  readonly whileMoving?: boolean;
}

/**
 * Looks until ready or the deadline passes. An exception in a look counts as "not yet"; its
 * message is what was last seen.
 */
export async function waitFor<T>(
  what: string,
  options: WaitOptions,
  look: () => Promise<Look<T>> | Look<T>,
): Promise<T> {
  let deadline = performance.now() + options.timeoutMs;
  let seen = 'nothing yet';
  for (;;) {
    options.signal?.throwIfAborted();
    try {
      const result = await look();
      if ('ready' in result) return result.ready;
      if (options.whileMoving && result.seen !== seen)
        deadline = performance.now() + options.timeoutMs;
      seen = result.seen;
    } catch (error) {
      if (options.signal?.aborted) throw error;
      if (error instanceof StopWaiting) throw error.reason;
      seen = error instanceof Error ? error.message || error.name : String(error);
    }
    if (performance.now() >= deadline) throw new WaitTimeout(what, options.timeoutMs / 1000, seen);
    await pause(options.everyMs ?? 100, options.signal);
  }
}

/** Thrown inside a look when waiting longer cannot help; `reason` is what the waiter gets. */
export class StopWaiting extends Error {
  readonly reason: unknown;
  constructor(reason: unknown) {
    super('stop waiting');
    this.reason = reason;
  }
}

/** What `within` throws when the work takes too long. */
export class DeadlineError extends Error {}

/** The work's result, or TooSlow; the work itself goes on, and its late failure is nobody's. */
export async function within<T>(timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = pause(timeoutMs, timer.signal).then(
    () => {
      throw new DeadlineError(`no answer within ${timeoutMs / 1000} s`);
    },
    () => new Promise<never>(() => {}),
  );
  try {
    return await Promise.race([work(), late]);
  } finally {
    timer.abort();
  }
}

/** A pause that ends early, by throwing, when the signal fires. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(ms, undefined, signal ? { signal } : {});
}
