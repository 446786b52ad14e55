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

async function letters(): Promise<{ id: string; reason: string; table: string }[]> {
  const { letters: all } = await cdcJson('dlq', 'list');
  return all.filter((l: { id: string }) => l.id.includes(`.${schema}.`));
}

test('a dead letter is listed and shown; replayed it stays while its row does not fit, and goes once it does', async () => {
  await using client = await source();
  await client.query(
    `INSERT INTO ${schema}.events VALUES ('a', 1, '2026-01-01'), ('it''s', 2, '20000-01-01'), ('a', 3, '2026-01-03')`,
  );
  await eventually('dead letters', 1, async () => (await letters()).length);
  const [letter] = await letters();
  const shown = await cdcJson('dlq', 'show', letter?.id ?? '');
  expect(shown).toMatchObject({ table: `${schema}.events`, op: 'c' });
  expect(shown.image).toContain("it's");

  const early = await cdc('dlq', 'replay', letter?.id ?? '', '--json');
  expect(early.exit).toBe(6);
  expect(early.json()).toEqual({
    replayed: [],
    left: [{ id: letter?.id, why: 'its row still does not fit' }],
  });

  await client.query(`UPDATE ${schema}.events SET at = '2026-01-02' WHERE n = 2`);
  expect(await cdcJson('dlq', 'replay', letter?.id ?? '')).toEqual({
    replayed: [letter?.id],
    left: [],
  });
  expect(await letters()).toEqual([]);
  expect(await cdcJson('verify', `${schema}.events`)).toMatchObject({
    ok: true,
    tables: [{ target_rows: 3 }],
  });
});

test('what somebody else wrote into a topic is a dead letter, stops nothing, and can be discarded', async () => {
  const topic = `postgres-server.${schema}.events`;
  const producer = kafkaClient(stack().endpoints.kafka).producer();
  await producer.connect();
  await producer.send({
    topic,
    messages: [{ value: '{"hello": "world"}' }, { value: '{"after": {"n": 1' }, { value: 'no' }],
  });
  await producer.disconnect();
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
