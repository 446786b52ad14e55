import { LETTER_REASONS } from '../../core/deadLetterReasons.ts';
import type { HeartbeatTimes } from '../../core/lag.ts';
import { CH_CDC } from '../../core/names.ts';
import { isOwnedSql } from '../../core/plan.ts';
import { IS_LOADED_SQL } from '../../core/records.ts';
import { chIdent, chLiteral } from '../../lib/sql.ts';
import type { ClickHouse } from './client.ts';

/** What ClickHouse tells about the copy, for the agent's metrics. Reads only. */

const own = (clickhouse: ClickHouse, table: string) => chIdent(clickhouse.own, table);

/** ClickHouse's clock, in microseconds since 1970. */
export async function clockUs(clickhouse: ClickHouse): Promise<number> {
  const rows = await clickhouse.rows<{ now: string }>(
    'SELECT toUnixTimestamp64Micro(now64(6)) AS now',
  );
  return Number(rows[0]?.now);
}

/**
 * Heartbeats that were written after a time (microseconds), in the order of writing; each once: one
 * that a restart delivers again is a heartbeat that was there.
 */
export async function heartbeatsAfter(
  clickhouse: ClickHouse,
  writtenUs: number,
): Promise<HeartbeatTimes[]> {
  const micros = (column: string) => `toUnixTimestamp64Micro(any(${column}))`;
  const after = `toUnixTimestamp64Micro(written_at) > ${writtenUs}`;
  const rows = await clickhouse.rows<Record<keyof HeartbeatTimes, string>>(
    `SELECT ${micros('committed_at')} AS committed, ${micros('captured_at')} AS captured,
            ${micros('queued_at')} AS queued, toUnixTimestamp64Micro(min(written_at)) AS written
       FROM ${own(clickhouse, CH_CDC.heartbeats)}
      WHERE ${after} AND version NOT IN (SELECT version FROM ${own(clickhouse, CH_CDC.heartbeats)} WHERE NOT (${after}))
      GROUP BY version ORDER BY written`,
  );
  return rows.map((row) => ({
    committed: Number(row.committed),
    captured: Number(row.captured),
    queued: Number(row.queued),
    written: Number(row.written),
  }));
}

export interface Beat {
  readonly version: bigint;
  readonly beat: bigint;
  /** When it was committed, in microseconds since 1970. */
  readonly committedUs: number;
}

/** The newest heartbeat, by its version: clocks go back; absent when none has arrived. */
export async function newestBeat(clickhouse: ClickHouse, since = 0n): Promise<Beat | undefined> {
  const [row] = await clickhouse.rows<Record<'newest' | 'beat' | 'committed', string>>(
    `SELECT max(version) AS newest, argMax(beat, version) AS beat,
            toUnixTimestamp64Micro(argMax(committed_at, version)) AS committed
       FROM ${own(clickhouse, CH_CDC.heartbeats)} WHERE version >= ${since} HAVING count() > 0`,
  );
  return (
    row && {
      version: BigInt(row.newest),
      beat: BigInt(row.beat),
      committedUs: Number(row.committed),
    }
  );
}

export interface DeadLetterCount {
  readonly table: string;
  /** One of a few words; the reason itself may quote a message. */
  readonly reason: string;
  readonly letters: number;
  /** Of them, those that arrived after the time that was asked for. */
  readonly fresh: number;
  /** When the last of them arrived, in milliseconds since 1970. */
  readonly latestMs: number;
}

/** Dead letters by table and kind of reason; none when the pipeline has no table of them yet. */
export async function countDeadLetters(
  clickhouse: ClickHouse,
  arrivedMs: number,
): Promise<DeadLetterCount[]> {
  const kinds = Object.entries(LETTER_REASONS).map(
    ([kind, begins]) => `startsWith(reason, ${chLiteral(begins)}), ${chLiteral(kind)}`,
  );
  const rows = await clickhouse.rows<Record<keyof DeadLetterCount, string>>(
    `SELECT if(schema_name = '', '(none)', concat(schema_name, '.', table_name)) AS table,
            multiIf(${kinds.join(', ')}, 'other') AS kind,
            count() AS letters, countIf(toUnixTimestamp64Milli(arrived_at) > ${arrivedMs}) AS fresh,
            toUnixTimestamp64Milli(max(arrived_at)) AS latest
       FROM ${own(clickhouse, CH_CDC.deadLetters)} FINAL GROUP BY table, kind`,
  );
  return rows.map((row) => {
    const { kind, latest } = row as unknown as { kind: string; latest: string };
    return {
      table: row.table,
      reason: kind,
      letters: Number(row.letters),
      fresh: Number(row.fresh),
      latestMs: Number(latest),
    };
  });
}

/** All that wait, whatever the reason. */
export async function unresolvedDeadLetters(clickhouse: ClickHouse): Promise<number> {
  const rows = await clickhouse.rows<{ n: string }>(
    `SELECT count() AS n FROM ${own(clickhouse, CH_CDC.deadLetters)} FINAL`,
  );
  return Number(rows[0]?.n ?? 0);
}

export interface LoadCount {
  readonly table: string;
  readonly rows: number;
  readonly complete: boolean;
}

