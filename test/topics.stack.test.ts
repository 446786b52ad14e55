import { ConfigResourceTypes } from 'kafkajs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withKafkaAdmin } from '../cli/components/kafka/client.ts';
import { topicName } from '../cli/core/names.ts';
import { pgIdent } from '../cli/lib/sql.ts';
import { cdcJson, countRows, eventually, freshSchema, source, stack } from './harness/database.ts';

/** A published table without a topic holds nothing up. */

let schema = '';
let elsewhere = '';
const dropped: (() => Promise<void>)[] = [];

beforeAll(async () => {
  await using client = await source();
  for (const prefix of ['topics', 'topics_elsewhere']) {
    const { name, drop } = await freshSchema(client, prefix);
    dropped.push(drop);
    [schema, elsewhere] = [schema || name, name];
  }
  await client.query(`CREATE TABLE ${schema}.beside (id int PRIMARY KEY)`);
});
afterAll(async () => {
  for (const drop of dropped) await drop();
  await cdcJson('apply');
});

async function sql(...statements: string[]): Promise<void> {
  await using client = await source();
  for (const statement of statements) await client.query(statement);
}

async function made(table: string): Promise<void> {
  await sql(
    `CREATE TABLE ${schema}.${table} (id int PRIMARY KEY, v text)`,
    `INSERT INTO ${schema}.${table} SELECT g, 'loaded' FROM generate_series(1, 9) g`,
  );
}

let rows = 0;
/** A row of another table arrives, though nobody applies anything. */
async function flows(): Promise<void> {
  rows += 1;
  await sql(`INSERT INTO ${schema}.beside VALUES (${rows})`);
  await eventually('its rows', rows, () => countRows(schema, 'beside'));
}

async function written(table: string): Promise<void> {
  await sql(
    `INSERT INTO ${table} VALUES (10, 'new'), (11, 'new')`,
    `UPDATE ${table} SET v = 'changed' WHERE id IN (1, 10)`,
    `DELETE FROM ${table} WHERE id IN (2, 11)`,
  );
}

/** A topic's form, as Kafka tells it. */
async function formOf(schemaName: string, table: string): Promise<unknown> {
  const { endpoints, names } = stack();
  const topic = topicName(names.topicPrefix, { schema: schemaName, table });
  return withKafkaAdmin(endpoints.kafka, async (admin) => {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }],
    });
    const settings = resources[0]?.configEntries.map((e) => [e.configName, e.configValue]);
    return { partitions: topics[0]?.partitions.length, settings };
  });
}

test.each([
  ['renamed', 'another name', "Ünder scored 'a/b'"],
  ['moved', 'another schema', 'moved'],
])(
  'a published table that was %s (%s) holds nothing up before apply, and is equal after it',
  async (table, _, after) => {
    await made(table);
    await cdcJson('apply');
    const of = table === 'moved' ? elsewhere : schema;
    await sql(
      table === 'moved'
        ? `ALTER TABLE ${schema}.${table} SET SCHEMA ${elsewhere}`
        : `ALTER TABLE ${schema}.${table} RENAME TO ${pgIdent(after)}`,
    );
    const name = pgIdent(of, after);
    await written(name);
    await flows();
    expect(await formOf(of, after)).toEqual(await formOf(schema, 'beside'));
    await cdcJson('apply');
    expect(await cdcJson('apply')).toMatchObject({ result: 'unchanged' });
    await sql(`UPDATE ${name} SET v = 'last' WHERE id = 3`);
    expect(await cdcJson('verify', `${of}.${after}`)).toMatchObject({ ok: true, rows: 9 });
    expect(await cdcJson('verify', `${schema}.beside`)).toMatchObject({ ok: true, rows });
  },
);

test('a table that somebody added to the publication holds nothing up, and lacks nothing of a transaction that was open then', async () => {
  await made('by_hand');
  await using open = await source();
  await open.query('BEGIN');
  await open.query(`INSERT INTO ${schema}.by_hand VALUES (20, 'before'), (21, 'before')`);
  await sql(`ALTER PUBLICATION ${pgIdent(stack().names.publication)} ADD TABLE ${schema}.by_hand`);
  await written(`${schema}.by_hand`);
  await flows();
  const applied = cdcJson('apply');
  await using client = await source();
  await eventually('apply to wait for it', true, async () => {
    const { rows: waiting } = await client.query(
      `SELECT FROM pg_stat_activity WHERE query LIKE '%pg_snapshot_xmin%' AND pid <> pg_backend_pid()`,
    );
    return waiting.length > 0;
  });
  await open.query('COMMIT');
  expect((await applied).loads).toMatchObject([{ table: `${schema}.by_hand`, rows: 11 }]);
  expect(await cdcJson('verify', `${schema}.by_hand`)).toMatchObject({ ok: true, rows: 11 });
});

test('a table whose topic was deleted is mended by apply', async () => {
  await made('forgotten');
  await cdcJson('apply');
  const { endpoints, names } = stack();
  const topic = topicName(names.topicPrefix, { schema, table: 'forgotten' });
  await withKafkaAdmin(endpoints.kafka, (admin) => admin.deleteTopics({ topics: [topic] }));
  await written(`${schema}.forgotten`);
  await cdcJson('apply');
  await flows();
  expect(await cdcJson('verify', `${schema}.forgotten`)).toMatchObject({ ok: true, rows: 9 });
});

test('what it sent under another name of its key, and is read only once it is loaded, leaves no row behind', async () => {
  const [table, renamed] = [`${schema}.keyed`, `${schema}.keyed_again`];
  await made('keyed');
  await cdcJson('apply');
  await sql(
    `ALTER TABLE ${table} RENAME TO keyed_again`,
    `INSERT INTO ${renamed} SELECT g, 'sent' FROM generate_series(10, 40) g`,
    `ALTER TABLE ${renamed} RENAME COLUMN id TO number`,
  );
  await flows();
  await cdcJson('apply');
  expect(await cdcJson('verify', renamed)).toMatchObject({ ok: true, rows: 40 });
});
