import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../cli/lib/wait.ts';
import { ContainerStack, docker } from './harness/containers.ts';
import { eventually } from './harness/database.ts';

/**
 * What only containers have; the claims that hold for every runtime are those of the stack tests, which
 * `npm run test:compose` runs too. docs/testing.md says what the images are.
 */

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

describe('changes', () => {
  it('of a table’s form are followed by the agent in its container', async () => {
    await stack.source('ALTER TABLE inventory.products ADD COLUMN origin text DEFAULT $$here$$');
    const seen = () => stack.copy('SELECT DISTINCT origin FROM inventory.products').catch(() => []);
    await eventually('the new column', [{ origin: 'here' }], seen, RECOVERY_MS);
  });
});

describe('what others on this machine and network see', () => {
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
});

describe('ClickHouse', () => {
  it('answers nobody without a password, whatever is asked', async () => {
    const { url } = stack.stack().endpoints.clickhouse;
    const headers = { 'X-ClickHouse-User': 'default', 'X-ClickHouse-Key': '' };
    expect((await fetch(`${url}/?query=SELECT+1`, { headers })).ok).toBe(false);
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
      await waitFor('the health check to fail', { timeoutMs: 300_000 }, async () => {
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
    await eventually('out of memory', 'out of memory', async () => (await seenAs('agent')).state);
    await container.update({ Memory: before, MemorySwap: (before ?? 0) * 2 });
    await stack.json('up');
    await eventually('the agent', 'ready', async () => (await seenAs('agent')).state);
  });
});

describe('the agent’s container', () => {
  it('applies nothing again when it starts again', async () => {
    const container = await stack.container('agent');
    await container.restart();
    await eventually('the agent', 'ready', async () => (await seenAs('agent')).state);
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
