import { type Refresh, troubleOfRefresh } from '../../components/clickhouse/refreshes.ts';
import { firstLines } from '../../components/connect/check.ts';
import type { ConnectorStatus } from '../../components/connect/client.ts';

/** One line of `cdc status`; what was not read is absent. */
export interface ComponentStatus {
  readonly name: string;
  /** `ready` and `running` are good; `unreachable` is a server that gave no answer. */
  readonly state: string;
  readonly version: string | undefined;
  readonly endpoint: string | undefined;
  /** With its children; of processes of this machine that cdc runs. */
  readonly memory_bytes: number | undefined;
  /** Times that the agent started it again. */
  readonly restarts: number | undefined;
  readonly detail: string | undefined;
  /** What to type; absent when nothing is wrong or the detail says it. */
  readonly fix?: string | undefined;
}

/** The views that cdc keeps, where there are any. */
export function viewPart(refreshes: readonly Refresh[]): ComponentStatus[] {
  if (refreshes.length === 0) return [];
  const troubles = refreshes.flatMap((refresh) => troubleOfRefresh(refresh) ?? []);
  const ages = refreshes.flatMap((refresh) => refresh.age_s ?? []);
  const oldest = ages.length > 0 ? `, the oldest ${Math.max(...ages)} s ago` : '';
  return [
    {
      name: 'views',
      state: troubles.length > 0 ? 'failing' : 'ready',
      version: undefined,
      endpoint: undefined,
      memory_bytes: undefined,
      restarts: undefined,
      detail: troubles.join('; ') || `${refreshes.length} refreshed${oldest}`,
    },
  ];
}

/** The connector and its tasks; `unknown` when Connect gave no answer. */
export function connectorParts(
  name: string,
  registered: { readonly status: ConnectorStatus | undefined } | undefined,
  version: string | undefined,
): ComponentStatus[] {
  const part = (called: string, state: string, detail: string | undefined): ComponentStatus => ({
    name: called,
    state,
    version: called === 'connector' ? version : undefined,
    endpoint: undefined,
    memory_bytes: undefined,
    restarts: undefined,
    detail,
  });
  if (!registered) return [part('connector', 'unknown', `${name}: Kafka Connect gave no answer`)];
  const { status } = registered;
  if (!status) return [part('connector', 'missing', `${name} is not registered`)];
  const why = (trace: string | undefined) =>
    trace ? firstLines(trace).replaceAll('\n', ' ') : undefined;
  return [
    part('connector', status.connector.state.toLowerCase(), why(status.connector.trace) ?? name),
    ...status.tasks.map((task) =>
      part(`task ${task.id}`, task.state.toLowerCase(), why(task.trace)),
    ),
  ];
}
