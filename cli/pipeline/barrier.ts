import type pg from 'pg';
import type { ClickHouse } from '../components/clickhouse/client.ts';
import { withKafkaAdmin } from '../components/kafka/client.ts';
import { endOffsets, type Offsets, readThrough } from '../components/kafka/topics.ts';
import { beat } from '../components/postgres/prepare.ts';
import type { Lane } from '../core/lanes.ts';
import { waitFor } from '../lib/wait.ts';
import { arrivedPosition } from './heartbeat.ts';
import type { Stack } from './stack.ts';

/** How often Kafka is asked whether anything moves while a position has not arrived. */
const MOVE_LOOK_MS = 1000;

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

function total(offsets: Offsets): bigint {
  return [...offsets.values()].flatMap((p) => [...p.values()]).reduce((sum, n) => sum + n, 0n);
}
