import type { Config } from '../../config/schema.ts';
import type { FileLock } from '../../lib/lock.ts';
import { claimPort, freePort } from '../../lib/ports.ts';
import { peerPorts, peersOf } from '../../stack/brokers.ts';
import type { ServerName } from '../../stack/endpoints.ts';
import {
  type EmbeddedPorts,
  EXTRA_PORTS,
  type ExtraPorts,
  INTERNAL_PORTS,
} from '../../stack/layout.ts';
import { portInUse, portsOf, wantedPorts } from '../ports.ts';

/** Ports that this process has for itself, until it releases them or ends. */
export interface ClaimedPorts {
  readonly ports: EmbeddedPorts;
  release(): void;
}

/**
 * Ports for the servers that run here. With `ports: auto` those of the last start are kept where
 * they are still free, so that clients configured once go on working.
 */
export async function choosePorts(
  config: Config,
  servers: readonly ServerName[],
  previous: EmbeddedPorts | undefined,
): Promise<ClaimedPorts> {
  const auto = config.ports === 'auto';
  const internal: readonly string[] = INTERNAL_PORTS;
  const ports: Record<string, number> = wantedPorts(config);
  const { claim, claimAny, release } = portClaims();
  try {
    for (const name of peersOf(config).flatMap(peerPorts))
      ports[name] = (await claim(previous?.[name])) ?? (await claimAny());
    for (const { server, name } of portsOf(servers)) {
      if (auto || internal.includes(name)) {
        ports[name] =
          (await claim(previous?.[name])) ?? (await claim(ports[name])) ?? (await claimAny());
      } else if ((await claim(ports[name])) === undefined) {
        throw portInUse(server, ports[name] ?? 0);
      }
    }
  } catch (error) {
    release();
    throw error;
  }
  return { ports: ports as EmbeddedPorts, release };
}

/** Ports for those: of the last start, else the wanted one, else any that is free. */
export async function chooseExtraPorts(
  config: Config,
  previous: ExtraPorts | undefined,
): Promise<{ readonly ports: ExtraPorts; release(): void }> {
  const wanted = wantedPorts(config);
  const ports = {} as Record<string, number>;
  const { claim, claimAny, release } = portClaims();
  for (const name of EXTRA_PORTS) {
    const kept = config.ports === 'auto' ? await claim(previous?.[name]) : undefined;
    ports[name] = kept ?? (await claim(wanted[name])) ?? (await claimAny());
  }
  return { ports: ports as ExtraPorts, release };
}

/** Claims of ports for this process, released together. */
function portClaims() {
  const locks: FileLock[] = [];
  const claim = async (port: number | undefined): Promise<number | undefined> => {
    const lock = port ? await claimPort(port) : undefined;
    if (lock) locks.push(lock);
    return lock && port;
  };
  const claimAny = async (): Promise<number> => {
    for (;;) {
      const port = await claim(await freePort());
      if (port !== undefined) return port;
    }
  };
  const release = (): void => {
    for (const lock of locks) lock.release();
  };
  return { claim, claimAny, release };
}
