import { once } from 'node:events';
import { statSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { createClient } from '@clickhouse/client';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chIdent, pgIdent } from '../cli/lib/sql.ts';
import { pause, waitFor } from '../cli/lib/wait.ts';
import { SERVER_NAMES, type ServerName } from '../cli/stack/endpoints.ts';
import {
  cdc,
  cdcJson,
  eventually,
  freshSchema,
  source,
  stack,
  target,
} from './harness/database.ts';
import { commandLines } from './harness/processes.ts';
import { kill, listening, logTexts, pids, reachable } from './harness/servers.ts';

const RECOVERY_MS = 300_000;

let schema: Awaited<ReturnType<typeof freshSchema>>;
let sourceTable: string;
let targetTable: string;

beforeAll(async () => {
  await using client = await source();
  schema = await freshSchema(client, 'up');
  sourceTable = pgIdent(schema.name, 'events');
  targetTable = chIdent(schema.name, 'events');
  await client.query(`CREATE TABLE ${sourceTable} (id bigserial PRIMARY KEY, note text NOT NULL)`);
  await cdcJson('apply');
});

afterAll(async () => {
  // Other files need the stack, whatever happened here.
  await cdcJson('up');
  await schema.drop();
  await cdcJson('apply');
});

/** Count, sum of keys and of the notes' lengths: equal on both sides when the copy is whole. */
async function sourceSums(): Promise<string[]> {
  await using client = await source();
  const found = await client.query<Record<string, string>>(
    `SELECT count(*) AS n, coalesce(sum(id), 0) AS ids, coalesce(sum(length(note)), 0) AS notes FROM ${sourceTable}`,
  );
  return Object.values(found.rows[0] ?? {}).map(String);
}

async function targetSums(): Promise<string[]> {
  await using clickhouse = target();
  const rows = await clickhouse.rows<Record<string, string>>(
    `SELECT count() AS n, sum(id) AS ids, sum(length(note)) AS notes FROM ${targetTable}`,
  );
  return Object.values(rows[0] ?? {}).map(String);
}

async function copyIsWhole(): Promise<void> {
  const expected = await sourceSums();
  await eventually('the copy to be whole', expected, targetSums);
}

async function insert(note: string): Promise<void> {
  await using client = await source();
  await client.query(`INSERT INTO ${sourceTable} (note) VALUES ($1)`, [note]);
}

describe('up', () => {
  it('changes nothing the second time', async () => {
    const before = await pids();
    expect(before).not.toContain(undefined);
    expect(await cdcJson('up')).toMatchObject({ result: 'unchanged', loaded_rows: 0 });
    expect(await pids()).toEqual(before);
  });

  it('has copied the example', async () => {
    await using clickhouse = target();
    await using client = await source();
    for (const table of ['customers', 'orders', 'products', 'products_on_hand']) {
      const wanted = await client.query(`SELECT count(*)::text AS n FROM inventory.${table}`);
      await eventually(`rows of ${table}`, wanted.rows, () =>
        clickhouse.rows(`SELECT toString(count()) AS n FROM inventory.${table}`),
      );
    }
  });
});

describe('changes', () => {
  it('arrive: an insert, an update, a changed key, a delete', async () => {
    await using client = await source();
    await using clickhouse = target();
    const seen = () => clickhouse.rows(`SELECT id, note FROM ${targetTable} ORDER BY id`);
    await client.query(`INSERT INTO ${sourceTable} VALUES (1, 'one'), (2, 'two')`);
    await eventually(
      'inserts',
      [
        { id: '1', note: 'one' },
        { id: '2', note: 'two' },
      ],
      seen,
    );
    await client.query(`UPDATE ${sourceTable} SET note = 'zwei' WHERE id = 2`);
    await eventually(
      'an update',
      [
        { id: '1', note: 'one' },
        { id: '2', note: 'zwei' },
      ],
      seen,
    );
    await client.query(`UPDATE ${sourceTable} SET id = 3 WHERE id = 2`);
    await eventually(
      'a changed key',
      [
        { id: '1', note: 'one' },
        { id: '3', note: 'zwei' },
      ],
      seen,
    );
    await client.query(`DELETE FROM ${sourceTable} WHERE id = 1`);
    await eventually('a delete', [{ id: '3', note: 'zwei' }], seen);
    await client.query(`DELETE FROM ${sourceTable}`);
    await eventually('an empty table', [], seen);
  });
});