/** The latest load of each table. */
export async function countLoads(clickhouse: ClickHouse): Promise<LoadCount[]> {
  const rows = await clickhouse.rows<{ table: string; rows: string; complete: number }>(
    `SELECT concat(schema_name, '.', table_name) AS table, sumIf(rows, chunk != '') AS rows,
            countIf(${IS_LOADED_SQL}) > 0 AS complete
       FROM ${own(clickhouse, CH_CDC.loads)} FINAL
      WHERE floor > 0 AND (schema_name, table_name, floor) IN
            (SELECT schema_name, table_name, max(floor) FROM ${own(clickhouse, CH_CDC.loads)} WHERE floor > 0
              GROUP BY schema_name, table_name)
      GROUP BY schema_name, table_name`,
  );
  return rows.map((row) => ({
    table: row.table,
    rows: Number(row.rows),
    complete: Number(row.complete) === 1,
  }));
}

export interface StorageCount {
  readonly database: string;
  /** Without what is appended to the view’s name. */
  readonly table: string;
  readonly rows: number;
  readonly bytes: number;
  readonly parts: number;
}

/** Storage tables of the copy: those that carry our mark. */
export async function countStorage(clickhouse: ClickHouse): Promise<StorageCount[]> {
  const rows = await clickhouse.rows<Record<keyof StorageCount, string>>(
    `SELECT t.database AS database, replaceRegexpOne(t.name, '_+final$', '') AS table,
            sum(p.partition_rows) AS rows, sum(p.bytes) AS bytes, max(p.parts) AS parts
       FROM (SELECT database, name FROM system.tables
              WHERE ${isOwnedSql(clickhouse.own)} AND match(name, '_final$') AND engine = 'ReplacingMergeTree') AS t
       LEFT JOIN (SELECT database, table, partition, sum(rows) AS partition_rows, sum(bytes_on_disk) AS bytes, count() AS parts
                    FROM system.parts WHERE active GROUP BY database, table, partition) AS p
         ON p.database = t.database AND p.table = t.name
      GROUP BY t.database, t.name`,
  );
  return rows.map((row) => ({
    database: row.database,
    table: row.table,
    rows: Number(row.rows),
    bytes: Number(row.bytes),
    parts: Number(row.parts),
  }));
}

/**
 * Average size of a topic's messages as the readers count it (librdkafka's `rxbytes` of `rxmsgs`);
 * a topic that a reader has read nothing of since it began, or that does not count, is absent.
 */
export async function eventBytes(clickhouse: ClickHouse): Promise<Map<string, number>> {
  const rows = await clickhouse.rows<{ topic: string; bytes: string; messages: string }>(
    `SELECT topic, sum(JSONExtractUInt(partition, 'rxbytes')) AS bytes, sum(JSONExtractUInt(partition, 'rxmsgs')) AS messages
       FROM (SELECT named.1 AS topic, arrayJoin(JSONExtractKeysAndValuesRaw(named.2, 'partitions')).2 AS partition
               FROM (SELECT arrayJoin(JSONExtractKeysAndValuesRaw(rdkafka_stat, 'topics')) AS named
                       FROM system.kafka_consumers
                      WHERE (database, table) IN (SELECT database, name FROM system.tables WHERE ${isOwnedSql(clickhouse.own, 'queue')})))
      GROUP BY topic HAVING messages > 0`,
  );
  return new Map(rows.map((row) => [row.topic, Number(row.bytes) / Number(row.messages)]));
}

export interface ShopFigures {
  readonly orders: number;
  readonly revenue: number;
  readonly events: ReadonlyMap<string, number>;
}

/** Columns that tell the e-commerce example from other tables of those names. */
const SHOP_COLUMNS = [
  ['events', 'event_type'],
  ['transactions', 'total_amount'],
  ['transactions', 'payment_method'],
] as const;

/** Undefined where the example is not copied. */
export async function shopFigures(
  clickhouse: ClickHouse,
  database: string,
): Promise<ShopFigures | undefined> {
  const wanted = SHOP_COLUMNS.map(([t, c]) => `(${chLiteral(t)}, ${chLiteral(c)})`).join(', ');
  const there = await clickhouse.rows<{ n: string }>(
    `SELECT count() AS n FROM system.columns WHERE database = ${chLiteral(database)} AND (table, name) IN (${wanted})
        AND table IN (SELECT name FROM system.tables WHERE database = ${chLiteral(database)} AND ${isOwnedSql(clickhouse.own)})`,
  );
  if (Number(there[0]?.n) !== SHOP_COLUMNS.length) return undefined;
  const [sales, events] = await Promise.all([
    clickhouse.rows<{ orders: string; revenue: string }>(
      `SELECT uniqExact(event_id) AS orders, toString(sum(total_amount)) AS revenue
         FROM ${chIdent(database, 'transactions')} WHERE payment_method IS NOT NULL`,
    ),
    clickhouse.rows<{ type: string; n: string }>(
      `SELECT event_type AS type, count() AS n FROM ${chIdent(database, 'events')} GROUP BY type`,
    ),
  ]);
  return {
    orders: Number(sales[0]?.orders ?? 0),
    revenue: Number(sales[0]?.revenue ?? 0),
    events: new Map(events.map((row) => [row.type, Number(row.n)])),
  };
}
