import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkConnector } from '../cli/components/connect/check.ts';
import { Connect, type ConnectorStatus } from '../cli/components/connect/client.ts';
import { kafkaClient } from '../cli/components/kafka/client.ts';
import { chIdent } from '../cli/lib/sql.ts';
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

/** Bad input: nothing of it stops another table, and nothing is lost without a word. */

let schema = '';
let drop: () => Promise<void>;

beforeAll(async () => {
  await using client = await source();
  ({ name: schema, drop } = await freshSchema(client, 'input'));
  await client.query(`
    SET search_path = ${schema};
    CREATE TABLE events (id int PRIMARY KEY, v text);
    CREATE TABLE others (id int PRIMARY KEY, v text);
    CREATE TABLE parts (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
    CREATE TABLE parts_eu PARTITION OF parts FOR VALUES IN ('eu');
    CREATE TABLE parts_us PARTITION OF parts FOR VALUES IN ('us');
    CREATE TABLE parts_asia PARTITION OF parts FOR VALUES IN ('asia');
    CREATE TABLE waits (id int PRIMARY KEY, n int, w interval);
    INSERT INTO waits VALUES (1, 0, 'infinity'), (2, 0, '00:00:00');
  `);
  await cdcJson('apply');
});
afterAll(async () => {
  await drop();
  await cdcJson('apply');
});

async function sql(...statements: string[]): Promise<void> {
  await using client = await source();
  await client.query(`SET search_path = ${schema}`);
  for (const statement of statements) await client.query(statement);
}

const topicOf = (table: string) => `${stack().names.topicPrefix}.${schema}.${table}`;

async function produce(table: string, ...values: (string | null)[]): Promise<void> {
  const producer = kafkaClient(stack().endpoints.kafka).producer();
  await producer.connect();
  await producer.send({ topic: topicOf(table), messages: values.map((value) => ({ value })) });
  await producer.disconnect();
}

test('a message that was cut short, anywhere, is a dead letter; its row and other tables are not touched', async () => {
  await sql(`INSERT INTO events VALUES (1, 'é "whole"'), (2, 'two')`);
  const change = {
    before: null,
    after: { id: 1, v: 'é "cut' },
    source: { schema, table: 'events', sequence: '["9","9"]', snapshot: 'false', ts_us: 1 },
    op: 'u',
    ts_us: 1,
  };
  const message = JSON.stringify(change);
  const cuts = [1, 20, message.indexOf('cut'), message.indexOf('"source"') + 12, -1];
  await produce('events', ...cuts.map((at) => message.slice(0, at)), '', null, '[]', '"text"', '7');
  await sql(`INSERT INTO events VALUES (3, 'three')`, `INSERT INTO others VALUES (1, 'other')`);
  const tables = [`${schema}.events`, `${schema}.others`];
  expect(await cdcJson('verify', ...tables)).toMatchObject({ ok: true, flowing: true, rows: 4 });
  await using clickhouse = target();
  const letters = async () => {
    const [found] = await clickhouse.rows<{ n: string }>(
      `SELECT count() AS n FROM cdc.dead_letters FINAL WHERE topic = {topic:String}`,
      { topic: topicOf('events') },
    );
    return Number(found?.n);
  };
  await eventually(
    'a dead letter for each cut',
    true,
    async () => (await letters()) >= cuts.length,
  );
});

/** A table that is loaded again, which takes long enough to be met, and one that is loaded after it. */
async function whileLoading(name: string, change: string) {
  await sql(
    `CREATE TABLE a_${name} (id int PRIMARY KEY, n int, pad text)`,
    `INSERT INTO a_${name} SELECT g, g, repeat('x', 900) FROM generate_series(1, 5000) g`,
  );
  await cdcJson('apply');
  await slowDown(schema, `a_${name}`, 0.0005);
  await sql(
    `ALTER TABLE a_${name} ADD COLUMN more int DEFAULT 7`,
    `CREATE TABLE b_${name} (id int PRIMARY KEY)`,
    `INSERT INTO b_${name} VALUES (1), (2)`,
  );
  await using clickhouse = target();
  const loaded = async () =>
    (
      await clickhouse.rows(
        `SELECT DISTINCT floor, chunk FROM cdc.loads WHERE schema_name = '${schema}' AND table_name = 'a_${name}' AND state = 'done'`,
      )
    ).length;
  const before = await loaded();
  const applying = cdc('apply');
  await eventually('the load to have begun', true, async () => (await loaded()) > before);
  await sql(change);
  return applying;
}

