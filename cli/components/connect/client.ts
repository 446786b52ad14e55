import { Agent } from 'node:https';
import axios, { type AxiosInstance, type AxiosResponse } from 'axios';
import { Problem } from '../../core/problems.ts';
import { tlsFault } from '../../core/tlsProblems.ts';
import { tlsOptions } from '../../lib/tls.ts';
import { pause } from '../../lib/wait.ts';
import type { ConnectEndpoint } from '../../stack/endpoints.ts';

export type ConnectorConfig = Readonly<Record<string, string>>;

export interface TaskStatus {
  readonly id: number;
  readonly state: string;
  readonly trace?: string;
}

export interface ConnectorStatus {
  readonly name: string;
  readonly connector: { readonly state: string; readonly trace?: string };
  readonly tasks: readonly TaskStatus[];
}

/** A position in the source, by what Debezium calls a partition: one per connector. */
export interface StoredOffset {
  readonly partition: Readonly<Record<string, unknown>>;
  readonly offset: Readonly<Record<string, unknown>> | null;
}

interface Worker {
  readonly version: string;
  readonly kafka_cluster_id: string;
  /** Its clock, without parts of a second. */
  readonly clockMs: number | undefined;
}

interface Plugin {
  readonly class: string;
  readonly version?: string;
}

interface ValidationAnswer {
  error_count: number;
  configs: { value: { name: string; errors: string[] } }[];
}

/** Kafka Connect's REST interface. 409 means "rebalancing, not yet": it is tried again. */
export class Connect {
  readonly endpoint: ConnectEndpoint;
  private readonly http: AxiosInstance;

  constructor(endpoint: ConnectEndpoint) {
    this.endpoint = endpoint;
    this.http = axios.create({
      baseURL: endpoint.url,
      timeout: 30_000,
      proxy: false,
      validateStatus: () => true,
      ...(endpoint.token
        ? { headers: { Authorization: `Bearer ${endpoint.token}` } }
        : endpoint.auth && { auth: endpoint.auth }),
      ...(isHttps(endpoint.url) ? { httpsAgent: new Agent(tlsOptions(endpoint.tls)) } : {}),
    });
  }

  async version(): Promise<string> {
    return (await this.worker()).version;
  }

  /** What a worker says of itself. */
  async worker(): Promise<Worker> {
    const { data, headers } = await this.call<Omit<Worker, 'clockMs'>>('get', '/');
    const clockMs = Date.parse(String(headers.date));
    return { ...data, clockMs: Number.isNaN(clockMs) ? undefined : clockMs };
  }

  async connectors(): Promise<string[]> {
    return (await this.call<string[]>('get', '/connectors')).data;
  }

  /** What all of them are configured as, in one answer. */
  async configs(): Promise<ReadonlyMap<string, ConnectorConfig>> {
    const { data } = await this.call<Record<string, { info: { config: ConnectorConfig } }>>(
      'get',
      '/connectors?expand=info',
    );
    return new Map(Object.entries(data).map(([name, { info }]) => [name, info.config]));
  }

  /** Version of a connector plug-in; absent when the worker does not have it. */
  async pluginVersion(connectorClass: string): Promise<string | undefined> {
    return (await this.plugins()).find((plugin) => plugin.class === connectorClass)?.version;
  }

  /** Of every kind: connectors, converters, transformations. */
  async plugins(): Promise<readonly Plugin[]> {
    return (await this.call<Plugin[]>('get', '/connector-plugins?connectorsOnly=false')).data;
  }

  /** Absent when there is no such connector. */
  async config(name: string): Promise<ConnectorConfig | undefined> {
    const answer = await this.call<ConnectorConfig>(
      'get',
      `${path(name)}/config`,
      undefined,
      [404],
    );
    return answer.status === 404 ? undefined : answer.data;
  }

  async status(name: string): Promise<ConnectorStatus | undefined> {
    const answer = await this.call<ConnectorStatus>(
      'get',
      `${path(name)}/status`,
      undefined,
      [404],
    );
    return answer.status === 404 ? undefined : answer.data;
  }

