import { readFileSync } from 'node:fs';
import { resolveFrom } from '../config/load.ts';
import { type Config, DEFAULT_PORTS, namedBrokers } from '../config/schema.ts';
import { Problem } from '../core/problems.ts';
import { portsOfPeers } from '../stack/brokers.ts';
import {
  type ClickHouseEndpoint,
  type ConnectEndpoint,
  type Endpoints,
  type HostPort,
  type KafkaEndpoint,
  type PostgresEndpoint,
  SERVERS,
  type ServerName,
} from '../stack/endpoints.ts';
import {
  CONNECT_SECRETS,
  CONTAINER_SECRETS,
  type EmbeddedPorts,
  type Secrets,
} from '../stack/layout.ts';
import { namesOf } from '../stack/names.ts';
import type { View } from '../stack/state.ts';
import {
  CLICKHOUSE_READER,
  CLICKHOUSE_USER,
  CONNECT_USER,
  KAFKA_USER,
  POSTGRES_DATABASE,
  POSTGRES_USER,
} from '../stack/users.ts';
import {
  invalidKey,
  passwordOf,
  type SourceAddress,
  serverUrl,
  sourceAddress,
} from './addresses.ts';
import { ownServers } from './choice.ts';
import { readTls } from './tlsFiles.ts';

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

/** From the variable of the environment, else from the file. */
export function secret(
  input: Pick<ResolveInput, 'directory' | 'env'>,
  variable: string,
  file: string | undefined,
): string | undefined {
  const fromEnvironment = input.env[variable];
  if (fromEnvironment !== undefined) return fromEnvironment;
  if (file === undefined) return undefined;
  return readSecretFile(input.directory, file).replace(/\r?\n$/, '');
}

function readSecretFile(directory: string, file: string): string {
  const path = resolveFrom(directory, file);
  try {
    return readFileSync(path, 'utf8');
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
      tls: {},
    };
  }
  const address = sourceAddress(source.url);
  const { host, port, user, database, sslmode, tls } = address;
  const files = {
    ca_file: source.ca_file ?? tls.ca_file,
    cert_file: source.cert_file ?? tls.cert_file,
    key_file: source.key_file ?? tls.key_file,
  };
  const isNamed = Object.values(files).some((file) => file !== undefined);
  if (isNamed && (sslmode === 'disable' || sslmode === 'allow' || sslmode === 'prefer'))
    throw invalidKey(
      'source.url',
      `files for TLS are named, and sslmode=${sslmode} may do without TLS`,
    );
  return {
    host: fromHere(input, host),
    port,
    internal: { host: isContained(input) ? fromContainer(host) : host, port },
    user,
    password: sourcePassword(input, address),
    database,
    managed: false,
    // Whoever names a CA wants it asked.
    sslmode: sslmode ?? (isNamed ? 'verify-full' : undefined),
    tls: readTls('source', files, input.directory),
  };
}

function sourcePassword(input: ResolveInput, address: SourceAddress): string {
  const given = secret(input, 'CDC_SOURCE_PASSWORD', input.config.source.password_file);
  if (given !== undefined) return given;
  if (address.password) return address.password;
  const file = address.passfile && readSecretFile(input.directory, address.passfile);
  return (file && passwordOf(file, address)) || (input.env.PGPASSWORD ?? '');
}

function kafkaEndpoint(input: ResolveInput): KafkaEndpoint {
  const { kafka } = input.config;
  const named = namedBrokers(input.config);
  if (named === undefined) {
    const { secrets, ports } = own(input);
    const peers = portsOfPeers(ports, 'client').map((port) => `127.0.0.1:${port}`);
    return {
      brokers: [hostPort(ownAddress(input, 'kafka')), ...peers],
      internalBrokers: [hostPort(internalAddress(input, 'kafka')), ...peers],
      sasl: { mechanism: 'PLAIN', username: KAFKA_USER, password: secrets.kafka },
      tls: undefined,
      managed: true,
    };
  }
  const password = secret(input, 'CDC_KAFKA_PASSWORD', kafka.password_file);
  const { mechanism, username } = kafka;
  const tls = readTls('kafka', kafka, input.directory);
  const isNamed = Object.keys(tls).length > 0;
  if (isNamed && kafka.tls === false)
    throw invalidKey('kafka.tls', 'it is false, and files for TLS are named beside it');
  return {
    brokers: named.map((broker) => moved(broker, (host) => fromHere(input, host))),
    internalBrokers: isContained(input)
      ? named.map((broker) => moved(broker, fromContainer))
      : named,
    sasl: username ? { mechanism, username, password: password ?? '' } : undefined,
    tls: (kafka.tls ?? isNamed) ? tls : undefined,
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
      token: undefined,
      tls: {},
      managed: true,
      secretsFile: isContained(input) ? CONTAINER_SECRETS : CONNECT_SECRETS,
    };
  }
  const password = secret(input, 'CDC_CONNECT_PASSWORD', connect.password_file);
  return {
    url: urlFromHere(input, serverUrl('connect', connect.url)),
    auth: connect.username ? { username: connect.username, password: password ?? '' } : undefined,
    token: secret(input, 'CDC_CONNECT_TOKEN', connect.token_file),
    tls: readTls('connect', connect, input.directory),
    managed: false,
    secretsFile: undefined,
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
      sourceVerified: true,
      user: CLICKHOUSE_USER,
      password: secrets.clickhouse,
      token: undefined,
      tls: {},
      managed: true,
      reader: { user: CLICKHOUSE_READER, password: secrets.clickhouseReader },
    };
  }
  return {
    own: namesOf(input).own,
    url: urlFromHere(input, serverUrl('clickhouse', clickhouse.url)),
    nativePort: undefined,
    sourceAddress: clickhouse.source_address,
    sourceVerified: clickhouse.source_verified,
    user: clickhouse.username,
    password: secret(input, 'CDC_CLICKHOUSE_PASSWORD', clickhouse.password_file) ?? '',
    token: secret(input, 'CDC_CLICKHOUSE_TOKEN', clickhouse.token_file),
    tls: readTls('clickhouse', clickhouse, input.directory),
    managed: false,
    reader: undefined,
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
