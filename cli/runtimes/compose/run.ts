import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { COMPOSE_FILE } from './project.ts';

type Env = Readonly<Record<string, string | undefined>>;

export interface ComposeRun {
  readonly code: number;
  /** Both streams, the last lines of them. */
  readonly output: string;
  readonly stdout: string;
}

const OUTPUT_KEPT = 400;

/** Runs `docker compose` on docker-compose.yml to its end; `variables` fill the file. */
export async function compose(
  args: readonly string[],
  options: {
    readonly env: Env;
    readonly variables: Readonly<Record<string, string>>;
    readonly profiles: readonly string[];
    readonly signal?: AbortSignal;
    readonly onLine?: (line: string) => void;
  },
): Promise<ComposeRun> {
  const profiles = options.profiles.flatMap((name) => ['--profile', name]);
  const child = spawn(
    'docker',
    ['compose', '--ansi', 'never', '-f', COMPOSE_FILE(), ...profiles, ...args],
    {
      env: { ...options.env, ...options.variables } as NodeJS.ProcessEnv,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.signal ? { signal: options.signal } : {}),
    },
  );
  const output: string[] = [];
  let stdout = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  const read = (line: string) => {
    output.push(line);
    if (output.length > OUTPUT_KEPT) output.shift();
    options.onLine?.(line.trim());
  };
  createInterface({ input: child.stdout }).on('line', read);
  createInterface({ input: child.stderr }).on('line', read);
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (ended) => resolve(ended ?? 1));
  });
  return { code, output: output.join('\n'), stdout };
}
