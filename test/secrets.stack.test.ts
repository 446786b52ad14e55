import { expect, it } from 'vitest';
import { Connect } from '../cli/components/connect/client.ts';
import { kafkaClient } from '../cli/components/kafka/client.ts';
import { workerGroup } from '../cli/core/names.ts';
import { cdcJson, stack, target } from './harness/database.ts';

/** Where no password stands. */

/** Every record of a topic with one partition. */
async function recordsOf(topic: string): Promise<string[]> {
  const kafka = kafkaClient(stack().endpoints.kafka);
  const admin = kafka.admin();
  await admin.connect();
  const end = Number((await admin.fetchTopicOffsets(topic))[0]?.high ?? 0);
  const groupId = `test-${topic}-${process.pid}`;
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100 });
  const records: string[] = [];
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      const eachMessage = async ({
        message,
      }: {
        message: { value: Buffer | null; offset: string };
      }) => {
        records.push(message.value?.toString() ?? '');
        if (Number(message.offset) >= end - 1) resolve();
      };
      consumer.run({ autoCommit: false, eachMessage }).catch(reject);
    });
  } finally {
    await consumer.disconnect();
    await admin.deleteGroups([groupId]);
    await admin.disconnect();
  }
  return records;
}

it('Connect shows no password of the source, and none is in its topic', async () => {
  const { endpoints, names, secrets } = stack();
  const shown = JSON.stringify([...(await new Connect(endpoints.connect).configs())]);
  expect(shown).toContain('{file:');
  expect(shown).not.toContain(secrets.postgres);
  const records = await recordsOf(`${workerGroup(names, true)}-configs`);
  expect(records.some((record) => record.includes('database.password'))).toBe(true);
  expect(records.filter((record) => record.includes(secrets.postgres))).toEqual([]);
  expect(await cdcJson('plan')).toMatchObject({ result: 'unchanged' });
});

it('Connect answers nobody without its password', async () => {
  const { url } = stack().endpoints.connect;
  for (const path of ['/', '/connectors?expand=info', '/connector-plugins', '/admin/loggers'])
    expect((await fetch(`${url}${path}`)).status).toBe(401);
});

it("ClickHouse keeps no password of a load: not in its list of statements, nor in a table's definition", async () => {
  const { secrets, endpoints } = stack();
  await using clickhouse = target();
  const { host, port } = endpoints.postgres.internal;
  const login = `'postgres', '${secrets.postgres}'`;
  const pulled = `postgresql('${host}:${port}', 'inventory', query('SELECT pg_sleep(2)::text AS t'), ${login})`;
  let isDone = false;
  const asked = clickhouse.rows(`SELECT t FROM ${pulled}`).finally(() => {
    isDone = true;
  });
  const seen: string[] = [];
  while (!isDone) {
    const rows = await clickhouse.rows<{ query: string }>(
      "SELECT query FROM system.processes WHERE query LIKE '%pg_sleep%' AND query NOT LIKE '%system.processes%'",
    );
    seen.push(...rows.map(({ query }) => query));
  }
  await asked;
  expect(seen.length).toBeGreaterThan(0);
  expect(seen.filter((query) => query.includes(secrets.postgres))).toEqual([]);
  const definitions = await clickhouse.rows<{ create_table_query: string }>(
    'SELECT create_table_query FROM system.tables',
  );
  const words = [secrets.postgres, secrets.kafka, secrets.clickhouse];
  const text = JSON.stringify(definitions);
  expect(words.filter((word) => text.includes(word))).toEqual([]);
});
