import { type Ran, runProgram } from '../../lib/run.ts';
import { COMPOSE_FILE } from './project.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** Runs `docker compose` on docker-compose.yml to its end; `variables` fill the file. */
export function compose(
  args: readonly string[],
  options: {
    readonly env: Env;
    readonly variables: Readonly<Record<string, string>>;
    readonly profiles: readonly string[];
    readonly signal?: AbortSignal;
    readonly onLine?: (line: string) => void;
  },
): Promise<Ran> {
  const profiles = options.profiles.flatMap((name) => ['--profile', name]);
  return runProgram(
    'docker',
    ['compose', '--ansi', 'never', '-f', COMPOSE_FILE(), ...profiles, ...args],
    {
      env: { ...options.env, ...options.variables },
      signal: options.signal,
      onLine: (line) => options.onLine?.(line.trim()),
    },
  );
}
