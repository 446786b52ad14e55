import type { Admin } from 'kafkajs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Queue, queueOf } from '../cli/components/clickhouse/queues.ts';
import { withKafkaAdmin } from '../cli/components/kafka/client.ts';
import { committedOffsets, endOffsets } from '../cli/components/kafka/topics.ts';
import type { Finding } from '../cli/core/findings.ts';
import { topicName } from '../cli/core/names.ts';
import { LOST } from '../cli/core/positions.ts';
import { chIdent, pgIdent } from '../cli/lib/sql.ts';
import { PUBLICATION_ALTERED } from '../cli/pipeline/state/membership.ts';
import { STORAGE_CHANGED } from '../cli/pipeline/state/storages.ts';
import {
  cdc,
  cdcJson,
  eventually,
  freshSchema,
  source,
  stack,
  target,
} from './harness/database.ts';

/** Changes that passed the copy by, since somebody altered what is sent: each is seen, and its tables are loaded again. */

const WHY = PUBLICATION_ALTERED;
let schema = '';
const table = (name: string) => `${schema}.${name}`;

async function sql(...statements: string[]): Promise<void> {
  await using client = await source();
  for (const statement of statements) await client.query(statement);
}

const publication = () => pgIdent(stack().names.publication);
const alter = (what: string) => `ALTER PUBLICATION ${publication()} ${what}`;

/** Of every table: a row that comes, one that changes, and one that goes. */
const changes = () =>
  ['left', 'stayed'].flatMap((name) => [
    `INSERT INTO ${table(name)} SELECT max(id) + 1, 'new' FROM ${table(name)}`,
    `UPDATE ${table(name)} SET v = v || '!' WHERE id % 3 = 0`,
    `DELETE FROM ${table(name)} WHERE id = (SELECT min(id) FROM ${table(name)})`,
  ]);

/** Tables that a plan loads, of this schema, with the reason. */
async function toLoad(): Promise<Record<string, string>> {
  const { changes: steps } = await cdcJson('plan');
  return Object.fromEntries(
    (steps as { action: string; table?: string; reason?: string }[])
      .filter((step) => step.action === 'load' && step.table?.startsWith(`${schema}.`))
      .map((step) => [step.table ?? '', step.reason ?? '']),
  );
}

async function repaired(): Promise<void> {
  await cdcJson('apply');
  expect(await toLoad()).toEqual({});
  expect(await cdcJson('verify', `${schema}.*`)).toMatchObject({ ok: true });
  expect(await cdcJson('apply')).toMatchObject({ result: 'unchanged' });
}

