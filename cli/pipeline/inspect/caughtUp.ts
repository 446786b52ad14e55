import type { Admin } from 'kafkajs';
import type pg from 'pg';
import { type ClickHouse, withClickHouse } from '../../components/clickhouse/client.ts';
import { type Queue, queuesOf } from '../../components/clickhouse/queues.ts';
import { withKafkaAdmin } from '../../components/kafka/client.ts';
import {
  endOffsets,
  type Offsets,
  unread,
  waitForGroupLag,
} from '../../components/kafka/topics.ts';
import { withPostgres } from '../../components/postgres/client.ts';
import { writeHeartbeat } from '../../components/postgres/prepare.ts';
import { positionIn, versionAt } from '../../core/lineage.ts';
import { type TableId, topicName } from '../../core/names.ts';
import { Problem } from '../../core/problems.ts';
import { type WaitOptions, WaitTimeout, waitFor } from '../../lib/wait.ts';
import { readEpoch } from '../state/owner.ts';
import type { Stack } from '../state/stack.ts';
import { arrivedVersion } from './heartbeat.ts';

/** How often Kafka and ClickHouse are asked what else goes on while a position has not arrived. */
const LOOK_MS = 1000;
const LANE_MS = 60_000;

interface CaughtUpOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Waits until a table in ClickHouse holds everything that was committed in the source before the
 * call: a heartbeat written now has arrived, so Debezium has passed this position and Kafka has all
 * before it; then the queue that reads the table's topic has acknowledged all that its topics held.
 * Throws a WaitTimeout when nothing has moved for `timeoutMs`: a large transaction takes its time.
 */
export async function waitUntilCaughtUp(
  stack: Stack,
  table: TableId,
  source: pg.ClientBase,
  clickhouse: ClickHouse,
  options: CaughtUpOptions,
): Promise<void> {
  const moving = { ...options, whileMoving: true };
  const topic = topicName(stack.names.topicPrefix, table);
  await withKafkaAdmin(stack.endpoints.kafka, async (admin) => {
    await passPosition(admin, source, clickhouse, moving);
    await passQueue(admin, topic, () => queuesOf(clickhouse), moving);
  });
}

/**
 * Waits until a heartbeat that is written now has arrived. Whatever is written to Kafka meanwhile is
 * movement: a transaction of another table may be in front of it.
 */
async function passPosition(
  admin: Admin,
  source: pg.ClientBase,
  clickhouse: ClickHouse,
  options: WaitOptions,
): Promise<void> {
  const { lsn } = await writeHeartbeat(source, { own: clickhouse.own });
  const wanted = versionAt(await readEpoch(clickhouse), lsn);
  let written = '';
  let lookedAtMs = performance.now();
  await waitFor('the copy to pass a WAL position', { ...options, everyMs: 10 }, async () => {
    const arrived = await arrivedVersion(clickhouse);
    if (arrived >= wanted) return { ready: true };
    if (performance.now() - lookedAtMs > LOOK_MS) {
      const topics = (await queuesOf(clickhouse)).flatMap((queue) => queue.topics);
      written = `, messages ${total(await endOffsets(admin, topics))}`;
      lookedAtMs = performance.now();
    }
    return { seen: `position ${positionIn(arrived)} of ${lsn}${written}` };
  });
}

/**
 * Which queue reads a topic is what ClickHouse has, not what a plan would make of the source of now:
 * one table more can put every other one into another queue, once it is applied. It may be while this
 * waits.
 */
async function passQueue(
  admin: Admin,
  topic: string,
  readers: () => Promise<Queue[]>,
  options: WaitOptions,
): Promise<void> {
  const find = async () => (await readers()).find(({ topics }) => topics.includes(topic));
  let queue = await find();
  let lookedAtMs = performance.now();
  const ends = await endOffsets(admin, queue?.topics ?? [topic]);
  await waitFor('ClickHouse to read its topics', { ...options, everyMs: 20 }, async () => {
    if (performance.now() - lookedAtMs > LOOK_MS) {
      queue = await find();
      lookedAtMs = performance.now();
    }
    if (queue === undefined) return { seen: `${topic}: no queue reads it` };
    const { group, topics } = queue;
    const own = new Map([...ends].filter(([name]) => topics.includes(name)));
    const behind = await unread(admin, group, own);
    return behind === undefined ? { ready: true } : { seen: behind };
  });
}

/** Waits until every queue reads again: one that a table joined is recreated, which takes seconds. */
export async function waitForQueues(stack: Stack, signal: AbortSignal): Promise<void> {
  const { postgres, kafka, clickhouse } = stack.endpoints;
  const moving = { timeoutMs: LANE_MS, signal, whileMoving: true };
  await withPostgres(postgres, (source) =>
    withClickHouse(clickhouse, (target) =>
      withKafkaAdmin(kafka, async (admin) => {
        await passPosition(admin, source, target, moving);
        for (const queue of await queuesOf(target))
          await waitForGroupLag(admin, queue.group, queue.topics, moving);
      }),
    ),
  ).catch(throwNotCaughtUp);
}

/** What a user reads of a barrier that the copy did not pass; other errors are thrown as they are. */
export function throwNotCaughtUp(error: unknown): never {
  if (!(error instanceof WaitTimeout)) throw error;
  throw new Problem('HEARTBEAT_TIMEOUT', { seconds: error.seconds, detail: error.message });
}

function total(offsets: Offsets): bigint {
  return [...offsets.values()].flatMap((p) => [...p.values()]).reduce((sum, n) => sum + n, 0n);
}
