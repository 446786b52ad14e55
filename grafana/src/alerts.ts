import { ALERT_NAMES, ALERTS, type AlertSpec } from '../../cli/core/alerts.ts';
import { alertExpression } from '../../cli/core/rules.ts';
import { figure, graph, page, prom, row, table, text } from './model.ts';

const WELL = 'no alert fires or waits';

function listed(): string {
  const rows = ALERT_NAMES.map((name) => {
    const alert: AlertSpec = ALERTS[name];
    const when = `\`${alertExpression(name).replaceAll('|', '\\|')}\``;
    return `| [${name}]($runbooks/${name}) | ${alert.severity} | ${alert.for} | ${when} | \`${alert.fix}\` |`;
  });
  return `| alert | severity | after | when | type |\n|---|---|---|---|---|\n${rows.join('\n')}\n`;
}

const firing = (severity: string) =>
  `count(ALERTS{alertstate="firing", severity="${severity}"}) or vector(0)`;

export function alertManagement() {
  return page(
    'cdc-alerts',
    'Alert Management',
    'What fires, what waits, whether anybody is told, and what to do.',
  )
    .withRow(row('Is it healthy'))
    .withPanel(
      figure({
        title: 'Critical',
        says: 'Alerts that fire: the copy gets no changes or is about to lose some.',
        queries: [prom(firing('critical'))],
        steps: [
          { from: null, colour: 'green' },
          { from: 1, colour: 'red' },
        ],
        width: 6,
      }),
    )
    .withPanel(
      figure({
        title: 'Warnings',
        says: 'Alerts that fire: something to look at today.',
        queries: [prom(firing('warning'))],
        steps: [
          { from: null, colour: 'green' },
          { from: 1, colour: 'orange' },
        ],
        width: 6,
      }),
    )
    .withPanel(
      figure({
        title: 'Waiting',
        says: 'Alerts whose condition holds, but not for long enough yet.',
        queries: [prom('count(ALERTS{alertstate="pending"}) or vector(0)')],
        steps: [
          { from: null, colour: 'green' },
          { from: 1, colour: 'yellow' },
        ],
        width: 6,
      }),
    )
    .withPanel(
      figure({
        title: 'Notifications that failed',
        says: 'Within the last hour; whoever should be told was not.',
        queries: [prom('sum(increase(alertmanager_notifications_failed_total[1h]))')],
        decimals: 0,
        steps: [
          { from: null, colour: 'green' },
          { from: 1, colour: 'red' },
        ],
        width: 6,
        alerts: ['CdcExporterDown'],
      }),
    )
    .withRow(row('Now'))
    .withPanel(
      table({
        title: 'Alerts',
        says: 'Those that fire or wait.',
        queries: [prom('ALERTS', { instant: true, empty: WELL })],
        noValue: 'none',
        width: 24,
      }),
    )
    .withRow(row('Before'))
    .withPanel(
      graph({
        title: 'Firing',
        says: 'By alert.',
        queries: [
          prom('count by (alertname) (ALERTS{alertstate="firing"})', {
            legend: '{{alertname}}',
            empty: WELL,
          }),
        ],
        noValue: 'none',
      }),
    )
    .withPanel(
      graph({
        title: 'Notifications',
        says: 'Sent per second, by the way they took.',
        queries: [
          prom('sum by (integration) (rate(alertmanager_notifications_total[$__rate_interval]))', {
            legend: '{{integration}}',
          }),
        ],
        unit: 'ops',
      }),
    )
    .withPanel(
      graph({
        title: 'In Alertmanager',
        says: 'Active and silenced.',
        queries: [prom('alertmanager_alerts', { legend: '{{state}}' })],
      }),
    )
    .withPanel(
      graph({
        title: 'Rules',
        says: 'How long Prometheus takes to look at all of them.',
        queries: [prom('sum(prometheus_rule_group_last_duration_seconds)', { legend: 'duration' })],
        unit: 's',
      }),
    )
    .withRow(row('All alerts'))
    .withPanel(text('What each means and what to do', listed(), 18));
}
