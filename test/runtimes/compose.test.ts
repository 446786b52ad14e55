import { describe, expect, it } from 'vitest';
import { configSchema } from '../../cli/config/schema.ts';
import { ownServers } from '../../cli/runtimes/choice.ts';
import { engineProblem, isOlder } from '../../cli/runtimes/compose/engine.ts';
import { containerFiles } from '../../cli/runtimes/compose/files.ts';
import { unframe } from '../../cli/runtimes/compose/logs.ts';
import {
  composeProfiles,
  composeVariables,
  projectName,
  readFailure,
} from '../../cli/runtimes/compose/project.ts';
import { type ContainerState, containerStatus } from '../../cli/runtimes/compose/status.ts';
import { publishedPorts, resolveEndpoints } from '../../cli/runtimes/resolve.ts';

const SECRETS = {
  postgres: 'pg-pass',
  kafka: 'kafka-pass',
  connect: 'connect-pass',
  clickhouse: 'ch-pass',
  clickhouseReader: 'reader-pass',
  agent: 'agent-pass',
  kafkaClusterId: '',
  toastPlaceholder: '',
};

function endpoints(view: 'processes' | 'published' | 'network', raw: object = {}) {
  const config = configSchema.parse(raw);
  const ports = publishedPorts(config);
  return resolveEndpoints({ config, directory: '/s', env: {}, ports, secrets: SECRETS, view });
}

describe('addresses', () => {
  it('of processes are the same for all', () => {
    const { postgres, kafka } = endpoints('processes');
    expect(postgres).toMatchObject({
      host: '127.0.0.1',
      port: 5432,
      internal: { host: '127.0.0.1', port: 5432 },
    });
    expect(kafka.internalBrokers).toEqual(kafka.brokers);
  });

  it('of containers are published ports here, and names among themselves', () => {
    const raw = { ports: { postgres: 15432, kafka: 19092 } };
    const { postgres, kafka, clickhouse } = endpoints('published', raw);
    expect(postgres).toMatchObject({
      host: '127.0.0.1',
      port: 15432,
      internal: { host: 'postgres', port: 5432 },
    });
    expect(kafka).toMatchObject({ brokers: ['127.0.0.1:19092'], internalBrokers: ['kafka:9092'] });
    expect(clickhouse.url).toBe('http://127.0.0.1:8123');
  });

  it('from within the network are names, whatever is published', () => {
    const { postgres, kafka, connect, clickhouse } = endpoints('network', {
      ports: { connect: 1 },
    });
    expect(postgres).toMatchObject({ host: 'postgres', port: 5432 });
    expect(kafka.brokers).toEqual(['kafka:9092']);
    expect(connect.url).toBe('http://connect:8083');
    expect(clickhouse).toMatchObject({ url: 'http://clickhouse:8123', nativePort: 9000 });
  });

  it('the machine itself has another name in a container', () => {
    const raw = {
      source: { url: 'postgres://me@localhost:5433/shop' },
      kafka: { brokers: ['127.0.0.1:9'] },
    };
    const here = endpoints('published', raw);
    expect(here.postgres).toMatchObject({
      host: 'localhost',
      internal: { host: 'host.docker.internal', port: 5433 },
    });
    expect(here.kafka).toMatchObject({
      brokers: ['127.0.0.1:9'],
      internalBrokers: ['host.docker.internal:9'],
    });
    expect(endpoints('network', raw).postgres.host).toBe('host.docker.internal');
    expect(endpoints('processes', raw).postgres.internal.host).toBe('localhost');
  });

  it('what the servers are told is the same from both sides', () => {
    const [here, inside] = [endpoints('published'), endpoints('network')];
    expect(here.postgres.internal).toEqual(inside.postgres.internal);
    expect(here.kafka.internalBrokers).toEqual(inside.kafka.internalBrokers);
  });
});

describe('profiles', () => {
  it('are those asked for; the default starts core and observability', () => {
    const all = ownServers(configSchema.parse({}));
    expect(composeProfiles({}, all)).toEqual(['core', 'observability']);
    expect(composeProfiles({ COMPOSE_PROFILES: 'core, tools' }, all)).toEqual(['core', 'tools']);
  });

  it('leave out a server that runs elsewhere', () => {
    const own = ownServers(configSchema.parse({ source: { url: 'postgres://me@db/shop' } }));
    expect(composeProfiles({ COMPOSE_PROFILES: 'core' }, own)).toEqual([
      'kafka',
      'connect',
      'clickhouse',
      'agent',
    ]);
  });
});

