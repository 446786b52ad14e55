import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { chIdent } from '../cli/lib/sql.ts';
import { cdc, cdcJson, eventually, freshSchema, source, target } from './harness/database.ts';

const drops: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const drop of drops) await drop();
  await cdcJson('apply');
});

async function schemaWith(sql: (schema: string) => string): Promise<string> {
  await using client = await source();
  const schema = await freshSchema(client, 'verify');
  drops.push(async () => {
    await using again = await source();
    await again.query(`DROP SCHEMA IF EXISTS ${schema.name} CASCADE`);
  });
  await client.query(sql(schema.name));
  await cdcJson('apply');
  return schema.name;
}

test('names rows that the copy lacks, has too many of, or has with other values, and exits 6', async () => {
  const schema = await schemaWith(
    (s) =>
      `CREATE TABLE ${s}.t (id int PRIMARY KEY, v text); INSERT INTO ${s}.t SELECT g, 'v' || g FROM generate_series(1, 100) g`,
  );
  const before = await cdcJson('verify', `${schema}.t`);
  expect(before).toMatchObject({ ok: true, rows: 100 });

  await using clickhouse = target();
  const final = chIdent(schema, 't_final');
  const last = '18446744073709551615';
  await clickhouse.command(`INSERT INTO ${final} (id, _version, _deleted) VALUES (7, ${last}, 1)`);
  await clickhouse.command(
    `INSERT INTO ${final} (id, v, _version) VALUES (8, 'other', ${last}), (500, 'extra', 1)`,
  );
  const ran = await cdc('verify', `${schema}.t`, '--json');
  expect(ran.exit).toBe(6);
  const [table] = ran.json().tables;
  expect(table).toMatchObject({
    source_rows: 100,
    target_rows: 100,
    missing: 1,
    extra: 1,
    different: 1,
    unsettled: 0,
  });
  expect(table.rows).toEqual(
    expect.arrayContaining([
      { key: { id: '7' }, how: 'missing', columns: [] },
      { key: { id: '8' }, how: 'different', columns: [{ name: 'v', source: 'v8', copy: 'other' }] },
      { key: { id: '500' }, how: 'extra', columns: [] },
    ]),
  );
  const text = await cdc('verify', `${schema}.t`);
  expect(text.exit).toBe(6);
  expect(text.stdout).toContain('id 7: missing: only in the source');
  expect(text.stdout).toContain('id 500: extra: only in the copy');
  expect(text.stdout).toMatch(/id 8\n +v\n +source v8\n +copy {3}other\n/);
});

test('--repair mends the rows that differ, and changes made afterwards still win', async () => {
  const schema = await schemaWith(
    (s) =>
      `CREATE TABLE ${s}.t (id int PRIMARY KEY, v text); INSERT INTO ${s}.t SELECT g, 'v' || g FROM generate_series(1, 100) g;
       CREATE TABLE ${s}.pairs (a text, b int, v text, PRIMARY KEY (a, b)); INSERT INTO ${s}.pairs SELECT 'it''s', g, 'v' || g FROM generate_series(1, 100) g`,
  );
  await using clickhouse = target();
  const last = '18446744073709551615';
  const final = chIdent(schema, 't_final');
  await clickhouse.command(
    `INSERT INTO ${final} (id, v, _version, _deleted) VALUES (7, '', ${last}, 1), (8, 'other', ${last}, 0), (500, 'extra', 1, 0), (501, 'extra', ${last}, 0)`,
  );
  await clickhouse.command(
    `INSERT INTO ${chIdent(schema, 'pairs_final')} (a, b, v, _version, _deleted) VALUES ('it\\'s', 7, '', ${last}, 1), ('it\\'s', 8, 'other', ${last}, 0), ('', 500, 'extra', 1, 0)`,
  );
  const mended = await cdcJson('verify', `${schema}.*`, '--repair');
  expect(mended.ok).toBe(true);
  expect(mended.tables).toEqual([
    expect.objectContaining({ table: `${schema}.pairs`, repaired: 3, target_rows: 100 }),
    expect.objectContaining({ table: `${schema}.t`, repaired: 4, target_rows: 100 }),
  ]);
  await using client = await source();
  await client.query(
    `UPDATE ${schema}.t SET v = 'later' WHERE id IN (7, 8); INSERT INTO ${schema}.t VALUES (500, 'later'), (501, 'later'); DELETE FROM ${schema}.pairs WHERE b = 8`,
  );
  expect(await cdcJson('verify', `${schema}.*`, '--repair')).toMatchObject({
    ok: true,
    tables: [{ repaired: 0 }, { repaired: 0 }],
  });
});

