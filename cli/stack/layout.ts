import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { PortName } from '../config/schema.ts';
import { fileProblem, readJson, writeFileAtomic, writeFileIfOther } from '../lib/files.ts';
import type { PeerPort } from './brokers.ts';

/** Where a stack keeps what it owns: `.cdc/` beside cdc.yaml, readable by its owner only. */
export interface Layout {
  readonly root: string;
  readonly secretsFile: string;
  readonly stateFile: string;
  readonly lockFile: string;
  /** Which names its pipeline has, where an earlier cdc made it. */
  readonly namesFile: string;
  readonly logs: string;
  /** The one folder that ClickHouse writes backups to and reads them from: links to where they are. */
  readonly backups: string;
  /** Data folder of a server. */
  data(server: string): string;
  log(server: string): string;
  /** Generated configuration files. */
  etc(file: string): string;
}

export function layoutOf(directory: string): Layout {
  const root = join(directory, '.cdc');
  return {
    root,
    secretsFile: join(root, 'secrets.json'),
    stateFile: join(root, 'state.json'),
    lockFile: join(root, 'agent.lock'),
    namesFile: join(root, 'names.json'),
    logs: join(root, 'logs'),
    backups: join(root, 'backups'),
    data: (server) => join(root, server),
    log: (server) => join(root, 'logs', `${server}.log`),
    etc: (file) => join(root, 'etc', file),
  };
}

/**
 * What Connect's worker reads for the connector: within the stack's folder, which is the worker's current one, so that no
 * sign of that folder's name has a meaning to Connect; and in its container.
 */
export const CONNECT_SECRETS = 'etc/connector.properties';
export const CONTAINER_SECRETS = '/run/secrets/connector.properties';

/** The password of an external source, as `cdc init` was given it; `down --delete-data` keeps it. */
export const SOURCE_PASSWORD_FILE = 'source.password';

export function createLayout(layout: Layout): void {
  try {
    mkdirSync(layout.root, { recursive: true, mode: 0o700 });
    chmodSync(layout.root, 0o700);
    mkdirSync(layout.logs, { recursive: true });
    mkdirSync(join(layout.root, 'etc'), { recursive: true });
    // Keeps generated passwords and data out of a repository that cdc is tried in.
    writeFileIfOther(join(layout.root, '.gitignore'), '*\n', 0o644);
  } catch (error) {
    throw fileProblem(layout.root, error);
  }
}

/** Passwords of the servers that cdc runs. */
export interface Secrets {
  readonly postgres: string;
  readonly kafka: string;
  readonly connect: string;
  readonly clickhouse: string;
  /** Of ClickHouse's user who only reads the copy. */
  readonly clickhouseReader: string;
  /** Of user cdc at the agent, Prometheus, Alertmanager, the exporters and the JVMs' metrics. */
  readonly agent: string;
  /** Names Kafka's storage; not secret, but must not change either. */
  readonly kafkaClusterId: string;
  /**
   * What Debezium writes for a TOASTed value it does not have. Random, so that no value of a
   * user's can be mistaken for it.
   */
  readonly toastPlaceholder: string;
}

const word = () => randomBytes(18).toString('base64url');

/** Reads the secrets, generating (0600) what is not there yet. */
export function ensureSecrets(layout: Layout): Secrets {
  const existing = readJson<Partial<Secrets>>(layout.secretsFile) ?? {};
  const secrets: Secrets = {
    postgres: existing.postgres ?? word(),
    kafka: existing.kafka ?? word(),
    connect: existing.connect ?? word(),
    clickhouse: existing.clickhouse ?? word(),
    clickhouseReader: existing.clickhouseReader ?? word(),
    agent: existing.agent ?? word(),
    kafkaClusterId: existing.kafkaClusterId ?? randomBytes(16).toString('base64url'),
    toastPlaceholder:
      existing.toastPlaceholder ?? `__cdc_unavailable_${randomBytes(12).toString('hex')}`,
  };
  if (JSON.stringify(existing) !== JSON.stringify(secrets)) {
    writeFileAtomic(layout.secretsFile, `${JSON.stringify(secrets, null, 2)}\n`, 0o600);
  }
  return secrets;
}

/** What `cdc secrets rotate` makes anew. */
export const PASSWORD_NAMES = [
  'postgres',
  'kafka',
  'connect',
  'clickhouse',
  'clickhouseReader',
  'agent',
] as const satisfies readonly (keyof Secrets)[];
export type PasswordName = (typeof PASSWORD_NAMES)[number];

const nextFile = (layout: Layout) => join(layout.root, 'secrets.next.json');

/** The secrets with new ones in place of these; those of an earlier call that were not taken yet, where there are some. */
export function nextSecrets(layout: Layout, names: readonly PasswordName[]): Secrets {
  const begun = readJson<Secrets>(nextFile(layout));
  if (begun) return begun;
  const fresh = Object.fromEntries(names.map((name) => [name, word()]));
  const next = { ...ensureSecrets(layout), ...fresh };
  writeFileAtomic(nextFile(layout), `${JSON.stringify(next, null, 2)}\n`, 0o600);
  return next;
}

export function takeNextSecrets(layout: Layout): void {
  renameSync(nextFile(layout), layout.secretsFile);
}

export function readSecrets(layout: Layout): Secrets | undefined {
  return readJson<Secrets>(layout.secretsFile);
}

/** Ports that only servers of a stack use among themselves; they have no name in cdc.yaml. */
export const INTERNAL_PORTS = ['kafka_controller', 'kafka_jmx', 'connect_jmx'] as const;
/** Ports in use by the embedded servers. */
export type EmbeddedPorts = Record<PortName | (typeof INTERNAL_PORTS)[number], number> &
  Partial<Record<PeerPort, number>>;

/** What only tells about the pipeline must not stop it: where its port is taken, it takes another. */
export const EXTRA_PORTS = [
  'agent',
  'prometheus',
  'alertmanager',
  'node_exporter',
  'postgres_exporter',
] as const satisfies readonly PortName[];
export type ExtraPorts = Record<(typeof EXTRA_PORTS)[number], number>;
