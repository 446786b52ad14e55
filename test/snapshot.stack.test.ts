import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { readLoad, readRecords } from '../cli/components/clickhouse/records.ts';
import { Connect } from '../cli/components/connect/client.ts';
import { forgetReading, isSnapshotRunning } from '../cli/components/connect/control.ts';
import { signalOf } from '../cli/core/names.ts';
import { chIdent, pgIdent } from '../cli/lib/sql.ts';
import { cleanEnvironment, MAIN, runCommand } from './harness/cli.ts';
import {
  cdc,
  cdcJson,
  eventually,
  freshSchema,
  slowDown,
  source,
  stack,
  target,
} from './harness/database.ts';

let schema = '';

beforeAll(async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'snapshot')).name;
});
afterAll(async () => {
  await using client = await source();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await cdcJson('apply');
});

async function made(table: string, columns: string, rows: string): Promise<string> {
  await using client = await source();
  await client.query(`CREATE TABLE ${schema}.${table} (${columns})`);
  await client.query(`INSERT INTO ${schema}.${table} ${rows}`);
  await cdcJson('apply');
  return `${schema}.${table}`;
}

/** The built program, as a process of its own that can be killed. */
function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], {
    cwd: inject('stackDirectory'),
    env: cleanEnvironment(),
    stdio: 'ignore',
  });
}

async function killed(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  expect(await ended).toEqual([null, 'SIGKILL']);
}

/** Parts of the snapshot of a table that goes on now. */
async function partsOf(table: string): Promise<string[]> {
  await using clickhouse = target();
  const id = { schema, table };
  const snapshot = (await readRecords(clickhouse, id)).get(id, 'snapshot');
  if (snapshot?.state !== 'begun') return [];
  const { ranges, reading } = await readLoad(clickhouse, id, snapshot.version);
  return [...ranges.keys(), ...(reading ? [reading.id] : [])];
}

const begun = (table: string, parts: number) =>
  eventually(`${parts} parts of ${table} are loaded`, true, async () => {
    return (await partsOf(table)).length >= parts;
  });

/** Writes until told: short and long transactions, deletes, keys that change, rows that move. */
function writers(table: string, rows: number) {
  const stop = new AbortController();
  const one = async (seed: number) => {
    await using client = await source();
    for (let n = 0; !stop.signal.aborted; n += 1) {
      const id = ((n * 7919 + seed * 104_729) % rows) + 1;
      await client.query('BEGIN');
      await client.query(`UPDATE ${table} SET n = n + 1, pad = pad || 'y' WHERE id = ${id}`);
      await client.query(`DELETE FROM ${table} WHERE id = ${((id * 31) % rows) + 1}`);
      if (n % 3 === 0)
        await client.query(
          `UPDATE ${table} SET id = ${rows * 10 + n * 8 + seed} WHERE id = ${((id * 17) % rows) + 1}`,
        );
      if (n % 4 === 0) await delay(50 + 100 * seed);
      await client.query(
        `INSERT INTO ${table} (id, n, pad) VALUES (${rows * (20 + seed) + n}, ${n}, 'new')`,
      );
      await client.query(n % 7 === 3 ? 'ROLLBACK' : 'COMMIT');
    }
    return true;
  };
  const all = Promise.all([one(1), one(2), one(3)]);
  return async () => {
    stop.abort();
    expect(await all).toEqual([true, true, true]);
  };
}

const COLUMNS = 'id bigint PRIMARY KEY, n int NOT NULL, pad text';

test.each(['pull', 'debezium'])(
  'a table that is loaded again by %s while it is written to ends up equal',
  async (method) => {
    const rows = method === 'pull' ? 60_000 : 6000;
    const table = await made(
      `busy_${method}`,
      COLUMNS,
      `SELECT g, 0, repeat('x', 100) FROM generate_series(1, ${rows}) g`,
    );
    const stop = writers(table, rows);
    try {
      for (let round = 0; round < 2; round += 1) {
        const { tables } = await cdcJson('snapshot', table, '--method', method);
        expect(tables).toEqual([expect.objectContaining({ table, method })]);
        expect(tables[0].rows).toBeGreaterThan(0);
      }
    } finally {
      await stop();
    }
    expect(await cdcJson('verify', table)).toMatchObject({ ok: true });
  },
);

