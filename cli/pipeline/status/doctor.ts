import { checkKept, checkTarget } from '../../components/clickhouse/check.ts';
import { withClickHouse } from '../../components/clickhouse/client.ts';
import { checkExpiring, checkSetAside } from '../../components/clickhouse/dependents.ts';
import { checkRefreshes } from '../../components/clickhouse/refreshes.ts';
import { checkConnector } from '../../components/connect/check.ts';
import { lostSlot } from '../../components/postgres/check.ts';
import type { ObservedSlot } from '../../components/postgres/observe.ts';
import type { LoadedConfig } from '../../config/load.ts';
import type { TablePlan } from '../../core/ddl.ts';
import { type Finding, findingOf } from '../../core/findings.ts';
import { leftOutFindings } from '../../core/leftOut.ts';
import { tableLabel, wantedName } from '../../core/names.ts';
import { Problem, plural } from '../../core/problems.ts';
import { excludeYaml, targetYaml } from '../../core/yaml.ts';
import type { Context } from '../../kernel/context.ts';
import { formatMs } from '../../lib/format.ts';
import { within } from '../../lib/wait.ts';
import { chooseRuntime } from '../../runtimes/choice.ts';
import { portFindings } from '../../runtimes/ports.ts';
import { machineFindings } from '../../runtimes/registry.ts';
import { type Endpoints, SERVER_NAMES, type ServerName } from '../../stack/endpoints.ts';
import { makePlan } from '../apply/plan.ts';
import { type StandingTable, standingTables } from '../apply/stalls.ts';
import { gapFinding } from '../inspect/gaps.ts';
import { lineageOf, passedBy } from '../inspect/lineage.ts';
import { refuseOtherPipelines } from '../inspect/others.ts';
import { checkServers } from '../inspect/servers.ts';
import { type CapturedSource, inspectSource, withoutUnfit } from '../inspect/source.ts';
import { readRules } from '../state/columnRules.ts';
import { type Stack, stackOf } from '../state/stack.ts';
import {
  HEARTBEAT_LIMIT_MS,
  notRunning,
  type Observation,
  observeStack,
  type Watched,
  watchStack,
} from './status.ts';

/** A server that hangs must not hang the doctor. */
const CHECK_MS = 20_000;

/** Everything that is or will be wrong, at once; changes nothing and throws nothing. */
export async function diagnose(context: Context, load: () => LoadedConfig): Promise<Finding[]> {
  let loaded: LoadedConfig;
  let servers: readonly ServerName[];
  let watched: Watched;
  try {
    loaded = load();
    servers = chooseRuntime(loaded.config).servers;
    watched = watchStack(loaded, context.env);
  } catch (error) {
    // What cannot be understood leaves the machine to look at.
    return [
      findingOf('configuration', error),
      ...machineFindings(context.env, context.cwd, SERVER_NAMES),
    ];
  }
  const found = [
    ...(await watched.runtime.findings(servers)),
    ...(watched.agent ? agentFindings(watched) : await stoppedFindings(watched, servers)),
  ];
  const observed = await observeStack(watched);
  found.push(...serverFindings(watched, observed));
  const [source, target, ofServers] = await Promise.all([
    sourceFindings(watched, observed),
    targetFindings(watched, observed),
    checkEach(watched.endpoints, observed),
  ]);
  found.push(...ofServers, ...source.findings, ...target);
  if (watched.agent?.phase === 'ready') {
    found.push(...flowFindings(watched, observed));
    found.push(...(observed.status.gaps ?? []).map(gapFinding));
    const blocked = observed.troubles.size > 0 || source.isBlocking;
    if (!blocked) found.push(...(await planFindings(context, loaded)));
  }
  return withoutRepeats(found);
}

function agentFindings(watched: Watched): Finding[] {
  const { agent } = watched;
  if (!agent) return [];
  const loops = Object.entries(agent.loops)
    // These are looked at directly.
    .filter(([loop]) => !['slot', 'source', 'schema', 'tables'].includes(loop))
    .map(
      ([loop, trouble]): Finding => ({
        id: `agent-${loop}`,
        severity: 'warning',
        subject: 'agent',
        message: `${loop}: ${trouble}`,
        fix: 'cdc logs agent',
      }),
    );
  if (agent.phase === 'ready') return loops;
  const message = agent.problem
    ? `${agent.problem.message} ${agent.problem.cause}`
    : `the stack is ${agent.phase}`;
  const severity = agent.phase === 'failed' ? 'error' : 'info';
  return [
    ...loops,
    {
      id: `stack-${agent.phase}`,
      severity,
      subject: 'agent',
      message,
      fix: agent.problem?.fix ?? 'cdc status',
    },
  ];
}

