import { isCheckGroup } from '../../core/names.ts';
import { isOwnedSql, parseComment } from '../../core/plan.ts';
import type { ClickHouse } from './client.ts';

/** A Kafka engine table: what it reads, in which group. */
export interface Queue {
  readonly name: string;
  /** The own database of its pipeline. */
  readonly own: string;
  readonly group: string;
  readonly topics: readonly string[];
}

/** All of ours that feed the copy. */
export async function queuesOf(clickhouse: ClickHouse): Promise<Queue[]> {
  return queuesWhere(clickhouse, isOwnedSql(clickhouse.own));
}

/** UUIDs of those that are attached, by name: another one when it was made anew. */
export async function queueUuids(clickhouse: ClickHouse): Promise<Map<string, string>> {
  const rows = await clickhouse.rows<{ name: string; uuid: string }>(
    `SELECT concat(database, '.', name) AS name, toString(uuid) AS uuid FROM system.tables WHERE ${isOwnedSql(clickhouse.own, 'queue')}`,
  );
  return new Map(rows.map(({ name, uuid }) => [name, uuid]));
}

/** Those of other pipelines. */
export function queuesOfOthers(clickhouse: ClickHouse): Promise<Queue[]> {
  return queuesWhere(clickhouse, `comment LIKE 'cdc %' AND NOT ${isOwnedSql(clickhouse.own)}`);
}

async function queuesWhere(clickhouse: ClickHouse, condition: string): Promise<Queue[]> {
  const rows = await clickhouse.rows<{ settings: string; name: string; comment: string }>(
    `SELECT engine_full AS settings, concat(database, '.', name) AS name, comment FROM system.tables WHERE engine = 'Kafka' AND ${condition}`,
  );
  const setting = (text: string, name: string) =>
    new RegExp(`${name} = '((?:[^'\\\\]|\\\\.)*)'`).exec(text)?.[1]?.replace(/\\(.)/g, '$1');
  return rows.flatMap(({ settings, name, comment }) => {
    const group = setting(settings, 'kafka_group_name');
    const topics = setting(settings, 'kafka_topic_list')?.split(',');
    return group !== undefined && topics && !isCheckGroup(group)
      ? [{ name, own: parseComment(comment)?.own ?? clickhouse.own, group, topics }]
      : [];
  });
}