  /** Complaints of Connect's own validator, one sentence each. */
  async validate(config: ConnectorConfig): Promise<string[]> {
    const plugin = config['connector.class']?.split('.').at(-1) ?? '';
    const answer = await this.call<ValidationAnswer>(
      'put',
      `/connector-plugins/${encodeURIComponent(plugin)}/config/validate`,
      config,
    );
    return answer.data.configs.flatMap(({ value }) =>
      value.errors.map((e) => `${value.name}: ${e}`),
    );
  }

  async put(name: string, config: ConnectorConfig): Promise<void> {
    await this.call('put', `${path(name)}/config`, config);
  }

  async pause(name: string): Promise<void> {
    await this.known(name, 'put', '/pause');
  }

  async resume(name: string): Promise<void> {
    await this.known(name, 'put', '/resume');
  }

  async stop(name: string): Promise<void> {
    await this.known(name, 'put', '/stop');
  }

  /** Restarts the connector and its tasks; `onlyFailed` leaves running ones alone. */
  async restart(name: string, onlyFailed = false): Promise<void> {
    await this.known(name, 'post', `/restart?includeTasks=true&onlyFailed=${onlyFailed}`);
  }

  async delete(name: string): Promise<void> {
    await this.known(name, 'delete', '');
  }

  /** How far a connector has come, as it stored it last. */
  async offsets(name: string): Promise<readonly StoredOffset[]> {
    const answer = await this.call<{ offsets: StoredOffset[] }>('get', `${path(name)}/offsets`);
    return answer.data.offsets;
  }

  /** Of a stopped connector. */
  async setOffsets(name: string, offsets: readonly StoredOffset[]): Promise<void> {
    await this.known(name, 'patch', '/offsets', { offsets });
  }

  /** Forgets how far a stopped connector has read. */
  async deleteOffsets(name: string): Promise<void> {
    await this.known(name, 'delete', '/offsets');
  }

  private async known(
    name: string,
    method: 'put' | 'post' | 'patch' | 'delete',
    suffix: string,
    data?: unknown,
  ): Promise<void> {
    const answer = await this.call(method, `${path(name)}${suffix}`, data, [404]);
    if (answer.status === 404) throw await this.missing(name);
  }

  /** The problem that lists what there is instead. */
  async missing(name: string): Promise<Problem> {
    const others = await this.connectors();
    return new Problem('CONNECTOR_MISSING', { name, known: others.join(', ') || 'none' });
  }

  private async call<T>(
    method: 'get' | 'put' | 'post' | 'patch' | 'delete',
    url: string,
    data?: unknown,
    accepted: readonly number[] = [],
  ): Promise<AxiosResponse<T>> {
    for (let attempt = 0; ; attempt += 1) {
      let answer: AxiosResponse<T>;
      try {
        // Without a body axios names a form as the content type, which Connect refuses.
        const body = data ?? (method === 'put' || method === 'post' ? {} : undefined);
        answer = await this.http.request<T>({ method, url, data: body });
      } catch (error) {
        const fault = tlsFault('connect', this.endpoint.url, error);
        if (fault) throw new Problem(fault.code, fault.params, { cause: error });
        throw new Problem(
          'CONNECT_UNREACHABLE',
          { endpoint: this.endpoint.url, detail: (error as Error).message },
          { cause: error },
        );
      }
      if (answer.status < 300 || accepted.includes(answer.status)) return answer;
      if (answer.status === 401 || answer.status === 403)
        throw new Problem('CONNECT_AUTH', {
          endpoint: this.endpoint.url,
          user: this.endpoint.auth?.username ?? '(none)',
          detail: `HTTP ${answer.status}`,
        });
      const message =
        (answer.data as { message?: string } | undefined)?.message ?? `HTTP ${answer.status}`;
      // Of offsets it says so with 500.
      const isLate = /timed out|rebalance is expected/i.test(message);
      const notYet = answer.status === 409 || (answer.status === 500 && isLate);
      if (!notYet || attempt >= 60) throw new Problem('CONNECT_REFUSED', { detail: message });
      await pause(250);
    }
  }
}

function isHttps(url: string): boolean {
  return url.startsWith('https:');
}

function path(name: string): string {
  return `/connectors/${encodeURIComponent(name)}`;
}
