/**
 * Every metric of the pipeline's own, once: collectors, docs/metrics.md, rules and dashboards take
 * names from here. Units are in the names, as Prometheus has it: seconds, bytes, counts.
 */

export interface MetricSpec {
  /** What Prometheus takes it for; a `counter` only grows, but for restarts. */
  readonly type: 'gauge' | 'counter' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Which reading brings it; what that could not read is absent. */
  readonly reading: ReadingName;
  readonly buckets?: readonly number[];
}

/** Readings, each with its pace: what costs more is read less often. */
export const COLLECTORS = {
  agent: { everyMs: 5000, help: 'the agent itself and the machine' },
  postgres: { everyMs: 5000, help: 'the replication slot' },
  connect: { everyMs: 5000, help: 'the connector and its tasks' },
  kafka: { everyMs: 5000, help: 'offsets of the consumer groups' },
  clickhouse: { everyMs: 5000, help: 'dead letters, tables that stand, comparisons and loads' },
  gaps: { everyMs: 5000, help: 'tables that changes can have passed by' },
  heartbeats: { everyMs: 5000, help: 'heartbeat rows that crossed the pipeline' },
  storage: { everyMs: 15_000, help: 'parts and sizes of the copied tables' },
  kept: { everyMs: 30_000, help: 'values whose exact text stands beside them' },
  backups: { everyMs: 15_000, help: 'the folder of backups, where cdc.yaml names one' },
  business: { everyMs: 60_000, help: 'figures of the e-commerce example, where it is copied' },
} as const;
export type ReadingName = keyof typeof COLLECTORS;

/** Around the promise, p95 below 100 ms, in steps that tell 80 from 120 ms. */
const LATENCY_BUCKETS = [
  0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30, 60,
] as const;

function gauge(reading: ReadingName, help: string, ...labels: string[]): MetricSpec {
  return { type: 'gauge', help, labels, reading };
}

function counter(reading: ReadingName, help: string, ...labels: string[]): MetricSpec {
  return { type: 'counter', help, labels, reading };
}

function latency(help: string, ...labels: string[]): MetricSpec {
  return { type: 'histogram', help, labels, reading: 'heartbeats', buckets: LATENCY_BUCKETS };
}

