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
  readonly inner: HostPort;
  /** TLS as in libpq: from `sslmode` of the URL. */
  readonly sslmode: string | undefined;
}

export interface KafkaEndpoint {
  readonly brokers: readonly string[];
  /** As the other servers reach them. */
  readonly innerBrokers: readonly string[];
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

export const SERVER_NAMES = ['postgres', 'kafka', 'connect', 'clickhouse'] as const;
export type ServerName = (typeof SERVER_NAMES)[number];
