import type { ServerName } from '../../stack/endpoints.ts';
import { clickhouseServer } from './servers/clickhouse.ts';
import { connectServer } from './servers/connect.ts';
import { kafkaServer } from './servers/kafka.ts';
import { postgresServer } from './servers/postgres.ts';
import type { EmbeddedServer } from './servers/server.ts';

export const EMBEDDED_SERVERS: Readonly<Record<ServerName, EmbeddedServer>> = {
  postgres: postgresServer,
  kafka: kafkaServer,
  connect: connectServer,
  clickhouse: clickhouseServer,
};