test('removes what the source does not have, and a second run changes nothing', async () => {
  const table = await made('ghosts', COLUMNS, `SELECT g, g, 'v' FROM generate_series(1, 100) g`);
  await using client = await source();
  await using clickhouse = target();
  const publication = stack().names.publication;
  await clickhouse.command(
    `INSERT INTO ${chIdent(schema, 'ghosts_final')} (id, n, pad, _version) VALUES (500, 1, 'by hand', 1), (501, 1, 'by hand', 7), (5, 9, 'by hand', 3)`,
  );
  // Nothing watches these changes.
  await client.query(`ALTER PUBLICATION ${publication} DROP TABLE ${table}`);
  await client.query(`DELETE FROM ${table} WHERE id <= 10`);
  await client.query(`UPDATE ${table} SET n = -1 WHERE id = 20`);
  await client.query(`ALTER PUBLICATION ${publication} ADD TABLE ${table}`);
  expect((await cdc('verify', table)).exit).toBe(6);
  const first = await cdcJson('snapshot', table);
  expect(first.tables[0]).toMatchObject({ table, rows: 90, removed: 12, resumed: false });
  expect(await cdcJson('verify', table)).toMatchObject({ ok: true, rows: 90 });
  const second = await cdcJson('snapshot', table);
  expect(second.tables[0]).toMatchObject({ table, rows: 90, removed: 0, resumed: false });
  expect(await cdcJson('verify', table)).toMatchObject({ ok: true, rows: 90 });
  await client.query(`DELETE FROM ${table} WHERE id = 30`);
  await client.query(`INSERT INTO ${table} VALUES (5, 5, 'again'), (500, 5, 'again')`);
  expect(await cdcJson('verify', table)).toMatchObject({ ok: true, rows: 91 });
});

test('killed in the middle it goes on, and rows deleted meanwhile do not come back', async () => {
  const table = await made(
    'killed',
    COLUMNS,
    `SELECT g, 0, repeat('x', 900) FROM generate_series(1, 6000) g`,
  );
  await slowDown(schema, 'killed', 0.001);
  await using client = await source();
  const child = start('snapshot', table);
  await begun('killed', 2);
  // Of pages that were read and of pages that were not, while the reading goes on.
  await client.query(`DELETE FROM ${table} WHERE id IN (1, 2, 3, 5998, 5999)`);
  await client.query(`UPDATE ${table} SET n = 1 WHERE id IN (4, 5, 6000)`);
  await killed(child);
  const parts = await partsOf('killed');
  expect(parts).not.toEqual([]);
  await client.query(`DELETE FROM ${table} WHERE id IN (10, 11, 5990)`);
  await client.query(`UPDATE ${table} SET id = 9000 WHERE id = 12`);
  const result = await cdcJson('snapshot', table);
  expect(result.tables[0]).toMatchObject({ table, resumed: true, removed: 0 });
  expect(result.tables[0].resumed_chunks).toBeGreaterThanOrEqual(parts.length);
  expect(await cdcJson('verify', table)).toMatchObject({ ok: true, rows: 5992 });
});

test('waits for a transaction that has written, so that its changes are not outranked', async () => {
  const table = await made('open', COLUMNS, `SELECT g, 0, 'v' FROM generate_series(1, 10) g`);
  await using writer = await source();
  await writer.query('BEGIN');
  await writer.query(`UPDATE ${table} SET n = 1 WHERE id = 1`);
  await writer.query(`DELETE FROM ${table} WHERE id = 2`);
  let ended = false;
  const running = cdcJson('snapshot', table).finally(() => {
    ended = true;
  });
  await delay(1500);
  expect(ended).toBe(false);
  await writer.query('COMMIT');
  expect((await running).tables[0]).toMatchObject({ rows: 9 });
  expect(await cdcJson('verify', table)).toMatchObject({ ok: true, rows: 9 });
});

