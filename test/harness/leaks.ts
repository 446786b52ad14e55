import { createHash, randomBytes } from 'node:crypto';
import type pg from 'pg';
import { expect } from 'vitest';
import { withKafkaAdmin } from '../../cli/components/kafka/client.ts';
import { chIdent, chLiteral } from '../../cli/lib/sql.ts';
import { eventually, stack, target } from './database.ts';
import { logTexts } from './servers.ts';

/** Everything that was ever sent of a schema's tables: messages of its topics, as they are. */
export async function sent(schema: string): Promise<string[]> {
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
    SETTINGS kafka_broker_list = ${chLiteral(endpoints.kafka.internalBrokers.join(','))},
      kafka_topic_list = ${chLiteral(topics.map(({ topic }) => topic).join(','))},
      kafka_group_name = ${chLiteral(`${database}.${randomBytes(4).toString('hex')}`)}, kafka_format = 'RawBLOB',
      kafka_poll_timeout_ms = 50, kafka_flush_interval_ms = 100`);
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
async function tablesWith(schema: string, text: string): Promise<string[]> {
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

/** A secret is in no topic, table or log; its digest is, where it was masked. */
export async function expectNowhere(schema: string, secret: string): Promise<void> {
  const messages = await sent(schema);
  expect(messages.filter((message) => message.includes(secret))).toEqual([]);
  // What was masked is there, so what was looked through is what was sent.
  const digest = createHash('sha256').update(`${secret}x`).digest('hex');
  expect(messages.filter((message) => message.includes(digest)).length).toBeGreaterThan(0);
  expect(await tablesWith(schema, secret)).toEqual([]);
  const logs = (await logTexts()).filter(
    ([name, text]) => !name.includes('postgres') && text.includes(secret),
  );
  expect(logs.map(([name]) => name)).toEqual([]);
}

/** A slot beside the connector's, which shows what PostgreSQL sends to whoever reads the publication. */
export async function lookingSlot(
  client: pg.ClientBase,
): Promise<AsyncDisposable & { leaves(): Promise<string> }> {
  const { publication } = stack().names;
  const slot = `look_${randomBytes(4).toString('hex')}`;
  await client.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [slot]);
  return {
    leaves: async () => {
      const found = await client.query<{ data: string }>(
        `SELECT encode(data, 'hex') AS data FROM pg_logical_slot_peek_binary_changes($1, NULL, NULL, 'proto_version', '1', 'publication_names', $2)`,
        [slot, publication],
      );
      return found.rows.map(({ data }) => Buffer.from(data, 'hex').toString('latin1')).join('\n');
    },
    [Symbol.asyncDispose]: async () => {
      await client.query('SELECT pg_drop_replication_slot($1)', [slot]);
    },
  };
}
