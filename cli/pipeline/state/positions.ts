import type { ClickHouse } from '../../components/clickhouse/client.ts';
import { recordsOf, writeRecord } from '../../components/clickhouse/records.ts';
import type { Acknowledged } from '../../core/positions.ts';

/** No table has an empty schema. */
const ID = { schema: '', table: 'positions' };

/** How far topics were acknowledged when that was recorded last; also long ago it tells what was lost since. */
export async function readPositions(clickhouse: ClickHouse): Promise<Acknowledged> {
  const found = new Map<string, Map<number, bigint>>();
  for (const { record } of await recordsOf(clickhouse, 'positions'))
    for (const [topic, partition, offset] of record.of)
      found.set(topic, (found.get(topic) ?? new Map()).set(partition, offset));
  return found;
}

export async function recordPositions(clickhouse: ClickHouse, known: Acknowledged): Promise<void> {
  const of = [...known].flatMap(([topic, partitions]) =>
    [...partitions]
      .filter(([, offset]) => offset >= 0n)
      .map(([partition, offset]): [string, number, bigint] => [topic, partition, offset]),
  );
  await writeRecord(clickhouse, ID, 'positions', { of });
}
