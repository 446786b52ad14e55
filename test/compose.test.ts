import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { packageRoot } from '../cli/lib/packageRoot.ts';
import { AGENT_USER, CONTAINER_USERS } from '../cli/runtimes/compose/files.ts';
import { DEFAULT_PROFILES, PORT_VARIABLES } from '../cli/runtimes/compose/project.ts';
import { workerProperties } from '../cli/runtimes/embedded/servers/connect.ts';
import { serverProperties } from '../cli/runtimes/embedded/servers/kafka.ts';
import { postgresSettings } from '../cli/runtimes/embedded/servers/postgres.ts';
import type { ServerSetting } from '../cli/runtimes/embedded/servers/server.ts';

const text = (path: string) => readFileSync(join(packageRoot(), path), 'utf8');

interface Service {
  readonly image: string;
  readonly profiles?: readonly string[];
  readonly user?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly networks?: readonly string[];
  readonly restart?: string;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly mem_limit?: string;
  readonly cpus?: number;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly read_only?: boolean;
  readonly depends_on?: Readonly<Record<string, unknown>>;
  readonly privileged?: boolean;
}

const file = parse(text('docker-compose.yml'), { merge: true }) as {
  services: Readonly<Record<string, Service>>;
  networks: Readonly<Record<string, { name: string }>>;
  volumes: Readonly<Record<string, unknown>>;
};
const versions = JSON.parse(text('versions.json')) as {
  jars: Record<string, string>;
  images: Record<string, string>;
};
const services = Object.entries(file.services);
const lasting = services.filter(([name]) => name !== 'secrets');

describe('docker-compose.yml', () => {
  it('has every service of the stack', () => {
    expect(Object.keys(file.services).sort()).toEqual(
      [
        ...['agent', 'alertmanager', 'clickhouse', 'connect', 'grafana', 'kafdrop', 'kafka'],
        ...['kafka-exporter', 'node-exporter', 'portainer', 'postgres', 'postgres-exporter'],
        ...['prometheus', 'secrets'],
      ].sort(),
    );
  });

  it('runs the images of versions.json, all with a tag that stays', () => {
    for (const [name, { image }] of services) {
      if (name !== 'agent' && name !== 'secrets') expect(image).toBe(versions.images[name]);
      expect(image).not.toMatch(/:latest|^[^:]+$/);
    }
    const { version } = JSON.parse(text('package.json')) as { version: string };
    expect(file.services.agent?.image).toContain(`cdc-agent:${version}}`);
    expect(file.services.secrets?.image).toBe(file.services.agent?.image);
  });

  it('has the jars’ versions of Kafka and Debezium', () => {
    expect(versions.images.kafka).toContain(`:${versions.jars.kafka}`);
    expect(versions.images.connect).toContain(`:${versions.jars.debezium}`);
  });

  it('publishes ports on 127.0.0.1 unless asked otherwise, each with a variable', () => {
    const published = services.flatMap(([, { ports = [] }]) => ports);
    expect(published).not.toHaveLength(0);
    const seen = published.map((port) => {
      const match = /^\$\{CDC_BIND:-127\.0\.0\.1\}:\$\{(\w+):-(\d+)\}:\d+$/.exec(port);
      expect(match, port).not.toBeNull();
      return [match?.[1], Number(match?.[2])];
    });
    expect(Object.fromEntries(seen)).toEqual(PORT_VARIABLES);
  });

  it.each(lasting)('%s has a health check, limits, a restart policy and no privilege', (_, s) => {
    expect(s.healthcheck?.test[0]).toBe('CMD');
    expect(s.mem_limit).toMatch(/^\d+[mg]$/);
    expect(s.cpus).toBeGreaterThan(0);
    expect(s.restart).toBe('unless-stopped');
    expect(s.networks).toEqual(['cdc-network']);
    expect(s.cap_drop).toEqual(['ALL']);
    expect(s.security_opt).toEqual(['no-new-privileges:true']);
    expect(s.privileged).toBeUndefined();
    expect(s.profiles).not.toHaveLength(0);
  });

  it('has read-only file systems but for two images that cannot', () => {
    const writable = lasting.filter(([, s]) => s.read_only !== true).map(([name]) => name);
    expect(writable).toEqual(['connect', 'portainer']);
  });

  it('fits a machine of 8 GB with what it starts by default', () => {
    const mib = (size = '0m') => Number.parseInt(size, 10) * (size.endsWith('g') ? 1024 : 1);
    const wanted = DEFAULT_PROFILES.split(',');
    const total = lasting
      .filter(([, s]) => s.profiles?.some((profile) => wanted.includes(profile)))
      .reduce((sum, [, s]) => sum + mib(s.mem_limit), 0);
    expect(total).toBeLessThanOrEqual(8 * 1024);
    expect(text('.env')).toContain(`COMPOSE_PROFILES=${DEFAULT_PROFILES}\n`);
  });

  it('puts no password into the environment or the arguments of a container', () => {
    for (const [name, { environment = {}, command = [] }] of services) {
      const words = [...Object.entries(environment).map(([key, value]) => `${key}=${value}`)];
      for (const word of [...words, ...command])
        if (/password(?!_encryption)|secret|jaas/i.test(word))
          expect(word, name).toMatch(/\/run\/secrets\//);
    }
  });

  it('gives every file to the user of the container that reads it', () => {
    for (const [name, uid] of Object.entries(CONTAINER_USERS)) {
      const service = file.services[name];
      expect(service?.volumes?.join(' ')).toContain(`/.cdc/secrets/${name}`);
      // Portainer's image runs as root.
      if (uid !== 0) expect(service?.user).toBe(`${uid}:${uid}`);
    }
    expect(text('Dockerfile')).toContain('USER node');
    expect(AGENT_USER).toBe(1000);
  });

  it('names the network and the volumes that it uses', () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: as it stands in the file
    expect(file.networks['cdc-network']?.name).toBe('${CDC_NETWORK:-cdc-network}');
    const named = services.flatMap(([, { volumes = [] }]) =>
      volumes.map((volume) => volume.split(':')[0] ?? '').filter((name) => /^[a-z-]+$/.test(name)),
    );
    expect([...new Set(named)].sort()).toEqual(Object.keys(file.volumes).sort());
  });
});

