import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { LoadedConfig } from '../config/load.ts';
import { packageRoot } from '../lib/packageRoot.ts';
import { type Ran, runProgram } from '../lib/run.ts';
import type { Stack } from '../pipeline/state/stack.ts';
import type { Runtime } from '../runtimes/runtime.ts';
import type { ServerName } from '../stack/endpoints.ts';
import type { CopiedTable } from './tables.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** What faults are played on: a stack that runs, and commands on it as a user would type them. */
export class Ground {
  readonly stack: Stack;
  readonly loaded: LoadedConfig;
  readonly runtime: Runtime;
  readonly signal: AbortSignal;
  readonly env: Env;
  /** Those of the run; known once they are copied. */
  tables: readonly CopiedTable[] = [];

  constructor(given: Pick<Ground, 'stack' | 'loaded' | 'runtime' | 'signal' | 'env'>) {
    this.stack = given.stack;
    this.loaded = given.loaded;
    this.runtime = given.runtime;
    this.signal = given.signal;
    this.env = given.env;
  }

  /** Runs a command to its end, whatever its exit code; also when the run is interrupted. */
  cdc(...args: string[]): Promise<Ran> {
    const { cwd, env } = this.place();
    return runProgram(process.execPath, this.words(args), { cwd, env });
  }

  /** Starts a command that is to be killed. */
  start(...args: string[]): ChildProcess {
    const { cwd, env } = this.place();
    return spawn(process.execPath, this.words(args), {
      cwd,
      env: env as NodeJS.ProcessEnv,
      stdio: 'ignore',
    });
  }

  private words(args: readonly string[]): string[] {
    const config = this.loaded.file ? ['--config', this.loaded.file] : [];
    return [join(packageRoot(), 'dist', 'main.js'), ...args, ...config];
  }

  private place() {
    return { cwd: this.loaded.directory, env: this.env };
  }
}

/** The command that mends a fault which needs one by its nature. */
export type Mend = 'apply' | 'up';

export interface Fault {
  readonly name: string;
  /** For people. */
  readonly summary: string;
  /** Servers that have to be this stack's own. */
  readonly servers: readonly ServerName[];
  /** Absent where it mends itself. */
  readonly mend?: Mend;
  /** Why it cannot be played here; undefined when it can. */
  notHere?(ground: Pick<Ground, 'stack' | 'runtime'>): string | undefined;
  /** Plays it to its end: what stood still goes on again. Returns what was done, in words. */
  play(ground: Ground, chance: number): Promise<string>;
}

/** One that no stack of this kind can have: listed, with the reason. */
export function notPlayed(name: string, summary: string, why: string): Fault {
  return {
    name,
    summary,
    servers: [],
    notHere: () => why,
    play: async () => {
      throw new RangeError(why);
    },
  };
}