test('read by Debezium, a change whose transaction stays open all the while is not outranked', async () => {
  const table = await made('late', COLUMNS, `SELECT g, 0, 'v' FROM generate_series(1, 2000) g`);
  await using writer = await source();
  const running = cdcJson('snapshot', table, '--method', 'debezium');
  await begun('late', 1);
  await writer.query('BEGIN');
  await writer.query(`UPDATE ${table} SET n = 1 WHERE id IN (1, 1999)`);
  await writer.query(`DELETE FROM ${table} WHERE id IN (2, 2000)`);
  expect((await running).tables[0]).toMatchObject({ rows: 2000, method: 'debezium' });
  await writer.query('COMMIT');
  expect(await cdcJson('verify', table)).toMatchObject({ ok: true, rows: 1998 });
});

test('killed while Debezium reads, it goes on with that reading', async () => {
  const table = await made(
    'taken_up',
    COLUMNS,
    `SELECT g, 0, 'v' FROM generate_series(1, 20000) g`,
  );
  await using clickhouse = target();
  await clickhouse.command(
    `INSERT INTO ${chIdent(schema, 'taken_up_final')} (id, n, pad, _version) VALUES (99999, 1, 'by hand', 1)`,
  );
  // Debezium learns of a table that joined by a change of it; else it would be restarted first.
  await using client = await source();
  await client.query(`UPDATE ${table} SET n = 1 WHERE id = 1`);
  await cdc('verify', table, '--json');
  const child = start('snapshot', table, '--method', 'debezium');
  await begun('taken_up', 1);
  await killed(child);
  const result = await cdcJson('snapshot', table, '--method', 'debezium');
  expect(result.tables[0]).toMatchObject({ rows: 20_000, removed: 1, resumed: true });
  expect(result.tables[0].resumed_chunks).toBe(1);
  expect(await cdcJson('verify', table)).toMatchObject({ ok: true, rows: 20_000 });
  const left = await clickhouse.rows(
    `SELECT name FROM system.tables WHERE database = 'cdc' AND name LIKE 'snapshot\\_%'`,
  );
  expect(left).toEqual([]);
  expect((await client.query('SELECT * FROM cdc.signal')).rows).toEqual([]);
});

test.each([
  ['refuses', '127.0.0.1:1', 'Far. of reach, é'],
  ['is not to be found', 'nowhere.invalid:5432', 'Far[1](a|b)'],
])(
  'where the source %s for ClickHouse, Debezium loads the rows, with any name and value',
  async (_how, address, name) => {
    await using client = await source();
    const quoted = `"${name}"`;
    await client.query(
      `CREATE TABLE ${schema}.${quoted} (a text, "B c" int, v numeric, at timestamptz, list int[], big text, PRIMARY KEY ("B c", a))`,
    );
    await client.query(
      `INSERT INTO ${schema}.${quoted} SELECT 'k' || g, g / 3, g / 7.0, now(), ARRAY[g, NULL], repeat(md5(g::text), 200) FROM generate_series(1, 500) g`,
    );
    await client.query(
      `INSERT INTO ${schema}.${quoted} VALUES ('', -1, 'NaN', '1970-01-01', NULL, NULL)`,
    );
    const ran = await runCommand(['apply', '--json'], {
      cwd: inject('stackDirectory'),
      env: { CDC_CLICKHOUSE_SOURCE_ADDRESS: address },
    });
    expect(ran.stderr).toContain('ClickHouse cannot reach the source');
    expect(ran.exit).toBe(0);
    await client.query(`UPDATE ${schema}.${quoted} SET v = 0 WHERE "B c" = 5`);
    const result = await cdcJson('verify', `${schema}.Far*`);
    expect(result.tables.at(-1)).toMatchObject({ missing: 0, extra: 0, different: 0 });
    expect(result.ok).toBe(true);
    const again = await runCommand(['snapshot', `${schema}.Far*`, '--json'], {
      cwd: inject('stackDirectory'),
      env: { CDC_CLICKHOUSE_SOURCE_ADDRESS: address },
    });
    expect(again.json().tables[0]).toMatchObject({ method: 'debezium', rows: 501 });
    expect(await cdcJson('verify', `${schema}.Far*`)).toMatchObject({ ok: true });
  },
);