describe('env', () => {
  it('lets clients in', async () => {
    const env = await cdcJson('env');
    const postgres = new pg.Client({
      host: env.PGHOST,
      port: Number(env.PGPORT),
      user: env.PGUSER,
      password: env.PGPASSWORD,
      database: env.PGDATABASE,
    });
    await postgres.connect();
    expect((await postgres.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await postgres.end();
    const clickhouse = createClient({
      url: env.CLICKHOUSE_URL,
      username: env.CLICKHOUSE_USER,
      password: env.CLICKHOUSE_PASSWORD,
      database: env.CLICKHOUSE_DATABASE,
    });
    const answer = await clickhouse.query({
      query: 'SELECT count() AS n FROM orders',
      format: 'JSON',
    });
    expect((await answer.json<{ n: string }>()).data).toHaveLength(1);
    await clickhouse.close();
  });

  it('a wrong password lets nobody in', async () => {
    const env = await cdcJson('env');
    const postgres = new pg.Client({
      host: env.PGHOST,
      port: Number(env.PGPORT),
      user: env.PGUSER,
      password: 'wrong',
      database: env.PGDATABASE,
    });
    await expect(postgres.connect()).rejects.toThrow(/password authentication failed/);
    // The library's own session logs in as default, without a password: it may see no data.
    for (const user of ['cdc', 'default']) {
      const answer = await fetch(
        `${env.CLICKHOUSE_URL}/?query=SELECT+count()+FROM+inventory.orders`,
        {
          headers: { 'X-ClickHouse-User': user, 'X-ClickHouse-Key': user === 'cdc' ? 'wrong' : '' },
        },
      );
      expect(answer.ok).toBe(false);
    }
    const connect = new URL(env.CONNECT_URL ?? '');
    expect((await fetch(`${connect.origin}/connectors`)).status).toBe(401);
  });
});

describe('what others on this machine and network see', () => {
  it('nothing listens beyond loopback', async () => {
    const { all, beyondLoopback } = await reachable();
    expect(all).toBeGreaterThanOrEqual(5);
    expect(beyondLoopback).toEqual([]);
  });

  it('under no other address of this machine a port of the stack answers', async () => {
    const others = Object.values(networkInterfaces())
      .flat()
      .filter((one) => one !== undefined && !one.internal && one.family === 'IPv4')
      .map((one) => one?.address ?? '');
    expect(others.length).toBeGreaterThan(0);
    const ports = [...new Set((await listening()).map(({ port }) => port))];
    expect(ports.length).toBeGreaterThanOrEqual(5);
    const asked = others.flatMap((host) => ports.map((port) => ({ host, port })));
    const answered = await Promise.all(asked.map(async (at) => ((await isOpen(at)) ? at : [])));
    expect(answered.flat()).toEqual([]);
  });

  it('no secret is in a process’ arguments', () => {
    expect(leaks(commandLines().map((line) => ['arguments', line]))).toEqual([]);
  });

  it('no secret is in a log', async () => {
    const texts = await logTexts();
    expect(texts.length).toBeGreaterThanOrEqual(4);
    expect(leaks(texts)).toEqual([]);
  });

  it('no secret is in what a command prints', async () => {
    const lines = [
      ['up'],
      ['plan', '--sql'],
      ['apply'],
      ['status'],
      ['doctor'],
      ['lag'],
      ['verify'],
      ['logs'],
      ['connector', 'status'],
      ['register-connector', '--dry-run'],
    ];
    const texts: [string, string][] = [];
    for (const line of lines) {
      for (const argv of [line, [...line, '--json']]) {
        const { stdout, stderr } = await cdc(...argv);
        texts.push([argv.join(' '), stdout + stderr]);
      }
    }
    expect(leaks(texts)).toEqual([]);
  });

  it('what cdc keeps is readable by its owner only', () => {
    const { root, secretsFile } = stack().layout;
    expect(statSync(root).mode & 0o077).toBe(0);
    expect(statSync(secretsFile).mode & 0o077).toBe(0);
  });
});

async function isOpen(at: { host: string; port: number }): Promise<boolean> {
  const socket = connect(at);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Texts in which a password of the stack stands. */
function leaks(texts: readonly (readonly [string, string])[]): string[] {
  const { kafkaClusterId: _id, toastPlaceholder: _placeholder, ...secrets } = stack().secrets;
  return Object.entries(secrets).flatMap(([name, secret]) =>
    texts.filter(([, text]) => text.includes(secret)).map(([where]) => `${name} in ${where}`),
  );
}

/** Writes rows until stopped; a write that fails is tried again, as an application would. */
function writeOn() {
  const stop = new AbortController();
  let written = 0;
  const done = (async () => {
    while (!stop.signal.aborted) {
      await insert(`row ${written}`).then(
        () => {
          written += 1;
        },
        () => {},
      );
      await pause(20, stop.signal).catch(() => {});
    }
  })();
  return {
    written: () => written,
    stop: async () => {
      stop.abort();
      await done;
    },
  };
}

describe('kill -9', () => {
  it.each(SERVER_NAMES)(
    'of %s while rows are written loses none of them',
    async (name: ServerName) => {
      const writer = writeOn();
      try {
        await waitFor('rows to be written', { timeoutMs: RECOVERY_MS }, () =>
          writer.written() > 20 ? { ready: true } : { seen: `${writer.written()} rows` },
        );
        const again = await kill(name);
        await again();
        const restarted = writer.written();
        await waitFor('rows to be written again', { timeoutMs: RECOVERY_MS }, () =>
          writer.written() > restarted + 20
            ? { ready: true }
            : { seen: `${writer.written()} rows` },
        );
      } finally {
        await writer.stop();
      }
      await copyIsWhole();
    },
    RECOVERY_MS * 3,
  );

  it(
    'of the agent leaves the servers as they are: another one takes them over, and changes flow on',
    async () => {
      const before = await pids();
      const again = await kill('agent');
      const ran = await cdc('status', '--json');
      expect([0, 4, 6]).toContain(ran.exit);
      // Changes flow on without it, and can be proved.
      expect((await cdc('verify', 'inventory.customers')).exit).toBe(0);
      await again();
      const after = await pids();
      expect(after.slice(0, -1)).toEqual(before.slice(0, -1));
      expect(after.at(-1)).not.toBe(before.at(-1));
      await insert('after the agent was killed');
      await copyIsWhole();
      expect(await cdcJson('up')).toMatchObject({ result: 'unchanged' });
    },
    RECOVERY_MS * 2,
  );
});

describe('down', () => {
  it(
    'and then up keeps every row and every port',
    async () => {
      await insert('before down');
      await copyIsWhole();
      const wanted = await sourceSums();
      const ports = stack().agent?.ports;
      expect(await cdcJson('down')).toMatchObject({ result: 'stopped', data_deleted: false });
      expect(await cdcJson('down')).toMatchObject({ result: 'unchanged', stopped: false });
      expect((await cdc('plan')).exit).toBe(4);
      expect(await cdcJson('up')).toMatchObject({ loaded_rows: 0 });
      expect(stack().agent?.ports).toEqual(ports);
      expect(await sourceSums()).toEqual(wanted);
      await insert('after down');
      await copyIsWhole();
    },
    RECOVERY_MS * 2,
  );
});
