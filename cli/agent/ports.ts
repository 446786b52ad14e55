import { type Config, DEFAULT_PORTS, type PortName } from '../config/schema.ts';
import { Problem } from '../core/problems.ts';
import { freePort, isPortFree, portOwner } from '../lib/ports.ts';
import type { EmbeddedPorts } from '../runtimes/embedded/layout.ts';
import { EMBEDDED_SERVERS } from '../runtimes/embedded/registry.ts';
import type { ServerName } from '../runtimes/endpoints.ts';

/**
 * Ports for the servers that run here. With `ports: auto` those of the last start are kept where
 * they are still free, so that clients configured once go on working.
 */
export async function choosePorts(
  config: Config,
  servers: readonly ServerName[],
  previous: EmbeddedPorts | undefined,
): Promise<EmbeddedPorts> {
  const auto = config.ports === 'auto';
  const wanted: Record<PortName, number> = config.ports === 'auto' ? DEFAULT_PORTS : config.ports;
  const chosen: Record<string, number> = { ...wanted, kafka_controller: 0 };
  for (const server of servers) {
    for (const name of EMBEDDED_SERVERS[server].ports) {
      chosen[name] = await choosePort(name, auto, previous?.[name], wanted, server, chosen);
    }
  }
  return chosen as EmbeddedPorts;
}

/** Names the first wanted port that is taken; with `ports: auto` there is none. */
export async function checkPortsFree(
  config: Config,
  servers: readonly ServerName[],
): Promise<void> {
  await choosePorts(config, servers, undefined);
}

async function choosePort(
  name: keyof EmbeddedPorts,
  auto: boolean,
  previous: number | undefined,
  wanted: Record<PortName, number>,
  server: ServerName,
  chosen: Readonly<Record<string, number>>,
): Promise<number> {
  const isTaken = (port: number) =>
    Object.entries(chosen).some(([other, p]) => other !== name && p === port);
  if (auto || name === 'kafka_controller') {
    if (previous && !isTaken(previous) && (await isPortFree(previous))) return previous;
    if (name !== 'kafka_controller' && (await isPortFree(wanted[name]))) return wanted[name];
    return freePort();
  }
  const port = wanted[name];
  if (!(await isPortFree(port)))
    throw new Problem('PORT_IN_USE', { port, server, owner: portOwner(port) });
  return port;
}
