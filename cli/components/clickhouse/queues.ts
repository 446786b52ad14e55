import { isCheckGroup } from '../../core/names.ts';
import type { ClickHouse } from './client.ts';

/** A Kafka engine table: what it reads, in which group. */
export interface Queue {
  readonly group: string;
  readonly topics: readonly string[];
}

/** The queues that store what they read. */
export async function queuesOf(clickhouse: ClickHouse): Promise<Queue[]> {
  return (await kafkaTables(clickhouse)).filter(({ group }) => !isCheckGroup(group));
}

/** Those beside them that look for what does not fit. */
export async function checksOf(clickhouse: ClickHouse): Promise<Queue[]> {
  return (await kafkaTables(clickhouse)).filter(({ group }) => isCheckGroup(group));
}

async function kafkaTables(clickhouse: ClickHouse): Promise<Queue[]> {
  const rows = await clickhouse.rows<{ settings: string }>(
    "SELECT engine_full AS settings FROM system.tables WHERE engine = 'Kafka' AND comment LIKE 'cdc %'",
  );
  const setting = (text: string, name: string) =>
    new RegExp(`${name} = '((?:[^'\\\\]|\\\\.)*)'`).exec(text)?.[1]?.replace(/\\(.)/g, '$1');
  return rows.flatMap(({ settings }) => {
    const group = setting(settings, 'kafka_group_name');
    const topics = setting(settings, 'kafka_topic_list')?.split(',');
    return group !== undefined && topics ? [{ group, topics }] : [];
  });
}