test('a column that gets another type while its table is loaded: the load says so, other tables are loaded, the next apply mends it', async () => {
  const ran = await whileLoading('typed', `ALTER TABLE a_typed ALTER n TYPE text USING 'n' || n`);
  expect(ran.exit, ran.stderr).toBe(6);
  expect(ran.stderr).toContain('LOAD_FAILED');
  expect(ran.stderr).toContain(`${schema}.a_typed`);
  const { loads } = await cdcJson('apply');
  expect(loads.map((load: { table: string }) => load.table)).not.toContain(`${schema}.b_typed`);
  const tables = [`${schema}.a_typed`, `${schema}.b_typed`];
  expect(await cdcJson('verify', ...tables)).toMatchObject({ ok: true, rows: 5002 });
});

test('a table that is dropped while it is loaded is named, and the others are loaded', async () => {
  const ran = await whileLoading('gone', 'DROP TABLE a_gone');
  expect(ran.exit, ran.stderr).toBe(6);
  expect(ran.stderr).toContain('LOAD_FAILED');
  expect(ran.stderr).toContain(`${schema}.a_gone`);
  expect(await cdcJson('verify', `${schema}.b_gone`)).toMatchObject({ ok: true, rows: 2 });
  await cdcJson('apply');
  expect(await cdcJson('apply')).toMatchObject({ result: 'unchanged' });
});

test('what PostgreSQL does not publish (a partition that is truncated, dropped or detached, a full one attached) is named by verify and mended', async () => {
  const table = `${schema}.parts`;
  const fill = `INSERT INTO parts SELECT g, (ARRAY['eu', 'us', 'asia'])[1 + g % 3] FROM generate_series(1, 30) g`;
  await sql(fill);
  expect(await cdcJson('verify', table)).toMatchObject({ ok: true, rows: 30 });
  await sql(
    'TRUNCATE parts_eu',
    'DROP TABLE parts_us',
    `CREATE TABLE parts_mars (id int NOT NULL, region text NOT NULL, PRIMARY KEY (id, region))`,
    `INSERT INTO parts_mars VALUES (100, 'mars')`,
    `ALTER TABLE parts ATTACH PARTITION parts_mars FOR VALUES IN ('mars')`,
  );
  const seen = await cdc('verify', table, '--json');
  expect(seen.exit).toBe(6);
  expect(seen.json().tables[0]).toMatchObject({ extra: 20, missing: 1, different: 0 });
  const repaired = await cdcJson('verify', table, '--repair');
  expect(repaired.tables[0]).toMatchObject({ repaired: 21, extra: 0, missing: 0 });
  await sql('ALTER TABLE parts DETACH PARTITION parts_asia');
  expect((await cdc('verify', table)).exit).toBe(6);
  expect((await cdcJson('snapshot', table)).tables[0]).toMatchObject({ rows: 1, removed: 10 });
  expect(await cdcJson('verify', table)).toMatchObject({ ok: true, rows: 1 });
});

test('intervals without end, and of more hours than fit into an integer, are streamed and loaded as they are', async () => {
  const odd = ['infinity', '-infinity', '2500000000 hours', '-178000000 years', '1 mon -1 day'];
  const values = odd.map((text, i) => `(${10 + i}, 0, '${text}')`).join(', ');
  await sql(`INSERT INTO waits VALUES ${values}`);
  await sql(`UPDATE waits SET n = n + 1`);
  const table = `${schema}.waits`;
  expect(await cdcJson('verify', table)).toMatchObject({ ok: true, rows: 2 + odd.length });
  await using clickhouse = target();
  const stored = () =>
    clickhouse.rows(`SELECT w FROM ${chIdent(schema, 'waits')} WHERE id >= 10 ORDER BY id`);
  const printed = [
    'infinity',
    '-infinity',
    '2500000000:00:00',
    '-178000000 years',
    '1 mon -1 days',
  ];
  expect(await stored()).toEqual(printed.map((w) => ({ w })));
  for (const method of ['pull', 'debezium']) {
    await cdcJson('snapshot', table, '--method', method);
    expect(await stored(), method).toEqual(printed.map((w) => ({ w })));
  }
});

test('a Kafka Connect without our converter is a finding that says which jar to copy where', async () => {
  const { endpoints, names } = stack();
  const connect = new Connect(endpoints.connect);
  const name = `${schema}-bare`;
  const own = (await connect.config(names.connector)) ?? {};
  // As it is for a worker that lacks the class.
  const config = { ...own, name, 'text.type': 'cdc.NotThere', 'slot.name': `${schema}_bare` };
  await connect.put(name, { ...config, 'topic.prefix': name });
  try {
    let status: ConnectorStatus | undefined;
    await eventually('the task to fail', true, async () => {
      status = await connect.status(name);
      return [status?.connector, ...(status?.tasks ?? [])].some((p) => p?.state === 'FAILED');
    });
    const [finding] = checkConnector(name, status);
    expect(finding).toMatchObject({ id: 'converter-missing', severity: 'error' });
    expect(finding?.fix).toContain('cdc-postgres-text.jar');
  } finally {
    await connect.delete(name);
  }
});
