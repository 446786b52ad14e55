import type { MetricName } from './metrics.ts';

/**
 * Every alert, once: Prometheus’ rules, Alertmanager, the thresholds of the dashboards and the list of
 * runbooks come from here. A runbook per alert is in docs/runbooks/, written by hand.
 */

export const SEVERITIES = ['critical', 'warning'] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface AlertSpec {
  readonly severity: Severity;
  /** One sentence; `{{ $labels.x }}` and `{{ $value }}` are Prometheus’ own. */
  readonly summary: string;
  /** What to type first. */
  readonly fix: string;
  /** How long it must hold, as Prometheus writes durations. */
  readonly for: string;
  /** What the figure is compared with, in the figure’s own unit; of alerts that compare one. */
  readonly threshold: number | undefined;
  /** How far back figures are looked at that need a past. */
  readonly window: string;
  readonly expr: (at: { readonly threshold: number; readonly window: string }) => string;
}

const m = (name: MetricName) => name;

/** The scrape of the agent; everything else that Prometheus scrapes is an exporter. */
export const AGENT_JOB = 'cdc';

export const ALERTS = {
  CdcPipelineStalled: {
    severity: 'critical',
    summary:
      'No heartbeat row has crossed the pipeline in the last 10 s: the copy gets no changes.',
    fix: 'cdc doctor',
    for: '30s',
    threshold: undefined,
    window: '5m',
    expr: () =>
      `${m('cdc_healthy')} == 0 unless on() (${m('cdc_table_standing')} or ${m('cdc_table_gap')})`,
  },
  CdcTableStands: {
    severity: 'critical',
    summary: 'Changes of {{ $labels.table }} cannot be stored and wait; the other tables go on.',
    fix: 'cdc doctor',
    for: '30s',
    threshold: undefined,
    window: '5m',
    expr: () => `${m('cdc_table_standing')} == 1`,
  },
  CdcTableGap: {
    severity: 'critical',
    summary:
      'Changes of {{ $labels.table }} can have passed the copy by, and it is not loaded again yet.',
    fix: 'cdc doctor; cdc apply   # loads it again',
    for: '2m',
    threshold: undefined,
    window: '5m',
    expr: () => `${m('cdc_table_gap')} == 1`,
  },
  CdcServerDown: {
    severity: 'critical',
    summary: '{{ $labels.component }} does not answer.',
    fix: 'cdc status; cdc logs {{ $labels.component }}',
    for: '30s',
    threshold: undefined,
    window: '5m',
    expr: () => `${m('cdc_up')} == 0`,
  },
  CdcAgentDown: {
    severity: 'critical',
    summary: 'The agent gives no figures: nothing is supervised and nothing below is known.',
    fix: 'cdc up; cdc logs agent',
    for: '30s',
    threshold: undefined,
    window: '5m',
    expr: () => `up{job="${AGENT_JOB}"} == 0 or absent(up{job="${AGENT_JOB}"})`,
  },
  CdcLatencyHigh: {
    severity: 'warning',
    summary:
      'Of the changes of the last minutes, 5 % took longer than {{ $value }} s to ClickHouse.',
    fix: 'cdc lag',
    for: '5m',
    threshold: 1,
    window: '5m',
    expr: ({ threshold }) => `cdc:end_to_end_seconds:p95 > ${threshold}`,
  },
  CdcSlotGrowing: {
    severity: 'warning',
    summary: 'The slot makes PostgreSQL keep {{ $value | humanize1024 }}B of WAL.',
    fix: 'cdc lag; cdc connector status',
    for: '5m',
    threshold: 4 * 1024 ** 3,
    window: '5m',
    expr: ({ threshold }) => `${m('cdc_slot_retained_bytes')} > ${threshold}`,
  },
  CdcSlotInvalidated: {
    severity: 'critical',
    summary: 'The replication slot is {{ $labels.status }}: changes are being lost to the copy.',
    fix: 'cdc apply   # makes the slot anew and loads the tables again',
    for: '15s',
    threshold: undefined,
    window: '5m',
    expr: () => `${m('cdc_slot_wal_status')}{status=~"lost|missing"} == 1`,
  },
  CdcSourceBroken: {
    severity: 'critical',
    summary:
      'The source is not in the state that the copy was made from: it went back, is another one, or its slot was made again. Nothing flows.',
    fix: 'cdc doctor   # why; then: cdc apply   # loads every table again',
    for: '15s',
    threshold: undefined,
    window: '5m',
    expr: () => `${m('cdc_loop_trouble')}{loop="source"} == 1`,
  },
  CdcConnectorFailed: {
    severity: 'critical',
    summary: 'The connector or a task of it is {{ $labels.state }}.',
    fix: 'cdc connector status; cdc logs connect',
    for: '1m',
    threshold: undefined,
    window: '5m',
    expr: () =>
      `${m('cdc_connector_state')}{state=~"failed|missing|unassigned"} == 1 or ${m('cdc_task_state')}{state=~"failed|unassigned"} == 1`,
  },
  CdcConnectorPaused: {
    severity: 'warning',
    summary: 'The connector is {{ $labels.state }}: its slot keeps WAL until it goes on.',
    fix: 'cdc connector resume',
    for: '10m',
    threshold: undefined,
    window: '5m',
    expr: () => `${m('cdc_connector_state')}{state=~"paused|stopped"} == 1`,
  },
  CdcConsumerStuck: {
    severity: 'critical',
    summary:
      '{{ $value }} messages of {{ $labels.topic }} wait and ClickHouse has acknowledged none of late.',
    fix: 'cdc lag; cdc logs clickhouse',
    for: '2m',
    threshold: 0,
    window: '2m',
    expr: ({ threshold, window }) =>
      `${m('cdc_consumer_lag_messages')} > ${threshold} and on(topic) increase(${m('cdc_applied_changes_total')}[${window}]) == 0`,
  },
  CdcDeadLetters: {
    severity: 'warning',
    summary: '{{ $value }} messages are no row of a copied table and are not in the copy.',
    fix: 'cdc dlq list',
    for: '1m',
    threshold: 0,
    window: '5m',
    expr: ({ threshold }) => `${m('cdc_dead_letters_unresolved')} > ${threshold}`,
  },
  CdcVerifyDiffers: {
    severity: 'critical',
    summary: 'The last comparison found that source and copy differ.',
    fix: 'cdc verify   # then: cdc verify --repair',
    for: '15s',
    threshold: undefined,
    window: '5m',
    expr: () => `${m('cdc_verify_ok')} == 0`,
  },
  CdcVerifyTooOld: {
    severity: 'warning',
    summary: 'Source and copy were not compared for a week, or never.',
    fix: 'cdc verify',
    for: '1h',
    threshold: 7 * 24 * 3600,
    window: '5m',
    expr: ({ threshold }) =>
      `${m('cdc_verify_age_seconds')} > ${threshold} or (${m('cdc_reading_age_seconds')}{reading="clickhouse"} >= 0 unless on() ${m('cdc_verify_age_seconds')})`,
  },
  CdcTooManyParts: {
    severity: 'warning',
    summary: '{{ $labels.table }} has {{ $value }} parts in a partition: merges fall behind.',
    fix: 'cdc logs clickhouse',
    for: '5m',
    threshold: 300,
    window: '5m',
    expr: ({ threshold }) => `${m('cdc_table_parts')} > ${threshold}`,
  },
  CdcDiskFilling: {
    severity: 'warning',
    summary: '{{ $value | humanizePercentage }} of the disk with the servers’ data are free.',
    fix: 'df -h; cdc lag   # a slot that is not read keeps WAL',
    for: '2m',
    threshold: 0.1,
    window: '5m',
    expr: ({ threshold }) =>
      `${m('cdc_disk_free_bytes')} / ${m('cdc_disk_size_bytes')} < ${threshold}`,
  },
  CdcServerRestarting: {
    severity: 'warning',
    summary: '{{ $labels.server }} ended {{ $value | printf "%.0f" }} times of late.',
    fix: 'cdc logs {{ $labels.server }}',
    for: '15s',
    threshold: 2,
    window: '10m',
    expr: ({ threshold, window }) =>
      `increase(${m('cdc_server_restarts_total')}[${window}]) > ${threshold}`,
  },
  CdcBackupTooOld: {
    severity: 'critical',
    summary: 'There is no backup that is younger than two of the intervals in which they are due.',
    fix: 'cdc status; cdc backup create',
    for: '15m',
    threshold: 2,
    window: '5m',
    expr: ({ threshold }) =>
      `${m('cdc_backup_age_seconds')} / ${m('cdc_backup_interval_seconds')} > ${threshold} or ${m('cdc_backups')} == 0`,
  },
  CdcExporterDown: {
    severity: 'warning',
    summary: 'Prometheus gets no figures from {{ $labels.job }} ({{ $labels.instance }}).',
    fix: 'cdc status',
    for: '1m',
    threshold: undefined,
    window: '5m',
    expr: () => `up{job!="${AGENT_JOB}"} == 0`,
  },
} as const satisfies Readonly<Record<string, AlertSpec>>;

export type AlertName = keyof typeof ALERTS;

export const ALERT_NAMES = Object.keys(ALERTS) as AlertName[];

/** Where an alert’s runbook is, in this repository. */
export function runbookPath(alert: AlertName): string {
  return `docs/runbooks/${alert}.md`;
}

/** What is down explains what else is wrong: the second is silenced while the first fires. */
export const INHIBITIONS: readonly { source: AlertName; targets: readonly AlertName[] }[] = [
  {
    source: 'CdcAgentDown',
    targets: ALERT_NAMES.filter((name) => name !== 'CdcAgentDown'),
  },
  {
    source: 'CdcServerDown',
    targets: [
      'CdcPipelineStalled',
      'CdcTableStands',
      'CdcConsumerStuck',
      'CdcConnectorFailed',
      'CdcLatencyHigh',
    ],
  },
  { source: 'CdcPipelineStalled', targets: ['CdcLatencyHigh'] },
];
