import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectPostgres } from '../cli/components/postgres/client.ts';
import { waitFor } from '../cli/lib/wait.ts';
import { SERVER_NAMES } from '../cli/runtimes/endpoints.ts';
import { ContainerStack, docker } from './harness/containers.ts';
import { eventually } from './harness/database.ts';

/** The compose runtime on a real engine: `npm run test:compose`. docs/testing.md says what its images are. */

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
    const email = await stack.crosses();
    const names = () =>
      stack.copy<{ first_name: string }>(
        `SELECT first_name FROM inventory.customers WHERE email = '${email}'`,
      );
    await stack.source("UPDATE inventory.customers SET first_name = 'Zoë' WHERE email = $1", [
      email,
    ]);
    await eventually('the update', [{ first_name: 'Zoë' }], names);
    await stack.source('DELETE FROM inventory.customers WHERE email = $1', [email]);
    await eventually('the delete', [], names);
  });

  it('are the source’s, value for value', async () => {
    expect(await stack.json('verify')).toMatchObject({ ok: true });
  });

  it('have a lag that is measured', async () => {
    await stack.crosses();
    const lag = await stack.json('lag');
    expect(lag.end_to_end_ms.p50).toBeGreaterThan(0);
    expect(lag.kafka_messages).toBeTypeOf('number');
  });

  it('of a table’s form are followed by the agent in its container', async () => {
    await stack.source('ALTER TABLE inventory.products ADD COLUMN origin text DEFAULT $$here$$');
    const seen = () => stack.copy('SELECT DISTINCT origin FROM inventory.products').catch(() => []);
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
    await stack.crosses();
  });

  it('a container that somebody killed, which up starts again', async () => {
    await (await stack.container('kafka')).kill();
    expect(await seenAs('kafka')).toMatchObject({
      state: 'stopped',
      fix: expect.stringContaining('cdc up'),
    });
    await stack.json('up');
    await stack.crosses();
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
    await stack.crosses();
  });

  it('a container that needs more memory than it has', async () => {
    const container = await stack.container('agent');
    const before = (await container.inspect()).HostConfig.Memory;
    // Enough to start, not enough to run.
    const limit = 24 * 1024 ** 2;
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
    await stack.crosses();
    const container = await stack.container(name);
    const before = (await container.inspect()).State.Pid;
    process.kill(before, 'SIGKILL');
    await waitFor(`${name} to be healthy again`, { timeoutMs: RECOVERY_MS }, async () => {
      const { State } = await container.inspect();
      return State.Pid !== before && State.Health?.Status === 'healthy'
        ? { ready: true }
        : { seen: `${State.Status}, ${State.Health?.Status}` };
    });
    await stack.crosses();
    expect(await stack.json('verify')).toMatchObject({ ok: true });
  });

  it('an agent that starts again applies nothing again', async () => {
    const container = await stack.container('agent');
    await container.restart();
    await eventually('the agent', 'ready', async () => (await seenAs('agent')).state, 60_000);
    expect((await stack.json('plan')).changes).toEqual([]);
    await stack.crosses();
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
    const email = await stack.crosses();
    expect(await stack.json('down')).toMatchObject({ stopped: true, data_deleted: false });
    expect(await stack.containers(project)).toEqual([]);
    const networks = await docker().listNetworks({ filters: { name: [`${project}-network`] } });
    expect(networks).toEqual([]);
    expect(await stack.json('down')).toMatchObject({ stopped: false });
    expect((await stack.cdc('plan')).exit).toBe(4);
    expect(await stack.json('up')).toMatchObject({ loaded_rows: 0 });
    expect(
      await stack.copy(`SELECT email FROM inventory.customers WHERE email = '${email}'`),
    ).toEqual([{ email }]);
    await stack.crosses();
  });

  it('with --delete-data leaves no volume and no password', async () => {
    const project = stack.project();
    await stack.json('down', '--delete-data');
    const { Volumes } = await docker().listVolumes();
    expect(Volumes.filter(({ Name }) => Name.startsWith(`${project}_`))).toEqual([]);
    expect(existsSync(join(stack.directory, '.cdc'))).toBe(false);
  });
});
