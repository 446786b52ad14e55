import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pause } from '../cli/lib/wait.ts';
import { readState } from '../cli/stack/state.ts';
import { runCommand } from './harness/cli.ts';
import { eventually } from './harness/database.ts';
import { type ForeignPostgres, foreignPostgres } from './harness/postgres.ts';

/** A Kafka of three brokers: one of them may be missing. */

let server: ForeignPostgres;
let cwd: string;
const cdc = (...argv: string[]) =>
  runCommand(argv, { cwd, env: { CDC_SOURCE_PASSWORD: server.password } });

function configure(brokers: number): void {
  const yaml = `ports: auto\nobservability: off\nkafka: { brokers: ${brokers} }\nsource:\n  url: ${server.url()}\n  include: ["shop.*"]\n`;
  writeFileSync(join(cwd, 'cdc.yaml'), yaml);
}

/** Of `.cdc/state.json`, which the agent writes with every change. */
function broker(name: string) {
  const root = join(cwd, '.cdc');
  const found = readState({ stateFile: join(root, 'state.json') })?.servers.find(
    (one) => one.name === name,
  );
  if (found?.pid === undefined) throw new Error(`${name} does not run`);
  return { pid: found.pid, state: found.state, restarts: found.restarts };
}

/** Rows that are written while something happens; every one of them is acknowledged. */
async function writing<T>(happens: () => Promise<T>): Promise<T> {
  await using client = await server.connect();
  let isOver = false;
  const rows = (async () => {
    while (!isOver) {
      await client.query(
        "INSERT INTO shop.orders SELECT max(id) + 1, 'more' FROM shop.orders; UPDATE shop.orders SET note = 'other' WHERE id % 97 = 0",
      );
      await pause(50);
    }
  })();
  try {
    return await happens();
  } finally {
    isOver = true;
    await rows;
  }
}

/** Within the time after which a broker that does not answer is given up. */
async function arrives(): Promise<void> {
  await eventually('an equal copy', { ok: true, flowing: true }, async () => {
    const { ok, flowing } = (await cdc('verify', 'shop.*', '--json')).json();
    return { ok, flowing };
  });
}

beforeAll(async () => {
  server = await foreignPostgres({});
  cwd = mkdtempSync(join(tmpdir(), 'cdc-brokers-'));
  configure(3);
  await using client = await server.connect();
  await client.query(
    'CREATE SCHEMA shop; CREATE TABLE shop.orders (id int PRIMARY KEY, note text)',
  );
  await client.query("INSERT INTO shop.orders SELECT g, 'first' FROM generate_series(1, 500) g");
  const ran = await cdc('up', '--json');
  expect(ran.exit, ran.stderr).toBe(0);
});
afterAll(async () => {
  await cdc('down', '--delete-data');
  await server[Symbol.asyncDispose]();
  rmSync(cwd, { recursive: true, force: true });
});

test('each of them has every topic', async () => {
  const { ports } = readState({ stateFile: join(cwd, '.cdc', 'state.json') }) ?? {};
  const { json } = await cdc('env', '--json');
  expect(json().KAFKA_BROKERS).toBe(
    [ports?.kafka, ports?.kafka_2, ports?.kafka_3].map((port) => `127.0.0.1:${port}`).join(','),
  );
  const { components } = (await cdc('status', '--json')).json() as {
    components: { name: string; state: string }[];
  };
  const brokers = components.filter(({ name }) => name.startsWith('kafka'));
  expect(brokers.map(({ name, state }) => [name, state])).toEqual([
    ['kafka', 'ready'],
    ['kafka-2', 'ready'],
    ['kafka-3', 'ready'],
  ]);
});

test.each(['kafka', 'kafka-2', 'kafka-3'])(
  'while %s answers nobody, changes flow on, and nothing is lost',
  async (name) => {
    const { pid } = broker(name);
    process.kill(pid, 'SIGSTOP');
    try {
      await writing(arrives);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await arrives();
  },
);

test('one that is killed under load is started again, and nothing is lost', async () => {
  const { pid, restarts } = broker('kafka-2');
  await writing(async () => {
    process.kill(pid, 'SIGKILL');
    await arrives();
    await eventually('it to be back', ['ready', restarts + 1], async () => {
      const now = broker('kafka-2');
      return [now.state, now.restarts];
    });
  });
  await arrives();
  expect((await cdc('status', '--json')).json()).toMatchObject({ healthy: true });
});

test('all are stopped and started in order, and a start with another number of them is refused', async () => {
  const stopped = await cdc('down', '--json');
  expect(stopped.exit, stopped.stderr).toBe(0);
  configure(1);
  const refused = await cdc('up');
  expect(refused.stderr).toContain('KAFKA_OTHER_BROKERS');
  configure(3);
  const ran = await cdc('up', '--json');
  expect(ran.exit, ran.stderr).toBe(0);
  await arrives();
});
