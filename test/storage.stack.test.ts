import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chIdent, pgIdent } from '../cli/lib/sql.ts';
import {
  cdc,
  cdcJson,
  countRows,
  eventually,
  freshSchema,
  source,
  target,
  withTables,
} from './harness/database.ts';

/** How a copy is stored, where cdc.yaml says so: order_by, partition_by, ttl, settings, codec. */

let schema = '';

beforeAll(async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'stored')).name;
});
afterAll(async () => {
  await using client = await source();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await cdcJson('apply');
});

const of = (name: string, rule: Record<string, unknown>) =>
  withTables({ [`${schema}.${name}`]: rule });

async function createOrders(name: string, rows = 1000): Promise<void> {
  await using client = await source();
  const table = `${schema}.${name}`;
  await client.query(
    `CREATE TABLE ${table} (id int PRIMARY KEY, customer int NOT NULL, note text, at timestamptz NOT NULL, seen timestamp)`,
  );
  await client.query(`ALTER TABLE ${table} REPLICA IDENTITY FULL`);
  await client.query(
    `INSERT INTO ${table} SELECT i, i % 10, repeat('x', 40), now() - i * interval '1 hour', now() FROM generate_series(1, ${rows}) i`,
  );
}

/** The statement of a copy's storage. */
async function storageOf(name: string): Promise<{ uuid: string; statement: string }> {
  await using clickhouse = target();
  const [row] = await clickhouse.rows<{ uuid: string; statement: string }>(
    `SELECT toString(uuid) AS uuid, create_table_query AS statement FROM system.tables
      WHERE database = {schema:String} AND name = {name:String}`,
    { schema, name: `${name}_final` },
  );
  return row ?? { uuid: '', statement: '' };
}

async function expectEqual(name: string, rows: number, file: string): Promise<void> {
  expect(await cdcJson('verify', `${schema}.${name}`, '--config', file)).toMatchObject({
    ok: true,
    rows,
  });
}

describe('order_by', () => {
  test('with columns beside the key: a row whose value in them changes moves, while it is loaded and later', async () => {
    await createOrders('moved', 20_000);
    const file = of('moved', { order_by: ['customer', 'id'] });
    await using client = await source();
    const table = `${schema}.moved`;
    const applied = cdcJson('apply', '--config', file);
    for (let n = 0; n < 20; n += 1)
      await client.query(`UPDATE ${table} SET customer = customer + 1 WHERE id % 20 = ${n}`);
    await applied;
    await client.query(`UPDATE ${table} SET customer = 77, id = id + 100000 WHERE id % 500 = 0`);
    await client.query(`DELETE FROM ${table} WHERE customer = 3`);
    const left = await client.query(`SELECT count(*) AS n FROM ${table}`);
    await expectEqual('moved', Number(left.rows[0].n), file);
    expect((await storageOf('moved')).statement).toContain('ORDER BY (customer, id)');
  });

  test.each([
    ['lacks the key', ['customer'], /lacks id of the key/],
    ['names no column', ['custmer', 'id'], /no column custmer/],
    ['has a column that can be NULL', ['note', 'id'], /note of .* can be NULL/],
    ['has a column that is left out', ['gone', 'id'], /no column gone/],
    ['has a column twice', ['id', 'id'], /a column twice/],
  ])(
    'that %s is refused, with the reason, before anything is changed',
    async (_why, order, why) => {
      await using client = await source();
      await client.query(
        `CREATE TABLE IF NOT EXISTS ${schema}.refused (id int PRIMARY KEY, customer int NOT NULL, note text, gone int NOT NULL)`,
      );
      const ran = await cdc(
        'plan',
        '--config',
        of('refused', { order_by: order, columns: { gone: 'exclude' } }),
      );
      expect(ran.exit).toBe(5);
      expect(ran.stderr).toMatch(why);
      expect(ran.stderr).toContain('[override-order-by]');
    },
  );

  test('with columns beside the key asks for a full replica identity, and leaves this table alone out without it', async () => {
    await createOrders('half', 10);
    await createOrders('whole', 10);
    await using client = await source();
    await client.query(`ALTER TABLE ${schema}.half REPLICA IDENTITY DEFAULT`);
    const rule = { order_by: ['customer', 'id'] };
    const file = withTables({ [`${schema}.half`]: rule, [`${schema}.whole`]: rule });
    await cdc('apply', '--config', file);
    const doctor = await cdc('doctor', '--json', '--config', file);
    const found = doctor
      .json()
      .findings.find((one: { id: string }) => one.id === 'order-by-identity');
    expect(found).toMatchObject({ subject: `${schema}.half` });
    await expectEqual('whole', 10, file);
    await client.query(found.fix);
    await cdcJson('apply', '--config', file);
    await expectEqual('half', 10, file);
  });
});

