import { securityProtocol } from '../core/sasl.ts';
import type { CommandSpec } from '../kernel/program.ts';
import { attach, type Stack } from '../pipeline/state/stack.ts';
import type { Endpoints } from '../stack/endpoints.ts';
import { AGENT_USER } from '../stack/users.ts';

export const env: CommandSpec = {
  usage: 'env',
  summary:
    'print shell exports that let any client in (passwords included: eval it, do not log it)',
  examples: ['eval "$(cdc env)" && psql -c "select 1"', 'cdc env --json'],
  async run(session) {
    const stack = attach(session.context, { file: session.configFile, mayLackAgent: true });
    const values = environmentOf(stack);
    session.printer.script(values, () =>
      Object.entries(values)
        .map(([key, value]) => `export ${key}=${shellQuote(value)}`)
        .join('\n'),
    );
    return undefined;
  },
};

function environmentOf(stack: Stack): Record<string, string> {
  const { postgres, kafka, connect, clickhouse } = stack.endpoints;
  return {
    PGHOST: postgres.host,
    PGPORT: String(postgres.port),
    PGUSER: postgres.user,
    PGPASSWORD: postgres.password,
    PGDATABASE: postgres.database,
    ...(postgres.sslmode ? { PGSSLMODE: postgres.sslmode } : {}),
    KAFKA_BROKERS: kafka.brokers.join(','),
    ...(kafka.sasl || kafka.tls
      ? {
          KAFKA_SECURITY_PROTOCOL: securityProtocol(
            kafka.sasl !== undefined,
            kafka.tls !== undefined,
          ),
        }
      : {}),
    ...(kafka.sasl
      ? {
          KAFKA_SASL_MECHANISM: kafka.sasl.mechanism,
          KAFKA_SASL_USERNAME: kafka.sasl.username,
          KAFKA_SASL_PASSWORD: kafka.sasl.password,
        }
      : {}),
    CONNECT_URL: connectUrl(connect),
    CLICKHOUSE_URL: clickhouse.url,
    ...clickhouseNative(clickhouse),
    CLICKHOUSE_USER: clickhouse.user,
    CLICKHOUSE_PASSWORD: clickhouse.password,
    ...(clickhouse.reader
      ? {
          CLICKHOUSE_READER_USER: clickhouse.reader.user,
          CLICKHOUSE_READER_PASSWORD: clickhouse.reader.password,
        }
      : {}),
    CLICKHOUSE_DATABASE:
      stack.config.clickhouse.database ?? (postgres.managed ? 'inventory' : 'default'),
    ...observerUrls(stack),
  };
}

/** Where figures are, for `curl` and for a Prometheus or Grafana of one's own. */
function observerUrls({ agent, secrets }: Stack): Record<string, string> {
  const url = (text: string) => {
    const at = new URL(text);
    at.username = AGENT_USER;
    at.password = secrets.agent;
    return at.href.replace(/\/$/, '');
  };
  const prometheus = agent?.observers?.some((o) => o.name === 'prometheus' && o.state === 'ready');
  return {
    ...(agent?.metricsUrl ? { CDC_METRICS_URL: url(`${agent.metricsUrl}/metrics`) } : {}),
    ...(prometheus && agent?.extraPorts
      ? { PROMETHEUS_URL: url(`http://127.0.0.1:${agent.extraPorts.prometheus}`) }
      : {}),
  };
}

/** With its credentials, so that `curl "$CONNECT_URL/connectors"` works as it is. */
function connectUrl(connect: Endpoints['connect']): string {
  if (!connect.auth) return connect.url;
  const url = new URL(connect.url);
  url.username = connect.auth.username;
  url.password = connect.auth.password;
  return url.href.replace(/\/$/, '');
}

function clickhouseNative(clickhouse: Endpoints['clickhouse']): Record<string, string> {
  if (clickhouse.nativePort === undefined) return {};
  return {
    CLICKHOUSE_HOST: new URL(clickhouse.url).hostname,
    CLICKHOUSE_PORT: String(clickhouse.nativePort),
  };
}

function shellQuote(value: string): string {
  return /^[A-Za-z0-9_.,:/@%-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`;
}
