import { residentBytes } from '../lib/processes.ts';
import type { Stack } from './stack.ts';

/** Memory of everything that cdc runs here, in bytes, by process; a process that is gone is absent. */
export function memoryByProcess(stack: Pick<Stack, 'agent'>): Record<string, number> {
  const found: Record<string, number> = {};
  if (!stack.agent) return found;
  // The agent's own figure includes its children, which are the servers.
  const whole = residentBytes(stack.agent.pid);
  let servers = 0;
  for (const server of [...stack.agent.servers, ...(stack.agent.observers ?? [])]) {
    const bytes = server.pid === undefined ? undefined : residentBytes(server.pid);
    if (bytes === undefined) continue;
    found[server.name] = bytes;
    servers += bytes;
  }
  if (whole !== undefined) found.agent = Math.max(0, whole - servers);
  return found;
}

export function totalBytes(byProcess: Readonly<Record<string, number>>): number {
  return Object.values(byProcess).reduce((sum, bytes) => sum + bytes, 0);
}
