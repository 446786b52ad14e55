import { ClickHouse } from '../../components/clickhouse/client.ts';
import { clockUs } from '../../components/clickhouse/metricsQueries.ts';
import { queuesOf } from '../../components/clickhouse/queues.ts';
import { withKafkaAdmin } from '../../components/kafka/client.ts';
import { groupLag } from '../../components/kafka/topics.ts';
import { withPostgres } from '../../components/postgres/client.ts';
import {
  observeSlot,
  clockUs as sourceClockUs,
  walPosition,
} from '../../components/postgres/observe.ts';
import { type HeartbeatTimes, type Percentiles, stageLag } from '../../core/lag.ts';
import { CH_CDC } from '../../core/names.ts';
import { chIdent } from '../../lib/sql.ts';
import type { PostgresEndpoint } from '../../stack/endpoints.ts';
import type { Stack } from '../state/stack.ts';
import { heartbeatAgeMs } from './heartbeat.ts';

/** How late every stage is. What could not be read is absent. */
export interface LagReport {
  /** WAL that the connector has not confirmed yet. */
  readonly slot_bytes: number | undefined;
  /** WAL that the server keeps because of the slot. */
  readonly retained_bytes: number | undefined;
  readonly slot_active: boolean | undefined;
  /** Median of the last minute's heartbeats, commit to Debezium. */
  readonly connector_ms: number | undefined;
  readonly kafka_messages: number | undefined;
  readonly stages_ms: {
    readonly postgres_to_connector: Percentiles | undefined;
    readonly connector_to_kafka: Percentiles | undefined;
    readonly kafka_to_clickhouse: Percentiles | undefined;
  };
  readonly end_to_end_ms: Percentiles | undefined;
  /** Since the newest heartbeat in ClickHouse was committed; grows when nothing flows. */
  readonly heartbeat_age_ms: number | undefined;
  /** Heartbeats that the figures are made of. */
  readonly samples: number;
}

const WINDOW_SECONDS = 60;

interface BeatRow {
  committed: string;
  captured: string;
  queued: string;
  written: string;
}

/** @param windowSeconds heartbeats of this long count; a minute unless told. */
export async function readLag(stack: Stack, windowSeconds = WINDOW_SECONDS): Promise<LagReport> {
  const clickhouse = new ClickHouse(stack.endpoints.clickhouse);
  try {
    const [slot, messages, beats, ahead, age] = await Promise.all([
      withPostgres(stack.endpoints.postgres, async (client) => {
        const found = await observeSlot(client, stack.names.slot);
        return { found, end: await walPosition(client) };
      }),
      waitingMessages(stack, clickhouse),
      recentBeats(clickhouse, windowSeconds),
      clocks(stack.endpoints.postgres, clickhouse),
      heartbeatAgeMs(
        { names: stack.names, everyMs: stack.profile.heartbeatMs },
        stack.endpoints.postgres,
        clickhouse,
      ),
    ]);
    const stages = stageLag(beats, ahead.targetAheadMs);
    const confirmed = slot.found?.confirmedFlushLsn;
    return {
      slot_bytes: confirmed === undefined ? undefined : Number(slot.end - confirmed),
      retained_bytes: slot.found?.retainedBytes,
      slot_active: slot.found?.active,
      connector_ms: stages.connector_ms?.p50,
      kafka_messages: messages,
      stages_ms: {
        postgres_to_connector: stages.connector_ms,
        connector_to_kafka: stages.kafka_ms,
        kafka_to_clickhouse: stages.clickhouse_ms,
      },
      end_to_end_ms: stages.end_to_end_ms,
      heartbeat_age_ms: age,
      samples: beats.length,
    };
  } finally {
    await clickhouse.close();
  }
}

async function recentBeats(
  clickhouse: ClickHouse,
  windowSeconds: number,
): Promise<HeartbeatTimes[]> {
  const micros = (column: string) => `toUnixTimestamp64Micro(${column})`;
  const rows = await clickhouse.rows<BeatRow>(
    `SELECT ${micros('committed_at')} AS committed, ${micros('captured_at')} AS captured,
            ${micros('queued_at')} AS queued, ${micros('written_at')} AS written
       FROM ${chIdent(clickhouse.own, CH_CDC.heartbeats)}
      WHERE written_at > now64(6, 'UTC') - INTERVAL ${windowSeconds} SECOND ORDER BY committed_at`,
  );
  return rows.map((row) => ({
    committed: Number(row.committed),
    captured: Number(row.captured),
    queued: Number(row.queued),
    written: Number(row.written),
  }));
}

async function waitingMessages(stack: Stack, clickhouse: ClickHouse): Promise<number> {
  const queues = await queuesOf(clickhouse);
  return withKafkaAdmin(stack.endpoints.kafka, async (admin) => {
    const lags = await Promise.all(
      queues.map(({ group, topics }) => groupLag(admin, group, topics)),
    );
    return lags.flat().reduce((sum, lag) => sum + lag.messages, 0);
  });
}

/** PostgreSQL's clock, and how far ClickHouse's is ahead of it; less than the round trips count as none. */
export async function clocks(
  postgres: PostgresEndpoint,
  clickhouse: ClickHouse,
): Promise<{ sourceNowUs: number; targetAheadMs: number }> {
  return withPostgres(postgres, async (client) => {
    const startedAtMs = performance.now();
    const sourceNowUs = await sourceClockUs(client);
    const targetNowUs = await clockUs(clickhouse);
    const tripMs = performance.now() - startedAtMs;
    const aheadMs = (targetNowUs - sourceNowUs) / 1000;
    return { sourceNowUs, targetAheadMs: Math.abs(aheadMs) <= tripMs ? 0 : aheadMs };
  });
}
