import { stringify } from 'yaml';
import type { Config } from '../../../config/schema.ts';
import { AGENT_JOB, INHIBITIONS } from '../../../core/alerts.ts';
import type { ObserverName } from '../../../stack/state.ts';
import { AGENT_USER } from '../../../stack/users.ts';

/** Where the parts of a stack show their figures, as `host:port`. */
export interface Targets {
  readonly agent: string;
  readonly clickhouse: { readonly host: string; readonly scheme: string };
  /** Of each broker. */
  readonly kafka: readonly string[];
  readonly connect: string | undefined;
  readonly observers: Readonly<Partial<Record<ObserverName, string>>>;
}

/** Files that hold passwords: nothing else of the configuration does. */
export interface PasswordFiles {
  readonly agent: string;
  readonly clickhouse: string;
}

export function prometheusConfig(
  targets: Targets,
  passwords: PasswordFiles,
  clickhouseUser: string,
  rules: string,
): string {
  const login = { username: AGENT_USER, password_file: passwords.agent };
  const job = (name: string, target: string | readonly string[] | undefined, more: object = {}) =>
    target === undefined || target.length === 0
      ? []
      : [
          {
            job_name: name,
            basic_auth: login,
            static_configs: [{ targets: [target].flat() }],
            ...more,
          },
        ];
  const { observers } = targets;
  const alertmanager = observers.alertmanager;
  return stringify({
    global: { scrape_interval: '15s', evaluation_interval: '5s' },
    rule_files: [rules],
    ...(alertmanager === undefined
      ? {}
      : {
          alerting: {
            alertmanagers: [{ basic_auth: login, static_configs: [{ targets: [alertmanager] }] }],
          },
        }),
    scrape_configs: [
      ...job(AGENT_JOB, targets.agent, { scrape_interval: '5s' }),
      ...job('clickhouse', targets.clickhouse.host, {
        scheme: targets.clickhouse.scheme,
        basic_auth: { username: clickhouseUser, password_file: passwords.clickhouse },
      }),
      ...job('kafka', targets.kafka),
      ...job('connect', targets.connect),
      ...job('node', observers.node_exporter),
      ...job('postgres', observers.postgres_exporter),
      ...job('alertmanager', alertmanager),
      ...job('prometheus', observers.prometheus),
    ],
  });
}

/** Addresses that are secrets themselves: who has a webhook's can write to it. */
export interface AlertSecrets {
  readonly webhook: string | undefined;
  readonly slackFile: string | undefined;
  readonly mailPasswordFile: string | undefined;
}

export function alertmanagerConfig(
  agentUrl: string,
  passwords: PasswordFiles,
  alerts: Config['alerts'],
  secrets: AlertSecrets,
): string {
  const title = '{{ .GroupLabels.alertname }} ({{ .Status }})';
  const text = '{{ range .Alerts }}{{ .Annotations.summary }}\n{{ .Annotations.fix }}\n{{ end }}';
  const log = {
    url: `${agentUrl}/alerts`,
    send_resolved: true,
    http_config: { basic_auth: { username: AGENT_USER, password_file: passwords.agent } },
  };
  const webhooks = secrets.webhook === undefined ? [] : [{ url: secrets.webhook }];
  const slack = secrets.slackFile === undefined ? [] : [{ api_url_file: secrets.slackFile }];
  const mail =
    alerts.mail_to === undefined
      ? []
      : [
          {
            to: alerts.mail_to,
            from: alerts.mail_from ?? alerts.mail_to,
            smarthost: alerts.mail_server ?? 'localhost:25',
            ...(alerts.mail_username ? { auth_username: alerts.mail_username } : {}),
            ...(secrets.mailPasswordFile ? { auth_password_file: secrets.mailPasswordFile } : {}),
            headers: { Subject: title },
            text,
            send_resolved: true,
          },
        ];
  return stringify({
    route: {
      receiver: 'cdc',
      group_by: ['alertname'],
      group_wait: '5s',
      group_interval: '1m',
      repeat_interval: '12h',
    },
    inhibit_rules: inhibitRules(),
    receivers: [
      {
        name: 'cdc',
        webhook_configs: [log, ...webhooks],
        ...(slack.length > 0
          ? { slack_configs: slack.map((one) => ({ ...one, title, text, send_resolved: true })) }
          : {}),
        ...(mail.length > 0 ? { email_configs: mail } : {}),
      },
    ],
  });
}

export function inhibitRules(): object[] {
  return INHIBITIONS.map(({ source, targets }) => ({
    source_matchers: [`alertname = ${source}`],
    target_matchers: [`alertname =~ "${targets.join('|')}"`],
  }));
}
