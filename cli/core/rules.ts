import { ALERT_NAMES, ALERTS, type AlertName, type AlertSpec, runbookPath } from './alerts.ts';

/** What may differ from the table of alerts: a test cannot wait for minutes. */
export interface RuleSettings {
  readonly for?: string;
  readonly window?: string;
  readonly thresholds?: Partial<Record<AlertName, number>>;
}

/** Figures that several alerts and panels need, computed once. */
export const RECORDING = {
  'cdc:end_to_end_seconds:p50': (window: string) =>
    quantile(0.5, `sum by (le) (rate(cdc_end_to_end_seconds_bucket[${window}]))`),
  'cdc:end_to_end_seconds:p95': (window: string) =>
    quantile(0.95, `sum by (le) (rate(cdc_end_to_end_seconds_bucket[${window}]))`),
  'cdc:end_to_end_seconds:p99': (window: string) =>
    quantile(0.99, `sum by (le) (rate(cdc_end_to_end_seconds_bucket[${window}]))`),
  'cdc:stage_seconds:p95': (window: string) =>
    quantile(0.95, `sum by (le, stage) (rate(cdc_stage_seconds_bucket[${window}]))`),
  'cdc:applied_changes:rate': (window: string) => `sum(rate(cdc_applied_changes_total[${window}]))`,
  'cdc:consumer_lag_messages:sum': () => 'sum(cdc_consumer_lag_messages)',
} as const;

const WINDOW = '2m';

function quantile(q: number, rates: string): string {
  return `histogram_quantile(${q}, ${rates})`;
}

/** Text of a rules file for Prometheus; texts are quoted as JSON, which is YAML too. */
export function recordingRules({ window = WINDOW }: RuleSettings = {}): string {
  const rules = Object.entries(RECORDING).map(
    ([name, expr]) => `      - record: ${name}
        expr: ${JSON.stringify(expr(window))}`,
  );
  return file('cdc-recording', 'cli/core/rules.ts', rules);
}

export function alertExpression(name: AlertName, settings: RuleSettings = {}): string {
  const alert: AlertSpec = ALERTS[name];
  return alert.expr({
    threshold: settings.thresholds?.[name] ?? alert.threshold ?? 0,
    window: settings.window ?? alert.window,
  });
}

export function alertRules(settings: RuleSettings = {}): string {
  const rules = ALERT_NAMES.map((name) => {
    const alert: AlertSpec = ALERTS[name];
    return `      - alert: ${name}
        expr: ${JSON.stringify(alertExpression(name, settings))}
        for: ${settings.for ?? alert.for}
        labels:
          severity: ${alert.severity}
        annotations:
          summary: ${JSON.stringify(alert.summary)}
          fix: ${JSON.stringify(alert.fix)}
          runbook: ${runbookPath(name)}`;
  });
  return file('cdc-alerts', 'cli/core/alerts.ts', rules);
}

/** The files in prometheus/rules/, held equal by a test. */
export function ruleFiles(settings: RuleSettings = {}): Record<string, string> {
  return {
    'cdc-recording.yml': recordingRules(settings),
    'cdc-alerts.yml': alertRules(settings),
  };
}

function file(group: string, from: string, rules: readonly string[]): string {
  return `# Generated from ${from}: npm run generate.
groups:
  - name: ${group}
    rules:
${rules.join('\n')}
`;
}
