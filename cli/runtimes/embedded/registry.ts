import type { Config } from '../../config/schema.ts';
import { peersOf } from '../../stack/brokers.ts';
import type { ServerName } from '../../stack/endpoints.ts';
import { clickhouseServer } from './servers/clickhouse.ts';
import { connectServer } from './servers/connect.ts';
import { kafkaServer, peerBroker } from './servers/kafka.ts';
import { postgresServer } from './servers/postgres.ts';
import type { EmbeddedServer } from './servers/server.ts';

export const EMBEDDED_SERVERS: Readonly<Record<ServerName, EmbeddedServer>> = {
  postgres: postgresServer,
  kafka: kafkaServer,
  connect: connectServer,
  clickhouse: clickhouseServer,
};

/** What runs on this machine, of the servers that have no address. */
export function serversToRun(config: Config, own: readonly ServerName[]): EmbeddedServer[] {
  return [...own.map((name) => EMBEDDED_SERVERS[name]), ...peersOf(config).map(peerBroker)];
}
