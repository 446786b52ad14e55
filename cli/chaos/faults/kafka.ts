import { randomBytes } from 'node:crypto';
import { withClickHouse } from '../../components/clickhouse/client.ts';
import { queueOf, whileDetached } from '../../components/clickhouse/queues.ts';
import { kafkaClient, withKafkaAdmin } from '../../components/kafka/client.ts';
import { removeGroupMembers } from '../../components/kafka/groups.ts';
import { type Offsets, setGroupOffsets } from '../../components/kafka/topics.ts';
import { chosen, oneOf } from '../../core/chaos.ts';
import { pause, waitFor } from '../../lib/wait.ts';
import type { Fault, Ground } from '../ground.ts';
import type { CopiedTable } from '../tables.ts';

const UNREAD_MS = [500, 3000] as const;
const LEFT_MS = 60_000;

const tableBy = (ground: Ground, chance: number) =>
  oneOf(chance, ground.tables as [CopiedTable, ...CopiedTable[]]);

/** Takes a queue's reader away, moves its group, and lets it read again: what somebody does by hand. */
function offsetsMoved(to: 'earliest' | 'latest'): Fault {
  return {
    name: `offsets-${to}`,
    summary: `the offsets of a consumer group of ClickHouse are set to the ${to}`,
    servers: ['kafka', 'clickhouse'],
    async play(ground, chance) {
      const { kafka, clickhouse } = ground.stack.endpoints;
      const { topic } = tableBy(ground, chance);
      return withClickHouse(clickhouse, async (client) => {
        const queue = await queueOf(client, topic);
        const { group, topics } = queue;
        await whileDetached(client, queue, async () => {
          await pause(chosen(chance, ...UNREAD_MS), ground.signal);
          const offsets: Offsets = new Map();
          await withKafkaAdmin(kafka, async (admin) => {
            await waitFor(
              'the group to be empty',
              { timeoutMs: LEFT_MS, everyMs: 200 },
              async () => {
                await removeGroupMembers(kafka, admin, group, () => true);
                const { groups } = await admin.describeGroups([group]);
                const left = groups[0]?.members.length ?? 0;
                return left === 0 ? { ready: true } : { seen: `${left} members` };
              },
            );
            for (const one of topics) {
              const partitions = await admin.fetchTopicOffsets(one);
              offsets.set(
                one,
                new Map(
                  partitions.map((p) => [p.partition, BigInt(to === 'earliest' ? p.low : p.high)]),
                ),
              );
            }
          });
          await setGroupOffsets(kafka, group, offsets);
        });
        return `the offsets of ${group} were set to the ${to}`;
      });
    },
  };
}

export const KAFKA_FAULTS: readonly Fault[] = [
  offsetsMoved('earliest'),
  offsetsMoved('latest'),
  {
    name: 'delete-topic',
    summary: "a table's topic is deleted",
    servers: ['kafka'],
    async play(ground, chance) {
      const { topic } = tableBy(ground, chance);
      await withKafkaAdmin(ground.stack.endpoints.kafka, (admin) =>
        admin.deleteTopics({ topics: [topic] }),
      );
      return `topic ${topic} was deleted`;
    },
  },
  {
    name: 'expire-records',
    summary: 'records are deleted, as by retention, while ClickHouse stands',
    servers: ['kafka', 'clickhouse'],
    async play(ground, chance) {
      const { topic } = tableBy(ground, chance);
      await ground.runtime.harm('clickhouse', 'freeze');
      try {
        await pause(chosen(chance, ...UNREAD_MS), ground.signal);
        await withKafkaAdmin(ground.stack.endpoints.kafka, async (admin) => {
          const partitions = (await admin.fetchTopicOffsets(topic)).map((p) => ({
            partition: p.partition,
            offset: p.high,
          }));
          await admin.deleteTopicRecords({ topic, partitions });
        });
      } finally {
        await ground.runtime.harm('clickhouse', 'thaw');
      }
      return `records of ${topic} were deleted before ClickHouse had read them`;
    },
  },
  {
    name: 'poison-message',
    summary: 'messages that are no change, or no JSON, in the topic of a table',
    servers: ['kafka'],
    async play(ground, chance) {
      const { topic } = tableBy(ground, chance);
      const producer = kafkaClient(ground.stack.endpoints.kafka).producer();
      await producer.connect();
      try {
        const values = [
          '{"not json',
          '',
          'null',
          '[]',
          '{"op":"u"}',
          randomBytes(64),
          '{'.repeat(2000),
        ];
        await producer.send({ topic, messages: values.map((value) => ({ value })) });
      } finally {
        await producer.disconnect();
      }
      return `messages that are no change were sent to ${topic}`;
    },
  },
];
