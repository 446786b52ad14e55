import { listBackups, targetOf } from '../../backup/store.ts';
import { type ClickHouse, withClickHouse } from '../../components/clickhouse/client.ts';
import { readSetAside, type SetAside } from '../../components/clickhouse/dependents.ts';
import { type KeptValues, keptInCopy } from '../../components/clickhouse/kept.ts';
import { unresolvedDeadLetters } from '../../components/clickhouse/metricsQueries.ts';
import { observeRefreshes } from '../../components/clickhouse/refreshes.ts';
import { Connect, type ConnectorStatus } from '../../components/connect/client.ts';
import { withKafkaAdmin } from '../../components/kafka/client.ts';
import { withPostgres } from '../../components/postgres/client.ts';
import type { LoadedConfig } from '../../config/load.ts';
import { newestBefore } from '../../core/backups.ts';
import { CONNECTOR_CLASS } from '../../core/connector.ts';
import type { LeftOut } from '../../core/leftOut.ts';
import type { PipelineNames } from '../../core/names.ts';
import { Problem } from '../../core/problems.ts';
import { PROFILES } from '../../core/profiles.ts';
import { chooseRuntime } from '../../runtimes/choice.ts';
import { runtimeToWatch } from '../../runtimes/registry.ts';
import { knownEndpoints } from '../../runtimes/resolve.ts';
import type { PartStatus, Runtime } from '../../runtimes/runtime.ts';
import { PEER_NAMES } from '../../stack/brokers.ts';
import { type Endpoints, SERVER_NAMES, type ServerName } from '../../stack/endpoints.ts';
import { type Layout, layoutOf, readSecrets } from '../../stack/layout.ts';
import { namesOf } from '../../stack/names.ts';
import { type AgentState, liveState, type ObserverName, readState } from '../../stack/state.ts';
import { type StandingTable, standingTables } from '../apply/stalls.ts';
import { endpointSummary } from '../inspect/describe.ts';
import { type KnownGap, knownGaps } from '../inspect/gaps.ts';
import { heartbeatAgeMs } from '../inspect/heartbeat.ts';
import { leftOutNow } from '../inspect/leftOut.ts';
import { type LastVerified, lastVerified } from '../state/verifications.ts';
import { allOf, answerOf, look } from './look.ts';
import { type ComponentStatus, connectorParts, viewPart } from './statusParts.ts';

type Env = Readonly<Record<string, string | undefined>>;

export interface StackStatus {
  readonly healthy: boolean;
  readonly runtime: string;
  readonly profile: string;
  /** Since the newest heartbeat row in ClickHouse was committed, by the source's clock and by heartbeats written since. */
  readonly heartbeat_age_ms: number | undefined;
  /** How `cdc verify` ended last; absent when it never did. */
  readonly last_verified: LastVerified | undefined;
  /** The newest that came to its end; null where there is none, absent where cdc.yaml names no folder for them. */
  readonly last_backup: LastBackup | null | undefined;
  /** Messages that are no row of a copied table, and wait; absent when ClickHouse gave no answer. */
  readonly dead_letters: number | undefined;
  /** Values that their column's type cannot hold, by column; absent when they were not counted. */
  readonly kept_values: readonly KeptValues[] | undefined;
  /** Tables that are not copied, and those whose load stopped; absent when that was not read. */
  readonly left_out: readonly LeftOut[] | undefined;
  /** Copied tables whose changes cannot be stored; absent when ClickHouse gave no answer. */
  readonly standing: readonly StandingTable[] | undefined;
  /** Tables that changes can have passed by, and that are not loaded again yet; absent when that was not read. */
  readonly gaps: readonly KnownGap[] | undefined;
  /** What somebody made on the copy and that refused its rows; absent when ClickHouse gave no answer. */
  readonly set_aside: readonly SetAside[] | undefined;
  readonly components: readonly ComponentStatus[];
}

export interface LastBackup {
  readonly id: string;
  readonly kind: 'full' | 'incremental';
  readonly age_ms: number;
  readonly bytes: number;
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
  readonly runtime: Runtime;
  /** Of a stack that does not run: only those of servers elsewhere. */
  readonly endpoints: Partial<Endpoints>;
  readonly env: Env;
}

