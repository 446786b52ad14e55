import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive } from '../../cli/lib/processes.ts';
import { waitFor } from '../../cli/lib/wait.ts';
import { SERVER_NAMES, type ServerName } from '../../cli/stack/endpoints.ts';
import { readState } from '../../cli/stack/state.ts';
import { containerOf, containersOfProject, docker } from './containers.ts';
import { stack } from './database.ts';
import { isLoopback, listeners, stackPids } from './processes.ts';

/** The servers of the stack that all stack tests share, whichever runtime keeps them. */

export type Kept = ServerName | 'agent';

const RECOVERY_MS = 300_000;

interface Instance {
  /** On this machine, also of a container's first process; absent while it does not run. */
  readonly pid: number | undefined;
  readonly ready: boolean;
  readonly detail: string;
}

/** The project of a stack in containers; undefined where it runs embedded. */
function project(): string | undefined {
  const state = readState(stack().layout);
  return state?.runtime === 'compose' ? state.project : undefined;
}

async function instance(name: Kept): Promise<Instance> {
  const containers = project();
  if (containers !== undefined) {
    const { State } = await (await containerOf(containers, name)).inspect();
    const health = State.Health?.Status;
    return {
      pid: State.Pid || undefined,
      ready: health === 'healthy',
      detail: `${State.Status}, ${health}`,
    };
  }
  const state = readState(stack().layout);
  if (name === 'agent')
    return { pid: state?.pid, ready: state?.phase === 'ready', detail: String(state?.phase) };
  const found = state?.servers.find((server) => server.name === name);
  return {
    pid: found?.pid,
    ready: found?.state === 'ready',
    detail: `${found?.state}, ${found?.detail}`,
  };
}

/** The process of each server and, last, of the agent; equal as long as none was started again. */
export async function pids(): Promise<(number | undefined)[]> {
  const all = await Promise.all([...SERVER_NAMES, 'agent' as const].map(instance));
  return all.map(({ pid }) => pid);
}

/** `kill -9` of a server's process; @returns a function that waits until another one is ready. */
export async function kill(name: Kept): Promise<() => Promise<void>> {
  const { pid } = await instance(name);
  if (pid === undefined) throw new Error(`${name} does not run`);
  process.kill(pid, 'SIGKILL');
  await waitFor(`${name} to be gone`, { timeoutMs: 60_000 }, () =>
    isAlive(pid) ? { seen: 'it runs' } : { ready: true },
  );
  return async () => {
    await waitFor(`${name} to run again`, { timeoutMs: RECOVERY_MS }, async () => {
      const now = await instance(name);
      return now.ready && now.pid !== pid ? { ready: true } : { seen: now.detail };
    });
  };
}

/** Where the stack can be reached from, of addresses beyond this machine; and of all. */
export async function reachable(): Promise<{ all: number; beyondLoopback: unknown[] }> {
  const containers = project();
  if (containers !== undefined) {
    const all = await containersOfProject(containers);
    const published = all.flatMap(({ Ports }) => Ports.filter((port) => port.PublicPort));
    return {
      all: published.length,
      beyondLoopback: published.filter((port) => port.IP !== '127.0.0.1'),
    };
  }
  const found = listeners(stackPids());
  return {
    all: found.length,
    beyondLoopback: found.filter((listener) => !isLoopback(listener)),
  };
}

/** Ports of this machine that lead to the stack. */
export async function listening(): Promise<{ port: number }[]> {
  const containers = project();
  if (containers === undefined) return listeners(stackPids());
  const all = await containersOfProject(containers);
  return all.flatMap(({ Ports }) =>
    Ports.flatMap(({ PublicPort }) => (PublicPort ? [{ port: PublicPort }] : [])),
  );
}

/** What each part of the stack has logged, by name. */
export async function logTexts(): Promise<(readonly [string, string])[]> {
  const containers = project();
  if (containers === undefined) {
    const { logs } = stack().layout;
    return readdirSync(logs).map((name) => [name, readFileSync(join(logs, name), 'utf8')] as const);
  }
  const all = await containersOfProject(containers);
  return Promise.all(
    all.map(async ({ Id, Names }) => {
      const text = await docker().getContainer(Id).logs({ stdout: true, stderr: true });
      return [Names[0] ?? '', text.toString()] as const;
    }),
  );
}
