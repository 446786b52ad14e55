import type { RuntimeKind } from './resolve.ts';

/** What a runtime shows while it works. */
export interface RuntimeHooks {
  readonly signal: AbortSignal;
  /** What goes on now; a line that replaces the last one. */
  progress(text: string): void;
}

export interface Started {
  readonly result: 'started' | 'unchanged';
  readonly profile: string;
  /** How each server came up, for people; empty when there is nothing to say. */
  readonly summary: string;
}

export interface LogLine {
  readonly component: string;
  readonly text: string;
}

/** The last lines of some logs, and what is written from then on. */
export interface OpenLogs {
  readonly lines: readonly LogLine[];
  follow(signal: AbortSignal, onLine: (line: LogLine) => void): Promise<void>;
}

/** How the servers of a stack are run. Commands work with this and do not know which one it is. */
export interface Runtime {
  readonly kind: RuntimeKind;
  /** What can be known to be wrong before anything is started or made; throws it. */
  preflight(hooks: RuntimeHooks): Promise<void>;
  /** Starts the servers that do not run; returns when all of them answer. */
  start(hooks: RuntimeHooks): Promise<Started>;
  /** Starts what comes after the pipeline is applied; a second time it changes nothing. */
  complete(hooks: RuntimeHooks): Promise<void>;
  /** Ends everything; with `deleteData` the servers' data go, too. @returns whether anything ran. */
  stop(deleteData: boolean): Promise<boolean>;
  /** Names that `logs` takes. */
  logNames(): readonly string[];
  logs(names: readonly string[], count: number): Promise<OpenLogs>;
  /** Where logs are, for people. */
  readonly logPlace: string;
}
