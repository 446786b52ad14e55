import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommand } from './harness/cli.ts';
import { eventually } from './harness/database.ts';
import { type ForeignPostgres, foreignPostgres } from './harness/postgres.ts';

/** A source that is not in the state that the copy was made from: it is noticed, nothing goes on with a hole, and one command mends it. */

let server: ForeignPostgres;
let cwd: string;
const env = () => ({ CDC_SOURCE_PASSWORD: server.password });
const cdc = (...argv: string[]) => runCommand(argv, { cwd, env: env() });

async function sql(...statements: string[]): Promise<void> {
  await using client = await server.connect();
  for (const statement of statements) await client.query(statement);
}

/** A row that comes, some that change, one that goes. */
const changes = (mark: string) => [
  `INSERT INTO shop.orders SELECT max(id) + 1, '${mark}' FROM shop.orders`,
  `UPDATE shop.orders SET note = '${mark}' WHERE id % 10 = 0`,
  'DELETE FROM shop.orders WHERE id = (SELECT min(id) FROM shop.orders)',
];

async function isEqual(): Promise<void> {
  const ran = await cdc('verify', 'shop.*', '--json');
  expect(ran.json(), ran.stderr).toMatchObject({ ok: true, flowing: true });
}

/** What the agent says of the source, and what becomes of the connector. */
async function state() {
  const seen = (await cdc('status', '--json')).json();
  const part = (name: string) =>
    (seen.components as { name: string; state: string; detail?: string }[]).find(
      (one) => one.name === name,
    );
  return {
    healthy: seen.healthy,
    connector: part('connector')?.state,
    agent: part('agent')?.detail,
  };
}

async function noticed(why: RegExp): Promise<void> {
  await eventually(
    'the agent to stop the connector and to say why',
    [false, 'stopped', true],
    async () => {
      const { healthy, connector, agent } = await state();
      return [healthy, connector, why.test(agent ?? '')];
    },
  );
}

async function flowsAgain(): Promise<void> {
  await isEqual();
  await sql(...changes('afterwards'));
  await isEqual();
  await eventually('a healthy stack', [true, 'running'], async () => {
    const { healthy, connector } = await state();
    return [healthy, connector];
  });
  expect((await cdc('plan', '--json')).json()).toMatchObject({ result: 'unchanged' });
}

beforeAll(async () => {
  server = await foreignPostgres({});
  cwd = mkdtempSync(join(tmpdir(), 'cdc-lineage-'));
  const yaml = `ports: auto\nobservability: off\nsource:\n  url: ${server.url()}\n  include: ["shop.*"]\ntables: { shop.orders: { history: true } }\n`;
  writeFileSync(join(cwd, 'cdc.yaml'), yaml);
  await sql(
    'CREATE SCHEMA shop',
    'CREATE TABLE shop.orders (id int PRIMARY KEY, note text)',
    "INSERT INTO shop.orders SELECT g, 'first' FROM generate_series(1, 100) g",
    'CREATE TABLE shop.plain (a int, b text)',
    'ALTER TABLE shop.plain REPLICA IDENTITY FULL',
    "INSERT INTO shop.plain SELECT g, 'first' FROM generate_series(1, 20) g",
  );
  const ran = await cdc('up', '--json');
  expect(ran.exit, ran.stderr).toBe(0);
  await sql(...changes('flowing'));
  await isEqual();
});
afterAll(async () => {
  await cdc('down', '--delete-data');
  await server[Symbol.asyncDispose]();
  rmSync(cwd, { recursive: true, force: true });
});

