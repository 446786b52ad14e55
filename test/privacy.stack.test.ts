import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withKafkaAdmin } from '../cli/components/kafka/client.ts';
import { chIdent, chLiteral, pgIdent, pgLiteral } from '../cli/lib/sql.ts';
import {
  cdc,
  cdcJson,
  eventually,
  freshSchema,
  source,
  stack,
  target,
  withTables,
} from './harness/database.ts';
import { logTexts } from './harness/servers.ts';

/** What cdc.yaml excludes or masks is nowhere but in PostgreSQL, whatever is renamed. */

let schema = '';

beforeAll(async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'private')).name;
});
afterAll(async () => {
  await using client = await source();
  await using clickhouse = target();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await cdcJson('apply');
  await clickhouse.command(`DROP DATABASE IF EXISTS ${chIdent(`${schema}_seen`)}`);
});

/** Everything that was ever sent of the schema's tables: messages of its topics, as they are. */
async function sent(): Promise<string[]> {
  const { endpoints, names } = stack();
  await using clickhouse = target();
  const topics = await withKafkaAdmin(endpoints.kafka, async (admin) => {
    const all = await admin.listTopics();
    const own = all.filter((topic) => topic.startsWith(`${names.topicPrefix}.${schema}`));
    const ends = await Promise.all(own.map((topic) => admin.fetchTopicOffsets(topic)));
    return own.map((topic, i) => ({
      topic,
      messages: (ends[i] ?? []).reduce((sum, { high }) => sum + Number(high), 0),
    }));
  });
  const database = `${schema}_seen`;
  const name = (what: string) => chIdent(database, what);
  await clickhouse.command(`DROP DATABASE IF EXISTS ${chIdent(database)} SYNC`);
  await clickhouse.command(`CREATE DATABASE ${chIdent(database)}`);
  await clickhouse.command(`CREATE TABLE ${name('q')} (raw String) ENGINE = Kafka
    SETTINGS kafka_broker_list = ${chLiteral(endpoints.kafka.innerBrokers.join(','))},
      kafka_topic_list = ${chLiteral(topics.map(({ topic }) => topic).join(','))},
      kafka_group_name = ${chLiteral(`${database}.${randomBytes(4).toString('hex')}`)}, kafka_format = 'RawBLOB'`);
  await clickhouse.command(
    `CREATE TABLE ${name('m')} (raw String, k String) ENGINE = MergeTree ORDER BY ()`,
  );
  await clickhouse.command(
    `CREATE MATERIALIZED VIEW ${name('v')} TO ${name('m')} AS SELECT raw, _key AS k FROM ${name('q')}`,
  );
  const wanted = topics.reduce((sum, { messages }) => sum + messages, 0);
  await eventually('all messages of the topics', wanted, async () => {
    const [row] = await clickhouse.rows<{ n: string }>(`SELECT count() AS n FROM ${name('m')}`);
    return Number(row?.n);
  });
  const rows = await clickhouse.rows<{ raw: string; k: string }>(`SELECT raw, k FROM ${name('m')}`);
  await clickhouse.command(`DROP DATABASE ${chIdent(database)} SYNC`);
  return rows.map(({ raw, k }) => `${k} ${raw}`);
}

/** Tables of the copy and of cdc's own in which a text stands, in any column. */
async function tablesWith(text: string): Promise<string[]> {
  await using clickhouse = target();
  const tables = await clickhouse.rows<{ database: string; name: string; columns: string[] }>(
    `SELECT database, table AS name, groupArray(c.name) AS columns FROM system.columns AS c
      WHERE database IN ({databases:Array(String)}) AND (type LIKE '%String%')
        AND (database, table) IN (SELECT database, name FROM system.tables WHERE engine LIKE '%MergeTree')
      GROUP BY database, table`,
    { databases: [schema, 'cdc'] },
  );
  const found: string[] = [];
  for (const { database, name, columns } of tables) {
    const any = columns.map((c) => `position(toString(${chIdent(c)}), ${chLiteral(text)}) > 0`);
    const [row] = await clickhouse.rows<{ n: string }>(
      `SELECT count() AS n FROM ${chIdent(database, name)} WHERE ${any.join(' OR ')}`,
    );
    if (row?.n !== '0') found.push(`${database}.${name}`);
  }
  return found;
}

async function expectNowhere(secret: string): Promise<void> {
  const messages = await sent();
  expect(messages.filter((message) => message.includes(secret))).toEqual([]);
  // What was masked is there, so what was looked through is what was sent.
  const digest = createHash('sha256').update(`${secret}x`).digest('hex');
  expect(messages.filter((message) => message.includes(digest)).length).toBeGreaterThan(0);
  expect(await tablesWith(secret)).toEqual([]);
  const logs = (await logTexts()).filter(
    ([name, text]) => !name.includes('postgres') && text.includes(secret),
  );
  expect(logs.map(([name]) => name)).toEqual([]);
}

