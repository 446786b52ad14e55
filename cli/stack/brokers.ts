/** Brokers beside `kafka`, where cdc runs three: their ports by node, internal ones of the stack. */
export const PEER_BROKERS = {
  'kafka-2': { node: 2, client: 'kafka_2', controller: 'kafka_2_controller', jmx: 'kafka_2_jmx' },
  'kafka-3': { node: 3, client: 'kafka_3', controller: 'kafka_3_controller', jmx: 'kafka_3_jmx' },
} as const;
export type PeerBroker = keyof typeof PEER_BROKERS;
export const PEER_NAMES = Object.keys(PEER_BROKERS) as readonly PeerBroker[];
type PeerPorts = (typeof PEER_BROKERS)[PeerBroker];
export type PeerPort = PeerPorts['client' | 'controller' | 'jmx'];
export const PEER_PORTS: readonly PeerPort[] = Object.values(PEER_BROKERS).flatMap(
  ({ client, controller, jmx }) => [client, controller, jmx],
);