test('says equal while rows are inserted and the same few rows change all the time', async () => {
  const schema = await schemaWith(
    (s) =>
      `CREATE TABLE ${s}.hot (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n bigint NOT NULL); INSERT INTO ${s}.hot (n) SELECT g FROM generate_series(1, 50) g`,
  );
  const stop = new AbortController();
  const writer = (async () => {
    await using client = await source();
    for (let n = 0; !stop.signal.aborted; n += 1) {
      await client.query(`UPDATE ${schema}.hot SET n = n + 1 WHERE id <= 3`);
      await client.query(`INSERT INTO ${schema}.hot (n) VALUES (${n})`);
      await delay(2);
    }
    return true;
  })();
  try {
    for (let round = 0; round < 3; round += 1) {
      const result = await cdcJson('verify', `${schema}.hot`);
      expect(result).toMatchObject({ ok: true, flowing: true });
    }
  } finally {
    stop.abort();
  }
  expect(await writer).toBe(true);
});

test('a composite key of texts is compared and named as such', async () => {
  const schema = await schemaWith(
    (s) =>
      `CREATE TABLE ${s}.t (a text, b uuid, v int, PRIMARY KEY (a, b)); INSERT INTO ${s}.t SELECT 'a' || g, gen_random_uuid(), g FROM generate_series(1, 1000) g`,
  );
  expect(await cdcJson('verify', `${schema}.t`)).toMatchObject({ ok: true, rows: 1000 });
  await using clickhouse = target();
  await clickhouse.command(
    `INSERT INTO ${chIdent(schema, 't_final')} (a, b, _version) VALUES ('x', '61f0c404-5cb3-11e7-907b-a6006ad3dba0', 5)`,
  );
  const ran = await cdc('verify', `${schema}.t`, '--json');
  expect(ran.json().tables[0]).toMatchObject({ extra: 1, missing: 0, different: 0 });
  expect(ran.json().tables[0].rows).toEqual([
    { key: { a: 'x', b: '61f0c404-5cb3-11e7-907b-a6006ad3dba0' }, how: 'extra', columns: [] },
  ]);
});

test('keys from one end of bigint to the other are compared', async () => {
  const ends = "('-9223372036854775808', 1), (-1, 2), (0, 3), (9223372036854775807, 4)";
  const schema = await schemaWith(
    (s) => `CREATE TABLE ${s}.t (id bigint PRIMARY KEY, v int); INSERT INTO ${s}.t VALUES ${ends}`,
  );
  expect(await cdcJson('verify', `${schema}.t`)).toMatchObject({ ok: true, rows: 4 });
  await using clickhouse = target();
  await clickhouse.command(
    `INSERT INTO ${chIdent(schema, 't_final')} (id, v, _version) VALUES (-9223372036854775808, 7, 18446744073709551615), (9223372036854775807, 7, 18446744073709551615)`,
  );
  const ran = await cdc('verify', `${schema}.t`, '--json');
  expect(ran.json().tables[0]).toMatchObject({ extra: 0, missing: 0, different: 2 });
});

test('tables that nobody applied yet, and that would put others into other queues, keep no command waiting', async () => {
  const create = (s: string, name: string, n: number) =>
    Array.from({ length: n }, (_, i) => `CREATE TABLE ${s}.${name}${i} (id int PRIMARY KEY);`);
  const schema = await schemaWith((s) => create(s, 't', 6).join(''));
  await using client = await source();
  // As many as one more queue takes.
  await client.query(create(schema, 'later', 12).join(''));
  const { changes } = await cdcJson('plan');
  expect(changes.map((change: { object: string }) => change.object).join()).toMatch(/lane_1_queue/);
  for (let i = 0; i < 6; i += 1) await client.query(`INSERT INTO ${schema}.t${i} VALUES (1), (2)`);
  const verified = await cdcJson('verify', `${schema}.t*`);
  expect(verified).toMatchObject({ ok: true, flowing: true, rows: 12 });
  expect((await cdcJson('snapshot', `${schema}.t*`)).tables).toHaveLength(6);
  // Read by all: what queues that are not there would not have read is not counted.
  await eventually('messages waiting', 0, async () => {
    const { kafka_messages } = await cdcJson('lag');
    return kafka_messages < 10 ? 0 : kafka_messages;
  });
});

test('an empty table is equal', async () => {
  const schema = await schemaWith((s) => `CREATE TABLE ${s}.t (id int PRIMARY KEY)`);
  expect(await cdcJson('verify', `${schema}.t`)).toMatchObject({ ok: true, rows: 0 });
});

test('a table that is not captured is a problem that lists those that are', async () => {
  const ran = await cdc('verify', 'nowhere.nothing');
  expect(ran.exit).toBe(3);
  expect(ran.stderr).toContain('TABLE_UNKNOWN');
  expect(ran.stderr).toContain('inventory.orders');
});

test('lag reports every stage, and none above a generous limit', async () => {
  await eventually(
    'a heartbeat of the last minute',
    true,
    async () => (await cdcJson('lag')).samples > 0,
  );
  const lag = await cdcJson('lag');
  expect(lag.end_to_end_ms).toMatchObject({
    p50: expect.any(Number),
    p95: expect.any(Number),
    p99: expect.any(Number),
  });
  expect(lag.kafka_messages).toEqual(expect.any(Number));
  expect(lag.slot_bytes).toEqual(expect.any(Number));
  expect((await cdc('lag', '--max', '10m')).exit).toBe(0);
  expect((await cdc('lag', '--max', '1ms')).exit).toBe(6);
});
