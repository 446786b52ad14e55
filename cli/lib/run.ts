import type { Options } from 'execa';

export interface RunOptions {
  /** All of its environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What it reads; nothing by default. */
  readonly input?: string | undefined;
  /** Each line of both streams, as it comes. */
  readonly onLine?: (line: string) => void;
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  /** Both streams, the last lines of them. */
  readonly output: string;
}

const LINES_KEPT = 400;

/**
 * Runs a program to its end, whatever its exit code. Throws where it cannot be started, or the signal ends it.
 * The library is loaded only here: at the start of every command it would cost 0.1 s.
 */
export async function runProgram(
  command: string,
  args: readonly string[],
  { env, cwd, uid, gid, signal, input, onLine }: RunOptions,
): Promise<Ran> {
  const { execa } = await import('execa');
  const options = {
    env: { ...env },
    extendEnv: false,
    ...(input === undefined ? { stdin: 'ignore' as const } : { input }),
    all: true,
    reject: false,
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  } as const satisfies Options;
  const child = execa(command, args, options);
  const output: string[] = [];
  for await (const line of child.iterable({ from: 'all' })) {
    output.push(line);
    if (output.length > LINES_KEPT) output.shift();
    onLine?.(line);
  }
  const done = await child;
  if (done.isCanceled) throw done;
  if (done.exitCode === undefined && done.signal === undefined) throw done.cause ?? done;
  return { code: done.exitCode ?? 1, stdout: done.stdout, output: output.join('\n') };
}