describe('what ClickHouse would not take', () => {
  test.each([
    [
      'a partition by what is not of the sorting key',
      { partition_by: 'toYYYYMM(at)' },
      /partition_by may use columns of the sorting key only \(id\)/,
    ],
    ['a partition that is never the same', { partition_by: 'rand()' }, /must be deterministic/],
    ['a partition that is no expression', { partition_by: 'id +' }, /ClickHouse says/],
    ['a setting that it does not know', { settings: { no_such_setting: 1 } }, /no_such_setting/],
    ['a codec that it does not know', { columns: { note: { codec: 'Zstandard' } } }, /Zstandard/],
    ['a codec for another type', { columns: { note: { codec: 'Gorilla' } } }, /Gorilla/],
  ])('is refused with its sentence, before anything is changed: %s', async (_what, rule, why) => {
    await using client = await source();
    await client.query(
      `CREATE TABLE IF NOT EXISTS ${schema}.tried (id int PRIMARY KEY, note text, at timestamp NOT NULL)`,
    );
    const ran = await cdc('apply', '--config', of('tried', rule));
    expect(ran.exit).toBe(3);
    expect(ran.stderr).toMatch(why);
    expect(ran.stderr).toContain('[STORAGE_REFUSED]');
    expect((await storageOf('tried')).statement).toBe('');
  });

  test('names of columns may hold anything', async () => {
    await using client = await source();
    const odd = 'a`b\\c "d" — {x}';
    await client.query(
      `CREATE TABLE ${schema}.odd (${pgIdent(odd)} int, b date NOT NULL, PRIMARY KEY (b, ${pgIdent(odd)}))`,
    );
    const file = of('odd', {
      order_by: [odd, 'b'],
      partition_by: `${chIdent(odd)} % 3`,
      ttl: 'b + INTERVAL 10 YEAR',
      columns: { [odd]: { codec: 'Delta, ZSTD(3)' } },
    });
    await cdcJson('apply', '--config', file);
    await client.query(
      `INSERT INTO ${schema}.odd SELECT i, current_date FROM generate_series(1, 50) i`,
    );
    await expectEqual('odd', 50, file);
  });
});

