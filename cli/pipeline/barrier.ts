import type pg from 'pg';
import { type ClickHouse, withClickHouse } from '../components/clickhouse/client.ts';
import { withKafkaAdmin } from '../components/kafka/client.ts';
import { endOffsets, type Offsets, readThrough } from '../components/kafka/topics.ts';
import { withPostgres } from '../components/postgres/client.ts';
import { beat } from '../components/postgres/prepare.ts';
import type { Lane } from '../core/lanes.ts';
import { Problem } from '../core/problems.ts';
import type { SourceTable } from '../core/source.ts';
import { WaitTimeout, waitFor } from '../lib/wait.ts';
import { desiredOf } from './desired.ts';
import { arrivedPosition } from './heartbeat.ts';
import type { Stack } from './stack.ts';

/** How often Kafka is asked whether anything moves while a position has not arrived. */
const MOVE_LOOK_MS = 1000;
const LANE_MS = 60_000;

/**
 * Waits until a lane's tables in ClickHouse hold everything that was committed in the source
 * before the call: a heartbeat written now has arrived, so Debezium has passed this position and
 * Kafka has all before it; then the lane's consumer has acknowledged all that its topics held.
 * Throws a WaitTimeout when nothing has moved for `timeoutMs`: a large transaction takes its time.
 */
export async function passBarrier(
  stack: Stack,
  lane: Lane,
  source: pg.ClientBase,
  clickhouse: ClickHouse,
  options: { timeoutMs: number; signal: AbortSignal },
): Promise<void> {
  const moving = { ...options, whileMoving: true };
  const { lsn } = await beat(source);
  await withKafkaAdmin(stack.endpoints.kafka, async (admin) => {
    let written = '';
    let lookedAtMs = performance.now();
    await waitFor('the copy to pass a WAL position', { ...moving, everyMs: 10 }, async () => {
      const arrived = await arrivedPosition(clickhouse);
      if (arrived >= lsn) return { ready: true };
      if (performance.now() - lookedAtMs > MOVE_LOOK_MS) {
        written = `, messages ${total(await endOffsets(admin, lane.topics))}`;
        lookedAtMs = performance.now();
      }
      return { seen: `position ${arrived} of ${lsn}${written}` };
    });
    await readThrough(admin, lane.names.group, lane.topics, moving);
  });
}

/** Waits until every lane reads again: one that a table joined is made anew, which takes seconds. */
export async function passLanes(
  stack: Stack,
  tables: readonly SourceTable[],
  signal: AbortSignal,
): Promise<void> {
  const { postgres, clickhouse } = stack.endpoints;
  await withPostgres(postgres, (source) =>
    withClickHouse(clickhouse, async (target) => {
      for (const lane of desiredOf(stack, tables).lanes)
        await passBarrier(stack, lane, source, target, { timeoutMs: LANE_MS, signal });
    }),
  ).catch(failBarrier);
}

/** What a user reads of a barrier that the copy did not pass; other errors are thrown as they are. */
export function failBarrier(error: unknown): never {
  if (!(error instanceof WaitTimeout)) throw error;
  throw new Problem('HEARTBEAT_TIMEOUT', { seconds: error.seconds, detail: error.message });
}

function total(offsets: Offsets): bigint {
  return [...offsets.values()].flatMap((p) => [...p.values()]).reduce((sum, n) => sum + n, 0n);
}
