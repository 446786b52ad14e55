import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import type Docker from 'dockerode';
import { Problem } from '../../core/problems.ts';
import { within } from '../../lib/wait.ts';

type Env = Readonly<Record<string, string | undefined>>;

const DEFAULT_SOCKET = '/var/run/docker.sock';
const PING_MS = 2000;
const COMMAND_MS = 10_000;
export const COMPOSE_MINIMUM = '2.20';

/** Where the engine listens: DOCKER_HOST, else the usual socket, else what the docker command uses. */
export async function engineAddress(env: Env): Promise<string> {
  if (env.DOCKER_HOST) return env.DOCKER_HOST;
  if (existsSync(DEFAULT_SOCKET)) return `unix://${DEFAULT_SOCKET}`;
  const args = ['context', 'inspect', '--format', '{{.Endpoints.docker.Host}}'];
  const asked = await run('docker', args, env).catch(() => undefined);
  return asked?.stdout.trim() || `unix://${DEFAULT_SOCKET}`;
}

/** Runs a command to its end; throws what execFile throws. */
async function run(command: string, args: readonly string[], env: Env) {
  return promisify(execFile)(command, [...args], {
    env: { ...env } as NodeJS.ProcessEnv,
    timeout: COMMAND_MS,
  });
}

/** A client of the engine, which has answered. Throws DOCKER_MISSING or DOCKER_DENIED. */
export async function openEngine(env: Env): Promise<Docker> {
  const address = await engineAddress(env);
  // Loaded only where containers are used: it brings 200 files.
  const { default: Client } = await import('dockerode');
  const docker = new Client(connection(address));
  try {
    await within(PING_MS, () => docker.ping());
    return docker;
  } catch (error) {
    throw engineProblem(address, error);
  }
}

function connection(address: string): Docker.DockerOptions {
  const url = parse(address);
  if (url?.protocol === 'unix:') return { socketPath: address.slice('unix://'.length) };
  if (url && /^(tcp|http):$/.test(url.protocol)) {
    return { protocol: 'http', host: url.hostname, port: Number(url.port || 2375) };
  }
  throw new Problem('DOCKER_MISSING', {
    what: `DOCKER_HOST is ${address}`,
    detail: 'cdc speaks with engines at unix:// and tcp:// addresses.',
  });
}

function parse(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

/** What came of asking an engine, as an entry of the catalogue. */
export function engineProblem(address: string, error: unknown): unknown {
  if (error instanceof Problem) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM')
    return new Problem('DOCKER_DENIED', { address, detail: message }, { cause: error });
  const what =
    code === 'ENOENT' ? `there is no engine at ${address}` : `none answers at ${address}`;
  return new Problem('DOCKER_MISSING', { what, detail: message }, { cause: error });
}

/** Throws unless `docker compose` is there and new enough. */
export async function requireCompose(env: Env): Promise<void> {
  try {
    const { stdout } = await run('docker', ['compose', 'version', '--short'], env);
    const found = stdout.trim();
    if (isOlder(found, COMPOSE_MINIMUM))
      throw new Problem('COMPOSE_TOO_OLD', { needed: COMPOSE_MINIMUM, found: `this is ${found}` });
  } catch (error) {
    if (error instanceof Problem) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      const detail = 'The command docker is not on the PATH.';
      throw new Problem(
        'DOCKER_MISSING',
        { what: 'it is not installed', detail },
        { cause: error },
      );
    }
    const found = 'docker has no plug-in of that name';
    throw new Problem('COMPOSE_TOO_OLD', { needed: COMPOSE_MINIMUM, found }, { cause: error });
  }
}

/** Whether version `a` is older than `b`, by their numbers; what has none is older than all. */
export function isOlder(a: string, b: string): boolean {
  const numbers = (text: string) => (/\d+(\.\d+)*/.exec(text)?.[0] ?? '0').split('.').map(Number);
  const [x, y] = [numbers(a), numbers(b)];
  for (let i = 0; i < Math.max(x.length, y.length); i += 1) {
    if ((x[i] ?? 0) !== (y[i] ?? 0)) return (x[i] ?? 0) < (y[i] ?? 0);
  }
  return false;
}

/** Why containers cannot be used here; undefined when they can. */
export async function whyNoContainers(env: Env): Promise<string | undefined> {
  // Where there is no docker command at all, nothing is started to find that out.
  const hasDocker = (env.PATH ?? '').split(':').some((folder) => existsSync(`${folder}/docker`));
  if (!hasDocker) return 'Docker is not installed';
  try {
    await openEngine(env);
    await requireCompose(env);
    return undefined;
  } catch (error) {
    return error instanceof Problem ? error.message.replace(/\.$/, '') : String(error);
  }
}
