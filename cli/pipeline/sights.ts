import { join } from 'node:path';
import type { AgentState } from '../agent/state.ts';
import type { LoadedConfig } from '../config/load.ts';
import { Problem } from '../core/problems.ts';
import { readJson } from '../lib/files.ts';
import { residentBytes } from '../lib/processes.ts';
import { openEngine } from '../runtimes/compose/engine.ts';
import { projectName } from '../runtimes/compose/project.ts';
import { lookAtContainers, type Sight } from '../runtimes/compose/sight.ts';
import type { Layout } from '../runtimes/embedded/layout.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** What is needed to look at the parts of a stack. */
export interface Seen {
  readonly config: LoadedConfig['config'];
  readonly directory: string;
  readonly env: Env;
  readonly agent: AgentState | undefined;
}

/**
 * Agent and servers as their runtime sees them: processes by what the agent wrote down, containers by
 * what the engine says. Throws STACK_NOT_RUNNING when there is no container.
 */
export async function lookAtParts(seen: Seen): Promise<Sight[]> {
  const { agent } = seen;
  if (!agent) return [];
  if (agent.view === undefined) return processSights(agent);
  const project = agent.project ?? projectName(seen);
  const sights = await lookAtContainers(await openEngine(seen.env), project);
  if (sights.length === 0) throw new Problem('STACK_NOT_RUNNING', { directory: seen.directory });
  return sights;
}

function processSights(agent: AgentState): Sight[] {
  const servers = [...agent.servers, ...(agent.observers ?? [])].map(
    (server): Sight => ({
      name: server.name,
      state: server.state,
      detail: server.state === 'ready' ? undefined : server.detail,
      fix: undefined,
      restarts: server.restarts,
      memory_bytes: server.pid === undefined ? undefined : residentBytes(server.pid),
    }),
  );
  // The agent's own figure includes its children, which are the servers.
  const whole = residentBytes(agent.pid);
  const theirs = servers.reduce((sum, { memory_bytes }) => sum + (memory_bytes ?? 0), 0);
  const own: Sight = {
    name: 'agent',
    state: agent.phase,
    detail: undefined,
    fix: undefined,
    restarts: undefined,
    memory_bytes: whole === undefined ? undefined : Math.max(0, whole - theirs),
  };
  return [own, ...servers];
}

/** The agent's own words, wherever it runs; absent when it has written none. */
export function agentWords(layout: Layout, agent: AgentState | undefined): AgentState | undefined {
  if (agent?.view !== 'published') return agent;
  return readJson<AgentState>(join(layout.root, 'agent', 'state.json'));
}

/** Memory of everything that cdc runs here, in bytes; a part that was not read is absent. */
export async function memoryByPart(seen: Seen): Promise<Record<string, number>> {
  return memoryOf(await lookAtParts(seen));
}

/** The same of the agent and the processes that it supervises. */
export function memoryByProcess(agent: AgentState): Record<string, number> {
  return memoryOf(processSights(agent));
}

function memoryOf(sights: readonly Sight[]): Record<string, number> {
  return Object.fromEntries(
    sights.flatMap(({ name, memory_bytes }) =>
      memory_bytes === undefined ? [] : [[name, memory_bytes]],
    ),
  );
}

export function totalBytes(byPart: Readonly<Record<string, number>>): number {
  return Object.values(byPart).reduce((sum, bytes) => sum + bytes, 0);
}
