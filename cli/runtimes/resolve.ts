import { readFileSync } from 'node:fs';
import { resolveFrom } from '../config/load.ts';
import { type Config, DEFAULT_PORTS } from '../config/schema.ts';
import { Problem } from '../core/problems.ts';
import type { EmbeddedPorts, Secrets } from './embedded/layout.ts';
import { CLICKHOUSE_USER } from './embedded/servers/clickhouse.ts';
import { CONNECT_USER } from './embedded/servers/connect.ts';
import { KAFKA_USER } from './embedded/servers/jvm.ts';
import { POSTGRES_DATABASE, POSTGRES_USER } from './embedded/servers/postgres.ts';
import {
  type ClickHouseEndpoint,
  type ConnectEndpoint,
  type Endpoints,
  type HostPort,
  type KafkaEndpoint,
  type PostgresEndpoint,
  SERVER_NAMES,
  type ServerName,
} from './endpoints.ts';

export type RuntimeKind = 'embedded' | 'compose' | 'external';

/**
 * From where a stack's own servers are seen: processes of this machine, containers through their
 * published ports, or containers from within their network.
 */
export type View = 'processes' | 'published' | 'network';

/** The servers that cdc.yaml gives no address for: those cdc runs. */
export function ownServers(config: Config): ServerName[] {
  const external: Record<ServerName, boolean> = {
    postgres: config.source.url !== undefined,
    kafka: config.kafka.brokers !== undefined,
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

const ADDRESS_KEYS: Readonly<Record<ServerName, string>> = {
  postgres: 'source.url',
  kafka: 'kafka.brokers',
  connect: 'connect.url',
  clickhouse: 'clickhouse.url',
};

export function chooseRuntime(config: Config): RuntimeChoice {
  const servers = ownServers(config);
  if (config.runtime === 'external' && servers.length > 0) {
    throw new Problem(
      'NOT_IMPLEMENTED_RUNTIME',
      {
        runtime: 'external',
        detail: `With runtime: external every server runs already, but these have no address: ${servers.map((s) => ADDRESS_KEYS[s]).join(', ')}.`,
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
  return { kind: config.runtime === 'compose' ? 'compose' : 'embedded', servers, why };
}

interface ResolveInput {
  readonly config: Config;
  readonly directory: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly ports: EmbeddedPorts | undefined;
  readonly secrets: Secrets | undefined;
  /** Of a stack that runs; `processes` when it is not known. */
  readonly view?: View | undefined;
}

/** Ports of this machine that lead to the containers. */
export function publishedPorts(config: Config): EmbeddedPorts {
  const inner = { kafka_controller: 0, kafka_jmx: 0, connect_jmx: 0 };
  return { ...(config.ports === 'auto' ? DEFAULT_PORTS : config.ports), ...inner };
}

/** Ports of the servers in their containers. */
const INNER_PORTS = { postgres: 5432, kafka: 9092, connect: 8083, clickhouse: 8123 } as const;
/** What a container calls the machine that it runs on. */
const CONTAINER_HOST = 'host.docker.internal';

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}

/** Where a server of the stack's own is, seen from here. */
function ownAddress(input: ResolveInput, server: ServerName): HostPort {
  return input.view === 'network'
    ? { host: server, port: INNER_PORTS[server] }
    : { host: '127.0.0.1', port: own(input).ports[server] };
}

/** The same as the stack's other servers see it. */
function innerAddress(input: ResolveInput, server: ServerName): HostPort {
  return isContained(input)
    ? { host: server, port: INNER_PORTS[server] }
    : ownAddress(input, server);
}

function isContained(input: ResolveInput): boolean {
  return input.view === 'published' || input.view === 'network';
}

/** An address of cdc.yaml as a container sees it. */
function fromContainer(host: string): string {
  return isLoopback(host) ? CONTAINER_HOST : host;
}

/** An address of cdc.yaml as this process sees it. */
function fromHere(input: ResolveInput, host: string): string {
  return input.view === 'network' ? fromContainer(host) : host;
}

/** Endpoints of all servers: from the configuration where it names one, else the embedded one's. */
export function resolveEndpoints(input: ResolveInput): Endpoints {
  return {
    postgres: postgresEndpoint(input),
    kafka: kafkaEndpoint(input),
    connect: connectEndpoint(input),
    clickhouse: clickhouseEndpoint(input),
  };
}

/** The generated secrets, but for the agent's password where the configuration names one. */
export function withAgentPassword(
  secrets: Secrets,
  input: Pick<ResolveInput, 'config' | 'directory' | 'env'>,
): Secrets {
  const given = secret(input, 'CDC_AGENT_PASSWORD', input.config.agent.password_file);
  return given ? { ...secrets, agent: given } : secrets;
}

/** Those of the servers that can be known now: all of a running stack, else those with an address. */
export function knownEndpoints(input: ResolveInput): Partial<Endpoints> {
  const running = input.ports !== undefined && input.secrets !== undefined;
  const own = new Set(running ? [] : ownServers(input.config));
  return {
    ...(own.has('postgres') ? {} : { postgres: postgresEndpoint(input) }),
    ...(own.has('kafka') ? {} : { kafka: kafkaEndpoint(input) }),
    ...(own.has('connect') ? {} : { connect: connectEndpoint(input) }),
    ...(own.has('clickhouse') ? {} : { clickhouse: clickhouseEndpoint(input) }),
  };
}

function own(input: ResolveInput): { ports: EmbeddedPorts; secrets: Secrets } {
  if (!input.ports || !input.secrets) {
    throw new Problem('STACK_NOT_RUNNING', { directory: input.directory });
  }
  return { ports: input.ports, secrets: input.secrets };
}

function secret(
  input: Pick<ResolveInput, 'directory' | 'env'>,
  variable: string,
  file: string | undefined,
): string | undefined {
  const fromEnvironment = input.env[variable];
  if (fromEnvironment !== undefined) return fromEnvironment;
  if (file === undefined) return undefined;
  const path = resolveFrom(input.directory, file);
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new Problem('CONFIG_INVALID', {
      file: path,
      count: '1 problem',
      detail: `the password file cannot be read: ${(error as Error).message}`,
    });
  }
}

export function postgresEndpoint(input: ResolveInput): PostgresEndpoint {
  const { source } = input.config;
  if (source.url === undefined) {
    const { secrets } = own(input);
    return {
      ...ownAddress(input, 'postgres'),
      inner: innerAddress(input, 'postgres'),
      user: POSTGRES_USER,
      password: secrets.postgres,
      database: POSTGRES_DATABASE,
      managed: true,
      sslmode: undefined,
    };
  }
  const url = parseUrl('source.url', source.url);
  const user = decoded(url.username) || 'postgres';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port || 5432);
  return {
    host: fromHere(input, host),
    port,
    inner: { host: isContained(input) ? fromContainer(host) : host, port },
    user,
    password:
      secret(input, 'CDC_SOURCE_PASSWORD', source.password_file) ??
      (decoded(url.password) || (input.env.PGPASSWORD ?? '')),
    database: decoded(url.pathname.slice(1)) || user,
    managed: false,
    sslmode: url.searchParams.get('sslmode') ?? undefined,
  };
}

function kafkaEndpoint(input: ResolveInput): KafkaEndpoint {
  const { kafka } = input.config;
  if (kafka.brokers === undefined) {
    const { secrets } = own(input);
    return {
      brokers: [hostPort(ownAddress(input, 'kafka'))],
      innerBrokers: [hostPort(innerAddress(input, 'kafka'))],
      sasl: { username: KAFKA_USER, password: secrets.kafka },
      managed: true,
    };
  }
  const password = secret(input, 'CDC_KAFKA_PASSWORD', kafka.password_file);
  return {
    brokers: kafka.brokers.map((broker) => moved(broker, (host) => fromHere(input, host))),
    innerBrokers: isContained(input)
      ? kafka.brokers.map((broker) => moved(broker, fromContainer))
      : kafka.brokers,
    sasl: kafka.username ? { username: kafka.username, password: password ?? '' } : undefined,
    managed: false,
  };
}

function connectEndpoint(input: ResolveInput): ConnectEndpoint {
  const { connect } = input.config;
  if (connect.url === undefined) {
    const { secrets } = own(input);
    return {
      url: `http://${hostPort(ownAddress(input, 'connect'))}`,
      auth: { username: CONNECT_USER, password: secrets.connect },
      managed: true,
    };
  }
  const password = secret(input, 'CDC_CONNECT_PASSWORD', connect.password_file);
  return {
    url: urlFromHere(input, serverUrl('connect', connect.url)),
    auth: connect.username ? { username: connect.username, password: password ?? '' } : undefined,
    managed: false,
  };
}

function clickhouseEndpoint(input: ResolveInput): ClickHouseEndpoint {
  const { clickhouse } = input.config;
  if (clickhouse.url === undefined) {
    const { ports, secrets } = own(input);
    return {
      url: `http://${hostPort(ownAddress(input, 'clickhouse'))}`,
      nativePort: input.view === 'network' ? 9000 : ports.clickhouse_native,
      sourceAddress: clickhouse.source_address,
      user: CLICKHOUSE_USER,
      password: secrets.clickhouse,
      managed: true,
    };
  }
  return {
    url: urlFromHere(input, serverUrl('clickhouse', clickhouse.url)),
    nativePort: undefined,
    sourceAddress: clickhouse.source_address,
    user: clickhouse.username,
    password: secret(input, 'CDC_CLICKHOUSE_PASSWORD', clickhouse.password_file) ?? '',
    managed: false,
  };
}

function hostPort({ host, port }: HostPort): string {
  return `${host}:${port}`;
}

/** `host:port` with another host. */
function moved(address: string, move: (host: string) => string): string {
  const at = address.lastIndexOf(':');
  return `${move(address.slice(0, at))}${address.slice(at)}`;
}

function urlFromHere(input: ResolveInput, text: string): string {
  if (input.view !== 'network') return text;
  const url = new URL(text);
  url.hostname = fromContainer(url.hostname);
  return url.href.replace(/\/$/, '');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw badUrl('source.url', 'it has a % that starts no escape; write %25 for a % itself');
  }
}

function badUrl(key: string, what: string): Problem {
  return new Problem('CONFIG_INVALID', {
    file: 'cdc.yaml',
    count: '1 problem',
    detail: `${key}: ${what}`,
  });
}

function serverUrl(key: 'connect' | 'clickhouse', text: string): string {
  const url = parseUrl(`${key}.url`, text);
  if (url.username || url.password) {
    throw badUrl(
      `${key}.url`,
      `put the user into ${key}.username and the password into CDC_${key.toUpperCase()}_PASSWORD`,
    );
  }
  return url.href.replace(/\/$/, '');
}

function parseUrl(key: string, text: string): URL {
  try {
    return new URL(text);
  } catch {
    throw badUrl(
      key,
      'not a URL (characters such as @ : / in a user or password must be %-encoded)',
    );
  }
}
