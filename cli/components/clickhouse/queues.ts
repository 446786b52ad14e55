import { isCheckGroup } from '../../core/names.ts';
import { isOwnedSql, parseComment } from '../../core/plan.ts';
import { chIdent } from '../../lib/sql.ts';
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

/** The one that reads a topic. */
export async function queueOf(clickhouse: ClickHouse, topic: string): Promise<Queue> {
  const found = (await queuesOf(clickhouse)).find(({ topics }) => topics.includes(topic));
  if (!found) throw new RangeError(`no queue reads ${topic}`);
  return found;
}

/** Nobody reads its topics meanwhile. */
export async function whileDetached<T>(
  clickhouse: ClickHouse,
  queue: Queue,
  work: () => Promise<T>,
): Promise<T> {
  const [database = '', table = ''] = queue.name.split('.');
  const reader = (what: string) => clickhouse.command(`${what} TABLE ${chIdent(database, table)}`);
  await reader('DETACH');
  try {
    return await work();
  } finally {
    // The agent can have attached it.
    await reader('ATTACH').catch(() => {});
  }
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
