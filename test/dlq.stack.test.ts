import { afterAll, beforeAll, expect, test } from 'vitest';
import { kafkaClient } from '../cli/components/kafka/client.ts';
import { cdc, cdcJson, eventually, freshSchema, source, stack } from './harness/database.ts';

let schema = '';

beforeAll(async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'dlq')).name;
  await client.query(
    `CREATE TABLE ${schema}.events (topic text, n int, at timestamp NOT NULL, PRIMARY KEY (topic, n))`,
  );
  await cdcJson('apply');
});
afterAll(async () => {
  await using client = await source();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await cdcJson('apply');
});

async function letters(): Promise<{ id: string; reason: string; table: string; key: string }[]> {
  const { letters: all } = await cdcJson('dlq', 'list');
  return all.filter((l: { id: string }) => l.id.includes(`.${schema}.`));
}

/** As a program would that has nothing to do with Debezium. */
async function produce(topic: string, ...values: string[]): Promise<void> {
  const producer = kafkaClient(stack().endpoints.kafka).producer();
  await producer.connect();
  const messages = values.map((value) => ({ key: '{"topic":"it\'s","n":2}', value }));
  await producer.send({ topic, messages });
  await producer.disconnect();
}

test('a message without a WAL position is a dead letter with its table and key; replayed, its row is read again', async () => {
  await using client = await source();
  await client.query(
    `INSERT INTO ${schema}.events VALUES ('a', 1, '2026-01-01'), ('it''s', 2, 'infinity')`,
  );
  const change = {
    after: { topic: "it's", n: 2, at: '2026-01-02 00:00:00' },
    op: 'u',
    source: { schema, table: 'events', sequence: '[]' },
  };
  await produce(`postgres-server.${schema}.events`, JSON.stringify(change));
  await eventually('dead letters', 1, async () => (await letters()).length);
  const [letter] = await letters();
  expect(letter).toMatchObject({ table: `${schema}.events`, key: '{"topic":"it\'s","n":2}' });
  expect(letter?.reason).toContain('no WAL position');
  const shown = await cdcJson('dlq', 'show', letter?.id ?? '');
  expect(shown).toMatchObject({ table: `${schema}.events`, op: 'u' });
  expect(shown.image).toContain("it's");
  expect(await cdcJson('dlq', 'replay', letter?.id ?? '')).toEqual({
    replayed: [letter?.id],
    left: [],
  });
  expect(await letters()).toEqual([]);
  expect(await cdcJson('verify', `${schema}.events`)).toMatchObject({
    ok: true,
    tables: [{ target_rows: 2 }],
  });
});

test('what somebody else wrote into a topic is a dead letter, stops nothing, and can be discarded', async () => {
  const topic = `postgres-server.${schema}.events`;
  await produce(topic, '{"hello": "world"}', '{"after": {"n": 1', 'no');
  await using client = await source();
  await client.query(`INSERT INTO ${schema}.events VALUES ('b', 4, '2026-01-04')`);
  await eventually('dead letters', 3, async () => (await letters()).length);
  expect(await cdcJson('verify', `${schema}.events`)).toMatchObject({ ok: true });
  const ids = (await letters()).map((l) => l.id);
  const replayed = await cdc('dlq', 'replay', ...ids, '--json');
  expect(replayed.exit).toBe(6);
  expect(replayed.json().left).toHaveLength(3);
  expect((await cdcJson('dlq', 'discard', ...ids)).discarded.sort()).toEqual(ids.sort());
  expect(await letters()).toEqual([]);
  const unknown = await cdc('dlq', 'show', ids[0] ?? '');
  expect(unknown.exit).toBe(2);
  expect(unknown.stderr).toContain('LETTER_UNKNOWN');
});
