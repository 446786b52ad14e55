import type { Config } from '../config/schema.ts';

/** Brokers beside `kafka`, where cdc runs three: their ports by node, internal ones of the stack. */
export const PEER_BROKERS = {
  'kafka-2': { node: 2, client: 'kafka_2', controller: 'kafka_2_controller', jmx: 'kafka_2_jmx' },
  'kafka-3': { node: 3, client: 'kafka_3', controller: 'kafka_3_controller', jmx: 'kafka_3_jmx' },
} as const;
export type PeerBroker = keyof typeof PEER_BROKERS;
export const PEER_NAMES = Object.keys(PEER_BROKERS) as readonly PeerBroker[];
type PeerPorts = (typeof PEER_BROKERS)[PeerBroker];
export type PeerPort = PeerPorts['client' | 'controller' | 'jmx'];

/** Those that cdc.yaml asks for. */
export function peersOf({ kafka }: Pick<Config, 'kafka'>): readonly PeerBroker[] {
  return kafka.brokers === 3 ? PEER_NAMES : [];
}

export function peerPorts(name: PeerBroker): PeerPort[] {
  const { client, controller, jmx } = PEER_BROKERS[name];
  return [client, controller, jmx];
}

/** Those of one kind that peers have, where cdc runs some. */
export function portsOfPeers(
  ports: Readonly<Partial<Record<PeerPort, number>>>,
  kind: 'client' | 'jmx',
): number[] {
  return Object.values(PEER_BROKERS).flatMap((peer) => ports[peer[kind]] ?? []);
}

/** Whether cdc runs brokers beside the first: where one hangs, the others are there to be asked. */
export function hasPeers(kafka: {
  readonly managed: boolean;
  readonly brokers: readonly string[];
}): boolean {
  return kafka.managed && kafka.brokers.length > 1;
}
