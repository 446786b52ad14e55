import type { Endpoints } from '../../stack/endpoints.ts';

/** Addresses without any secret, for people and for `--json`. */
export function endpointSummary(endpoints: Partial<Endpoints>): Record<string, string> {
  const { postgres, kafka, connect, clickhouse } = endpoints;
  return {
    ...(postgres ? { postgres: postgresUrl(postgres) } : {}),
    ...(kafka ? { kafka: kafka.brokers.join(',') } : {}),
    ...(connect ? { connect: withoutUser(connect.url) } : {}),
    ...(clickhouse ? { clickhouse: withoutUser(clickhouse.url) } : {}),
  };
}

/** An address from the configuration can carry a password. */
function withoutUser(url: string): string {
  const parsed = new URL(url);
  parsed.username = '';
  parsed.password = '';
  return parsed.href.replace(/\/$/, '');
}

function postgresUrl(postgres: Endpoints['postgres']): string {
  return `postgres://${encodeURIComponent(postgres.user)}@${postgres.host}:${postgres.port}/${encodeURIComponent(postgres.database)}`;
}
