import { type Config, namedBrokers } from '../config/schema.ts';
import { Problem } from '../core/problems.ts';
import { peersOf } from '../stack/brokers.ts';
import { SERVER_NAMES, SERVERS, type ServerName } from '../stack/endpoints.ts';
import type { RuntimeKind } from '../stack/state.ts';

/** The servers that cdc.yaml gives no address for: those cdc runs. */
export function ownServers(config: Config): ServerName[] {
  const external: Record<ServerName, boolean> = {
    postgres: config.source.url !== undefined,
    kafka: namedBrokers(config) !== undefined,
    connect: config.connect.url !== undefined,
    clickhouse: config.clickhouse.url !== undefined,
  };
  return SERVER_NAMES.filter((name) => !external[name]);
}

export interface RuntimeChoice {
  readonly kind: RuntimeKind;
  readonly servers: readonly ServerName[];
  /** Why, as a sentence; shown by `up`. */
  readonly why: string;
}

export function chooseRuntime(config: Config): RuntimeChoice {
  const servers = ownServers(config);
  if (config.runtime === 'external' && servers.length > 0) {
    throw new Problem(
      'NOT_IMPLEMENTED_RUNTIME',
      {
        runtime: 'external',
        detail: `With runtime: external every server runs already, but these have no address: ${servers.map((s) => SERVERS[s].addressKey).join(', ')}.`,
      },
      { fix: 'Set them in cdc.yaml, or runtime: embedded to let cdc run the others.' },
    );
  }
  if (servers.length === 0) {
    return { kind: 'external', servers, why: 'every server has an address in the configuration' };
  }
  const given = SERVER_NAMES.filter((name) => !servers.includes(name));
  const why =
    given.length === 0
      ? 'no server has an address in the configuration'
      : `${given.join(', ')} elsewhere, the rest on this machine`;
  const kind = config.runtime === 'compose' ? 'compose' : 'embedded';
  if (kind === 'compose') requireContained(config);
  // The library that is ClickHouse there was built without it.
  if (
    kind === 'embedded' &&
    servers.includes('clickhouse') &&
    namedBrokers(config) &&
    config.kafka.mechanism !== 'PLAIN'
  )
    throw new Problem(
      'NOT_IMPLEMENTED_RUNTIME',
      {
        runtime: 'embedded',
        detail: `The ClickHouse that cdc runs itself logs in to Kafka with PLAIN or a certificate, not with ${config.kafka.mechanism}.`,
      },
      {
        fix: 'clickhouse.url   # in cdc.yaml: a ClickHouse server knows all of them; or a user with PLAIN (over TLS), or kafka.cert_file',
      },
    );
  return { kind, servers, why };
}

/** Throws where cdc.yaml has what docker-compose.yml has not. */
export function requireContained(config: Config): void {
  const lacks = whatContainersLack(config);
  if (lacks)
    throw new Problem(
      'NOT_IMPLEMENTED_RUNTIME',
      { runtime: 'compose', detail: lacks.detail },
      { fix: lacks.fix },
    );
}

/** What cdc.yaml has and docker-compose.yml has not; undefined where containers can run this stack. */
export function whatContainersLack(config: Config): { detail: string; fix: string } | undefined {
  if (peersOf(config).length > 0)
    return {
      detail: 'docker-compose.yml has one broker, and cdc.yaml has kafka.brokers: 3.',
      fix: 'runtime: embedded   # in cdc.yaml, or the addresses of brokers of your own in kafka.brokers (docs/compose.md)',
    };
  const secured = tlsKeysOf(config);
  return secured === undefined
    ? undefined
    : {
        detail: `Containers reach servers elsewhere without certificates of one's own and with SASL/PLAIN only, and cdc.yaml has ${secured}.`,
        fix: 'runtime: embedded   # in cdc.yaml, or the servers that are missing there: runtime: external',
      };
}

/** The first key of cdc.yaml that the containers' settings know nothing of. */
function tlsKeysOf({ source, kafka, connect, clickhouse }: Config): string | undefined {
  const files = ['ca_file', 'cert_file', 'key_file'] as const;
  const named = Object.entries({ source, kafka, connect, clickhouse }).flatMap(([part, keys]) =>
    files.filter((file) => keys[file] !== undefined).map((file) => `${part}.${file}`),
  );
  if (named[0] !== undefined) return named[0];
  if (kafka.tls) return 'kafka.tls';
  return namedBrokers({ kafka }) && kafka.mechanism !== 'PLAIN' ? 'kafka.mechanism' : undefined;
}