async function stoppedFindings(
  watched: Watched,
  servers: readonly ServerName[],
): Promise<Finding[]> {
  const why = notRunning(watched);
  if (why.code === 'AGENT_FAILED') return [{ ...findingOf('agent', why), id: 'agent-killed' }];
  const message = `${why.message} ${why.causeText}`;
  return [
    { id: 'stack-not-running', severity: 'info', subject: 'stack', message, fix: why.fix },
    ...(await portFindings(watched.config, servers)),
  ];
}

function serverFindings(watched: Watched, observed: Observation): Finding[] {
  const { agent, names } = watched;
  const found = [...observed.troubles].map(([name, trouble]): Finding => {
    const supervised = agent?.servers.find((server) => server.name === name);
    const state =
      supervised && supervised.state !== 'ready'
        ? ` (the agent says: ${supervised.state}, ${supervised.detail ?? 'no detail'})`
        : '';
    return {
      id: `${name}-unreachable`,
      severity: 'error',
      subject: name,
      message: `${trouble.message}${state}`,
      fix: trouble.fix,
    };
  });
  if (agent?.phase === 'ready' && observed.connector) {
    found.push(...checkConnector(names.connector, observed.connector.status));
  }
  return found;
}

/** Those that answered, together: whether Kafka Connect works for the Kafka of the others is asked, too. */
async function checkEach(endpoints: Partial<Endpoints>, observed: Observation): Promise<Finding[]> {
  const answering = Object.entries(endpoints).filter(
    ([name]) => !observed.troubles.has(name as ServerName),
  );
  return attempt('servers', () => checkServers(Object.fromEntries(answering)));
}

interface SourceFindings {
  readonly findings: readonly Finding[];
  /** No plan can be made. */
  readonly isBlocking: boolean;
}

/** Tables that cannot be copied keep nothing else from being looked at: they are left out. */
async function sourceFindings(watched: Watched, observed: Observation): Promise<SourceFindings> {
  const { postgres, clickhouse } = watched.endpoints;
  if (!postgres || observed.troubles.has('postgres')) return { findings: [], isBlocking: true };
  let unfit: readonly Finding[] = [];
  const ofWhole = await attempt('source', async () => {
    if (clickhouse && !observed.troubles.has('clickhouse'))
      await refuseOtherPipelines({ names: watched.names, endpoints: { postgres, clickhouse } });
    const { include } = watched.config.source;
    // Without ClickHouse only what cdc.yaml calls by its present name is known.
    const remembered =
      clickhouse &&
      (await readRules(clickhouse).catch((error: unknown) => {
        if (error instanceof Problem && error.code === 'RECORD_UNREADABLE') throw error;
        return undefined;
      }));
    const report = withoutUnfit(
      await inspectSource({ ...watched, endpoints: { postgres } }, remembered),
      include,
    );
    unfit = leftOutEach(report);
    const slot = await comparedSlot(watched, report.observed.slot);
    // Before the first start there is none yet.
    const expected = slot !== undefined || watched.agent?.phase === 'ready';
    return [...report.findings, ...(expected ? lostSlot(slot, watched.names.slot) : [])];
  });
  return {
    findings: [...ofWhole, ...unfit],
    isBlocking: ofWhole.some((finding) => finding.severity === 'error'),
  };
}

/** With why changes have passed it by, where the other servers tell. */
async function comparedSlot(
  { names, endpoints }: Watched,
  slot: ObservedSlot | undefined,
): Promise<ObservedSlot | undefined> {
  const { postgres, clickhouse, connect } = endpoints;
  if (!slot || !postgres || !clickhouse || !connect) return slot;
  const access = { names, endpoints: { postgres, clickhouse, connect } };
  const lineage = await lineageOf(access).catch(() => undefined);
  return { ...slot, passedBy: lineage?.broken ?? passedBy(slot, lineage?.acknowledged) };
}

/**
 * One by one, and what to write into cdc.yaml to do without all of them; a wildcard's are warnings,
 * since nobody has asked for this table.
 */
function leftOutEach({ leftOut, chosen, ofTable }: CapturedSource): Finding[] {
  const tables = chosen.filter((table) => leftOut.some((one) => one.table === tableLabel(table)));
  const each = tables.flatMap((table) => {
    const isNamed = leftOut.some((one) => one.named && one.table === tableLabel(table));
    return (ofTable.get(table) ?? []).map((found): Finding => {
      if (found.severity !== 'error') return found;
      const message = `${found.message}; it is left out, the others go on`;
      return { ...found, severity: isNamed ? 'error' : 'warning', message };
    });
  });
  if (tables.length === 0) return [];
  const all: Finding = {
    id: 'tables-left-out',
    severity: 'info',
    subject: 'source',
    message: `${plural(tables.length, 'table')} left out; to leave out for good what cannot be fixed, in cdc.yaml`,
    fix: excludeYaml(tables),
  };
  return [...each, all];
}

