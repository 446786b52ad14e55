import { listBackups } from '../backup/store.ts';
import { ClickHouse } from '../components/clickhouse/client.ts';
import { keptInCopy } from '../components/clickhouse/kept.ts';
import {
  clockUs,
  countDeadLetters,
  countLoads,
  countStorage,
  eventBytes,
  heartbeatsAfter,
  shopFigures,
} from '../components/clickhouse/metricsQueries.ts';
import { type Queue, queuesOf } from '../components/clickhouse/queues.ts';
import { Connect } from '../components/connect/client.ts';
import { withKafkaAdmin } from '../components/kafka/client.ts';
import { groupPlaces } from '../components/kafka/topics.ts';
import { withPostgres } from '../components/postgres/client.ts';
import { observeSlot, walPosition } from '../components/postgres/observe.ts';
import type { Config } from '../config/schema.ts';
import { newestBefore } from '../core/backups.ts';
import type { HeartbeatTimes } from '../core/lag.ts';
import {
  CONNECTOR_STATES,
  type ReadingName,
  type Sample,
  STAGES,
  sample,
  states,
  WAL_STATUSES,
} from '../core/metrics.ts';
import { type PipelineNames, tableLabel, targetDatabase, topicName } from '../core/names.ts';
import { waiting } from '../core/positions.ts';
import { PROFILES } from '../core/profiles.ts';
import { readJson, writeFileAtomic } from '../lib/files.ts';
import { parseDurationMs } from '../lib/format.ts';
import { standingTables } from '../pipeline/apply/stalls.ts';
import { knownGaps } from '../pipeline/inspect/gaps.ts';
import { heartbeatAgeMs } from '../pipeline/inspect/heartbeat.ts';
import { clocks } from '../pipeline/inspect/lag.ts';
import { lastVerified } from '../pipeline/state/verifications.ts';
import type { Endpoints } from '../stack/endpoints.ts';

export interface Pipeline {
  readonly config: Config;
  readonly endpoints: Endpoints;
  readonly names: PipelineNames;
  /** Remembers which heartbeats were counted, so that the next agent counts none twice. */
  readonly cursorFile: string;
  /** Folder of backups; absent where there are none. */
  readonly backups: string | undefined;
}

const ANSWER_MS = 4000;

type Read = () => Promise<Sample[]>;

/** One look at each server. Each throws when it could not read all that it is asked for. */
export class Readings {
  /** By name; the agent’s own figures are read from no server. */
  readonly all: Readonly<Record<Exclude<ReadingName, 'agent'>, Read>> = {
    postgres: () => this.slot(),
    connect: () => this.connector(),
    kafka: () => this.offsets(),
    clickhouse: () => this.records(),
    gaps: () => this.gaps(),
    heartbeats: () => this.heartbeats(),
    storage: () => this.storage(),
    kept: () => this.kept(),
    backups: () => this.backups(),
    business: () => this.business(),
  };
  private readonly pipeline: Pipeline;
  private readonly clickhouse: ClickHouse;
  private readonly connect: Connect;
  /** What the readers of the copy read; it is no figure, so the last answer holds. */
  private sharedQueues: readonly Queue[] = [];
  private countedUs: number | undefined;
  private lettersMs: number | undefined;
  private readonly letters = new Map<string, number>();

  constructor(pipeline: Pipeline) {
    this.pipeline = pipeline;
    this.clickhouse = new ClickHouse(pipeline.endpoints.clickhouse, {
      maxConnections: 4,
      requestTimeoutMs: ANSWER_MS,
    });
    this.connect = new Connect(pipeline.endpoints.connect);
    this.countedUs = readJson<{ counted_us?: number }>(pipeline.cursorFile)?.counted_us;
  }

  close(): Promise<void> {
    return this.clickhouse.close();
  }

