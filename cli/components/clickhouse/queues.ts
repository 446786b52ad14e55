import { isCheckGroup } from '../../core/names.ts';
import type { ClickHouse } from './client.ts';

/** A Kafka engine table: what it reads, in which group. */
export interface Queue {
  readonly group: string;
  readonly topics: readonly string[];
}

/** All of ours that feed the copy. */
export async function queuesOf(clickhouse: ClickHouse): Promise<Queue[]> {
  const rows = await clickhouse.rows<{ settings: string }>(
    "SELECT engine_full AS settings FROM system.tables WHERE engine = 'Kafka' AND comment LIKE 'cdc %'",
  );
  const setting = (text: string, name: string) =>
    new RegExp(`${name} = '((?:[^'\\\\]|\\\\.)*)'`).exec(text)?.[1]?.replace(/\\(.)/g, '$1');
  return rows.flatMap(({ settings }) => {
    const group = setting(settings, 'kafka_group_name');
    const topics = setting(settings, 'kafka_topic_list')?.split(',');
    return group !== undefined && topics && !isCheckGroup(group) ? [{ group, topics }] : [];
  });
}
