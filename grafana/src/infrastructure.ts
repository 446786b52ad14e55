import { asAlert, figure, graph, ONE_IS_WELL, page, prom, row, table } from './model.ts';

export function infrastructureHealth() {
  return page(
    'cdc-infrastructure',
    'Infrastructure Health',
    'Servers, machine and exporters: what the pipeline runs on.',
  )
    .withRow(row('Is it healthy'))
    .withPanel(
      figure({
        title: 'Servers',
        says: 'Whether each gave the agent an answer at its last look.',
        queries: [prom('cdc_up', { legend: '{{component}}' })],
        steps: ONE_IS_WELL,
        words: { zero: 'down', one: 'up' },
        width: 8,
        alerts: ['CdcServerDown'],
      }),
    )
    .withPanel(
      figure({
        title: 'Exporters',
        says: 'What Prometheus gets figures from.',
        queries: [prom('count(up == 1) / count(up)')],
        unit: 'percentunit',
        steps: [
          { from: null, colour: 'orange' },
          { from: 1, colour: 'green' },
        ],
        alerts: ['CdcExporterDown', 'CdcAgentDown'],
      }),
    )
    .withPanel(
      figure({
        title: 'Disk free',
        says: 'Of the disk with the servers’ data.',
        queries: [prom('cdc_disk_free_bytes / cdc_disk_size_bytes')],
        unit: 'percentunit',
        steps: asAlert('CdcDiskFilling'),
        alerts: ['CdcDiskFilling'],
      }),
    )
    .withPanel(
      figure({
        title: 'Parts',
        says: 'Of the fullest partition of any table.',
        queries: [prom('max(cdc_table_parts)')],
        steps: asAlert('CdcTooManyParts'),
        alerts: ['CdcTooManyParts'],
      }),
    )
    .withPanel(
      figure({
        title: 'Restarts',
        says: 'Of all servers, within the last hour.',
        queries: [prom('sum(increase(cdc_server_restarts_total[1h]))')],
        decimals: 0,
        steps: asAlert('CdcServerRestarting'),
        alerts: ['CdcServerRestarting'],
      }),
    )
    .withPanel(
      figure({
        title: 'Backup age',
        says: 'Of the newest, in intervals in which they are due; empty where cdc.yaml names no folder for them.',
        queries: [
          prom('cdc_backup_age_seconds / cdc_backup_interval_seconds', {
            empty: 'there are no backups',
          }),
        ],
        decimals: 1,
        steps: asAlert('CdcBackupTooOld'),
        alerts: ['CdcBackupTooOld'],
      }),
    )
    .withRow(row('Machine'))
    .withPanel(
      graph({
        title: 'CPU',
        says: 'Share of all cores.',
        queries: [
          prom(
            'sum by (mode) (rate(node_cpu_seconds_total{mode!="idle"}[$__rate_interval])) / scalar(count(count by (cpu) (node_cpu_seconds_total)))',
            { legend: '{{mode}}' },
          ),
        ],
        unit: 'percentunit',
      }),
    )
    .withPanel(
      graph({
        title: 'Memory',
        says: 'Of the machine.',
        queries: [
          prom('node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes', { legend: 'used' }),
          prom('node_memory_MemTotal_bytes', { legend: 'all' }),
        ],
        unit: 'bytes',
      }),
    )
    .withPanel(
      graph({
        title: 'Disk',
        says: 'Read and written per second.',
        queries: [
          prom('sum(rate(node_disk_read_bytes_total[$__rate_interval]))', { legend: 'read' }),
          prom('sum(rate(node_disk_written_bytes_total[$__rate_interval]))', {
            legend: 'written',
          }),
        ],
        unit: 'Bps',
      }),
    )
    .withPanel(
      graph({
        title: 'Network',
        says: 'Received and sent per second, loopback left out.',
        queries: [
          prom('sum(rate(node_network_receive_bytes_total{device!="lo"}[$__rate_interval]))', {
            legend: 'received',
            empty: 'a machine without a network',
          }),
          prom('sum(rate(node_network_transmit_bytes_total{device!="lo"}[$__rate_interval]))', {
            legend: 'sent',
            empty: 'a machine without a network',
          }),
        ],
        unit: 'Bps',
      }),
    )
    .withPanel(
      graph({
        title: 'Memory by process',
        says: 'Resident, of what cdc runs here.',
        queries: [prom('cdc_process_memory_bytes', { legend: '{{process}}' })],
        unit: 'bytes',
      }),
    )
    .withPanel(
      table({
        title: 'Targets',
        says: '1: Prometheus gets its figures.',
        queries: [prom('up', { instant: true })],
        alerts: ['CdcExporterDown'],
      }),
    )
    .withRow(row('PostgreSQL'))
    .withPanel(
      graph({
        title: 'Connections',
        says: 'By database.',
        queries: [
          prom('sum by (datname) (pg_stat_database_numbackends{datname!=""})', {
            legend: '{{datname}}',
          }),
        ],
      }),
    )
    .withPanel(
      graph({
        title: 'Transactions and rows',
        says: 'Per second.',
        queries: [
          prom('sum(rate(pg_stat_database_xact_commit[$__rate_interval]))', {
            legend: 'commits',
          }),
          prom(
            'sum(rate(pg_stat_database_tup_inserted[$__rate_interval]) + rate(pg_stat_database_tup_updated[$__rate_interval]) + rate(pg_stat_database_tup_deleted[$__rate_interval]))',
            { legend: 'rows written' },
          ),
        ],
        unit: 'ops',
      }),
    )
    .withRow(row('Kafka and Connect'))
    .withPanel(
      graph({
        title: 'Kafka',
        says: 'Bytes in and out per second.',
        queries: [
          prom('rate(kafka_server_bytesin_total[$__rate_interval])', { legend: 'in' }),
          prom('rate(kafka_server_bytesout_total[$__rate_interval])', { legend: 'out' }),
        ],
        unit: 'Bps',
      }),
    )
    .withPanel(
      graph({
        title: 'Topics on disk',
        says: 'Of the broker.',
        queries: [prom('topk(10, sum by (topic) (kafka_log_size_bytes))', { legend: '{{topic}}' })],
        unit: 'bytes',
      }),
    )
    .withPanel(
      graph({
        title: 'Partitions that are not well',
        says: 'Under-replicated or without a leader.',
        queries: [
          prom('kafka_server_underreplicatedpartitions', { legend: 'under-replicated' }),
          prom('kafka_controller_offlinepartitionscount', { legend: 'offline' }),
        ],
      }),
    )
    .withPanel(
      graph({
        title: 'Heap and garbage collection',
        says: 'Heap in use by JVM, and the share of time that its collector takes.',
        queries: [
          prom('sum by (job) (jvm_memory_used_bytes{area="heap"})', { legend: '{{job}} heap' }),
        ],
        unit: 'bytes',
      }),
    )
    .withPanel(
      graph({
        title: 'Garbage collection',
        says: 'Share of time.',
        queries: [
          prom('sum by (job) (rate(jvm_gc_collection_seconds_sum[$__rate_interval]))', {
            legend: '{{job}}',
          }),
        ],
        unit: 'percentunit',
      }),
    )
    .withPanel(
      graph({
        title: 'Connect: records',
        says: 'Written to Kafka per second.',
        queries: [
          prom('rate(kafka_connect_task_source_record_write_total[$__rate_interval])', {
            legend: 'task {{task}}',
          }),
        ],
        unit: 'ops',
        alerts: ['CdcConnectorFailed'],
      }),
    )
    .withRow(row('ClickHouse'))
    .withPanel(
      graph({
        title: 'Queries and inserted rows',
        says: 'Per second.',
        queries: [
          prom('rate(ClickHouseProfileEvents_Query[$__rate_interval])', { legend: 'queries' }),
          prom('rate(ClickHouseProfileEvents_InsertedRows[$__rate_interval])', {
            legend: 'rows inserted',
          }),
        ],
        unit: 'ops',
      }),
    )
    .withPanel(
      graph({
        title: 'Parts by table',
        says: 'Of the fullest partition.',
        queries: [prom('topk(10, cdc_table_parts)', { legend: '{{table}}' })],
        steps: asAlert('CdcTooManyParts'),
        alerts: ['CdcTooManyParts'],
      }),
    )
    .withPanel(
      graph({
        title: 'Merges',
        says: 'Going on now.',
        queries: [prom('ClickHouseMetrics_Merge', { legend: 'merges' })],
      }),
    )
    .withPanel(
      graph({
        title: 'Memory',
        says: 'As ClickHouse counts it.',
        queries: [prom('ClickHouseMetrics_MemoryTracking', { legend: 'tracked' })],
        unit: 'bytes',
      }),
    );
}
