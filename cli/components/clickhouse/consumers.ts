import type { ClickHouse } from './client.ts';

/** Messages that each consumer of a Kafka engine table has read since it was made: by table (`db.name`), then consumer. */
export async function messagesRead(
  clickhouse: ClickHouse,
): Promise<Map<string, Map<string, bigint>>> {
  const rows = await clickhouse.rows<{ queue: string; consumer: string; read: string }>(
    `SELECT concat(database, '.', table) AS queue, consumer_id AS consumer, toString(num_messages_read) AS read
       FROM system.kafka_consumers`,
  );
  const found = new Map<string, Map<string, bigint>>();
  for (const { queue, consumer, read } of rows)
    found.set(queue, (found.get(queue) ?? new Map()).set(consumer, BigInt(read)));
  return found;
}
