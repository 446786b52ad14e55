import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withPublicationLock } from '../cli/components/postgres/lock.ts';
import { blockerWatch } from '../cli/components/postgres/transactions.ts';
import { watched } from '../cli/components/postgres/watched.ts';
import type { Finding } from '../cli/core/findings.ts';
import { findMarked } from '../cli/lib/processes.ts';
import { waitFor } from '../cli/lib/wait.ts';
import type { PostgresEndpoint } from '../cli/stack/endpoints.ts';
import { layoutOf } from '../cli/stack/layout.ts';
import { liveState, stackMarker } from '../cli/stack/state.ts';
import { type Ran, runCommand } from './harness/cli.ts';
import { dividing, pgBouncer } from './harness/pooler.ts';
import { type ForeignPostgres, foreignPostgres } from './harness/postgres.ts';

/** Somebody else's PostgreSQL, with as much room as one pipeline needs. */
let server: ForeignPostgres;
const folders: string[] = [];

beforeAll(async () => {
  server = await foreignPostgres({
    max_replication_slots: '2',
    max_wal_senders: '2',
    max_prepared_transactions: '5',
  });
  await using admin = await server.connect();
  await admin.query('CREATE TABLE public.items (id int PRIMARY KEY, name text)');
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function configured(url: string): string {
  const cwd = mkdtempSync(join(tmpdir(), 'cdc-checks-'));
  folders.push(cwd);
  const lines = ['ports: auto', 'observability: off', `source: { url: '${url}' }`];
  writeFileSync(join(cwd, 'cdc.yaml'), `${lines.join('\n')}\n`);
  return cwd;
}

/** Runs a command in a folder of its own, and holds that nothing of a stack is left behind. */
async function looked(argv: string[], url = server.url()) {
  const cwd = configured(url);
  const env = { CDC_SOURCE_PASSWORD: server.password };
  const ran = await runCommand(argv, { cwd, env });
  const left = liveState(layoutOf(cwd));
  if (left) await runCommand(['down', '--delete-data'], { cwd, env });
  expect(left).toBeUndefined();
  return ran;
}

async function findings(url?: string): Promise<Finding[]> {
  return (await looked(['doctor', '--json'], url)).json().findings;
}

/** What cdc would have made. */
async function made(): Promise<string[]> {
  await using admin = await server.connect();
  const { rows } = await admin.query<{ name: string }>(
    `SELECT 'slot ' || slot_name AS name FROM pg_replication_slots WHERE slot_name LIKE 'cdc%'
     UNION ALL SELECT 'publication ' || pubname FROM pg_publication
     UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname = 'cdc'`,
  );
  return rows.map(({ name }) => name);
}

test.each(['session', 'transaction', 'statement'] as const)(
  'a PgBouncer in between, mode %s, is named with the address of the server behind it, before anything is made',
  async (mode) => {
    await using pooler = await pgBouncer(server, mode);
    const url = `postgres://postgres@127.0.0.1:${pooler.port}/inventory`;
    const found = (await findings(url)).find(({ id }) => id === 'source-pooler');
    expect(found?.message).toContain('A pooler such as PgBouncer stands between');
    expect(found?.fix).toContain(`postgres://postgres@127.0.0.1:${server.port}/inventory`);
    const ran = await looked(['up'], url);
    expect(ran.exit).toBe(5);
    expect(ran.stderr).toContain('SOURCE_POOLER');
    expect(await made()).toEqual([]);
  },
);

test('a pooler that lets replication pass, as PgBouncer does since 1.23, is known by the sessions that it shares', async () => {
  await using pooler = await pgBouncer(server, 'transaction');
  await using relay = await dividing(pooler.port, server.port);
  const found = await findings(`postgres://postgres@127.0.0.1:${relay.port}/inventory`);
  expect(found.find(({ id }) => id === 'source-pooler')?.message).toContain(
    'Connections that are open at once share a process of the server.',
  );
});

test('what only hands connections on is no pooler, nor is one whose sessions are its clients’ own', async () => {
  await using relay = await dividing(server.port, server.port);
  await using pooler = await pgBouncer(server, 'session');
  await using sessions = await dividing(pooler.port, server.port);
  for (const { port } of [relay, sessions]) {
    const found = await findings(`postgres://postgres@127.0.0.1:${port}/inventory`);
    expect(found.filter(({ severity }) => severity === 'error')).toEqual([]);
  }
});

test('without a slot or a sender that is free nothing is made, and it says who holds them', async () => {
  await using admin = await server.connect();
  expect((await findings()).map(({ id }) => id)).not.toContain('source-pooler');
  await admin.query(
    "SELECT pg_create_physical_replication_slot(name, true) FROM unnest(ARRAY['standby', 'forgotten']) AS name",
  );
  await using _standby = await replicating('nightly backup');
  await using _other = await replicating('second');
  const found = await findings();
  const slots = found.find(({ id }) => id === 'replication-slots');
  expect(slots?.message).toBe(
    'all 2 replication slots (max_replication_slots) are in use: nobody reads forgotten, standby',
  );
  expect(slots?.fix).toMatch(
    /^SELECT pg_drop_replication_slot\('forgotten'\); {2}-- nobody reads it; it keeps .* of WAL$/m,
  );
  expect(slots?.fix).toContain('ALTER SYSTEM SET max_replication_slots = 7;');
  const senders = found.find(({ id }) => id === 'wal-senders');
  expect(senders?.message).toMatch(
    /^all 2 processes that send WAL \(max_wal_senders\) are in use: pid \d+ of postgres \(nightly backup\), pid \d+ of postgres \(second\)$/,
  );
  const ran = await looked(['up']);
  expect(ran.exit).toBe(5);
  expect(ran.stderr).toContain('[replication-slots]');
  expect(ran.stderr).toContain('[wal-senders]');
  expect(await made()).toEqual([]);
  await admin.query(
    'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active',
  );
});

/** A connection that holds one of the processes that send WAL. */
async function replicating(name: string) {
  const { Client } = (await import('pg')).default;
  const options = {
    host: '127.0.0.1',
    port: server.port,
    user: 'postgres',
    password: server.password,
    database: 'inventory',
    application_name: name,
    replication: 'database',
  };
  const client = new Client(options);
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

test('transactions that a slot would wait for are named before it is made, prepared ones too, with what ends them', async () => {
  await using holder = await server.connect();
  await holder.query("SET application_name = 'month end'");
  const { rows } = await holder.query('SELECT pg_backend_pid() AS pid');
  await holder.query('BEGIN; INSERT INTO public.items VALUES (1)');
  await using preparing = await server.connect();
  await preparing.query(
    "BEGIN; INSERT INTO public.items VALUES (2); PREPARE TRANSACTION 'it''s late'",
  );
  const open = await waitFor(
    'transactions to be old enough to be named',
    { timeoutMs: 300_000 },
    async () => {
      const named = (await findings()).filter(({ id }) => id === 'transaction-open');
      return named.length === 2 ? { ready: named } : { seen: JSON.stringify(named) };
    },
  );
  expect(open.map(({ fix }) => fix)).toEqual([
    `SELECT pg_terminate_backend(${rows[0].pid});  -- or let it end by itself`,
    "ROLLBACK PREPARED 'it''s late';  -- or COMMIT PREPARED, in that database  -- or let it end by itself",
  ]);
  expect(open[0]?.message).toMatch(
    /^its transaction is open \(pid \d+ of postgres \(month end\), for .* s\): the slot will wait until it ends$/,
  );
  expect(open[1]?.message).toContain(
    "prepared transaction it's late of postgres in database inventory, for",
  );
  await preparing.query("ROLLBACK PREPARED 'it''s late'");
  await holder.query('ROLLBACK');
});

/** A first start, on a machine that has other things to do. */
const BOOT_MS = 360_000;

describe('an up that ends before the connector is there', () => {
  let cwd = '';
  const env = () => ({ CDC_SOURCE_PASSWORD: server.password });
  const run = (argv: string[], signal?: AbortSignal) =>
    runCommand(argv, { cwd, env: env(), ...(signal ? { signal } : {}) });
  const stopped: number[] = [];

  beforeAll(() => {
    cwd = configured(server.url());
  });
  afterAll(async () => {
    for (const pid of stopped) process.kill(pid, 'SIGCONT');
    await run(['down', '--delete-data']);
  });

  /** Runs `up`, and something while the slot waits for a transaction of the test's. */
  async function whileSlotWaits(
    then: (holder: pg.Client, abort: AbortController) => Promise<void>,
  ): Promise<Ran> {
    await using holder = await server.connect();
    await holder.query('BEGIN; INSERT INTO public.items VALUES (9)');
    await using watcher = await server.connect();
    const abort = new AbortController();
    const ran = run(['up'], abort.signal);
    await waitFor('the slot to wait', { timeoutMs: BOOT_MS }, async () => {
      const { rows } = await watcher.query(
        "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_create_logical%'",
      );
      return rows.length > 0 ? { ready: true } : { seen: 'nothing waits' };
    });
    expect(await made()).toEqual(['slot cdc_cdc', 'publication cdc_cdc', 'schema cdc']);
    await then(holder, abort);
    return ran;
  }

  test(
    'by Ctrl-C while servers start leaves no process of them',
    async () => {
      const layout = layoutOf(cwd);
      const abort = new AbortController();
      const ran = run(['up'], abort.signal);
      await waitFor('a server to start', { timeoutMs: BOOT_MS }, () =>
        liveState(layout)?.servers.some(({ pid }) => pid !== undefined)
          ? { ready: true }
          : { seen: 'no server runs' },
      );
      abort.abort(new Error('Ctrl-C'));
      expect((await ran).exit).toBe(130);
      expect(findMarked(`CDC_STACK=${stackMarker(layout)}`)).toEqual([]);
      expect(liveState(layout)).toBeUndefined();
    },
    BOOT_MS * 1.2,
  );

  test(
    'by Ctrl-C takes back publication, schema and slot, at once',
    async () => {
      let abortedAtMs = 0;
      const ran = await whileSlotWaits(async (_holder, abort) => {
        abortedAtMs = performance.now();
        abort.abort(new Error('Ctrl-C'));
      });
      expect(performance.now() - abortedAtMs).toBeLessThan(2000);
      expect(ran.exit).toBe(130);
      // The slot was never made: the server gave up when it was told to.
      expect(ran.stderr).toContain('taken back: publication cdc_cdc, cdc.heartbeat and cdc.signal');
      expect(await made()).toEqual([]);
      await using admin = await server.connect();
      const left = await admin.query(
        "SELECT query FROM pg_stat_activity WHERE application_name = 'cdc' AND state = 'active' AND query NOT LIKE '%heartbeat%'",
      );
      expect(left.rows).toEqual([]);
    },
    BOOT_MS * 1.2,
  );

  test(
    'because a server fails takes back what it made, and nothing that was there before',
    async () => {
      await using admin = await server.connect();
      await admin.query('CREATE SCHEMA cdc; CREATE TABLE cdc.theirs (id int PRIMARY KEY)');
      const connect = liveState(layoutOf(cwd))?.servers.find(({ name }) => name === 'connect');
      const pid = connect?.pid ?? 0;
      const ran = await whileSlotWaits(async (holder) => {
        // It takes connections and answers nothing.
        process.kill(pid, 'SIGSTOP');
        stopped.push(pid);
        await holder.query('ROLLBACK');
      });
      process.kill(pid, 'SIGCONT');
      expect(ran.exit).toBe(4);
      expect(ran.stderr).toContain('CONNECT_UNREACHABLE');
      expect(ran.stderr).toContain('taken back: slot cdc_cdc');
      expect(await made()).toEqual(['schema cdc']);
      const { rows } = await admin.query(
        "SELECT relname FROM pg_class WHERE relnamespace = 'cdc'::regnamespace AND relkind = 'r'",
      );
      expect(rows).toEqual([{ relname: 'theirs' }]);
      await admin.query('DROP SCHEMA cdc CASCADE');
    },
    BOOT_MS * 1.2,
  );
});

test('a statement in the source that waits for a lock says for whose, and an interrupt leaves nothing of it', async () => {
  await using holder = await server.connect();
  await holder.query("SET application_name = 'migration'");
  await holder.query('BEGIN; LOCK TABLE public.items IN ACCESS EXCLUSIVE MODE');
  await using client = await server.connect();
  await using watcher = await server.connect();
  const abort = new AbortController();
  const said: string[] = [];
  const look = blockerWatch(watcher, (blocker) => {
    said.push(blocker);
    abort.abort(new Error('enough'));
  });
  const making = watched({ client, watcher, signal: abort.signal }, 'the publication', look, () =>
    client.query('CREATE PUBLICATION cdc_late FOR TABLE public.items'),
  );
  await expect(making).rejects.toThrow();
  expect(said[0]).toMatch(/^a lock of pid \d+ of postgres \(migration\), for /);
  await holder.query('COMMIT');
  // Whoever has let go of the client only would make it now.
  await client.query('SELECT 1');
  const left = await watcher.query(
    `SELECT pubname FROM pg_publication UNION ALL
     SELECT query FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'CREATE PUBLICATION%'`,
  );
  expect(left.rows).toEqual([]);
});

test('who waits for another cdc says where that one is, and since when', async () => {
  const endpoint = {
    host: '127.0.0.1',
    port: server.port,
    user: 'postgres',
    password: server.password,
    database: 'inventory',
    tls: {},
  } as PostgresEndpoint;
  const never = new AbortController().signal;
  const first = { timeoutMs: 300_000, signal: never, onWait: () => {} };
  await withPublicationLock(endpoint, 'cdc_one', first, async () => {
    const abort = new AbortController();
    const said: string[] = [];
    const onWait = (text: string) => {
      said.push(text);
      abort.abort(new Error('enough'));
    };
    const second = { timeoutMs: 300_000, signal: abort.signal, onWait };
    await expect(
      withPublicationLock(endpoint, 'cdc_one', second, async () => {}),
    ).rejects.toThrow();
    expect(said[0]).toMatch(
      /^waiting for another cdc that works on publication cdc_one \(pid \d+ of postgres at 127\.0\.0\.1, since \d\d:\d\d:\d\d UTC\)$/,
    );
  });
});
