import type { SASL_MECHANISMS } from '../core/sasl.ts';
import type { TlsMaterial } from '../lib/tlsMaterial.ts';
import type { EmbeddedPorts } from './layout.ts';

/** Where the four servers are. Components get these and cannot tell which runtime gave them. */

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** As libpq's manual describes them. */
export const SSL_MODES = [
  'disable',
  'allow',
  'prefer',
  'require',
  'verify-ca',
  'verify-full',
] as const;
export type SslMode = (typeof SSL_MODES)[number];

export interface PostgresEndpoint extends HostPort {
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Set when cdc runs this server; only then may it change server settings and create users. */
  readonly managed: boolean;
  /** As the other servers reach it: containers know one another by names that this process does not. */
  readonly internal: HostPort;
  /** TLS as in libpq: from `sslmode` of the URL; undefined is `prefer`. */
  readonly sslmode: SslMode | undefined;
  readonly tls: TlsMaterial;
}

export interface KafkaEndpoint {
  readonly brokers: readonly string[];
  /** As the other servers reach them. */
  readonly internalBrokers: readonly string[];
  /** Absent means none. */
  readonly sasl: SaslLogin | undefined;
  /** Absent means none. */
  readonly tls: TlsMaterial | undefined;
  readonly managed: boolean;
}

export interface SaslLogin {
  readonly mechanism: (typeof SASL_MECHANISMS)[number];
  readonly username: string;
  readonly password: string;
}

export interface ConnectEndpoint {
  readonly url: string;
  readonly auth: { readonly username: string; readonly password: string } | undefined;
  /** Sent as a bearer token instead. */
  readonly token: string | undefined;
  /** Counts where the URL is https. */
  readonly tls: TlsMaterial;
  readonly managed: boolean;
  /** A file that its worker reads, as it sees it; absent where cdc does not run it. */
  readonly secretsFile: string | undefined;
}

export interface ClickHouseEndpoint {
  /** The database of the pipeline's own tables there. */
  readonly own: string;
  /** HTTP address without credentials. */
  readonly url: string;
  readonly nativePort: number | undefined;
  /** `host:port` under which this server reaches the source; absent when it is the source's own. */
  readonly sourceAddress: string | undefined;
  /** Its libpq looks at the source's certificate. */
  readonly sourceVerified: boolean;
  readonly user: string;
  readonly password: string;
  /** Sent as a bearer token, in place of user and password. */
  readonly token: string | undefined;
  /** Counts where the URL is https. */
  readonly tls: TlsMaterial;
  readonly managed: boolean;
  /** Who only reads the copy; known of the server that cdc runs. */
  readonly reader: { readonly user: string; readonly password: string } | undefined;
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