async function targetFindings(watched: Watched, observed: Observation): Promise<Finding[]> {
  const { clickhouse } = watched.endpoints;
  if (!clickhouse || observed.troubles.has('clickhouse')) return [];
  return attempt('clickhouse', () =>
    withClickHouse(clickhouse, async (client) => [
      ...(await checkTarget(client)),
      ...(await checkRefreshes(client)),
      ...(await checkKept(client)),
      ...(await checkSetAside(client)),
      ...(await checkExpiring(client)),
      ...(await standingTables(client)).map(standingFinding),
    ]),
  );
}

function standingFinding({ table, why }: StandingTable): Finding {
  return {
    id: 'table-stands',
    severity: 'error',
    subject: table,
    message: `its changes cannot be stored and wait; the others go on: ${why}`,
    fix: 'Take away what the error names: the table then goes on by itself. cdc logs agent says what was tried.',
  };
}

/** A heartbeat that does not cross is the one sign that something is wrong, whatever it is. */
function flowFindings(watched: Watched, observed: Observation): Finding[] {
  const age = observed.status.heartbeat_age_ms;
  if (age !== undefined && age < HEARTBEAT_LIMIT_MS) return [];
  const { postgres, clickhouse } = watched.endpoints;
  if (age === undefined && (!postgres || !clickhouse || observed.troubles.size > 0)) return [];
  const message =
    age === undefined
      ? 'no heartbeat row has arrived in ClickHouse'
      : `the newest heartbeat row in ClickHouse is ${formatMs(age)} old: nothing flows, or it flows late`;
  return [
    {
      id: 'heartbeat-late',
      severity: 'error',
      subject: 'pipeline',
      message,
      fix: 'cdc connector status && cdc lag && cdc logs connect',
    },
  ];
}

async function planFindings(context: Context, loaded: LoadedConfig): Promise<Finding[]> {
  return attempt('plan', async () => {
    const stack = stackOf(loaded, context);
    const { steps, tables, leftOut, desired } = await makePlan(stack);
    const toLoad = tables.filter((t) => t.firstLoad !== undefined).map((t) => tableLabel(t.plan));
    const renamed = desired.tables.flatMap((plan) => namedDifferently(stack, plan));
    const failed = new Map(leftOut.map(({ table, why }) => [table, why]));
    const others = steps.filter((step) => step.kind !== 'load').length;
    const notLoaded = toLoad.map(
      (table): Finding => ({
        id: 'table-not-loaded',
        severity: 'warning',
        subject: table,
        message: `its existing rows are not in ClickHouse, or not all of them${failed.has(table) ? `: ${failed.get(table)}` : ''}`,
        fix: 'cdc apply',
      }),
    );
    // Those of the source were found before; these only show beside Kafka's topics, or were left by a load.
    const more = leftOutFindings(
      leftOut.filter(
        ({ table, findings }) =>
          findings.includes('topic-collision') ||
          (findings.includes('load-failed') && !toLoad.includes(table)),
      ),
    );
    const found = [...notLoaded, ...more, ...renamed];
    if (others === 0) return found;
    return [
      ...found,
      {
        id: 'plan-has-changes',
        severity: 'info',
        subject: 'plan',
        message: `${plural(others, 'change')} between the configuration and what stands in the servers`,
        fix: 'cdc plan   # shows them; cdc apply makes them',
      },
    ];
  });
}

/** What was there kept its name, so people have to know the newcomer's. */
function namedDifferently({ config }: Stack, { source, names }: TablePlan): Finding[] {
  const wanted = wantedName(source, config.clickhouse.database);
  if (wanted.view === names.view && wanted.database === names.database) return [];
  const label = tableLabel(source);
  return [
    {
      id: 'named-differently',
      severity: 'info',
      subject: label,
      message: `its copy is ${names.database}.${names.view}: ${wanted.database}.${wanted.view} was taken, by another copy, or by what this pipeline did not make, or is too long for the name of a file`,
      fix: `To call it otherwise, in cdc.yaml: ${targetYaml(source, `${names.view}_2`)}`,
    },
  ];
}

/** The findings of a check, or what it threw as one. */
async function attempt(subject: string, check: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await within(CHECK_MS, check);
  } catch (error) {
    return [findingOf(subject, error)];
  }
}

function withoutRepeats(findings: readonly Finding[]): Finding[] {
  const seen = new Set<string>();
  return findings.filter((finding) => {
    const key = JSON.stringify([finding.id, finding.subject]);
    return !seen.has(key) && seen.add(key);
  });
}