describe('the Dockerfile', () => {
  it('has the versions of versions.json', () => {
    const dockerfile = text('Dockerfile');
    expect(dockerfile).toContain(`ARG NODE_IMAGE=${versions.images.node}\n`);
    expect(dockerfile).toContain(`ARG MAVEN_IMAGE=${versions.images.maven}\n`);
  });
});

describe('containers have the settings of the embedded servers', () => {
  const setting = {
    layout: { data: () => '/var/lib/kafka/data' },
    ports: {},
    secrets: { kafka: 'x' },
    own: 'cdc',
    workerGroup: 'cdc-connect',
    kafka: {
      brokers: ['kafka:9092'],
      sasl: { mechanism: 'PLAIN', username: 'cdc', password: 'x' },
    },
    jars: { plugins: '/kafka/connect' },
  } as unknown as ServerSetting;

  it('PostgreSQL', () => {
    const { command = [] } = file.services.postgres ?? {};
    const given = Object.fromEntries(
      command.filter((word) => word.includes('=')).map((word) => word.split('=', 2)),
    );
    const { listen_addresses, port, unix_socket_directories, ...wanted } =
      postgresSettings(setting);
    expect(given).toEqual(wanted);
  });

  it('Kafka', () => {
    const environment = file.services.kafka?.environment ?? {};
    // Listeners are others in a container, and passwords stand in a file.
    const other = /listener|jaas|quorum\.voters|node\.id/;
    for (const [key, value] of Object.entries(serverProperties(setting))) {
      if (other.test(key)) continue;
      const variable = `KAFKA_${key.toUpperCase().replaceAll('.', '_')}`;
      expect([variable, String(environment[variable])]).toEqual([variable, String(value)]);
    }
  });

  it('Kafka Connect', () => {
    const environment = file.services.connect?.environment ?? {};
    const unset = (text: unknown) => String(text).replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1');
    const renamed: Record<string, string> = {
      'group.id': 'GROUP_ID',
      'config.storage.topic': 'CONFIG_STORAGE_TOPIC',
      'offset.storage.topic': 'OFFSET_STORAGE_TOPIC',
      'status.storage.topic': 'STATUS_STORAGE_TOPIC',
      'offset.flush.interval.ms': 'OFFSET_FLUSH_INTERVAL_MS',
    };
    // Addresses, what a file holds, and what the image sets itself.
    const other =
      /jaas|security\.protocol|^bootstrap|^listeners|advertised|plugin\.path|^(key|value)\.converter$/;
    for (const [key, value] of Object.entries(workerProperties(setting))) {
      if (other.test(key)) continue;
      const variable = renamed[key] ?? `CONNECT_${key.toUpperCase().replaceAll('.', '_')}`;
      expect([variable, unset(environment[variable])]).toEqual([variable, String(value)]);
    }
  });
});
