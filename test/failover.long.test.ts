import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TcpProxy } from '../cli/chaos/tcpProxy.ts';
import { withClickHouse } from '../cli/components/clickhouse/client.ts';
import { attach } from '../cli/pipeline/state/stack.ts';
import { runCommand, testContext } from './harness/cli.ts';
import { eventually } from './harness/database.ts';
import { type ForeignPostgres, foreignPostgres } from './harness/postgres.ts';
import { standbyOf } from './harness/standby.ts';

/** A source with a standby, behind one address that leads to whichever is the primary. */

let primary: ForeignPostgres;
let standby: ForeignPostgres;
let address: TcpProxy;
let cwd: string;
const cdc = (...argv: string[]) =>
  runCommand(argv, { cwd, env: { CDC_SOURCE_PASSWORD: primary.password } });

async function sql(on: ForeignPostgres, ...statements: string[]): Promise<void> {
  await using client = await on.connect();
  for (const statement of statements) await client.query(statement);
}

const changes = (mark: string) => [
  `INSERT INTO shop.orders SELECT max(id) + g, '${mark}' FROM shop.orders, generate_series(1, 500) g GROUP BY g`,
  `UPDATE shop.orders SET note = '${mark}' WHERE id % 10 = 0`,
  'DELETE FROM shop.orders WHERE id = (SELECT min(id) FROM shop.orders)',
];

async function isEqual(): Promise<void> {
  const ran = await cdc('verify', 'shop.*', '--json');
  expect(ran.json(), ran.stderr).toMatchObject({ ok: true, flowing: true });
}

async function healthy(): Promise<boolean> {
  return (await cdc('status', '--json')).json().healthy;
}

/** The newest position at which a table was loaded. */
async function loads(): Promise<unknown> {
  const { context } = testContext({ cwd, env: { CDC_SOURCE_PASSWORD: primary.password } });
  return withClickHouse(attach(context, {}).endpoints.clickhouse, (clickhouse) =>
    clickhouse.rows('SELECT table_name, max(floor) AS floor FROM cdc.loads GROUP BY table_name'),
  );
}

beforeAll(async () => {
  primary = await foreignPostgres({});
  await sql(
    primary,
    'CREATE SCHEMA shop',
    'CREATE TABLE shop.orders (id int PRIMARY KEY, note text)',
    "INSERT INTO shop.orders SELECT g, 'first' FROM generate_series(1, 1000) g",
  );
  standby = await standbyOf(primary);
  address = await TcpProxy.open({ host: '127.0.0.1', port: primary.port });
  cwd = mkdtempSync(join(tmpdir(), 'cdc-failover-'));
  const url = `postgres://postgres@127.0.0.1:${address.port}/inventory`;
  writeFileSync(
    join(cwd, 'cdc.yaml'),
    `ports: auto\nobservability: off\nsource:\n  url: ${url}\n  include: ["shop.*"]\n`,
  );
  const ran = await cdc('up', '--json');
  expect(ran.exit, ran.stderr).toBe(0);
});
afterAll(async () => {
  await cdc('down', '--delete-data');
  await address[Symbol.asyncDispose]();
  await standby[Symbol.asyncDispose]();
  rmSync(cwd, { recursive: true, force: true });
});

test('the slot is one that a standby has, too, and a promoted standby is gone on with: every change arrives, and nothing is loaded again', async () => {
  await sql(primary, ...changes('on the first'));
  await isEqual();
  await using there = await standby.connect();
  await eventually(
    'the slot to be on the standby',
    [{ synced: true, temporary: false }],
    async () => {
      const asked = await there.query(
        'SELECT synced, temporary FROM pg_replication_slots WHERE slot_type = $1',
        ['logical'],
      );
      return asked.rows;
    },
  );
  const loadedBefore = await loads();
  await sql(primary, ...changes('just before'));
  await primary[Symbol.asyncDispose]();
  await there.query('SELECT pg_promote()');
  address.target = { host: '127.0.0.1', port: standby.port };
  address.cut();
  await sql(standby, ...changes('on the second'));
  await isEqual();
  await eventually('a healthy stack', true, healthy);
  expect((await cdc('plan', '--json')).json()).toMatchObject({ result: 'unchanged' });
  expect(await loads()).toEqual(loadedBefore);
});

test('a connection that the network dropped without telling either end is noticed, and changes flow again by themselves', async () => {
  await sql(standby, ...changes('before'));
  await isEqual();
  address.silence();
  await sql(standby, ...changes('while nobody hears'));
  await eventually('status to say so', false, healthy);
  await eventually('changes to flow again', true, healthy);
  await isEqual();
});