test('a slot that somebody dropped and made again stops the connector, and apply makes the copy equal', async () => {
  await using client = await server.connect();
  const { rows } = await client.query<{ slot_name: string }>(
    'SELECT slot_name FROM pg_replication_slots',
  );
  const slot = rows[0]?.slot_name ?? '';
  await eventually('a slot that nobody reads for a moment', true, async () => {
    await client.query(
      'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active',
    );
    return client.query('SELECT pg_drop_replication_slot($1)', [slot]).then(
      () => true,
      () => false,
    );
  });
  await sql(...changes('while there was none'));
  await eventually('a slot of its name', true, async () => {
    // Or Debezium makes one: that begins as late.
    await client
      .query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [slot])
      .catch(() => {});
    const found = await client.query('SELECT 1 FROM pg_replication_slots WHERE slot_name = $1', [
      slot,
    ]);
    return found.rowCount === 1;
  });
  await noticed(/made it again or advanced it/);
  const found = (await cdc('doctor', '--json')).json().findings as { id: string }[];
  expect(found.map(({ id }) => id)).toContain('slot-lost');
  expect((await cdc('apply', '--json')).exit).toBe(0);
  await flowsAgain();
});

test('a source that was put back to an older state, slot and all, is noticed; rows of the lost time end', async () => {
  const backup = join(cwd, 'older');
  await server.whileStopped((data) => execFileSync('cp', ['-a', data, backup]));
  await sql(...changes('lost'), "INSERT INTO shop.plain VALUES (99, 'lost')");
  await isEqual();
  await server.whileStopped((data) => {
    rmSync(data, { recursive: true });
    execFileSync('cp', ['-a', backup, data]);
  });
  await sql(...changes('written after it was put back'));
  await noticed(/the copy has/);
  const ran = await cdc('verify', '--json');
  expect([ran.exit, ran.json().error.code]).toEqual([5, 'SOURCE_BROKEN']);
  const { changes: steps } = (await cdc('plan', '--json')).json();
  expect(steps).toContainEqual(expect.objectContaining({ kind: 'slot', action: 'replace' }));
  expect((await cdc('apply', '--json')).exit).toBe(0);
  await flowsAgain();
});

test('a slot that keeps more than slot.max_wal is dropped, and all is loaded again, where cdc.yaml says so', async () => {
  const plain = readFileSync(join(cwd, 'cdc.yaml'), 'utf8');
  expect((await cdc('connector', 'pause', '--json')).exit).toBe(0);
  await sql(
    ...changes('while it was paused'),
    'CREATE TABLE IF NOT EXISTS public.others (t text)',
    "INSERT INTO public.others SELECT repeat('x', 1000) FROM generate_series(1, 4000)",
  );
  await using client = await server.connect();
  const slotBegins = async () => {
    const { rows } = await client.query<{ lsn: string }>(
      'SELECT restart_lsn AS lsn FROM pg_replication_slots',
    );
    return rows[0]?.lsn;
  };
  const before = await slotBegins();
  writeFileSync(
    join(cwd, 'cdc.yaml'),
    `${plain}slot: { max_wal: 2MB, on_exceed: drop_and_reload }\n`,
  );
  await eventually('another slot', true, async () => {
    const now = await slotBegins();
    return now !== undefined && now !== before;
  });
  await eventually('a connector that runs', 'running', async () => (await state()).connector);
  writeFileSync(join(cwd, 'cdc.yaml'), plain);
  await flowsAgain();
});

test('another cluster at the same address is refused until it is said to be the source; then its rows are those of the copy', async () => {
  await server.makeAnew();
  await sql(
    'CREATE SCHEMA shop',
    'CREATE TABLE shop.orders (id int PRIMARY KEY, note text)',
    "INSERT INTO shop.orders SELECT g, 'moved' FROM generate_series(30, 120) g",
    'CREATE TABLE shop.plain (a int, b text)',
    'ALTER TABLE shop.plain REPLICA IDENTITY FULL',
    "INSERT INTO shop.plain VALUES (1, 'moved')",
  );
  const refused = await cdc('apply', '--json');
  expect(refused.json().error).toMatchObject({ code: 'OTHER_PIPELINE' });
  expect(refused.json().error.fix).toContain('cdc apply --new-source');
  const ran = await cdc('apply', '--new-source', '--json');
  expect(ran.exit, ran.stderr).toBe(0);
  await flowsAgain();
});
