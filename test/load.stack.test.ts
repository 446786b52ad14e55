import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ClickHouse } from '../cli/components/clickhouse/client.ts';
import { withKafkaAdmin } from '../cli/components/kafka/client.ts';
import { walPosition } from '../cli/components/postgres/observe.ts';
import { chIdent } from '../cli/lib/sql.ts';
import { desiredOf } from '../cli/pipeline/inspect/desired.ts';
import { inspectSource } from '../cli/pipeline/inspect/source.ts';
import { loadTable } from '../cli/pipeline/load/load.ts';
import { cdcJson, eventually, freshSchema, source, stack, target } from './harness/database.ts';

let schema = '';

beforeAll(async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'load')).name;
});
afterAll(async () => {
  await using client = await source();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await cdcJson('apply');
});

test('rows that change while the table is loaded end up equal', async () => {
  await using client = await source();
  await client.query(
    `CREATE TABLE ${schema}.busy (id int PRIMARY KEY, n int, pad text); INSERT INTO ${schema}.busy SELECT g, 0, repeat('x', 100) FROM generate_series(1, 100000) g`,
  );
  let loading = true;
  const changes = (async () => {
    await using writer = await source();
    for (let n = 1; loading; n += 1) {
      const from = (n * 7919) % 100_000;
      await writer.query(
        `UPDATE ${schema}.busy SET n = n + 1 WHERE id BETWEEN ${from} AND ${from + 50}`,
      );
      await writer.query(`DELETE FROM ${schema}.busy WHERE id = ${(n * 104_729) % 100_000}`);
      await writer.query(`INSERT INTO ${schema}.busy VALUES (${200_000 + n}, ${n}, 'new')`);
    }
    return true;
  })();
  await cdcJson('apply').finally(() => {
    loading = false;
  });
  expect(await changes).toBe(true);
  const result = await cdcJson('verify', `${schema}.busy`);
  expect(result.tables[0]).toMatchObject({ missing: 0, extra: 0, different: 0, unsettled: 0 });
});

test('a transaction that is open while its table joins the publication loses nothing', async () => {
  await using client = await source();
  await using writer = await source();
  await client.query(
    `CREATE TABLE ${schema}.open (id int PRIMARY KEY, v text); INSERT INTO ${schema}.open VALUES (1, 'old'), (2, 'old')`,
  );
  await writer.query('BEGIN');
  await writer.query(`UPDATE ${schema}.open SET v = 'new' WHERE id = 1`);
  await writer.query(`INSERT INTO ${schema}.open VALUES (3, 'new')`);
  const applied = cdcJson('apply');
  // The publication has the table, the load waits for the transaction.
  await client.query('SELECT pg_sleep(1.5)');
  await writer.query(`DELETE FROM ${schema}.open WHERE id = 2`);
  await writer.query('COMMIT');
  await applied;
  expect(await cdcJson('verify', `${schema}.open`)).toMatchObject({ ok: true, rows: 2 });
});

test('a load that was stopped goes on where it was', async () => {
  await using client = await source();
  await client.query(
    `CREATE TABLE ${schema}.long (id int PRIMARY KEY, pad text); INSERT INTO ${schema}.long SELECT g, repeat('x', 200) FROM generate_series(1, 20000) g`,
  );
  await cdcJson('apply');
  const here = stack();
  const { tables } = await inspectSource(here);
  const plan = desiredOf(here, tables).tables.find(
    (t) => t.schema === schema && t.table === 'long',
  );
  if (!plan) throw new Error('no plan');
  const baseline = await walPosition(client);
  const stop = new AbortController();
  let finished = 0;
  const first = loadTable(
    here,
    plan,
    baseline,
    stop.signal,
    (progress) => {
      finished = progress.done;
      if (progress.done > 0.3) stop.abort(new Error('stopped by the test'));
    },
    50,
  );
  await expect(first).rejects.toThrow();
  expect(finished).toBeLessThan(1);
  const second = await loadTable(here, plan, baseline, new AbortController().signal, () => {}, 50);
  expect(second.resumedChunks).toBeGreaterThan(0);
  expect(second.rows).toBe(20_000);
  expect(await cdcJson('verify', `${schema}.long`)).toMatchObject({ ok: true, rows: 20_000 });
});

test('a table that was dropped and made again under the same name is another table', async () => {
  await using client = await source();
  await client.query(
    `CREATE TABLE ${schema}.again (id int PRIMARY KEY, v text); INSERT INTO ${schema}.again VALUES (1, 'first'), (2, 'first')`,
  );
  await cdcJson('apply');
  await client.query(`INSERT INTO ${schema}.again VALUES (3, 'first')`);
  expect(await cdcJson('verify', `${schema}.again`)).toMatchObject({ ok: true, rows: 3 });
  await client.query(`DROP TABLE ${schema}.again`);
  await cdcJson('apply');
  await client.query(
    `CREATE TABLE ${schema}.again (id int PRIMARY KEY, v text); INSERT INTO ${schema}.again VALUES (1, 'second')`,
  );
  await cdcJson('apply');
  expect(await cdcJson('verify', `${schema}.again`)).toMatchObject({ ok: true, rows: 1 });
});

test('a queue that a table joins does not wait for its reader of before', async () => {
  await using client = await source();
  await client.query(
    `CREATE TABLE ${schema}.first (id int PRIMARY KEY); CREATE TABLE ${schema}.second (id int PRIMARY KEY)`,
  );
  await cdcJson('apply');
  const { kafka } = stack().endpoints;
  const readers = () =>
    withKafkaAdmin(kafka, async (admin) => {
      const described = await admin.describeGroups([`${stack().names.group}.lane_0`]);
      return described.groups.flatMap(({ members }) => members.map(({ memberId }) => memberId));
    });
  await eventually('a reader', 1, async () => (await readers()).length);
  const before = await readers();
  await client.query(`CREATE TABLE ${schema}.third (id int PRIMARY KEY)`);
  await cdcJson('apply');
  expect((await readers()).filter((reader) => before.includes(reader))).toEqual([]);
  expect(await cdcJson('verify', `${schema}.*`)).toMatchObject({ ok: true });
});

test('partitions are loaded and streamed as one table', async () => {
  await using client = await source();
  await using clickhouse: ClickHouse & AsyncDisposable = target();
  await client.query(
    `CREATE TABLE ${schema}.parts (id int, day date, v int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)`,
  );
  await client.query(
    `CREATE TABLE ${schema}.parts_a PARTITION OF ${schema}.parts FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')`,
  );
  await client.query(
    `CREATE TABLE ${schema}.parts_b PARTITION OF ${schema}.parts FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')`,
  );
  await client.query(
    `INSERT INTO ${schema}.parts SELECT g, '2024-06-01'::date + g, g FROM generate_series(1, 400) g`,
  );
  await cdcJson('apply');
  await client.query(
    `INSERT INTO ${schema}.parts VALUES (1000, '2024-05-01', 1), (1001, '2025-05-01', 2)`,
  );
  await client.query(`UPDATE ${schema}.parts SET v = v + 1 WHERE id % 2 = 0`);
  expect(await cdcJson('verify', `${schema}.parts`)).toMatchObject({ ok: true, rows: 402 });
  const made = await clickhouse.rows<{ name: string }>(
    `SELECT name FROM system.tables WHERE database = '${schema}' AND name LIKE 'parts\\_a%'`,
  );
  expect(made).toEqual([]);
  expect(await clickhouse.rows(`SELECT max(id) AS id FROM ${chIdent(schema, 'parts')}`)).toEqual([
    { id: 1001 },
  ]);
});