/** A heartbeat older than this did not cross lately. */
export const HEARTBEAT_LIMIT_MS = 10_000;
/** For what "healthy" needs to know, and a busy machine needs longer for. */
const WHOLE_MS = 15_000;
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
    names: namesOf(loaded),
    agent,
    runtime: runtimeToWatch(loaded, env),
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
  const parts = await partsOf(watched);
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
  const profile = (watched.agent?.profile ?? watched.config.profile) as keyof typeof PROFILES;
  const beats = { names, everyMs: PROFILES[profile].heartbeatMs };
  const [
    versions,
    connector,
    plugin,
    heartbeat,
    refreshes,
    verified,
    letters,
    kept,
    leftOut,
    standing,
    aside,
    gaps,
    backup,
  ] = await Promise.all([
    allOf({
      postgres: look(postgres && (() => withPostgres(postgres, postgresVersion))),
      kafka: look(
        kafka &&
          (() =>
            withKafkaAdmin(kafka, (admin) => admin.describeCluster()).then(() => kafkaIs(watched))),
      ),
      connect: look(connect && (() => connect.version())),
      clickhouse: look(clickhouse && (() => withClickHouse(clickhouse, clickhouseVersion))),
    } satisfies Record<ServerName, unknown>),
    look(connect && (() => connect.status(names.connector).then((status) => ({ status })))),
    look(connect && (() => connect.pluginVersion(CONNECTOR_CLASS))),
    look(
      postgres &&
        clickhouse &&
        (() => withClickHouse(clickhouse, (client) => heartbeatAgeMs(beats, postgres, client))),
    ),
    look(clickhouse && (() => withClickHouse(clickhouse, observeRefreshes))),
    look(clickhouse && (() => withClickHouse(clickhouse, lastVerified))),
    look(clickhouse && (() => withClickHouse(clickhouse, unresolvedDeadLetters))),
    look(clickhouse && (() => withClickHouse(clickhouse, keptInCopy))),
    look(
      postgres &&
        clickhouse &&
        (() => leftOutNow({ ...watched, endpoints: { postgres, clickhouse } })),
    ),
    look(clickhouse && (() => withClickHouse(clickhouse, standingTables)), WHOLE_MS),
    look(clickhouse && (() => withClickHouse(clickhouse, readSetAside))),
    look(
      postgres &&
        clickhouse &&
        (() => knownGaps({ ...watched, endpoints: { postgres, clickhouse } })),
      WHOLE_MS,
    ),
    look(() => lastBackup(watched)),
  ]);
  const summary = endpointSummary(endpoints);
  const troubles = new Map<ServerName, Trouble>();
  const servers = SERVER_NAMES.filter((name) => endpoints[name]).map((name): ComponentStatus => {
    const seen = versions[name];
    const part = parts.find((one) => one.name === name);
    const trouble = seen && 'error' in seen ? troubleOf(name, endpoints, seen.error) : undefined;
    const supervised = part && part.state !== 'ready' ? part.state : undefined;
    // The engine knows better than a connection that fails.
    const known = supervised && part?.fix && { message: part.detail ?? supervised, fix: part.fix };
    if (known || trouble) troubles.set(name, known || (trouble as Trouble));
    return {
      name,
      state: supervised ?? (trouble ? 'unreachable' : 'ready'),
      version: answerOf(seen),
      endpoint: summary[name],
      memory_bytes: part?.memory_bytes,
      restarts: part?.restarts,
      detail: (supervised && part?.detail) ?? trouble?.message,
      fix: (supervised && part?.fix) ?? trouble?.fix,
    };
  });
  const version = answerOf(plugin);
  const registered = answerOf(connector);
  const pipeline = [
    ...agentPart(
      watched,
      parts.find((part) => part.name === 'agent'),
    ),
    ...servers.flatMap((part) => (part.name === 'kafka' ? [part, ...peerParts(parts)] : [part])),
    ...(endpoints.connect ? connectorParts(names.connector, registered, version) : []),
    ...viewPart(answerOf(refreshes) ?? []),
  ];
  const age = answerOf(heartbeat);
  const missing = answerOf(leftOut);
  const stands = answerOf(standing);
  const passed = answerOf(gaps);
  const good =
    pipeline.every((part) => GOOD_STATES.has(part.state)) &&
    !missing?.some(({ named }) => named) &&
    watched.agent?.loops.source === undefined &&
    // What was not read in time is not known to be well.
    stands?.length === 0 &&
    passed?.length === 0;
  return {
    status: {
      healthy: good && age !== undefined && age < HEARTBEAT_LIMIT_MS,
      runtime: watched.agent?.runtime ?? chooseRuntime(watched.config).kind,
      profile,
      heartbeat_age_ms: age,
      last_verified: answerOf(verified),
      last_backup: answerOf(backup),
      left_out: missing,
      standing: stands,
      gaps: passed,
      set_aside: answerOf(aside),
      dead_letters: answerOf(letters),
      kept_values: answerOf(kept),
      components: [...pipeline, ...otherParts(parts, watched.agent)],
    },
    troubles,
    connector: registered,
  };
}

async function lastBackup(watched: Watched): Promise<LastBackup | null | undefined> {
  const target = targetOf(watched);
  if (target === undefined) return undefined;
  const newest = newestBefore(await listBackups(target));
  if (!newest) return null;
  const { id, kind, bytes, finished_at } = newest;
  return { id, kind, age_ms: Date.now() - Date.parse(finished_at), bytes };
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
  { agent: known, runtime }: Pick<Watched, 'agent' | 'runtime'>,
  part: PartStatus | undefined,
): ComponentStatus[] {
  if (!known) return [];
  const agent = runtime.agentState(known) ?? { ...known, phase: 'starting' };
  // A container's state comes first: what it wrote down is as old as it.
  const wrong = known.view === 'published' && part?.state !== 'ready' ? part : undefined;
  const troubles = [
    ...Object.entries(agent.loops).map(([loop, trouble]) => `${loop}: ${trouble}`),
    ...(part?.detail && !wrong ? [part.detail] : []),
  ];
  return [
    {
      name: 'agent',
      state: wrong?.state ?? agent.phase,
      version: undefined,
      endpoint: agent.metricsUrl,
      memory_bytes: part?.memory_bytes,
      restarts: part?.restarts,
      detail: wrong?.detail ?? agent.problem?.message ?? (troubles.join('; ') || undefined),
      fix: wrong?.fix,
    },
  ];
}

/** Brokers beside the first: one that is down costs the pipeline what was to keep it going. */
function peerParts(parts: readonly PartStatus[]): ComponentStatus[] {
  return parts
    .filter(({ name }) => PEER_NAMES.some((peer) => peer === name))
    .map((part) => ({ ...part, version: undefined, endpoint: undefined }));
}

/** What looks at the pipeline and is no part of it: whether it runs says nothing about health. */
function otherParts(
  parts: readonly PartStatus[],
  agent: AgentState | undefined,
): ComponentStatus[] {
  const own = new Set<string>(['agent', ...SERVER_NAMES, ...PEER_NAMES]);
  return parts
    .filter(({ name }) => !own.has(name))
    .map((part) => {
      const port = agent?.extraPorts?.[part.name as ObserverName];
      const endpoint = port === undefined ? undefined : `http://127.0.0.1:${port}`;
      return { ...part, version: undefined, endpoint };
    });
}

/** A runtime that gives no answer keeps nothing else from being seen. */
async function partsOf({ agent, runtime }: Watched): Promise<PartStatus[]> {
  if (!agent) return [];
  try {
    return await runtime.status(agent);
  } catch (error) {
    if (!(error instanceof Problem) || error.code === 'STACK_NOT_RUNNING') throw error;
    return [];
  }
}

async function postgresVersion(client: {
  query(sql: string): Promise<{ rows: unknown[] }>;
}): Promise<string | undefined> {
  const found = await client.query('SHOW server_version');
  return (found.rows[0] as { server_version?: string } | undefined)?.server_version;
}

async function kafkaIs(watched: Watched): Promise<string | undefined> {
  return watched.endpoints.kafka?.managed ? watched.runtime.kafkaVersion() : undefined;
}

async function clickhouseVersion(clickhouse: ClickHouse): Promise<string | undefined> {
  return (await clickhouse.rows<{ version: string }>('SELECT version() AS version'))[0]?.version;
}