beforeAll(async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'gaps')).name;
});
beforeEach(async () => {
  for (const name of ['left', 'stayed'])
    await sql(
      `DROP TABLE IF EXISTS ${table(name)}`,
      `CREATE TABLE ${table(name)} (id int PRIMARY KEY, v text)`,
      `INSERT INTO ${table(name)} SELECT g, 'v' FROM generate_series(1, 100) g`,
    );
  await cdcJson('apply');
});
afterAll(async () => {
  await sql(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await cdcJson('apply');
});

test('a table that left the publication and came back at once is loaded again, and no other', async () => {
  await sql(
    alter(`DROP TABLE ${table('left')}`),
    ...changes(),
    alter(`ADD TABLE ${table('left')}`),
    ...changes(),
  );
  expect(await toLoad()).toEqual({ [table('left')]: WHY });
  expect((await cdc('verify', table('left'), '--json')).json().ok).toBe(false);
  await repaired();
});

test('while a publication had no updates and deletes, they passed by: all of its tables are loaded again', async () => {
  await sql(
    alter("SET (publish = 'insert')"),
    ...changes(),
    alter("SET (publish = 'insert, update, delete, truncate')"),
  );
  expect(await toLoad()).toEqual({ [table('left')]: WHY, [table('stayed')]: WHY });
  await repaired();
});

test('a publication that was dropped is made again, and its tables are loaded again', async () => {
  await sql(`DROP PUBLICATION ${publication()}`, ...changes());
  expect(await toLoad()).toEqual({ [table('left')]: WHY, [table('stayed')]: WHY });
  await repaired();
});

describe('messages that went past ClickHouse', () => {
  const topicOf = (name: string) => topicName(stack().names.topicPrefix, { schema, table: name });

  /** The queue that reads a table's topic does not read while something is done. */
  async function whileDetached(name: string, work: (queue: Queue) => Promise<void>): Promise<void> {
    await using clickhouse = target();
    const queue = await queueOf(clickhouse, topicOf(name));
    const object = queue.name
      .split('.')
      .map((part) => chIdent(part))
      .join('.');
    await clickhouse.command(`DETACH TABLE ${object} SYNC`);
    try {
      await work(queue);
    } finally {
      await clickhouse.command(`ATTACH TABLE ${object}`);
    }
  }

  /** Changes of the table, until all of them are in Kafka. */
  async function written(admin: Admin, name: string): Promise<bigint> {
    const end = async () => (await endOffsets(admin, [topicOf(name)])).get(topicOf(name))?.get(0);
    const before = (await end()) ?? 0n;
    await sql(...changes().filter((statement) => statement.includes(table(name))));
    await eventually(
      'all changes in Kafka',
      true,
      async () => ((await end()) ?? 0n) >= before + 35n,
    );
    return (await end()) ?? 0n;
  }

  const gaps = async () => {
    const status = (await cdc('status', '--json')).json();
    return (status.gaps as { table: string; why: string }[])
      .filter((gap) => gap.table.startsWith(`${schema}.`))
      .map((gap) => ({ [gap.table]: gap.why }));
  };
  const kafka = <T>(work: (admin: Admin) => Promise<T>) =>
    withKafkaAdmin(stack().endpoints.kafka, work);

  test('that were deleted before they were read are a known gap, told by status and doctor, until the table is loaded', async () => {
    await whileDetached('left', () =>
      kafka(async (admin) => {
        const end = await written(admin, 'left');
        await admin.deleteTopicRecords({
          topic: topicOf('left'),
          partitions: [{ partition: 0, offset: String(end) }],
        });
      }),
    );
    await eventually('a known gap', [{ [table('left')]: LOST.expired }], gaps);
    expect((await cdc('status', '--json')).json()).toMatchObject({ healthy: false });
    const found = (await cdc('doctor', '--json')).json().findings as Finding[];
    expect(found.filter(({ id }) => id === 'known-gap')).toEqual([
      expect.objectContaining({ subject: table('left'), severity: 'error' }),
    ]);
    expect(await toLoad()).toEqual({ [table('left')]: LOST.expired });
    await repaired();
    expect(await gaps()).toEqual([]);
  });

  test('with a topic that was deleted are a known gap, and what was deleted in the source does not come back', async () => {
    await whileDetached('left', () =>
      kafka(async (admin) => {
        await written(admin, 'left');
        await admin.deleteTopics({ topics: [topicOf('left')] });
      }),
    );
    const told = async () => Object.keys(Object.assign({}, ...(await gaps())));
    await eventually('a known gap', [table('left')], told);
    // Connect waits for the topic with the messages of all tables, until the agent has made it again.
    await sql(`UPDATE ${table('left')} SET v = 'waits' WHERE id = 50`);
    await kafka((admin) => written(admin, 'stayed'));
    await repaired();
  });

  test('whose offsets somebody has moved past them are a known gap', async () => {
    await whileDetached('left', async ({ group }) =>
      kafka(async (admin) => {
        await written(admin, 'left');
        const members = async () => (await admin.describeGroups([group])).groups[0]?.members.length;
        await eventually('a group without members', 0, members);
        const offsets = await committedOffsets(admin, group, [topicOf('left')]);
        let offset = offsets.get(topicOf('left'))?.get(0) ?? 0n;
        // The agent has to have seen that nobody is in the group; it looks every other second.
        await eventually('a known gap', [{ [table('left')]: LOST.moved }], async () => {
          offset += 1n;
          await admin.setOffsets({
            groupId: group,
            topic: topicOf('left'),
            partitions: [{ partition: 0, offset: String(offset) }],
          });
          return gaps();
        });
      }),
    );
    await repaired();
  });
});

test('a queue that somebody detached is made again by apply, and nothing is missing', async () => {
  await using clickhouse = target();
  const topic = topicName(stack().names.topicPrefix, { schema, table: 'left' });
  const object = (await queueOf(clickhouse, topic)).name
    .split('.')
    .map((part) => chIdent(part))
    .join('.');
  await clickhouse.command(`DETACH TABLE ${object} SYNC`);
  await sql(...changes());
  await repaired();
});

test('a storage that somebody dropped and made again is loaded again', async () => {
  await using clickhouse = target();
  const storage = `${chIdent(schema)}.left_final`;
  const [made] = await clickhouse.rows<{ statement: string }>(
    `SELECT create_table_query AS statement FROM system.tables WHERE database = '${schema}' AND name = 'left_final'`,
  );
  await clickhouse.command(`DROP TABLE ${storage} SYNC`);
  await clickhouse.command(made?.statement ?? '');
  expect(await toLoad()).toEqual({ [table('left')]: STORAGE_CHANGED });
  await repaired();
});

test('what cdc itself alters leaves no gap', async () => {
  await sql(`CREATE TABLE ${table('third')} (id int PRIMARY KEY)`, `DROP TABLE ${table('left')}`);
  const { loads } = await cdcJson('apply');
  expect(loads.map((load: { table: string }) => load.table)).toEqual([table('third')]);
  expect(await cdcJson('apply')).toMatchObject({ result: 'unchanged' });
  await sql(`DROP TABLE ${table('third')}`);
});