test('a reading that Debezium cannot take up again is forgotten, and nothing else is', async () => {
  const table = await made('goes_on', COLUMNS, `VALUES (1, 0, 'v')`);
  const connect = new Connect(stack().endpoints.connect);
  const { connector } = stack().names;
  const state = async () => (await connect.status(connector))?.connector.state;
  await connect.stop(connector);
  await eventually('the connector to stop', 'STOPPED', state);
  // As Debezium stores it when it is killed while it reads a table of such a name.
  const collections = [
    {
      incremental_snapshot_collections_id: `${schema}.Far. of reach`,
      incremental_snapshot_collections_additional_condition: null,
      incremental_snapshot_collections_surrogate_key: null,
    },
  ];
  const before = await connect.offsets(connector);
  await connect.setOffsets(
    connector,
    before.map(({ partition, offset }) => ({
      partition,
      offset: { ...offset, incremental_snapshot_collections: JSON.stringify(collections) },
    })),
  );
  expect(await isSnapshotRunning(connect, connector)).toBe(true);
  await using client = await source();
  await client.query(`UPDATE ${table} SET n = 1`);
  await connect.resume(connector);
  await eventually('the reading to be forgotten', false, () =>
    isSnapshotRunning(connect, connector),
  );
  await eventually('the connector to run', 'RUNNING', state);
  expect(await cdcJson('verify', table)).toMatchObject({ ok: true, rows: 1 });
});

test('a reading that is forgotten while a command waits for it is begun again', async () => {
  const table = await made(
    'forgotten',
    COLUMNS,
    `SELECT g, 0, 'v' FROM generate_series(1, 20000) g`,
  );
  const { connector } = stack().names;
  const running = cdcJson('snapshot', table, '--method', 'debezium');
  await begun('forgotten', 1);
  await forgetReading(new Connect(stack().endpoints.connect), connector);
  expect((await running).tables[0]).toMatchObject({ rows: 20_000, method: 'debezium' });
  expect(await cdcJson('verify', table)).toMatchObject({ ok: true, rows: 20_000 });
});

test('a reading that missed the end of a chunk does not keep another table from being read', async () => {
  const [stuck, next] = [
    await made('stuck', COLUMNS, `VALUES (1, 0, 'v')`),
    await made('after_stuck', COLUMNS, `VALUES (1, 0, 'v')`),
  ];
  const connect = new Connect(stack().endpoints.connect);
  const { connector, own } = stack().names;
  const signals = `${pgIdent(signalOf(own).schema)}.${pgIdent(signalOf(own).table)}`;
  await using client = await source();
  await client.query(
    `CREATE FUNCTION ${schema}.lost() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`,
  );
  await client.query(
    `CREATE TRIGGER lost BEFORE DELETE ON ${signals} FOR EACH ROW
     WHEN (old.type = 'snapshot-window-open') EXECUTE FUNCTION ${schema}.lost()`,
  );
  const child = start('snapshot', stuck, '--method', 'debezium');
  await eventually('the reading to begin', true, () => isSnapshotRunning(connect, connector));
  await killed(child);
  await client.query(`DROP TRIGGER lost ON ${signals}`);
  expect((await cdcJson('snapshot', next, '--method', 'debezium')).tables).toMatchObject([
    { rows: 1, method: 'debezium' },
  ]);
  expect((await cdcJson('snapshot', stuck, '--method', 'debezium')).tables[0].rows).toBe(1);
  expect(await cdcJson('verify', stuck, next)).toMatchObject({ ok: true, rows: 2 });
});

test('a table that is not copied yet is a problem that says what to do', async () => {
  await using client = await source();
  await client.query(`CREATE TABLE ${schema}.new (id int PRIMARY KEY)`);
  const ran = await cdc('snapshot', `${schema}.new`);
  expect(ran.exit).toBe(5);
  expect(ran.stderr).toContain('TABLE_NOT_APPLIED');
  expect(ran.stderr).toContain('cdc apply');
});

test('a key by which Debezium cannot read is refused before it is asked: it would stop for good', async () => {
  const table = await made('by_array', 'tags text[] PRIMARY KEY, v int', `VALUES ('{a}', 1)`);
  const ran = await cdc('snapshot', table, '--method', 'debezium');
  expect(ran.exit).toBe(5);
  expect(ran.stderr).toContain('KEY_NOT_READABLE');
  await using client = await source();
  await client.query(`UPDATE ${table} SET v = 2`);
  expect(await cdcJson('snapshot', table)).toMatchObject({ tables: [{ rows: 1, method: 'pull' }] });
  expect(await cdcJson('verify', table)).toMatchObject({ ok: true, rows: 1 });
});
