import { type Config, DEFAULT_PORTS, type PortName } from '../config/schema.ts';
import { type Finding, findingOf } from '../core/findings.ts';
import { Problem } from '../core/problems.ts';
import { isPortFree, portOwner } from '../lib/ports.ts';
import { SERVERS, type ServerName } from '../stack/endpoints.ts';

/** Names the first wanted port that is taken; with `ports: auto` there is none. */
export async function checkPortsFree(
  config: Config,
  servers: readonly ServerName[],
): Promise<void> {
  if (config.ports === 'auto') return;
  const wanted: Record<string, number> = wantedPorts(config);
  for (const { server, name } of portsOf(servers)) {
    const port = wanted[name];
    if (port && !(await isPortFree(port))) throw portInUse(server, port);
  }
}

/** The same as a finding. */
export async function portFindings(
  config: Config,
  servers: readonly ServerName[],
): Promise<Finding[]> {
  try {
    await checkPortsFree(config, servers);
    return [];
  } catch (error) {
    return [findingOf('ports', error)];
  }
}

export function wantedPorts(config: Config): Record<PortName, number> {
  return { ...(config.ports === 'auto' ? DEFAULT_PORTS : config.ports) };
}

export function portsOf(servers: readonly ServerName[]) {
  return servers.flatMap((server) => SERVERS[server].ports.map((name) => ({ server, name })));
}

export function portInUse(server: ServerName, port: number): Problem {
  return new Problem('PORT_IN_USE', { port, server, owner: portOwner(port) });
}
