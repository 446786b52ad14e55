import { isOwnedSql } from '../../core/plan.ts';
import type { ObjectName } from '../../core/stalls.ts';
import type { ClickHouse } from './client.ts';

/** A queue of ours that does not get on. */
export interface Stall {
  readonly queue: ObjectName;
  /** As ClickHouse says it: it alone tells which table's rows were refused. */
  readonly error: string;
  /** When it failed last, in seconds since 1970, by ClickHouse's clock. */
  readonly failed_s: number;
}

/** How long ago a queue must have failed: one that stands fails again every second or two. */
const FRESH_S = 10;

/** Queues whose last block was refused, and that have stored nothing since. */
export async function stalledQueues(clickhouse: ClickHouse): Promise<Stall[]> {
  const rows = await clickhouse.rows<{
    database: string;
    name: string;
    error: string;
    failed: number;
  }>(
    `SELECT database, table AS name, exceptions.text[-1] AS error,
            toUnixTimestamp(exceptions.time[-1]) AS failed
       FROM system.kafka_consumers
      WHERE notEmpty(exceptions.text) AND exceptions.time[-1] > last_commit_time
        AND exceptions.time[-1] > now() - ${FRESH_S}
        AND (database, table) IN (SELECT database, name FROM system.tables
                                   WHERE engine = 'Kafka' AND ${isOwnedSql(clickhouse.own, 'queue')})
      ORDER BY database, name`,
  );
  return rows.map(({ database, name, error, failed }) => ({
    queue: { database, name },
    error,
    failed_s: Number(failed),
  }));
}
