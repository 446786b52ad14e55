import type { EmbeddedPorts } from './layout.ts';

/** Where the four servers are. Components get these and cannot tell which runtime gave them. */

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export interface PostgresEndpoint extends HostPort {
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Set when cdc runs this server; only then may it change server settings and create users. */
  readonly managed: boolean;
  /** As the other servers reach it: containers know one another by names that this process does not. */
  readonly internal: HostPort;
  /** TLS as in libpq: from `sslmode` of the URL. */
  readonly sslmode: string | undefined;
}

export interface KafkaEndpoint {
  readonly brokers: readonly string[];
  /** As the other servers reach them. */
  readonly internalBrokers: readonly string[];
  /** SASL/PLAIN; absent means none. */
  readonly sasl: { readonly username: string; readonly password: string } | undefined;
  readonly managed: boolean;
}

export interface ConnectEndpoint {
  readonly url: string;
  readonly auth: { readonly username: string; readonly password: string } | undefined;
  readonly managed: boolean;
}

export interface ClickHouseEndpoint {
  /** The database of the pipeline's own tables there. */
  readonly own: string;
  /** HTTP address without credentials. */
  readonly url: string;
  readonly nativePort: number | undefined;
  /** `host:port` under which this server reaches the source; absent when it is the source's own. */
  readonly sourceAddress: string | undefined;
  readonly user: string;
  readonly password: string;
  readonly managed: boolean;
}

export interface Endpoints {
  readonly postgres: PostgresEndpoint;
  readonly kafka: KafkaEndpoint;
  readonly connect: ConnectEndpoint;
  readonly clickhouse: ClickHouseEndpoint;
}

/** What is true of a server in every runtime. */
interface ServerTraits {
  /** The key of cdc.yaml that says where it runs, if cdc does not run it. */
  readonly addressKey: string;
  /** Ports that it listens on, by their names in cdc.yaml and those of layout.ts. */
  readonly ports: readonly (keyof EmbeddedPorts)[];
  /** Within its container. */
  readonly containerPort: number;
}

/** The servers of a pipeline, in the order of a change's way. */
export const SERVERS = {
  postgres: { addressKey: 'source.url', ports: ['postgres'], containerPort: 5432 },
  kafka: {
    addressKey: 'kafka.brokers',
    ports: ['kafka', 'kafka_controller', 'kafka_jmx'],
    containerPort: 9092,
  },
  connect: { addressKey: 'connect.url', ports: ['connect', 'connect_jmx'], containerPort: 8083 },
  clickhouse: {
    addressKey: 'clickhouse.url',
    ports: ['clickhouse', 'clickhouse_native'],
    containerPort: 8123,
  },
} as const satisfies Record<string, ServerTraits>;
export type ServerName = keyof typeof SERVERS;
export const SERVER_NAMES = Object.keys(SERVERS) as readonly ServerName[];