describe('on a table that is copied already', () => {
  test('another order, partition and granularity are planned, and carried out without a moment in which rows lack', async () => {
    await createOrders('live', 30_000);
    await cdcJson('apply');
    const before = await storageOf('live');
    await using client = await source();
    await using clickhouse = target();
    const counts = new Set<string>();
    const ended = new AbortController();
    const until = async (step: (n: number) => Promise<void>) => {
      for (let n = 0; !ended.signal.aborted; n += 1) {
        await step(n);
        await setTimeout(20);
      }
    };
    const watching = until(async () => {
      const [row] = await clickhouse.rows<{ n: string }>(
        `SELECT uniqExact(id) AS n FROM ${chIdent(schema, 'live')}`,
      );
      counts.add(row?.n ?? '');
    });
    const writing = until(async (n) => {
      await client.query(
        `UPDATE ${schema}.live SET customer = customer + 1, note = '${n}' WHERE id % 1000 = ${n % 1000}`,
      );
    });
    const rules = [
      { order_by: ['customer', 'id'], partition_by: 'id % 7' },
      {
        order_by: ['at', 'id'],
        partition_by: 'toYYYYMM(at)',
        settings: { index_granularity: 512 },
      },
      { settings: { index_granularity: 1024, min_rows_for_wide_part: 0 } },
    ];
    try {
      for (const rule of rules) {
        const file = of('live', rule);
        const plan = await cdcJson('plan', '--config', file);
        expect(plan.changes.map((change: { object: string }) => change.object)).toContain(
          `table ${schema}.live_final`,
        );
        await cdcJson('apply', '--config', file);
        expect((await cdcJson('plan', '--config', file)).changes).toEqual([]);
      }
    } finally {
      ended.abort();
      await Promise.all([watching, writing]);
    }
    expect([...counts]).toEqual(['30000']);
    await expectEqual('live', 30_000, of('live', rules[2] ?? {}));
    const after = await storageOf('live');
    expect(after.uuid).not.toBe(before.uuid);
    expect(after.statement).toMatch(
      /ORDER BY \(?id\)? SETTINGS index_granularity = 1024, min_rows_for_wide_part = 0/,
    );
  });

  test('codecs, a TTL and other settings are altered, and taken back; no row is written anew', async () => {
    await createOrders('altered', 100);
    await cdcJson('apply');
    const before = await storageOf('altered');
    const file = of('altered', {
      settings: { min_rows_for_wide_part: 5, merge_with_ttl_timeout: 3600 },
      columns: { note: { codec: 'ZSTD(9)' }, customer: { codec: 'Delta, LZ4' } },
    });
    await cdcJson('apply', '--config', file);
    expect((await cdcJson('plan', '--config', file)).changes).toEqual([]);
    const set = await storageOf('altered');
    expect(set.uuid).toBe(before.uuid);
    expect(set.statement).toContain('`note` Nullable(String) CODEC(ZSTD(9))');
    expect(set.statement).toContain('min_rows_for_wide_part = 5, merge_with_ttl_timeout = 3600');
    await cdcJson('apply');
    const back = await storageOf('altered');
    expect(back.uuid).toBe(before.uuid);
    expect(back.statement).not.toMatch(/note` Nullable\(String\) CODEC|min_rows_for_wide_part/);
    await expectEqual('altered', 100, of('altered', {}));
  });
});

test('an index and a projection of somebody’s that hold on to a column which the source drops are set aside, and named', async () => {
  await createOrders('indexed', 10);
  await createOrders('beside', 10);
  await cdcJson('apply');
  await using client = await source();
  await using clickhouse = target();
  const final = chIdent(schema, 'indexed_final');
  await clickhouse.command(
    `ALTER TABLE ${final} ADD INDEX theirs note TYPE bloom_filter GRANULARITY 1`,
  );
  await clickhouse.command(
    `ALTER TABLE ${final} MODIFY SETTING deduplicate_merge_projection_mode = 'rebuild'`,
  );
  await clickhouse.command(`ALTER TABLE ${final} ADD PROJECTION by_note (SELECT id ORDER BY note)`);
  await client.query(`ALTER TABLE ${schema}.indexed DROP COLUMN note`);
  await cdcJson('apply');
  for (const name of ['indexed', 'beside']) {
    await client.query(`INSERT INTO ${schema}.${name} (id, customer, at) VALUES (11, 1, now())`);
    await eventually(`the rows of ${name}`, 11, () => countRows(schema, name));
  }
  await expectEqual('indexed', 11, of('indexed', {}));
  const { findings } = (await cdc('doctor', '--json')).json() as {
    findings: { id: string; fix: string }[];
  };
  expect(findings.find(({ id }) => id === 'index-set-aside')?.fix).toContain('ADD INDEX');
  expect(findings.find(({ id }) => id === 'projection-set-aside')?.fix).toContain('ADD PROJECTION');
});

test('what somebody made on a storage survives changes of the table and of how it is stored', async () => {
  await createOrders('hung', 10);
  await cdcJson('apply');
  await using client = await source();
  await using clickhouse = target();
  const final = chIdent(schema, 'hung_final');
  for (const change of [
    'ADD COLUMN theirs UInt8',
    "ADD COLUMN tagged String DEFAULT 'tag'",
    'ADD COLUMN twice Int64 MATERIALIZED customer * 2',
    'ADD INDEX their_index customer TYPE minmax GRANULARITY 2',
    'ADD CONSTRAINT their_rule CHECK customer < 1000000',
  ])
    await clickhouse.command(`ALTER TABLE ${final} ${change}`);
  await clickhouse.command(
    `CREATE MATERIALIZED VIEW ${chIdent(schema, 'their_view')} ENGINE = MergeTree ORDER BY id AS SELECT id FROM ${final}`,
  );
  await clickhouse.command(
    `ALTER TABLE ${final} UPDATE theirs = 7 WHERE 1 SETTINGS mutations_sync = 2`,
  );
  const kept = async () => {
    const [row] = await clickhouse.rows<{ n: string; statement: string }>(
      `SELECT (SELECT count() FROM ${final} FINAL WHERE theirs = 7 AND tagged = 'tag' AND twice = customer * 2) AS n,
              (SELECT create_table_query FROM system.tables WHERE database = '${schema}' AND name = 'hung_final') AS statement`,
    );
    expect(row?.statement).toMatch(/INDEX their_index[\s\S]*CONSTRAINT their_rule/);
    return Number(row?.n);
  };
  expect(await kept()).toBe(10);
  await client.query(`ALTER TABLE ${schema}.hung ADD COLUMN more int`);
  await client.query(`ALTER TABLE ${schema}.hung DROP COLUMN note`);
  await cdcJson('apply');
  await kept();
  await expectEqual('hung', 10, of('hung', {}));
  await clickhouse.command(
    `ALTER TABLE ${final} UPDATE theirs = 7 WHERE 1 SETTINGS mutations_sync = 2`,
  );
  const file = of('hung', { partition_by: 'id % 3' });
  await cdcJson('apply', '--config', file);
  expect(await kept()).toBe(10);
  await client.query(`INSERT INTO ${schema}.hung (id, customer, at) VALUES (11, 1, now())`);
  await expectEqual('hung', 11, file);
  // A view is not in a round of a queue that had begun when it was attached: what comes after a row that has arrived is.
  await client.query(`INSERT INTO ${schema}.hung (id, customer, at) VALUES (12, 1, now())`);
  await expectEqual('hung', 12, file);
  const last = `SELECT id FROM ${chIdent(schema, 'their_view')} WHERE id = 12`;
  expect(await clickhouse.rows(last)).toHaveLength(1);
});

test('a block with more partitions than ClickHouse takes at once by itself is stored all the same', async () => {
  await using client = await source();
  await client.query(`CREATE TABLE ${schema}.many (id int PRIMARY KEY)`);
  const file = of('many', { partition_by: 'id % 300' });
  await cdcJson('apply', '--config', file);
  await client.query(`INSERT INTO ${schema}.many SELECT generate_series(1, 3000)`);
  await expectEqual('many', 3000, file);
  await cdcJson('snapshot', `${schema}.many`, '--config', file);
  await expectEqual('many', 3000, file);
});

describe('ttl', () => {
  test('ends rows when their time is over, in the copy alone, and verify knows of it', async () => {
    await createOrders('aged', 200);
    await using client = await source();
    await using clickhouse = target();
    const file = of('aged', { order_by: ['at', 'id'], ttl: 'at + INTERVAL 100 HOUR' });
    await cdcJson('apply', '--config', file);
    expect(await countRows(schema, 'aged')).toBe(99);
    await expectEqual('aged', 99, file);
    // Deleted for good are rows whose time was over some time ago; others come back with a longer one.
    await clickhouse.command(`OPTIMIZE TABLE ${chIdent(schema, 'aged_final')} FINAL`);
    await client.query(
      `UPDATE ${schema}.aged SET at = now() - interval '99 hours 59 minutes 57 seconds' WHERE id = 7`,
    );
    await client.query(`UPDATE ${schema}.aged SET at = 'infinity' WHERE id = 150`);
    const ids = async () =>
      (
        await clickhouse.rows<{ id: number }>(
          `SELECT id FROM ${chIdent(schema, 'aged')} WHERE id IN (7, 150)`,
        )
      ).map((row) => row.id);
    await eventually('a row that becomes younger, and none that gets too old', [150], ids);
    await expectEqual('aged', 99, file);
    const longer = of('aged', { order_by: ['at', 'id'], ttl: 'at + INTERVAL 1 MONTH' });
    await cdcJson('apply', '--config', longer);
    await expectEqual('aged', 200, longer);
    await cdcJson('apply');
    expect((await storageOf('aged')).statement).not.toContain('TTL');
    await expectEqual('aged', 200, of('aged', {}));
  });

  test('of rows without a key counts from any time, also one that is NULL', async () => {
    await using client = await source();
    await client.query(`CREATE TABLE ${schema}.log (seen timestamp, what text)`);
    await client.query(`ALTER TABLE ${schema}.log REPLICA IDENTITY FULL`);
    await client.query(
      `INSERT INTO ${schema}.log SELECT CASE WHEN i % 3 = 0 THEN NULL ELSE timezone('UTC', now()) - i * interval '1 day' END, 'x' FROM generate_series(1, 60) i`,
    );
    const file = of('log', {
      ttl: 'seen + INTERVAL 30 DAY',
      partition_by: 'toYYYYMM(seen)',
      settings: { allow_nullable_key: 1 },
    });
    await cdcJson('apply', '--config', file);
    await client.query(`INSERT INTO ${schema}.log VALUES ('2001-01-01', 'old'), (NULL, 'new')`);
    await client.query(
      `DELETE FROM ${schema}.log WHERE seen < timezone('UTC', now()) - interval '50 days'`,
    );
    await expectEqual('log', 20 + 20 + 1, file);
  });

  test.each([
    ['note', 'note + INTERVAL 1 DAY', /text and no time/],
    ['a column that is not in the sorting key', 'at + INTERVAL 1 DAY', /is not in the sorting key/],
    ['an expression of another form', 'toStartOfDay(at) + INTERVAL 1 DAY', /not of the one form/],
    ['nothing', 'at + INTERVAL 0 DAY', /not of the one form/],
  ])('from %s is refused, with the reason', async (_what, ttl, why) => {
    await using client = await source();
    await client.query(
      `CREATE TABLE IF NOT EXISTS ${schema}.untimed (id int PRIMARY KEY, note text, at timestamp NOT NULL)`,
    );
    const ran = await cdc('plan', '--config', of('untimed', { ttl }));
    expect(ran.exit).toBe(5);
    expect(ran.stderr).toMatch(why);
  });
});
