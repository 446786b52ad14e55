import { residentBytes } from '../../lib/processes.ts';
import type { AgentState } from '../../stack/state.ts';
import type { PartStatus } from '../runtime.ts';

/** The agent and the processes that it supervises, by what it wrote down. */
export function processStatus(agent: AgentState): PartStatus[] {
  const servers = [...agent.servers, ...agent.observers].map(
    (server): PartStatus => ({
      name: server.name,
      state: server.state,
      detail: server.state === 'ready' ? undefined : server.detail,
      fix: undefined,
      restarts: server.restarts,
      memory_bytes: server.pid === undefined ? undefined : residentBytes(server.pid),
    }),
  );
  // The agent's own figure includes its children, which are the servers.
  const whole = agent.pid === undefined ? undefined : residentBytes(agent.pid);
  const theirs = servers.reduce((sum, { memory_bytes }) => sum + (memory_bytes ?? 0), 0);
  const own: PartStatus = {
    name: 'agent',
    state: agent.phase,
    detail: undefined,
    fix: undefined,
    restarts: undefined,
    memory_bytes: whole === undefined ? undefined : Math.max(0, whole - theirs),
  };
  return [own, ...servers];
}
