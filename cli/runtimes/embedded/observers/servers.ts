import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import axios from 'axios';
import { resolveFrom } from '../../../config/load.ts';
import type { Config } from '../../../config/schema.ts';
import { Problem } from '../../../core/problems.ts';
import { writeFileAtomic } from '../../../lib/files.ts';
import { packageRoot } from '../../../lib/packageRoot.ts';
import { type PeerPort, portsOfPeers } from '../../../stack/brokers.ts';
import type { Endpoints } from '../../../stack/endpoints.ts';
import type { EmbeddedPorts, Layout, Secrets } from '../../../stack/layout.ts';
import type { ObserverName } from '../../../stack/state.ts';
import { AGENT_USER } from '../../../stack/users.ts';
import { webConfig } from '../../settings/web.ts';
import type { EmbeddedServer } from '../servers/server.ts';
import { alertmanagerConfig, prometheusConfig, type Targets } from './config.ts';

/** What observers look at, and where they listen. */
export interface MonitoringContext {
  readonly config: Config;
  readonly directory: string;
  readonly layout: Layout;
  readonly secrets: Secrets;
  readonly endpoints: Endpoints;
  /** Absent where a JVM is none of ours. */
  readonly jmx: Pick<EmbeddedPorts, 'kafka_jmx' | 'connect_jmx' | PeerPort>;
  readonly ports: Readonly<Record<ObserverName | 'agent', number>>;
  /** Those that are installed, with their programs. */
  readonly programs: Readonly<Partial<Record<ObserverName, string>>>;
}

const at = (port: number) => `127.0.0.1:${port}`;

/** Prometheus, Alertmanager and the exporters that are installed, as servers to supervise. */
export function observerServers(context: MonitoringContext): EmbeddedServer[] {
  const all = [nodeExporter, postgresExporter, alertmanager, prometheus];
  return all
    .map((make) => make(context))
    .filter(({ name }) => context.programs[name as ObserverName]);
}

function observer(
  context: MonitoringContext,
  name: ObserverName,
  path: string,
  prepare: () => { args: readonly string[]; env?: Readonly<Record<string, string>> },
): EmbeddedServer {
  const { layout, secrets, ports } = context;
  const web = layout.etc(`${name}-web.yml`);
  return {
    name,
    needs: [],
    uses: [],
    stopSignal: 'SIGTERM',
    async prepare() {
      writeFileAtomic(web, webConfig(secrets.agent), 0o600);
      const { args, env } = prepare();
      return {
        command: context.programs[name] ?? name,
        args: [`--web.listen-address=${at(ports[name])}`, `--web.config.file=${web}`, ...args],
        ...(env ? { env } : {}),
      };
    },
    async ready() {
      const answer = await axios.get(`http://${at(ports[name])}${path}`, {
        auth: { username: AGENT_USER, password: secrets.agent },
        timeout: 3000,
        proxy: false,
        validateStatus: () => true,
      });
      return answer.status === 200 ? true : `HTTP ${answer.status}`;
    },
  };
}

/** The host’s figures that the dashboards show, and no others. */
const COLLECTORS = ['cpu', 'meminfo', 'filesystem', 'diskstats', 'netdev', 'loadavg', 'uname'];

function nodeExporter(context: MonitoringContext): EmbeddedServer {
  return observer(context, 'node_exporter', '/metrics', () => ({
    args: ['--collector.disable-defaults', ...COLLECTORS.map((name) => `--collector.${name}`)],
  }));
}

function postgresExporter(context: MonitoringContext): EmbeddedServer {
  const { postgres } = context.endpoints;
  return observer(context, 'postgres_exporter', '/metrics', () => ({
    args: [
      '--log.level=error',
      // Columns that newer servers have elsewhere.
      '--no-collector.bgwriter',
      '--disable-settings-metrics',
    ],
    env: {
      DATA_SOURCE_URI: `${postgres.host}:${postgres.port}/${encodeURIComponent(postgres.database)}?sslmode=${sslmodeOf(postgres.sslmode)}`,
      DATA_SOURCE_USER: postgres.user,
      DATA_SOURCE_PASS_FILE: passwordFile(context.layout, 'postgres', postgres.password),
    },
  }));
}