export const METRICS = {
  // --- what was read, and when
  cdc_up: gauge('agent', 'Whether a server answered at the last look (1) or not (0).', 'component'),
  cdc_reading_age_seconds: gauge(
    'agent',
    'Since a reading was made that the figures on this page are from; absent while it fails.',
    'reading',
  ),
  cdc_healthy: gauge(
    'agent',
    'Whether a heartbeat row crossed the whole pipeline within the last 10 s, every table flows and none has a known gap (1) or not (0).',
  ),

  // --- latency
  cdc_end_to_end_seconds: latency(
    'From the commit of a heartbeat row in PostgreSQL to its row in ClickHouse; each row counts once.',
  ),
  cdc_stage_seconds: latency('The same, by stage of the way.', 'stage'),
  cdc_heartbeat_age_seconds: gauge(
    'heartbeats',
    'Since the newest heartbeat row in ClickHouse was committed, by the source’s clock.',
  ),

  // --- source
  cdc_slot_retained_bytes: gauge('postgres', 'WAL that PostgreSQL keeps because of the slot.'),
  cdc_slot_lag_bytes: gauge('postgres', 'WAL that the connector has not confirmed yet.'),
  cdc_slot_active: gauge('postgres', 'Whether somebody reads the slot (1) or not (0).'),
  cdc_slot_wal_status: gauge(
    'postgres',
    'One series per wal_status, 1 for the one the slot has; "missing" when there is no slot.',
    'status',
  ),

  // --- connector
  cdc_connector_state: gauge(
    'connect',
    'One series per state of a connector, 1 for the one it is in; "missing" when it is not registered.',
    'state',
  ),
  cdc_task_state: gauge('connect', 'The same for each of its tasks.', 'task', 'state'),
  cdc_task_restarts_total: counter(
    'agent',
    'Times that this agent started a failed connector or task again.',
  ),

  // --- Kafka
  cdc_consumer_lag_messages: gauge(
    'kafka',
    'Messages of a topic that ClickHouse has not acknowledged.',
    'group',
    'topic',
  ),
  cdc_applied_changes_total: counter(
    'kafka',
    'Changes of a topic that ClickHouse has stored and acknowledged: the offset of its consumer group.',
    'topic',
  ),

  // --- copy
  cdc_dead_letters_unresolved: gauge(
    'clickhouse',
    'Messages that are no row of a copied table and wait to be replayed or discarded.',
  ),
  cdc_table_dead_letters: gauge(
    'clickhouse',
    'The same, by the table that they name and the kind of reason.',
    'table',
    'reason',
  ),
  cdc_dead_letters_total: counter(
    'clickhouse',
    'Dead letters that arrived since this agent began to look.',
    'table',
  ),
  cdc_table_standing: gauge(
    'clickhouse',
    'A copied table whose changes cannot be stored and wait (1); absent where there is none.',
    'table',
  ),
  cdc_table_gap: gauge(
    'gaps',
    'A copied table that changes can have passed by, until it is loaded again (1); absent where there is none.',
    'table',
  ),
  cdc_kept_values: gauge(
    'kept',
    'Values of a column that its type cannot hold: the nearest is shown, the exact text stands in _exact; absent where there are none.',
    'table',
    'column',
  ),
  cdc_verify_ok: gauge(
    'clickhouse',
    'Whether the last comparison found source and copy equal (1) or not (0); absent when none was made.',
  ),
  cdc_verify_age_seconds: gauge('clickhouse', 'Since the last comparison ended.'),
  cdc_verify_rows: gauge('clickhouse', 'Rows that it compared.'),
  cdc_verify_tables: gauge('clickhouse', 'Tables that it compared.'),
  cdc_verify_differing_tables: gauge('clickhouse', 'Tables in which it found a difference.'),
  cdc_verify_duration_seconds: gauge('clickhouse', 'How long it took.'),
  cdc_load_rows: gauge('clickhouse', 'Rows that the latest load of a table has read.', 'table'),
  cdc_load_complete: gauge(
    'clickhouse',
    'Whether the latest load of a table has ended (1) or goes on or was interrupted (0).',
    'table',
  ),
  cdc_table_rows: gauge(
    'storage',
    'Rows in a table’s storage, superseded versions that are not merged yet among them.',
    'table',
  ),
  cdc_table_bytes: gauge('storage', 'Bytes on disk of a table’s storage.', 'table'),
  cdc_table_parts: gauge(
    'storage',
    'Active parts of a table’s storage, of its fullest partition.',
    'table',
  ),
  cdc_event_bytes: gauge(
    'storage',
    'Average size of a topic’s messages, key and value, uncompressed, since ClickHouse began to read it.',
    'topic',
  ),
  cdc_compression_ratio: gauge(
    'storage',
    'Size of a change as raw event to its size on disk in ClickHouse, over tables with changes: rows × cdc_event_bytes / cdc_table_bytes.',
  ),

  // --- backups
  cdc_backups: gauge(
    'backups',
    'Backups that came to their end; these four are absent where cdc.yaml names no folder for them.',
  ),
  cdc_backup_interval_seconds: gauge('backups', 'How often the agent is to make one.'),
  cdc_backup_age_seconds: gauge(
    'backups',
    'Since the newest of them ended; absent while there is none.',
  ),
  cdc_backup_bytes: gauge('backups', 'Size of the newest of them.'),

  // --- processes and machine
  cdc_server_restarts_total: counter(
    'agent',
    'Times that this agent started a server again.',
    'server',
  ),
  cdc_process_memory_bytes: gauge(
    'agent',
    'Resident memory of a process that cdc runs, with its children.',
    'process',
  ),
  cdc_loop_trouble: gauge(
    'agent',
    'Whether a control loop of the agent says that something is wrong (1) or not (0).',
    'loop',
  ),
  cdc_disk_free_bytes: gauge('agent', 'Free on the disk that holds the servers’ data.'),
  cdc_disk_size_bytes: gauge('agent', 'Size of that disk.'),

  // --- business
  cdc_business_orders: gauge('business', 'Purchases in the e-commerce example’s copy.'),
  cdc_business_revenue: gauge('business', 'What was paid for them, in the shop’s currency.'),
  cdc_business_events: gauge('business', 'Events in the e-commerce example’s copy.', 'type'),
} as const satisfies Readonly<Record<string, MetricSpec>>;

export type MetricName = keyof typeof METRICS;

/** The states of which there is one series each, so that a state that ended is 0 and not forgotten. */
export const CONNECTOR_STATES = [
  'running',
  'paused',
  'stopped',
  'failed',
  'unassigned',
  'restarting',
  'missing',
] as const;
export const WAL_STATUSES = ['reserved', 'extended', 'unreserved', 'lost', 'missing'] as const;
export const STAGES = [
  'postgres_to_connector',
  'connector_to_kafka',
  'kafka_to_clickhouse',
] as const;

/** One figure that was read. */
export interface Sample {
  readonly metric: MetricName;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Nothing when the value is absent: what was not read is no 0. */
export function sample(
  metric: MetricName,
  value: number | boolean | undefined,
  labels: Readonly<Record<string, string>> = {},
): Sample[] {
  return value === undefined || Number.isNaN(Number(value))
    ? []
    : [{ metric, labels, value: Number(value) }];
}

/** One series per state, 1 for the one that is. */
export function states(
  metric: MetricName,
  label: string,
  known: readonly string[],
  current: string,
  labels: Readonly<Record<string, string>> = {},
): Sample[] {
  return [...new Set([...known, current])].map((state) => ({
    metric,
    labels: { ...labels, [label]: state },
    value: state === current ? 1 : 0,
  }));
}
