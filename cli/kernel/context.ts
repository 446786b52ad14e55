import type { Readable, Writable } from 'node:stream';

/**
 * Everything a command may touch of the outside: streams, environment, clock, abort signal.
 * Only main.ts builds one from `process`; tests build their own.
 */
export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdin: Readable;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly signal: AbortSignal;
  /** Wall clock; for what people read. */
  now(): Date;
  /** Milliseconds on a clock that never goes back; for durations. */
  monotonicMs(): number;
}

export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };
