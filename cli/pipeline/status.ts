import { type AgentState, liveState, readState } from '../agent/state.ts';
import { type ClickHouse, withClickHouse } from '../components/clickhouse/client.ts';
import { unresolvedLetters } from '../components/clickhouse/figures.ts';
import { type KeptValues, keptInCopy } from '../components/clickhouse/kept.ts';
import {
  observeRefreshes,
  type Refresh,
  troubleOfRefresh,
} from '../components/clickhouse/refreshes.ts';
import { firstLines } from '../components/connect/check.ts';
import { Connect, type ConnectorStatus } from '../components/connect/client.ts';
import { withKafkaAdmin } from '../components/kafka/client.ts';
import { withPostgres } from '../components/postgres/client.ts';
import type { LoadedConfig } from '../config/load.ts';
import { CONNECTOR_CLASS } from '../core/connector.ts';
import type { LeftOut } from '../core/leftOut.ts';
import { CH_CDC } from '../core/names.ts';
import { Problem } from '../core/problems.ts';
import { chIdent } from '../lib/sql.ts';
import { within } from '../lib/wait.ts';
import { containerKafkaVersion } from '../runtimes/compose/project.ts';
import type { Sight } from '../runtimes/compose/sight.ts';
import { diskFindings } from '../runtimes/embedded/check.ts';
import { kafkaVersion } from '../runtimes/embedded/jars.ts';
import { type Layout, layoutOf, readSecrets } from '../runtimes/embedded/layout.ts';
import type { ObserverName } from '../runtimes/embedded/servers/server.ts';
import { type Endpoints, SERVER_NAMES, type ServerName } from '../runtimes/endpoints.ts';
import { chooseRuntime, knownEndpoints } from '../runtimes/resolve.ts';
import { endpointSummary } from './describe.ts';
import { leftOutNow } from './leftOut.ts';
import { agentWords, lookAtParts } from './sights.ts';
import { type PipelineNames, pipelineNames } from './stack.ts';
import { type LastVerified, lastVerified } from './verifications.ts';

type Env = Readonly<Record<string, string | undefined>>;

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

export interface StackStatus {
  readonly healthy: boolean;
  readonly runtime: string;
  readonly profile: string;
  /** Since the newest heartbeat row in ClickHouse was committed, by the source's clock. */
  readonly heartbeat_age_ms: number | undefined;
  /** How `cdc verify` ended last; absent when it never did. */
  readonly last_verified: LastVerified | undefined;
  /** Messages that are no row of a copied table, and wait; absent when ClickHouse gave no answer. */
  readonly dead_letters: number | undefined;
  /** Values that their column's type cannot hold, by column; absent when they were not counted. */
  readonly kept_values: readonly KeptValues[] | undefined;
  /** Tables that are not copied, and those whose load stopped; absent when that was not read. */
  readonly left_out: readonly LeftOut[] | undefined;
  readonly components: readonly ComponentStatus[];
}

/** Why something gave no answer, and what to type. */
export interface Trouble {
  readonly message: string;
  readonly fix: string;
}

/** What every look brought; doctor makes findings of it. */
export interface Observation {
  readonly status: StackStatus;
  /** Servers that gave no answer. */
  readonly troubles: ReadonlyMap<ServerName, Trouble>;
  /** Absent when Connect gave no answer. */
  readonly connector: { readonly status: ConnectorStatus | undefined } | undefined;
}

/** A stack as far as it is known, running or not. Looking changes nothing. */
export interface Watched {
  readonly config: LoadedConfig['config'];
  readonly directory: string;
  readonly layout: Layout;
  readonly names: PipelineNames;
  readonly agent: AgentState | undefined;
  /** Of a stack that does not run: only those of servers elsewhere. */
  readonly endpoints: Partial<Endpoints>;
  readonly env: Env;
}

/** A heartbeat older than this did not cross lately. */
export const HEARTBEAT_LIMIT_MS = 10_000;
const PROBE_MS = 2000;
const GOOD_STATES = new Set(['ready', 'running']);

export function watchStack(loaded: LoadedConfig, env: Env): Watched {
  const { config, directory } = loaded;
  const layout = layoutOf(directory);
  const agent = liveState(layout);
  const secrets = readSecrets(layout);
  return {
    config,
    directory,
    layout,
    names: pipelineNames(config),
    agent,
    endpoints: knownEndpoints({
      config,
      directory,
      env,
      ports: agent?.ports,
      view: agent?.view,
      secrets,
    }),
    env,
  };
}

/** Why no stack runs here; tells an agent that was killed from a stack that was stopped. */
export function notRunning(watched: Pick<Watched, 'layout' | 'directory'>): Problem {
  const last = readState(watched.layout);
  if (last?.phase === 'failed' && last.problem) {
    const { message } = new Problem('STACK_NOT_RUNNING', { directory: watched.directory });
    return Problem.restore('STACK_NOT_RUNNING', {
      code: 'STACK_NOT_RUNNING',
      message,
      cause: `The last start failed: ${last.problem.message}\n${last.problem.cause}`,
      fix: last.problem.fix,
    });
  }
  if (!last || last.phase === 'stopped')
    return new Problem('STACK_NOT_RUNNING', { directory: watched.directory });
  const detail = `Its process (pid ${last.pid}, since ${last.startedAt}) is gone without having stopped its servers: it was killed.`;
  return new Problem(
    'AGENT_FAILED',
    { detail },
    { fix: 'cdc up   # ends what is left and starts again; data stay' },
  );
}

/** Looks at everything at once; nothing that fails or hangs keeps the rest from being seen. */
export async function observeStack(watched: Watched): Promise<Observation> {
  const { endpoints, names } = watched;
  const parts = await sightsOf(watched);
  // What the engine says of a container that does not serve needs no proof.
  const serving = (name: ServerName) => !parts.some((part) => part.name === name && part.fix);
  const {
    postgres,
    kafka,
    connect: connectAt,
    clickhouse,
  } = Object.fromEntries(
    Object.entries(endpoints).filter(([name]) => serving(name as ServerName)),
  ) as Partial<Endpoints>;
  const connect = connectAt && new Connect(connectAt);
  const [versions, connector, plugin, heartbeat, refreshes, verified, letters, kept, leftOut] =
    await Promise.all([
      Promise.all([
        look(postgres && (() => withPostgres(postgres, postgresVersion))),
        look(
          kafka &&
            (() =>
              withKafkaAdmin(kafka, (admin) => admin.describeCluster()).then(() =>
                kafkaIs(watched),
              )),
        ),
        look(connect && (() => connect.version())),
        look(clickhouse && (() => withClickHouse(clickhouse, clickhouseVersion))),
      ]),
      look(connect && (() => connect.status(names.connector).then((status) => ({ status })))),
      look(connect && (() => connect.pluginVersion(CONNECTOR_CLASS))),
      look(postgres && clickhouse && (() => heartbeatAgeMs({ postgres, clickhouse }))),
      look(clickhouse && (() => withClickHouse(clickhouse, observeRefreshes))),
      look(clickhouse && (() => withClickHouse(clickhouse, lastVerified))),
      look(clickhouse && (() => withClickHouse(clickhouse, unresolvedLetters))),
      look(clickhouse && (() => withClickHouse(clickhouse, keptInCopy))),
      look(
        postgres &&
          clickhouse &&
          (() => leftOutNow({ ...watched, endpoints: { postgres, clickhouse } })),
      ),
    ]);
  const summary = endpointSummary(endpoints);
  const troubles = new Map<ServerName, Trouble>();
  const servers = SERVER_NAMES.filter((name) => endpoints[name]).map((name): ComponentStatus => {
    const seen = versions[SERVER_NAMES.indexOf(name)];
    const sight = parts.find((part) => part.name === name);
    const trouble = seen && 'error' in seen ? troubleOf(name, endpoints, seen.error) : undefined;
    const supervised = sight && sight.state !== 'ready' ? sight.state : undefined;
    // The engine knows better than a connection that fails.
    const known = supervised &&
      sight?.fix && { message: sight.detail ?? supervised, fix: sight.fix };
    if (known || trouble) troubles.set(name, known || (trouble as Trouble));
    return {
      name,
      state: supervised ?? (trouble ? 'unreachable' : 'ready'),
      version: seen && 'value' in seen ? seen.value : undefined,
      endpoint: summary[name],
      memory_bytes: sight?.memory_bytes,
      restarts: sight?.restarts,
      detail: (supervised && sight?.detail) ?? trouble?.message,
      fix: (supervised && sight?.fix) ?? trouble?.fix,
    };
  });
  const version = plugin && 'value' in plugin ? plugin.value : undefined;
  const registered = connector && 'value' in connector ? connector.value : undefined;
  const pipeline = [
    ...agentPart(
      watched,
      parts.find((part) => part.name === 'agent'),
    ),
    ...servers,
    ...(endpoints.connect ? connectorParts(names.connector, registered, version) : []),
    ...viewPart(refreshes && 'value' in refreshes ? refreshes.value : []),
  ];
  const age = heartbeat && 'value' in heartbeat ? heartbeat.value : undefined;
  const missing = leftOut && 'value' in leftOut ? leftOut.value : undefined;
  const good =
    pipeline.every((part) => GOOD_STATES.has(part.state)) && !missing?.some(({ named }) => named);
  return {
    status: {
      healthy: good && age !== undefined && age < HEARTBEAT_LIMIT_MS,
      runtime: watched.agent?.runtime ?? chooseRuntime(watched.config).kind,
      profile: watched.agent?.profile ?? watched.config.profile,
      heartbeat_age_ms: age,
      last_verified: verified && 'value' in verified ? verified.value : undefined,
      left_out: missing,
      dead_letters: letters && 'value' in letters ? letters.value : undefined,
      kept_values: kept && 'value' in kept ? kept.value : undefined,
      components: [...pipeline, ...otherParts(parts, watched.agent)],
    },
    troubles,
    connector: registered,
  };
}

type Look<T> = { readonly value: T } | { readonly error: unknown };

/** One look with a deadline; undefined when there is nothing to look at. */
async function look<T>(work: (() => Promise<T>) | undefined): Promise<Look<T> | undefined> {
  if (!work) return undefined;
  try {
    return { value: await within(PROBE_MS, work) };
  } catch (error) {
    return { error };
  }
}

function troubleOf(name: ServerName, endpoints: Partial<Endpoints>, error: unknown): Trouble {
  const managed = endpoints[name]?.managed === true;
  const problem = error instanceof Problem ? error : undefined;
  const message = problem
    ? `${problem.message} ${problem.causeText}`
    : error instanceof Error
      ? error.message
      : String(error);
  const fix = managed
    ? `cdc logs ${name}   # says why; the agent starts a server again that has ended`
    : (problem?.fix ?? 'cdc status');
  return { message: message.split('\n')[0] ?? message, fix };
}

function agentPart(
  { agent: known, directory, layout }: Pick<Watched, 'agent' | 'directory' | 'layout'>,
  sight: Sight | undefined,
): ComponentStatus[] {
  if (!known) return [];
  const agent = agentWords(layout, known) ?? { ...known, phase: 'starting' };
  // A container's state comes first: what it wrote down is as old as it.
  const wrong = known.view === 'published' && sight?.state !== 'ready' ? sight : undefined;
  const disk = agent.servers.length > 0 ? diskFindings(directory) : [];
  const troubles = [
    ...Object.entries(agent.loops).map(([loop, trouble]) => `${loop}: ${trouble}`),
    ...disk.map(({ message }) => `disk: ${message}`),
  ];
  return [
    {
      name: 'agent',
      state: wrong?.state ?? agent.phase,
      version: undefined,
      endpoint: agent.metricsUrl,
      memory_bytes: sight?.memory_bytes,
      restarts: sight?.restarts,
      detail: wrong?.detail ?? agent.problem?.message ?? (troubles.join('; ') || undefined),
      fix: wrong?.fix,
    },
  ];
}

/** What looks at the pipeline and is no part of it: whether it runs says nothing about health. */
function otherParts(sights: readonly Sight[], agent: AgentState | undefined): ComponentStatus[] {
  const own = new Set<string>(['agent', ...SERVER_NAMES]);
  return sights
    .filter(({ name }) => !own.has(name))
    .map((sight) => {
      const port = agent?.extraPorts?.[sight.name as ObserverName];
      const endpoint = port === undefined ? undefined : `http://127.0.0.1:${port}`;
      return { ...sight, version: undefined, endpoint };
    });
}

/** An engine that gives no answer keeps nothing else from being seen. */
async function sightsOf(watched: Watched): Promise<Sight[]> {
  try {
    return await lookAtParts(watched);
  } catch (error) {
    if (!(error instanceof Problem) || error.code === 'STACK_NOT_RUNNING') throw error;
    return [];
  }
}

/** The views that cdc keeps, where there are any. */
function viewPart(refreshes: readonly Refresh[]): ComponentStatus[] {
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
function connectorParts(
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

async function postgresVersion(client: {
  query(sql: string): Promise<{ rows: unknown[] }>;
}): Promise<string | undefined> {
  const found = await client.query('SHOW server_version');
  return (found.rows[0] as { server_version?: string } | undefined)?.server_version;
}

/** A broker does not tell its version; of one that cdc runs the jars are known. */
async function kafkaIs(watched: Watched): Promise<string | undefined> {
  if (!watched.endpoints.kafka?.managed) return undefined;
  return watched.agent?.view === 'published' ? containerKafkaVersion() : kafkaVersion(watched.env);
}

async function clickhouseVersion(clickhouse: ClickHouse): Promise<string | undefined> {
  return (await clickhouse.rows<{ version: string }>('SELECT version() AS version'))[0]?.version;
}

/** Age of the newest heartbeat in ClickHouse by the source's clock; absent when none has arrived. */
async function heartbeatAgeMs(
  endpoints: Pick<Endpoints, 'postgres' | 'clickhouse'>,
): Promise<number | undefined> {
  const newest = await withClickHouse(endpoints.clickhouse, (clickhouse) =>
    clickhouse.rows<{ at: string }>(
      `SELECT toUnixTimestamp64Micro(max(committed_at)) AS at FROM ${chIdent(CH_CDC.database, CH_CDC.heartbeats)} HAVING count() > 0`,
    ),
  );
  const at = newest[0]?.at;
  if (at === undefined) return undefined;
  const now = await withPostgres(endpoints.postgres, (client) =>
    client.query<{ now: string }>(
      'SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now',
    ),
  );
  return Math.max(0, Math.round((Number(now.rows[0]?.now) - Number(at)) / 1000));
}
