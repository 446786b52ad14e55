import { ALERT_NAMES, ALERTS, type AlertSpec } from '../../cli/core/alerts.ts';
import { COLLECTORS, METRICS, type MetricSpec } from '../../cli/core/metrics.ts';
import { alertExpression, RECORDING } from '../../cli/core/rules.ts';

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** docs/metrics.md */
export function metrics(): string {
  const all: [string, MetricSpec][] = Object.entries(METRICS);
  const rows = all.map(([name, { type, labels, help }]) => {
    const series = labels.length > 0 ? `${name}{${labels.join(', ')}}` : name;
    return `| \`${series}\` | ${type} | ${cell(help)} |`;
  });
  const readings = Object.entries(COLLECTORS).map(
    ([name, { everyMs, help }]) =>
      `| \`${name}\` | ${everyMs / 1000} s | ${help} | ${all
        .filter(([, spec]) => spec.reading === name)
        .map(([metric]) => `\`${metric}\``)
        .join(', ')} |`,
  );
  const recorded = Object.entries(RECORDING).map(
    ([name, expr]) => `| \`${name}\` | \`${cell(expr('2m'))}\` |`,
  );
  return `# Metrics

Generated from \`cli/core/metrics.ts\`. The agent serves them at \`/metrics\`: \`cdc env\` has the address with
its user and password (\`CDC_METRICS_URL\`), \`cdc status\` without.

**A number that was not read is absent**: never 0, and never the number of before. The agent reads on its
own, at the pace below, and a page shows what was read last; so a page costs the servers nothing. When a
reading fails, its series go from the page until it succeeds again, and \`cdc_up\` of a server that does not
answer is 0. \`cdc_reading_age_seconds\` tells how old what is shown is.

| series | type | what it is |
|---|---|---|
${rows.join('\n')}

## Readings

| reading | every | reads | brings |
|---|---|---|---|
${readings.join('\n')}

## Recording rules

| series | is |
|---|---|
${recorded.join('\n')}

## Of other programs

Where Prometheus runs ([observability.md](observability.md)): \`debezium_streaming_*\` (Debezium’s own
\`MilliSecondsBehindSource\` is \`debezium_streaming_milli_seconds_behind_source\`), \`kafka_connect_*\`,
\`kafka_producer_*\` from Kafka Connect and \`kafka_server_*\`, \`kafka_controller_*\`, \`kafka_log_size_bytes\` from
the broker, both through the Prometheus JMX agent with the rules in \`connectors/jmx/\`; \`ClickHouseMetrics_*\`
and \`ClickHouseProfileEvents_*\`; \`node_*\`; \`pg_*\`.
`;
}

/** docs/alerts.md */
export function alerts(): string {
  const rows = ALERT_NAMES.map((name) => {
    const alert: AlertSpec = ALERTS[name];
    return `| [${name}](runbooks/${name}.md) | ${alert.severity} | ${cell(alert.summary.replaceAll(/\{\{.*?\}\}/g, '…'))} | ${alert.for} | \`${cell(alertExpression(name))}\` |`;
  });
  return `# Alerts

Generated from \`cli/core/alerts.ts\`; so are \`prometheus/rules/\`, and the dashboards’ thresholds are the
same. Each has a runbook. \`cdc logs alerts\` shows what fired; [observability.md](observability.md) tells
how to have it mailed or sent to a chat.

| alert | severity | what it says | after | when |
|---|---|---|---|---|
${rows.join('\n')}
`;
}
