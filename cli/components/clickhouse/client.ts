import { Agent } from 'node:https';
import { type ClickHouseClient, createClient } from '@clickhouse/client';
import { Problem } from '../../core/problems.ts';
import { tlsFault } from '../../core/tlsProblems.ts';
import { tlsOptions } from '../../lib/tls.ts';
import type { ClickHouseEndpoint } from '../../stack/endpoints.ts';

/** ClickHouse's HTTP interface as the pipeline needs it; errors come as entries of the catalogue. */
export class ClickHouse {
  readonly endpoint: ClickHouseEndpoint;
  /** The database of the pipeline's own tables. */
  readonly own: string;
  private readonly client: ClickHouseClient;

  constructor(
    endpoint: ClickHouseEndpoint,
    options: { maxConnections?: number; requestTimeoutMs?: number } = {},
  ) {
    this.endpoint = endpoint;
    const maxSockets = options.maxConnections ?? 10;
    this.own = endpoint.own;
    this.client = createClient({
      url: endpoint.url,
      ...(endpoint.token
        ? { access_token: endpoint.token }
        : { username: endpoint.user, password: endpoint.password }),
      application: 'cdc',
      max_open_connections: maxSockets,
      ...(endpoint.url.startsWith('https:')
        ? { http_agent: new Agent({ ...tlsOptions(endpoint.tls), keepAlive: true, maxSockets }) }
        : {}),
      request_timeout: options.requestTimeoutMs ?? 300_000,
      keep_alive: { enabled: true },
      log: { level: 127 },
    });
  }

  /**
   * Rows of a SELECT; 64-bit integers come as text, so that none is rounded. With a signal, the
   * server ends the statement too.
   */
  async rows<T>(
    query: string,
    params: Record<string, unknown> = {},
    settings: Settings = {},
    signal?: AbortSignal,
  ): Promise<T[]> {
    return this.guard(query, async () => {
      const result = await this.client.query({
        query,
        format: 'JSONEachRow',
        query_params: params,
        clickhouse_settings: {
          ...WIDE,
          output_format_json_quote_64bit_integers: 1,
          // Only of a session that cannot write are statements ended with their connection.
          ...(signal ? { readonly: '2', cancel_http_readonly_queries_on_client_close: 1 } : {}),
          ...settings,
        },
        ...(signal ? { abort_signal: signal } : {}),
      });
      return result.json<T>();
    });
  }

  /** Lines of an EXPLAIN of any statement; what FORMAT says would be taken for a part of that. */
  async explain(what: string, statement: string): Promise<string[]> {
    const query = `EXPLAIN ${what} ${statement}`;
    return this.guard(query, async () => {
      const result = await this.client.query({
        query,
        format: 'TabSeparatedRaw',
        clickhouse_settings: WIDE,
      });
      return (await result.text()).split('\n');
    });
  }

  /** Runs a statement; resolves with the number of rows it wrote. */
  async command(query: string, settings: Settings = {}, signal?: AbortSignal): Promise<number> {
    return this.guard(query, async () => {
      const result = await this.client.command({
        query,
        clickhouse_settings: { ...WIDE, wait_end_of_query: 1, ...settings },
        ...(signal ? { abort_signal: signal } : {}),
      });
      return Number(result.summary?.written_rows ?? 0);
    });
  }

  async insert(table: string, values: readonly Record<string, unknown>[]): Promise<void> {
    await this.guard(`INSERT INTO ${table}`, () =>
      this.client.insert({ table, values: [...values], format: 'JSONEachRow' }),
    );
  }

  async close(): Promise<void> {
    await this.client.close();
  }

  private async guard<T>(statement: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw clickhouseProblem(this.endpoint, statement, error);
    }
  }
}

export async function withClickHouse<T>(
  endpoint: ClickHouseEndpoint,
  work: (clickhouse: ClickHouse) => Promise<T>,
  options: { requestTimeoutMs?: number } = {},
): Promise<T> {
  const clickhouse = new ClickHouse(endpoint, options);
  try {
    return await work(clickhouse);
  } finally {
    await clickhouse.close();
  }
}

export type Settings = Record<string, string | number>;

/** A table of PostgreSQL has up to 1,600 columns, and statements name each of them several times. */
const WIDE: Settings = {
  max_query_size: 64 * 1024 * 1024,
  max_ast_elements: 2_000_000,
  max_expanded_ast_elements: 20_000_000,
};

const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'ETIMEDOUT',
  'ECONNRESET',
  'EHOSTUNREACH',
  'EAI_AGAIN',
  'EPIPE',
]);

export function clickhouseProblem(
  endpoint: ClickHouseEndpoint,
  statement: string,
  error: unknown,
): unknown {
  if (error instanceof Problem) return error;
  const {
    code,
    message = String(error),
    type,
  } = error as { code?: string; message?: string; type?: string };
  const where = { endpoint: new URL(endpoint.url).host, user: endpoint.user };
  const fault = tlsFault('clickhouse', where.endpoint, error);
  if (fault) return new Problem(fault.code, fault.params, { cause: error });
  const detail = withoutSecrets(message, endpoint).split('\n')[0] ?? '';
  if (
    type === 'AUTHENTICATION_FAILED' ||
    type === 'REQUIRED_PASSWORD' ||
    type === 'WRONG_PASSWORD'
  ) {
    return new Problem('CLICKHOUSE_AUTH', { ...where, detail });
  }
  if (type === 'NOT_ENOUGH_SPACE')
    return new Problem('DISK_FULL', { path: 'the ClickHouse server', detail });
  if (
    (code !== undefined && UNREACHABLE.has(code)) ||
    /Timeout error|socket hang up/.test(detail)
  ) {
    return new Problem('CLICKHOUSE_UNREACHABLE', { ...where, detail: detail || String(code) });
  }
  // What PostgreSQL answers to postgresql() has no code of ClickHouse's.
  const kind = type ?? /^std::exception\. Code: 1001, type: ([\w:]+)/.exec(detail)?.[1];
  if (kind !== undefined) {
    const shown = withoutSecrets(statement.trim(), endpoint);
    return new Problem('CLICKHOUSE_REFUSED', {
      detail: `${detail.replace(/^std::exception\. .*?e\.what\(\) = /, '')} (${kind})`,
      statement: shown.length > 400 ? `${shown.slice(0, 400)}…` : shown,
    });
  }
  return error;
}

/** `postgresql('host','db',…,'user','password')` carries one; nothing that is shown may. */
function withoutSecrets(
  text: string,
  { password, token = '' }: Pick<ClickHouseEndpoint, 'password' | 'token'>,
): string {
  const masked = text.replace(
    /postgresql\((?:[^()']|'(?:[^'\\]|\\.)*'|\([^()]*\))*\)/g,
    'postgresql(…)',
  );
  return [password, token]
    .filter((secret) => secret !== '')
    .reduce((hidden, secret) => hidden.replaceAll(secret, '[HIDDEN]'), masked);
}