describe('what docker-compose.yml is filled with', () => {
  const config = configSchema.parse({ source: { url: 'postgres://me@db:6000/shop' } });
  const loaded = { config, directory: '/home/me/shop', file: undefined };

  it('a project and a network of the folder', () => {
    const project = projectName(loaded);
    expect(project).toMatch(/^cdc-[0-9a-f]{6}$/);
    expect(projectName({ ...loaded, directory: '/home/me/other' })).not.toBe(project);
    const own = ownServers(config);
    const ports = { CDC_PORTS_KAFKA: 9092 };
    const at = endpoints('published', { source: { url: 'postgres://me@db:6000/shop' } });
    expect(composeVariables({ loaded, project, ports, own, endpoints: at })).toEqual({
      CDC_STACK: '/home/me/shop',
      CDC_PROJECT: project,
      CDC_NETWORK: `${project}-network`,
      CDC_PROFILE: 'low-latency',
      CDC_PORTS_KAFKA: '9092',
      CDC_CONTAINER_POSTGRES: 'db:6000/shop?sslmode=disable',
      CDC_CONTAINER_POSTGRES_USER: 'me',
    });
  });
});

describe('files of containers', () => {
  const files = containerFiles({
    secrets: SECRETS,
    tools: { grafana: 'grafana-pass', portainer: 'portainer-pass' },
    exporter: { cert: 'a certificate', key: 'key-pass' },
    kafka: endpoints('network').kafka,
    source: { password: 'pg-pass', sslmode: undefined, tls: {} },
    own: 'cdc',
    connectorFile: '',
  });

  it('each container gets what it needs, and no other password', () => {
    const known: Readonly<Record<string, readonly string[]>> = {
      postgres: ['pg-pass'],
      kafka: ['kafka-pass'],
      connect: ['kafka-pass', 'connect-pass', 'pg-pass'],
      // Its own is a digest, as are those of who is asked by Prometheus.
      clickhouse: ['kafka-pass'],
      prometheus: ['agent-pass', 'reader-pass', 'key-pass'],
      alertmanager: ['agent-pass'],
      grafana: ['grafana-pass', 'reader-pass', 'agent-pass'],
      'node-exporter': [],
      'postgres-exporter': ['pg-pass'],
      'kafka-exporter': ['kafka-pass', 'key-pass'],
      kafdrop: ['kafka-pass'],
      portainer: ['portainer-pass'],
    };
    for (const [service, words] of Object.entries(known)) {
      const text = files
        .filter(({ path }) => path.startsWith(`secrets/${service}/`))
        .map((file) => file.text)
        .join('\n');
      const found = [...new Set(text.match(/[a-z]+-pass/g))].sort();
      expect([service, found]).toEqual([service, [...words].sort()]);
    }
  });

  it('Kafka without a login needs none', () => {
    const kafka = {
      brokers: ['k:9092'],
      internalBrokers: ['k:9092'],
      sasl: undefined,
      tls: undefined,
      managed: false,
    };
    const plain = containerFiles({
      secrets: SECRETS,
      tools: { grafana: '', portainer: '' },
      exporter: { cert: '', key: '' },
      kafka,
      source: { password: '', sslmode: undefined, tls: {} },
      own: 'cdc',
      connectorFile: '',
    });
    const text = (path: string) => plain.find((file) => file.path === path)?.text;
    expect(text('secrets/connect/kafka.properties')).toContain('protocol=PLAINTEXT\n');
    expect(text('secrets/kafka-exporter/arguments')).toMatch(
      /^--kafka.server=k:9092\n--server.tls/,
    );
    expect(text('secrets/clickhouse/config.d/cdc.xml')).not.toContain('sasl');
  });
});

