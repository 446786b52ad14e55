import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { COMMANDS } from '../../cli/commands/registry.ts';
import type { Context, OutputStream } from '../../cli/kernel/context.ts';
import { type CommandSpec, runCli } from '../../cli/kernel/program.ts';
import { packageRoot } from '../../cli/lib/packageRoot.ts';

/** The built program, for tests that need it as a process of its own. */
export const MAIN = join(packageRoot(), 'dist', 'main.js');

export interface RunOptions {
  readonly cwd: string;
  /** Added to what a command needs to find its programs; nothing of `CDC_*` leaks in. */
  readonly env?: Readonly<Record<string, string>>;
  readonly columns?: number;
  readonly tty?: boolean;
  readonly signal?: AbortSignal;
  readonly commands?: readonly CommandSpec[];
  /** Told what the command prints, as it does. */
  readonly onOutput?: (text: string) => void;
}

export interface Ran {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as the one JSON document that `--json` promises. */
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects to find
  json(): any;
}

/** What a command may see of this process' environment. */
export function cleanEnvironment(): Record<string, string> {
  const kept = ['PATH', 'HOME', 'LANG', 'TMPDIR', 'JAVA_HOME', 'XDG_CACHE_HOME', 'USER'];
  const found = kept.flatMap((key) => {
    const value = process.env[key];
    return value === undefined ? [] : [[key, value]];
  });
  // Whatever engine this machine has: tests that want containers say so.
  return { ...Object.fromEntries(found), DOCKER_HOST: 'unix:///nonexistent/docker.sock' };
}

/** Keeps what is written to it. */
export function collector(
  options: { tty?: boolean; columns?: number; onOutput?: (text: string) => void } = {},
) {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      options.onOutput?.(String(chunk));
      done();
    },
  }) as OutputStream;
  Object.assign(stream, {
    ...(options.tty ? { isTTY: true } : {}),
    ...(options.columns === undefined ? {} : { columns: options.columns }),
  });
  return { stream, text: () => text };
}

/** A context whose streams are kept; time is the real one. */
export function testContext(options: RunOptions) {
  const shape = {
    ...(options.tty === undefined ? {} : { tty: options.tty }),
    ...(options.columns === undefined ? {} : { columns: options.columns }),
  };
  const { onOutput } = options;
  const stdout = collector(onOutput ? { ...shape, onOutput } : shape);
  const stderr = collector(shape);
  const context: Context = {
    env: { ...cleanEnvironment(), ...options.env },
    cwd: options.cwd,
    stdin: new PassThrough().end(),
    stdout: stdout.stream,
    stderr: stderr.stream,
    signal: options.signal ?? new AbortController().signal,
    now: () => new Date(),
    monotonicMs: () => performance.now(),
  };
  return { context, stdout: stdout.text, stderr: stderr.text };
}

/** Runs a command line in this process, as main.ts would. */
export async function runCommand(argv: readonly string[], options: RunOptions): Promise<Ran> {
  const { context, stdout, stderr } = testContext(options);
  const exit = await runCli(argv, context, options.commands ?? COMMANDS, '0.0.0-test');
  return {
    exit,
    stdout: stdout(),
    stderr: stderr(),
    json: () => {
      try {
        return JSON.parse(stdout());
      } catch {
        throw new Error(`not one JSON document:\n${stdout()}\nstandard error:\n${stderr()}`);
      }
    },
  };
}
