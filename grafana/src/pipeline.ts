import { QueryVariableBuilder, VariableRefresh } from '@grafana/grafana-foundation-sdk/dashboard';
import {
  asAlert,
  figure,
  graph,
  ONE_IS_WELL,
  PROMETHEUS,
  page,
  prom,
  row,
  type Step,
  table,
} from './model.ts';

const NEUTRAL: readonly Step[] = [{ from: null, colour: 'blue' }];

export function pipelineStatus() {
  return page(
    'cdc-pipeline',
    'CDC Pipeline Status',
    'Is it healthy, how late is it, is anything missing.',
  )
    .withVariable(
      new QueryVariableBuilder('table')
        .label('Table')
        .datasource(PROMETHEUS)
        .query('label_values(cdc_table_rows, table)')
        .refresh(VariableRefresh.OnTimeRangeChanged)
        .multi(true)
        .includeAll(true)
        .current({ text: 'All', value: '$__all' })
        .allValue('.*'),
    )
    .withRow(row('Is it healthy'))
    .withPanel(
      figure({
        title: 'Pipeline',
        says: 'Healthy: a heartbeat row crossed from PostgreSQL to ClickHouse within the last 10 s.',
        queries: [prom('cdc_healthy')],
        steps: ONE_IS_WELL,
        words: { zero: 'stalled', one: 'healthy' },
        alerts: ['CdcPipelineStalled', 'CdcAgentDown'],
      }),
    )
    .withPanel(
      figure({
        title: 'Latency p95',
        says: 'Commit in PostgreSQL to row in ClickHouse, of the last two minutes’ heartbeats.',
        queries: [prom('cdc:end_to_end_seconds:p95')],
        unit: 's',
        steps: asAlert('CdcLatencyHigh'),
        alerts: ['CdcLatencyHigh'],
      }),
    )
    .withPanel(
      figure({
        title: 'Connector',
        says: 'Whether the connector and all of its tasks run.',
        queries: [
          prom('min(cdc_connector_state{state="running"} or cdc_task_state{state="running"})'),
        ],
        steps: ONE_IS_WELL,
        words: { zero: 'not running', one: 'running' },
        alerts: ['CdcConnectorFailed', 'CdcConnectorPaused'],
      }),
    )
    .withPanel(
      figure({
        title: 'WAL kept by the slot',
        says: 'What PostgreSQL cannot remove because the connector has not read it.',
        queries: [prom('cdc_slot_retained_bytes')],
        unit: 'bytes',
        steps: asAlert('CdcSlotGrowing'),
        alerts: ['CdcSlotGrowing', 'CdcSlotInvalidated'],
      }),
    )
    .withPanel(
      figure({
        title: 'Dead letters',
        says: 'Messages that are no row of a copied table: the copy is without them.',
        queries: [prom('cdc_dead_letters_unresolved')],
        steps: asAlert('CdcDeadLetters'),
        alerts: ['CdcDeadLetters'],
      }),
    )
    .withPanel(
      figure({
        title: 'Last verify',
        says: 'Whether source and copy were equal, value for value, when they were compared last.',
        queries: [
          prom('cdc_verify_ok', {
            empty: 'nothing was compared yet',
          }),
        ],
        steps: ONE_IS_WELL,
        words: { zero: 'differs', one: 'equal' },
        noValue: 'never',
        alerts: ['CdcVerifyDiffers', 'CdcVerifyTooOld'],
      }),
    )
    .withRow(row('How late'))
    .withPanel(
      graph({
        title: 'End to end',
        says: 'From the commit to the row in ClickHouse, of heartbeat rows, which take the way that data take.',
        queries: [
          prom('cdc:end_to_end_seconds:p50', { legend: 'p50' }),
          prom('cdc:end_to_end_seconds:p95', { legend: 'p95' }),
          prom('cdc:end_to_end_seconds:p99', { legend: 'p99' }),
        ],
        unit: 's',
        steps: asAlert('CdcLatencyHigh'),
        alerts: ['CdcLatencyHigh'],
      }),
    )
    .withPanel(
      graph({
        title: 'Stages, p95',
        says: 'Where the time goes.',
        queries: [prom('cdc:stage_seconds:p95', { legend: '{{stage}}' })],
        unit: 's',
      }),
    )
    .withPanel(
      graph({
        title: 'Changes stored',
        says: 'Changes per second that ClickHouse has stored and acknowledged.',
        queries: [
          prom(
            'sum by (topic) (rate(cdc_applied_changes_total{topic!~".*cdc\\\\.heartbeat"}[$__rate_interval]))',
            { legend: '{{topic}}' },
          ),
        ],
        unit: 'ops',
      }),
    )
    .withPanel(
      graph({
        title: 'Waiting in Kafka',
        says: 'Messages that ClickHouse has not acknowledged.',
        queries: [prom('sum by (topic) (cdc_consumer_lag_messages)', { legend: '{{topic}}' })],
        unit: 'short',
        alerts: ['CdcConsumerStuck'],
      }),
    )
    .withPanel(
      graph({
        title: 'Slot',
        says: 'WAL that is kept because of the slot, and WAL that the connector has not confirmed.',
        queries: [
          prom('cdc_slot_retained_bytes', { legend: 'kept' }),
          prom('cdc_slot_lag_bytes', { legend: 'not confirmed' }),
        ],
        unit: 'bytes',
        steps: asAlert('CdcSlotGrowing'),
        alerts: ['CdcSlotGrowing', 'CdcSlotInvalidated'],
      }),
    )
    .withPanel(
      graph({
        title: 'Debezium',
        says: 'Its own MilliSecondsBehindSource, and what waits in its queue.',
        queries: [
          prom('debezium_streaming_milli_seconds_behind_source / 1000', {
            legend: 'behind the source',
          }),
        ],
        unit: 's',
        alerts: ['CdcConnectorFailed'],
      }),
    )
    .withRow(row('Is anything missing'))
    .withPanel(
      table({
        title: 'Tables that stand',
        says: 'Their changes cannot be stored and wait; the others go on. cdc doctor says why.',
        queries: [prom('cdc_table_standing', { instant: true, empty: 'there are none' })],
        noValue: 'none',
        alerts: ['CdcTableStands'],
      }),
    )
    .withPanel(
      table({
        title: 'Known gaps',
        says: 'Changes of them can have passed the copy by; they are loaded again. cdc doctor says why.',
        queries: [prom('cdc_table_gap', { instant: true, empty: 'there are none' })],
        noValue: 'none',
        alerts: ['CdcTableGap'],
      }),
    )
    .withPanel(
      table({
        title: 'Dead letters by table',
        says: 'cdc dlq list shows each; misfit is a value that its column cannot hold.',
        queries: [prom('cdc_table_dead_letters', { instant: true, empty: 'there are none' })],
        noValue: 'none',
        alerts: ['CdcDeadLetters'],
      }),
    )
    .withPanel(
      figure({
        title: 'Verified',
        says: 'Since the last comparison ended.',
        queries: [prom('cdc_verify_age_seconds', { empty: 'nothing was compared yet' })],
        unit: 's',
        steps: asAlert('CdcVerifyTooOld'),
        noValue: 'never',
        height: 8,
        alerts: ['CdcVerifyTooOld'],
      }),
    )
    .withPanel(
      figure({
        title: 'Rows compared',
        says: 'By the last comparison.',
        queries: [prom('cdc_verify_rows', { empty: 'nothing was compared yet' })],
        unit: 'short',
        steps: NEUTRAL,
        noValue: 'never',
        height: 8,
      }),
    )
    .withPanel(
      figure({
        title: 'Tables that differ',
        says: 'In the last comparison.',
        queries: [prom('cdc_verify_differing_tables', { empty: 'nothing was compared yet' })],
        steps: [
          { from: null, colour: 'green' },
          { from: 1, colour: 'red' },
        ],
        noValue: 'never',
        height: 8,
        alerts: ['CdcVerifyDiffers'],
      }),
    )
    .withRow(row('Tables'))
    .withPanel(
      graph({
        title: 'Rows stored',
        says: 'Of each table’s storage, superseded versions that are not merged yet among them.',
        queries: [prom('cdc_table_rows{table=~"$table"}', { legend: '{{table}}' })],
        unit: 'short',
      }),
    )
    .withPanel(
      graph({
        title: 'Bytes on disk',
        says: 'Of each table’s storage in ClickHouse.',
        queries: [prom('cdc_table_bytes{table=~"$table"}', { legend: '{{table}}' })],
        unit: 'bytes',
      }),
    )
    .withPanel(
      table({
        title: 'Initial loads',
        says: '1: the latest load of the table has ended.',
        queries: [prom('cdc_load_complete', { instant: true })],
      }),
    )
    .withPanel(
      figure({
        title: 'Compression',
        says: 'A change as raw event to its size on disk in ClickHouse.',
        queries: [prom('cdc_compression_ratio', { empty: 'no change of a table was read yet' })],
        decimals: 1,
        steps: NEUTRAL,
        width: 12,
        height: 8,
      }),
    );
}