  private async slot(): Promise<Sample[]> {
    return withPostgres(this.pipeline.endpoints.postgres, async (client) => {
      const slot = await observeSlot(client, this.pipeline.names.slot);
      const end = await walPosition(client);
      const confirmed = slot?.confirmedFlushLsn;
      const behind = confirmed === undefined ? undefined : Math.max(0, Number(end - confirmed));
      return [
        ...sample('cdc_slot_retained_bytes', slot?.retainedBytes),
        ...sample('cdc_slot_lag_bytes', behind),
        ...sample('cdc_slot_active', slot?.active),
        ...states('cdc_slot_wal_status', 'status', WAL_STATUSES, slot?.walStatus ?? 'missing'),
      ];
    });
  }

  private async backups(): Promise<Sample[]> {
    const { backups: folder, config } = this.pipeline;
    if (folder === undefined) return [];
    const all = await listBackups(folder);
    const newest = newestBefore(all);
    const age = newest && (Date.now() - Date.parse(newest.finished_at)) / 1000;
    return [
      ...sample('cdc_backups', all.length),
      ...sample('cdc_backup_interval_seconds', (parseDurationMs(config.backup.every) ?? 0) / 1000),
      ...sample('cdc_backup_age_seconds', age),
      ...sample('cdc_backup_bytes', newest?.bytes),
    ];
  }

  private async connector(): Promise<Sample[]> {
    const status = await this.connect.status(this.pipeline.names.connector);
    const state = status?.connector.state.toLowerCase() ?? 'missing';
    return [
      ...states('cdc_connector_state', 'state', CONNECTOR_STATES, state),
      ...(status?.tasks ?? []).flatMap((task) =>
        states('cdc_task_state', 'state', CONNECTOR_STATES, task.state.toLowerCase(), {
          task: String(task.id),
        }),
      ),
    ];
  }

  /** Kafka is asked even when ClickHouse does not answer: what the readers read is known then. */
  private async offsets(): Promise<Sample[]> {
    if (this.sharedQueues.length === 0) await this.readQueues().catch(() => {});
    const sharedQueues = this.sharedQueues;
    return withKafkaAdmin(this.pipeline.endpoints.kafka, async (admin) => {
      if (sharedQueues.length === 0) await admin.describeCluster();
      const found: Sample[] = [];
      for (const { group, topics } of sharedQueues) {
        for (const [topic, partitions] of await groupPlaces(admin, group, topics)) {
          let behind = 0n;
          let applied = 0n;
          for (const place of partitions.values()) {
            behind += waiting(place);
            applied += place.committed < 0n ? 0n : place.committed;
          }
          found.push(
            ...sample('cdc_consumer_lag_messages', Number(behind), { group, topic }),
            ...sample('cdc_applied_changes_total', Number(applied), { topic }),
          );
        }
      }
      return found;
    });
  }

  private async records(): Promise<Sample[]> {
    // From the first look on: letters that were there before it did not arrive now.
    const since = this.lettersMs ?? Math.round((await clockUs(this.clickhouse)) / 1000);
    const [letters, standing, verified, loads] = await Promise.all([
      countDeadLetters(this.clickhouse, since),
      standingTables(this.clickhouse),
      lastVerified(this.clickhouse),
      countLoads(this.clickhouse),
    ]);
    this.lettersMs = Math.max(since, ...letters.map((count) => count.latestMs));
    for (const { table, fresh } of letters) {
      this.letters.set(table, (this.letters.get(table) ?? 0) + fresh);
    }
    return [
      ...sample(
        'cdc_dead_letters_unresolved',
        letters.reduce((sum, count) => sum + count.letters, 0),
      ),
      ...letters.flatMap(({ table, reason, letters: n }) =>
        sample('cdc_table_dead_letters', n, { table, reason }),
      ),
      ...standing.flatMap(({ table }) => sample('cdc_table_standing', 1, { table })),
      ...[...this.letters].flatMap(([table, n]) => sample('cdc_dead_letters_total', n, { table })),
      ...sample('cdc_verify_ok', verified?.ok),
      ...sample('cdc_verify_age_seconds', seconds(verified?.age_ms)),
      ...sample('cdc_verify_rows', verified?.rows),
      ...sample('cdc_verify_tables', verified?.tables),
      ...sample('cdc_verify_differing_tables', verified?.differing.length),
      ...sample('cdc_verify_duration_seconds', verified?.seconds),
      ...loads.flatMap(({ table, rows, complete }) => [
        ...sample('cdc_load_rows', rows, { table }),
        ...sample('cdc_load_complete', complete, { table }),
      ]),
    ];
  }

