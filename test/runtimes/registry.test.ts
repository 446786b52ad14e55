import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configSchema } from '../../cli/config/schema.ts';
import { runtimeToStart } from '../../cli/runtimes/registry.ts';
import { layoutOf } from '../../cli/stack/layout.ts';
import { type RuntimeKind, writeState } from '../../cli/stack/state.ts';

/** Which runtime `cdc up` takes, by what a machine has: an engine that answers, a docker command, a past. */

const root = mkdtempSync(join(tmpdir(), 'cdc-runtimes-'));
const socket = join(root, 'docker.sock');
let engine: Server;

beforeAll(async () => {
  engine = createServer((_, response) => response.end('OK'));
  await new Promise<void>((resolve) => engine.listen(socket, resolve));
});

afterAll(() => {
  engine.close();
  rmSync(root, { recursive: true, force: true });
});

/** A PATH with a docker command whose Compose has this version. */
function withCompose(version: string): Record<string, string> {
  const bin = mkdtempSync(join(root, 'bin-'));
  writeFileSync(join(bin, 'docker'), `#!/bin/sh\necho ${version}\n`, { mode: 0o755 });
  return { PATH: `${bin}:${process.env.PATH}`, DOCKER_HOST: `unix://${socket}` };
}

async function chosen(env: Record<string, string>, raw: object = {}, last?: RuntimeKind) {
  const directory = mkdtempSync(join(root, 'stack-'));
  if (last !== undefined) {
    writeState(layoutOf(directory), {
      phase: 'stopped',
      runtime: last,
      profile: 'low-latency',
      settingsDigest: '',
      servers: [],
      observers: [],
      loops: {},
      startedAt: '2026-11-26T16:18:28.751Z',
    });
  }
  const loaded = { config: configSchema.parse(raw), directory, file: undefined };
  const { runtime, why } = await runtimeToStart(loaded, env, []);
  return [runtime.kind, why] as const;
}

describe('runtime: auto', () => {
  it('is compose where an engine answers and has Compose', async () => {
    expect(await chosen(withCompose('2.40.3'))).toEqual([
      'compose',
      expect.stringContaining('a Docker engine answers'),
    ]);
  });

  it('is embedded without a docker command, and says so', async () => {
    const [kind, why] = await chosen({ PATH: root });
    expect(kind).toBe('embedded');
    expect(why).toContain('Docker is not installed');
  });

  it('is embedded where no engine answers, and says at which address', async () => {
    const env = { ...withCompose('2.40.3'), DOCKER_HOST: 'unix:///nonexistent.sock' };
    const [kind, why] = await chosen(env);
    expect(kind).toBe('embedded');
    expect(why).toContain('/nonexistent.sock');
  });

  it('is embedded where Compose is too old', async () => {
    const [kind, why] = await chosen(withCompose('2.10.0'));
    expect(kind).toBe('embedded');
    expect(why).toContain('2.10.0');
  });

  it('is embedded at an address that is none', async () => {
    const [kind] = await chosen({ ...withCompose('2.40.3'), DOCKER_HOST: 'not an address' });
    expect(kind).toBe('embedded');
  });

  it.each(['embedded', 'compose'] as const)(
    'stays %s in a folder that was started so',
    async (last) => {
      const [kind] = await chosen(withCompose('2.40.3'), {}, last);
      expect(kind).toBe(last);
    },
  );

  it.each([
    ['kafka.brokers', { kafka: { brokers: 3 } }],
    ['kafka.tls', { kafka: { brokers: ['k:9093'], tls: true } }],
  ])('is embedded where cdc.yaml has what containers lack: %s', async (key, raw) => {
    const [kind, why] = await chosen(withCompose('2.40.3'), raw);
    expect([kind, why]).toEqual(['embedded', expect.stringContaining(key)]);
    await expect(chosen(withCompose('2.40.3'), raw, 'compose')).rejects.toThrow(/compose/);
  });

  it('is external where every server has an address', async () => {
    const raw = {
      source: { url: 'postgres://me@db/shop' },
      kafka: { brokers: ['k:9092'] },
      connect: { url: 'http://c:8083' },
      clickhouse: { url: 'http://ch:8123' },
    };
    expect((await chosen(withCompose('2.40.3'), raw))[0]).toBe('external');
  });
});

describe('a runtime that is asked for', () => {
  it.each(['embedded', 'compose'])('%s is taken whatever the machine has', async (runtime) => {
    expect((await chosen(withCompose('2.40.3'), { runtime }))[0]).toBe(runtime);
    expect((await chosen({ PATH: root }, { runtime }))[0]).toBe(runtime);
  });
});
