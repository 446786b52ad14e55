import { readFileSync } from 'node:fs';
import { resolveFrom } from '../config/load.ts';
import { type Config, DEFAULT_PORTS } from '../config/schema.ts';
import { Problem } from '../core/problems.ts';
import {
  type ClickHouseEndpoint,
  type ConnectEndpoint,
  type Endpoints,
  type HostPort,
  type KafkaEndpoint,
  type PostgresEndpoint,
  SERVER_NAMES,
  SERVERS,
  type ServerName,
} from '../stack/endpoints.ts';
import type { EmbeddedPorts, Secrets } from '../stack/layout.ts';
import { namesOf } from '../stack/names.ts';
import type { RuntimeKind, View } from '../stack/state.ts';
import {
  CLICKHOUSE_USER,
  CONNECT_USER,
  KAFKA_USER,
  POSTGRES_DATABASE,
  POSTGRES_USER,
} from '../stack/users.ts';

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
  const internal = { kafka_controller: 0, kafka_jmx: 0, connect_jmx: 0 };
  return { ...(config.ports === 'auto' ? DEFAULT_PORTS : config.ports), ...internal };
}

/** What a container calls the machine that it runs on. */
const CONTAINER_HOST = 'host.docker.internal';

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}

/** Where a server of the stack's own is, seen from here. */
function ownAddress(input: ResolveInput, server: ServerName): HostPort {
  return input.view === 'network'
    ? { host: server, port: SERVERS[server].containerPort }
    : { host: '127.0.0.1', port: own(input).ports[server] };
}

/** The same as the stack's other servers see it. */
function internalAddress(input: ResolveInput, server: ServerName): HostPort {
  return isContained(input)
    ? { host: server, port: SERVERS[server].containerPort }
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
      internal: internalAddress(input, 'postgres'),
      user: POSTGRES_USER,
      password: secrets.postgres,
      database: POSTGRES_DATABASE,
      managed: true,
      sslmode: undefined,
    };
  }
  const { host, port, user, password, database, sslmode } = sourceAddress(source.url);
  return {
    host: fromHere(input, host),
    port,
    internal: { host: isContained(input) ? fromContainer(host) : host, port },
    user,
    password:
      secret(input, 'CDC_SOURCE_PASSWORD', source.password_file) ??
      (password || (input.env.PGPASSWORD ?? '')),
    database,
    managed: false,
    sslmode,
  };
}

/** What `source.url` may have after its `?`, as in libpq; a parameter that would be ignored is refused. */
const SOURCE_PARAMETERS = ['host', 'port', 'user', 'password', 'dbname', 'sslmode'] as const;
type SourceParameter = (typeof SOURCE_PARAMETERS)[number];

/** As libpq reads it: a parameter counts where the part of the address itself is empty. */
function sourceAddress(text: string) {
  const url = parseUrl('source.url', text);
  const given = new Map<string, string>();
  for (const [name, value] of url.searchParams) {
    if (!SOURCE_PARAMETERS.some((known) => known === name))
      throw badUrl(
        'source.url',
        `cdc does not know its parameter ${name} (it knows ${SOURCE_PARAMETERS.join(', ')})`,
      );
    given.set(name, value);
  }
  const of = (part: string, name: SourceParameter) => part || given.get(name) || undefined;
  const host = of(url.hostname.replace(/^\[|\]$/g, ''), 'host') ?? 'localhost';
  const refused = unusableHost(host);
  if (refused) throw badUrl('source.url', refused);
  const port = Number(of(url.port, 'port') ?? 5432);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw badUrl('source.url', `${given.get('port')} is no port`);
  const user = of(decoded(url.username), 'user') ?? 'postgres';
  return {
    host,
    port,
    user,
    password: of(decoded(url.password), 'password'),
    database: of(decoded(url.pathname.slice(1)), 'dbname') ?? user,
    sslmode: given.get('sslmode'),
  };
}

/** Why Debezium could not connect there; undefined when it can. */
function unusableHost(host: string): string | undefined {
  if (host.startsWith('/'))
    return `${host} is the folder of a socket, and Debezium connects by TCP only; name a host`;
  if (host.includes(','))
    return `it names several hosts (${host}); name the one that is the primary`;
  if (host.includes(':'))
    return `Debezium takes no IPv6 address (${host}); give it a name, such as a line in /etc/hosts, and write that`;
  return undefined;
}

function kafkaEndpoint(input: ResolveInput): KafkaEndpoint {
  const { kafka } = input.config;
  if (kafka.brokers === undefined) {
    const { secrets } = own(input);
    return {
      brokers: [hostPort(ownAddress(input, 'kafka'))],
      internalBrokers: [hostPort(internalAddress(input, 'kafka'))],
      sasl: { username: KAFKA_USER, password: secrets.kafka },
      managed: true,
    };
  }
  const password = secret(input, 'CDC_KAFKA_PASSWORD', kafka.password_file);
  return {
    brokers: kafka.brokers.map((broker) => moved(broker, (host) => fromHere(input, host))),
    internalBrokers: isContained(input)
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
      own: namesOf(input).own,
      url: `http://${hostPort(ownAddress(input, 'clickhouse'))}`,
      nativePort: input.view === 'network' ? 9000 : ports.clickhouse_native,
      sourceAddress: clickhouse.source_address,
      user: CLICKHOUSE_USER,
      password: secrets.clickhouse,
      managed: true,
    };
  }
  return {
    own: namesOf(input).own,
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