  private async gaps(): Promise<Sample[]> {
    const gaps = await knownGaps(this.pipeline);
    return gaps.flatMap(({ table }) => sample('cdc_table_gap', 1, { table }));
  }

  /** Latencies of heartbeats that were not counted yet, and the age of the newest. */
  private async heartbeats(): Promise<Sample[]> {
    const { clickhouse } = this;
    const { targetAheadMs } = await clocks(this.pipeline.endpoints.postgres, clickhouse);
    const { config, names, endpoints } = this.pipeline;
    const everyMs = PROFILES[config.profile].heartbeatMs;
    const age = await heartbeatAgeMs({ names, everyMs }, endpoints.postgres, clickhouse);
    const since = this.countedUs ?? (await clockUs(clickhouse));
    const beats = await heartbeatsAfter(clickhouse, since);
    this.countedUs = beats.at(-1)?.written ?? since;
    writeFileAtomic(
      this.pipeline.cursorFile,
      `${JSON.stringify({ counted_us: this.countedUs })}\n`,
      0o600,
    );
    return [
      ...sample('cdc_heartbeat_age_seconds', seconds(age)),
      ...beats.flatMap((beat) => latencies(beat, targetAheadMs)),
    ];
  }

  private async readQueues(): Promise<void> {
    this.sharedQueues = await queuesOf(this.clickhouse);
  }

  private async storage(): Promise<Sample[]> {
    await this.readQueues();
    const [tables, bytes] = await Promise.all([
      countStorage(this.clickhouse),
      eventBytes(this.clickhouse),
    ]);
    let raw = 0;
    let stored = 0;
    const found = tables.flatMap((table) => {
      const id = { schema: table.database, table: table.table };
      const size = bytes.get(topicName(this.pipeline.names.topicPrefix, id));
      if (size !== undefined) {
        raw += table.rows * size;
        stored += table.bytes;
      }
      const labels = { table: tableLabel(id) };
      return [
        ...sample('cdc_table_rows', table.rows, labels),
        ...sample('cdc_table_bytes', table.bytes, labels),
        ...sample('cdc_table_parts', table.parts, labels),
      ];
    });
    return [
      ...found,
      ...[...bytes].flatMap(([topic, size]) => sample('cdc_event_bytes', size, { topic })),
      ...sample('cdc_compression_ratio', stored > 0 ? raw / stored : undefined),
    ];
  }

  private async kept(): Promise<Sample[]> {
    const kept = await keptInCopy(this.clickhouse);
    return kept.flatMap(({ table, column, values }) =>
      sample('cdc_kept_values', values, { table, column }),
    );
  }

  private async business(): Promise<Sample[]> {
    const database = targetDatabase('ecommerce', this.pipeline.config.clickhouse.database);
    const shop = await shopFigures(this.clickhouse, database);
    return [
      ...sample('cdc_business_orders', shop?.orders),
      ...sample('cdc_business_revenue', shop?.revenue),
      ...[...(shop?.events ?? [])].flatMap(([type, n]) =>
        sample('cdc_business_events', n, { type }),
      ),
    ];
  }
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000;
}

function latencies(beat: HeartbeatTimes, targetAheadMs: number): Sample[] {
  const { committed, captured, queued, written } = beat;
  const here = written - targetAheadMs * 1000;
  const stages = [captured - committed, queued - captured, here - queued];
  const latency = (us: number) => Math.max(0, us) / 1e6;
  return [
    ...sample('cdc_end_to_end_seconds', latency(here - committed)),
    ...STAGES.flatMap((stage, i) =>
      sample('cdc_stage_seconds', latency(stages[i] ?? 0), { stage }),
    ),
  ];
}
