import { needsJava } from '../agent/agent.ts';
import { ensureAgent } from '../agent/launch.ts';
import { checkPortsFree } from '../agent/ports.ts';
import type { AgentState } from '../agent/state.ts';
import { liveState } from '../agent/state.ts';
import { withPostgres } from '../components/postgres/client.ts';
import { loadConfig } from '../config/load.ts';
import type { CommandSpec, Options, Session } from '../kernel/program.ts';
import { formatCount, formatMs, formatSeconds } from '../lib/format.ts';
import { type ApplyResult, applyPlan } from '../pipeline/apply.ts';
import { endpointSummary } from '../pipeline/describe.ts';
import { setupExample } from '../pipeline/examples.ts';
import { crossPipeline } from '../pipeline/heartbeat.ts';
import { type Stack, stackOf } from '../pipeline/stack.ts';
import { requireRoom } from '../runtimes/embedded/check.ts';
import { ensureJars } from '../runtimes/embedded/jars.ts';
import { createLayout, layoutOf } from '../runtimes/embedded/layout.ts';
import { libchdb, postgresHome } from '../runtimes/embedded/packages.ts';
import { findJava } from '../runtimes/embedded/toolchain.ts';
import type { ServerName } from '../runtimes/endpoints.ts';
import { chooseRuntime, postgresEndpoint } from '../runtimes/resolve.ts';
import { applyEvents } from './progress.ts';

export interface UpResult {
  readonly result: 'created' | 'changed' | 'unchanged';
  readonly runtime: string;
  readonly profile: string;
  readonly endpoints: Record<string, string>;
  readonly tables: number;
  readonly loaded_rows: number;
  /** A heartbeat row's way through the whole pipeline. */
  readonly heartbeat_ms: number;
  readonly seconds: number;
}

export const up: CommandSpec = {
  usage: 'up',
  summary: 'boot the servers, prepare source and target, load, and wait for a heartbeat',
  examples: ['cdc up', 'cdc up --profile throughput --json'],
  options: [
    {
      flags: '--runtime <runtime>',
      description: 'how servers run',
      choices: ['auto', 'embedded', 'external'],
    },
    {
      flags: '--profile <profile>',
      description: 'what to tune for',
      choices: ['low-latency', 'balanced', 'throughput'],
    },
  ],
  async run(session, _args, options) {
    const { result } = await bringUp(session, options);
    session.printer.result(result, () => upText(session, result));
    return undefined;
  },
};

/** `cdc up`, also for `cdc demo`. */
export async function bringUp(
  session: Session,
  options: Options,
): Promise<{ result: UpResult; stack: Stack }> {
  const { context, printer } = session;
  const startedAtMs = context.monotonicMs();
  const flags = { runtime: options.runtime, profile: options.profile };
  const loaded = loadConfig({
    cwd: context.cwd,
    env: context.env,
    file: session.configFile,
    flags,
  });
  const choice = chooseRuntime(loaded.config);
  printer.note(`runtime ${choice.kind}: ${choice.why}`);
  const layout = layoutOf(loaded.directory);
  createLayout(layout);
  const running = liveState(layout) !== undefined;
  if (choice.servers.length > 0) requireRoom(layout.root, running);
  if (!running) await preflight(session, loaded.config, loaded.directory, choice.servers);
  const progress = printer.progress('starting servers');
  const launched = await ensureAgent(
    loaded,
    context.env,
    flagList(flags),
    context.signal,
    (state) => progress.update(serverLine(state)),
  ).catch((error: unknown) => {
    progress.fail('the servers did not start');
    throw error;
  });
  progress.done(
    launched.result === 'unchanged'
      ? 'servers run already'
      : `servers ready in ${formatSeconds((context.monotonicMs() - startedAtMs) / 1000)} (${serverLine(launched.state) || 'all run elsewhere'})`,
  );
  const stack = stackOf(loaded, context);
  if (stack.endpoints.postgres.managed) await setupExample(stack, 'inventory');
  const applied = await applyWithProgress(session, stack);
  const heartbeat = printer.progress('waiting for a heartbeat row to cross the pipeline');
  const heartbeatMs = await crossPipeline(stack, context.signal).catch((error: unknown) => {
    heartbeat.fail('no heartbeat crossed the pipeline');
    throw error;
  });
  heartbeat.done(`a heartbeat row crossed the pipeline in ${formatMs(heartbeatMs)}`);
  const changed = applied.changes.length > 0;
  const result: UpResult = {
    result: launched.result === 'started' ? 'created' : changed ? 'changed' : 'unchanged',
    runtime: choice.kind,
    profile: launched.state.profile,
    endpoints: endpointSummary(stack.endpoints),
    tables: applied.source.tables.length,
    loaded_rows: applied.loads.reduce((sum, load) => sum + load.rows, 0),
    heartbeat_ms: Math.round(heartbeatMs * 10) / 10,
    seconds: Math.round((context.monotonicMs() - startedAtMs) / 100) / 10,
  };
  return { result, stack };
}

/** What can be known to be wrong before anything is started or made. */
async function preflight(
  session: Session,
  config: ReturnType<typeof loadConfig>['config'],
  directory: string,
  servers: readonly ServerName[],
): Promise<void> {
  const { context, printer } = session;
  if (servers.includes('postgres')) postgresHome();
  if (servers.includes('clickhouse')) libchdb();
  await checkPortsFree(config, servers);
  if (config.source.url !== undefined) {
    // The source elsewhere is asked first: a wrong password should not cost a boot.
    const postgres = postgresEndpoint({
      config,
      directory,
      env: context.env,
      ports: undefined,
      secrets: undefined,
    });
    await withPostgres(postgres, async (client) => client.query('SELECT 1'));
  }
  if (!needsJava(servers)) return;
  findJava(context.env);
  const progress = printer.progress('looking for the Kafka and Debezium jars');
  await ensureJars(context.env, context.signal, (text) => progress.update(text)).catch(
    (error: unknown) => {
      progress.fail('the jars are not there');
      throw error;
    },
  );
  progress.done('jars are there');
}

async function applyWithProgress(session: Session, stack: Stack): Promise<ApplyResult> {
  const events = applyEvents(session.printer);
  try {
    const applied = await applyPlan(stack, session.context.signal, events);
    events.done(applied);
    return applied;
  } catch (error) {
    events.fail();
    throw error;
  }
}

function serverLine(state: AgentState): string {
  return state.servers
    .map((s) =>
      s.state === 'ready' ? `${s.name} ${s.startSeconds?.toFixed(1)} s` : `${s.name} ${s.state}`,
    )
    .join(', ');
}

function flagList(flags: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(flags).flatMap(([key, value]) =>
    value === undefined ? [] : [`--${key}`, String(value)],
  );
}

function upText(session: Session, result: UpResult): string {
  const { paint } = session.printer;
  const head =
    result.result === 'unchanged'
      ? `unchanged: ${result.tables} tables flow`
      : `${result.tables} tables flow, ${formatCount(result.loaded_rows)} rows loaded`;
  return [
    `${paint.green('✔')} ${paint.bold(head)} (${formatSeconds(result.seconds)})`,
    ...Object.entries(result.endpoints).map(
      ([name, url]) => `  ${name.padEnd(11)} ${paint.dim(url)}`,
    ),
    `  next: ${paint.cyan('eval "$(cdc env)"')}, ${paint.cyan('cdc load inventory --rate 10')}, ${paint.cyan('cdc lag')}, ${paint.cyan('cdc verify')}`,
  ].join('\n');
}