/** Go's driver knows fewer modes; those that take what comes are none to it. */
function sslmodeOf(mode: string | undefined): string {
  return mode === undefined || mode === 'prefer' || mode === 'allow' ? 'disable' : mode;
}

function alertmanager(context: MonitoringContext): EmbeddedServer {
  const { layout, ports, config, directory } = context;
  return observer(context, 'alertmanager', '/-/ready', () => {
    const file = layout.etc('alertmanager.yml');
    const { webhook_file, slack_webhook_file, mail_password_file } = config.alerts;
    const path = (name: string | undefined) => name && resolveFrom(directory, name);
    const webhook = path(webhook_file);
    const text = alertmanagerConfig(
      `http://${agentAddress(config, ports.agent)}`,
      passwordFiles(context),
      config.alerts,
      {
        webhook: webhook && secretIn(webhook),
        slackFile: path(slack_webhook_file),
        mailPasswordFile: path(mail_password_file),
      },
    );
    writeFileAtomic(file, text, 0o600);
    return {
      args: [
        `--config.file=${file}`,
        `--storage.path=${dataFolder(layout, 'alertmanager')}`,
        '--cluster.listen-address=',
        '--log.level=warn',
      ],
    };
  });
}

function prometheus(context: MonitoringContext): EmbeddedServer {
  const { layout, endpoints } = context;
  return observer(context, 'prometheus', '/-/ready', () => {
    const file = layout.etc('prometheus.yml');
    const rules = layout.etc('rules');
    cpSync(join(packageRoot(), 'prometheus', 'rules'), rules, { recursive: true });
    const text = prometheusConfig(
      targetsOf(context),
      passwordFiles(context),
      looksAs(endpoints).user,
      join(rules, '*.yml'),
    );
    writeFileAtomic(file, text, 0o600);
    return {
      args: [
        `--config.file=${file}`,
        `--storage.tsdb.path=${dataFolder(layout, 'prometheus')}`,
        '--storage.tsdb.retention.time=15d',
        '--storage.tsdb.retention.size=1GB',
        '--log.level=warn',
      ],
    };
  });
}

/** One of the addresses on which the agent listens. */
function agentAddress({ agent }: Config, port: number): string {
  const { listen } = agent;
  if (listen === '0.0.0.0' || listen === '::') return at(port);
  return `${listen.includes(':') ? `[${listen}]` : listen}:${port}`;
}

function targetsOf({ config, endpoints, jmx, ports, programs }: MonitoringContext): Targets {
  const clickhouse = new URL(endpoints.clickhouse.url);
  const observers = Object.fromEntries(
    Object.keys(programs).map((name) => [name, at(ports[name as ObserverName])]),
  );
  const peers = portsOfPeers(jmx, 'jmx').map(at);
  return {
    agent: agentAddress(config, ports.agent),
    clickhouse: { host: clickhouse.host, scheme: clickhouse.protocol.replace(':', '') },
    kafka: endpoints.kafka.managed ? [at(jmx.kafka_jmx), ...peers] : [],
    connect: endpoints.connect.managed ? at(jmx.connect_jmx) : undefined,
    observers,
  };
}

/** Figures need no more than the reader may. */
function looksAs({ clickhouse }: Endpoints): { user: string; password: string } {
  return clickhouse.reader ?? clickhouse;
}

function passwordFiles({ layout, secrets, endpoints }: MonitoringContext) {
  return {
    agent: passwordFile(layout, 'agent', secrets.agent),
    clickhouse: passwordFile(layout, 'clickhouse', looksAs(endpoints).password),
  };
}

function passwordFile(layout: Layout, name: string, password: string): string {
  const file = layout.etc(`${name}.password`);
  writeFileAtomic(file, password, 0o600);
  return file;
}

function secretIn(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new Problem('CONFIG_INVALID', {
      file,
      count: '1 problem',
      detail: `alerts.webhook_file cannot be read: ${(error as Error).message}`,
    });
  }
}

function dataFolder(layout: Layout, name: ObserverName): string {
  const folder = layout.data(name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}