const renames: readonly (readonly [string, readonly string[]])[] = [
  ['a column', ['RENAME COLUMN password TO password_hash', 'RENAME COLUMN email TO mail']],
  [
    'columns that swap their names with others',
    [
      'RENAME COLUMN email TO x',
      'RENAME COLUMN note TO email',
      'RENAME COLUMN x TO note',
      'RENAME COLUMN password TO y',
      'RENAME COLUMN other TO password',
      'RENAME COLUMN y TO other',
    ],
  ],
  [
    'a column that takes the name of one that is dropped, and another its own',
    ['DROP COLUMN note', 'RENAME COLUMN email TO note', 'ADD COLUMN email text'],
  ],
  ['a column that is dropped and added again', ['DROP COLUMN email', 'ADD COLUMN email text']],
  ['a type', ['ALTER COLUMN email TYPE varchar(200)', 'ALTER COLUMN password TYPE char(80)']],
  ['the table', ['RENAME TO members_of_@']],
];

test.each(renames)(
  'after a change of %s, before and after it is applied, nothing of them leaves PostgreSQL; the rest arrives',
  async (_what, statements) => {
    await using client = await source();
    const secret = randomBytes(9).toString('hex');
    const name = `users_${randomBytes(3).toString('hex')}`;
    const table = `${schema}.${name}`;
    const file = withTables({
      [table]: { history: true, columns: { password: 'exclude', email: 'mask' } },
    });
    await client.query(
      `CREATE TABLE ${table} (id int PRIMARY KEY, other text, password text, note text, email text)`,
    );
    await client.query(`INSERT INTO ${table} VALUES (1, 'o', '${secret}p', 'n', '${secret}m')`);
    await cdcJson('apply', '--config', file);
    let now = table;
    for (const statement of statements) {
      await client.query(`ALTER TABLE ${now} ${statement.replace('@', name)}`);
      if (statement.startsWith('RENAME TO')) now = `${schema}.members_of_${name}`;
    }
    const columns = await client.query<{ number: string; name: string }>(
      `SELECT attnum AS number, attname AS name FROM pg_attribute
        WHERE attrelid = '${now}'::regclass AND attnum > 1 AND NOT attisdropped`,
    );
    // What was called so when the rules were given is kept back, and what is called so now.
    const values = columns.rows.map(({ number, name: called }) =>
      ['3', '5'].includes(number) || ['password', 'email'].includes(called) ? `${secret}x` : 'n',
    );
    const write = (id: number) =>
      client.query(
        `INSERT INTO ${now} (id, ${columns.rows.map((c) => pgIdent(c.name)).join(', ')})
         VALUES (${id}, ${values.map(pgLiteral).join(', ')})`,
      );
    await write(2);
    // Another table's change is behind it: whatever is sent of this one has been sent, and stays in the topic.
    await cdcJson('verify', 'inventory.customers', '--config', file);
    await cdcJson('apply', '--config', file);
    await write(3);
    const ran = await cdc('verify', now, '--json', '--config', file);
    expect(ran.json()).toMatchObject({ ok: true, rows: 3 });
    expect(ran.stdout + ran.stderr).not.toContain(secret);
    await expectNowhere(secret);
  },
  120_000,
);

test('rules for every table are none for cdc’s own, and tables without such columns flow', async () => {
  await using client = await source();
  const file = withTables({ '*.*': { columns: { password: 'exclude' } } });
  const [one, other] = [`${schema}.with_it`, `${schema}.without`];
  await client.query(`CREATE TABLE ${one} (id int PRIMARY KEY, password text)`);
  await client.query(`CREATE TABLE ${other} (id int PRIMARY KEY, v text)`);
  await cdcJson('apply', '--config', file);
  await client.query(`INSERT INTO ${one} VALUES (1, 'p')`);
  await client.query(`ALTER TABLE ${other} RENAME COLUMN v TO w`);
  await client.query(`INSERT INTO ${other} VALUES (1, 'v')`);
  await client.query(`ALTER TABLE ${other} RENAME COLUMN w TO v`);
  await client.query(`INSERT INTO ${other} VALUES (2, 'v')`);
  await cdcJson('apply', '--config', file);
  expect(await cdcJson('verify', one, other, '--config', file)).toMatchObject({
    ok: true,
    rows: 3,
  });
  await cdcJson('apply');
});