describe('a container', () => {
  const sight = (state: Partial<ContainerState>) =>
    containerStatus('kafka', 'p-kafka-1', {
      Status: 'running',
      ExitCode: 0,
      OOMKilled: false,
      ...state,
    });

  it.each([
    [{ Health: { Status: 'healthy' } }, 'ready', undefined],
    [{ Health: { Status: 'starting' } }, 'starting', undefined],
    [{ Status: 'paused' }, 'paused', /^docker unpause p-kafka-1/],
    [{ Status: 'restarting', ExitCode: 1 }, 'restarting', /^cdc logs kafka/],
    [{ Status: 'restarting', OOMKilled: true }, 'out of memory', /^cdc logs kafka/],
    [{ Status: 'exited', ExitCode: 137 }, 'stopped', /^cdc up/],
    [{ Status: 'exited', OOMKilled: true }, 'out of memory', /^cdc up/],
    [
      { Health: { Status: 'unhealthy', Log: [{ Output: 'refused\n' }] } },
      'unhealthy',
      /^cdc logs kafka/,
    ],
  ] as const)('%j is %s', (state, name, fix) => {
    const seen = sight(state);
    expect(seen.state).toBe(name);
    if (fix) expect(seen.fix).toMatch(fix);
    else expect(seen.fix).toBeUndefined();
  });

  it('tells what its health check said last', () => {
    const Log = [{ Output: 'first' }, { Output: 'a\nconnection refused\n' }];
    expect(sight({ Health: { Status: 'unhealthy', Log } }).detail).toBe('connection refused');
  });
});

describe('a failure of docker compose', () => {
  it.each([
    [
      'Error response from daemon: driver failed programming external connectivity on endpoint p-kafka-1 (abc): Bind for 127.0.0.1:9092 failed: port is already allocated',
      { kind: 'port', port: 9092 },
    ],
    [
      'Error response from daemon: failed to set up container networking: failed to bind host port 127.0.0.1:5432/tcp: address already in use\nlisten tcp4 127.0.0.1:5432: bind: address already in use',
      { kind: 'port', port: 5432 },
    ],
    [
      'dependency failed to start: container p-postgres-1 is unhealthy',
      { kind: 'container', service: 'postgres' },
    ],
    [
      'dependency failed to start: container p-node-exporter-1 exited (2)',
      { kind: 'container', service: 'node-exporter' },
    ],
    [
      'service "secrets" didn\'t complete successfully: exit 3',
      { kind: 'container', service: 'secrets' },
    ],
    [
      'Error response from daemon: pull access denied for postgres, repository does not exist',
      { kind: 'image', image: 'postgres' },
    ],
    [
      'failed to resolve reference "quay.io/debezium/connect:3.7.0.Final": failed to do request: Head "https://registry.example/v2/": dial tcp: lookup registry.example: no such host',
      { kind: 'image', image: 'quay.io/debezium/connect:3.7.0.Final' },
    ],
    ['yaml: line 3: did not find expected key', { kind: 'other' }],
  ])('%s', (output, expected) => {
    expect(readFailure(output, 'p')).toMatchObject(expected);
  });
});

describe('the engine', () => {
  it.each([
    ['ENOENT', 'DOCKER_MISSING'],
    ['ECONNREFUSED', 'DOCKER_MISSING'],
    ['EACCES', 'DOCKER_DENIED'],
  ])('%s is %s', (code, problem) => {
    const error = Object.assign(new Error(`connect ${code}`), { code });
    expect(engineProblem('unix:///s', error)).toMatchObject({ code: problem });
  });

  it.each([
    ['2.19.1', true],
    ['2.20.0', false],
    ['v2.40.3', false],
    ['5.0.0', false],
    ['1.29.2', true],
    ['unknown', true],
  ])('Compose %s is too old: %s', (version, old) => {
    expect(isOlder(version, '2.20')).toBe(old);
  });

  it('its logs come in pieces with a head of eight bytes', () => {
    const piece = (text: string) => {
      const head = Buffer.alloc(8);
      head[0] = 1;
      head.writeUInt32BE(Buffer.byteLength(text), 4);
      return Buffer.concat([head, Buffer.from(text)]);
    };
    expect(unframe(Buffer.concat([piece('one\n'), piece('zwö\n')]))).toBe('one\nzwö\n');
    expect(unframe(Buffer.alloc(0))).toBe('');
  });
});
