import type pg from 'pg';
import type { ClickHouse } from '../components/clickhouse/client.ts';
import { withKafkaAdmin } from '../components/kafka/client.ts';
import { readThrough } from '../components/kafka/topics.ts';
import { beat } from '../components/postgres/prepare.ts';
import type { Lane } from '../core/lanes.ts';
import { waitFor } from '../lib/wait.ts';
import { arrivedPosition } from './heartbeat.ts';
import type { Stack } from './stack.ts';

/**
 * Waits until a lane's tables in ClickHouse hold everything that was committed in the source
 * before the call: a heartbeat written now has arrived, so Debezium has passed this position and
 * Kafka has all before it; then the lane's consumer has acknowledged all that its topics held.
 * Throws a WaitTimeout when the pipeline does not flow.
 */
export async function passBarrier(
  stack: Stack,
  lane: Lane,
  source: pg.ClientBase,
  clickhouse: ClickHouse,
  options: { timeoutMs: number; signal: AbortSignal },
): Promise<void> {
  const { lsn } = await beat(source);
  await waitFor('the copy to pass a WAL position', { ...options, everyMs: 10 }, async () => {
    const arrived = await arrivedPosition(clickhouse);
    return arrived >= lsn ? { ready: true } : { seen: `position ${arrived} of ${lsn}` };
  });
  await withKafkaAdmin(stack.endpoints.kafka, (admin) =>
    readThrough(admin, lane.names.group, lane.topics, options),
  );
}
