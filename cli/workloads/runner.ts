import { setMaxListeners } from 'node:events';
import type { Random } from '../core/random.ts';
import { NOTHING_WRITTEN, totalOf, type Writer, type Written } from './workload.ts';

export interface RunOptions {
  /** Row changes per second, or as fast as the server takes them. */
  readonly rate: number | 'max';
  /** Undefined: until the signal fires. */
  readonly durationMs: number | undefined;
  readonly signal: AbortSignal;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Ends early, by resolving or rejecting, when the signal fires. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** In [0, 1); spreads the tries of writers that failed together. */
  readonly random: Random;
  /** Writes under way at once. */
  readonly concurrency: number;
  /** Called about once a second. */
  readonly onProgress?: (progress: Progress) => void;
}

export interface Progress {
  /** Row changes since the start. */
  readonly written: number;
  readonly seconds: number;
  /** Row changes per second since the last report. */
  readonly rate: number;
}

export interface RunResult extends Written {
  readonly written: number;
  readonly seconds: number;
  /** Attempts that failed, whether or not a later one succeeded. */
  readonly errors: number;
}

const TICK_MS = 20;
/** The longest pause of a slow run, so that progress is still reported. */
const IDLE_MS = 250;
const PROGRESS_MS = 1000;
/** Row changes in one write: large enough that round trips do not count, one statement per table. */
const WRITE_CHANGES = 200;
const TRIES = 5;
/** 0.1 + 0.4 + 1.6 + 6.4 seconds: outlasts a restart of the server. */
const BACKOFF_MS = 100;
const BACKOFF_FACTOR = 4;

/** Lets `writer` write at the wanted rate until the time is over or the signal fires. */
export async function runWorkload(writer: Writer, options: RunOptions): Promise<RunResult> {
  return new Run(writer, options).run();
}

class Run {
  readonly #writer: Writer;
  readonly #options: RunOptions;
  readonly #signal: AbortSignal;
  readonly #rate: number;
  readonly #written: Written = { ...NOTHING_WRITTEN };
  #errors = 0;
  #failed: { readonly error: unknown } | undefined;
  readonly #underWay = new Set<Promise<void>>();
  readonly #start: number;
  /** Row changes that may be written now: a bucket that holds one second's worth. */
  #tokens = 0;
  #filledAt: number;
  #reportedAt: number;
  #reported = 0;

  constructor(writer: Writer, options: RunOptions) {
    this.#writer = writer;
    this.#options = options;
    // Every write under way listens, and Node warns from the eleventh listener of one signal on.
    this.#signal = AbortSignal.any([options.signal]);
    setMaxListeners(0, this.#signal);
    this.#rate = options.rate === 'max' ? Number.POSITIVE_INFINITY : options.rate;
    this.#start = options.now();
    this.#filledAt = this.#start;
    this.#reportedAt = this.#start;
  }

  async run(): Promise<RunResult> {
    const { now } = this.#options;
    const end = this.#start + (this.#options.durationMs ?? Number.POSITIVE_INFINITY);
    for (;;) {
      this.#fill(Math.min(now(), end));
      if (this.#signal.aborted || this.#failed) break;
      const over = now() >= end;
      // At a rate, the last tick's share is still owed; at 'max' there is always more.
      if (!over || this.#rate !== Number.POSITIVE_INFINITY) this.#launch();
      this.#report();
      if (over) break;
      await this.#wait(end - now());
    }
    await Promise.all(this.#underWay);
    if (this.#failed) throw this.#failed.error;
    return {
      written: totalOf(this.#written),
      ...this.#written,
      seconds: (now() - this.#start) / 1000,
      errors: this.#errors,
    };
  }

  #fill(at: number): void {
    const earned = (this.#rate * (at - this.#filledAt)) / 1000;
    this.#filledAt = at;
    // At 'max' the bucket is endless; Infinity times no time at all would be NaN.
    this.#tokens =
      this.#rate === Number.POSITIVE_INFINITY
        ? Number.POSITIVE_INFINITY
        : Math.min(this.#tokens + earned, Math.max(this.#rate, 2));
  }

  #launch(): void {
    while (this.#underWay.size < this.#options.concurrency && this.#tokens >= 1) {
      const count = Math.min(WRITE_CHANGES, Math.floor(this.#tokens));
      this.#tokens -= count;
      const write: Promise<void> = this.#write(count).finally(() => this.#underWay.delete(write));
      this.#underWay.add(write);
    }
  }

  /** Until tokens or a free place can be there, whichever is missing. */
  async #wait(leftMs: number): Promise<void> {
    if (this.#tokens >= 1) {
      await Promise.race(this.#underWay);
      return;
    }
    const toNext = ((1 - this.#tokens) / this.#rate) * 1000;
    const ms = Math.min(Math.max(TICK_MS, toNext), IDLE_MS, leftMs);
    await this.#sleep(ms);
  }

  /** Never rejects: what ended a write stands in #failed, unless it was the signal. */
  async #write(count: number): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const written = await this.#writer.write(count, this.#signal);
        this.#written.inserts += written.inserts;
        this.#written.updates += written.updates;
        this.#written.deletes += written.deletes;
        // What was not used goes back; a repeated write may also have used more.
        this.#tokens += count - totalOf(written);
        return;
      } catch (error) {
        if (this.#signal.aborted) return;
        this.#errors += 1;
        if (attempt === TRIES) {
          this.#failed ??= { error };
          return;
        }
      }
      const backoff = BACKOFF_MS * BACKOFF_FACTOR ** (attempt - 1);
      await this.#sleep(backoff * (0.75 + this.#options.random() / 2));
      if (this.#signal.aborted || this.#failed) return;
    }
  }

  async #sleep(ms: number): Promise<void> {
    await this.#options.sleep(ms, this.#signal).catch((error: unknown) => {
      if (!this.#signal.aborted) throw error;
    });
  }

  #report(): void {
    const at = this.#options.now();
    const ms = at - this.#reportedAt;
    if (ms < PROGRESS_MS) return;
    const written = totalOf(this.#written);
    this.#options.onProgress?.({
      written,
      seconds: (at - this.#start) / 1000,
      rate: ((written - this.#reported) * 1000) / ms,
    });
    this.#reportedAt = at;
    this.#reported = written;
  }
}
