import { refuseUnfinished } from '../backup/restore.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import type { Finding } from '../core/findings.ts';
import type { LeftOut } from '../core/leftOut.ts';
import type { Progress } from '../kernel/printer.ts';
import type { CommandSpec, Options, Session } from '../kernel/program.ts';
import { formatCount, formatMs, formatSeconds } from '../lib/format.ts';
import type { ApplyResult } from '../pipeline/apply/apply.ts';
import { endpointSummary } from '../pipeline/inspect/describe.ts';
import { setupExample } from '../pipeline/inspect/examples.ts';
import { crossPipeline } from '../pipeline/inspect/heartbeat.ts';
import {
  refuseOtherConnectors,
  refuseOtherPipelines,
  settleNames,
} from '../pipeline/inspect/others.ts';
import { checkServers, refuseServers } from '../pipeline/inspect/servers.ts';
import { askServer } from '../pipeline/inspect/source.ts';
import { type Stack, stackOf } from '../pipeline/state/stack.ts';
import { runtimeToStart } from '../runtimes/registry.ts';
import { knownEndpoints } from '../runtimes/resolve.ts';
import type { RuntimeHooks } from '../runtimes/runtime.ts';
import { namesOf } from '../stack/names.ts';
import { explainLeftOut, leftOutLines, STRICT } from './left-out.ts';
import { applyWithProgress } from './progress.ts';

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
  /** Tables that are not copied, and those whose load stopped. */
  readonly left_out: readonly LeftOut[];
}

export const up: CommandSpec = {
  usage: 'up',
  summary: 'boot the servers, prepare source and target, load, and wait for a heartbeat',
  examples: ['cdc up', 'cdc up --profile throughput --json'],
  options: [
    {
      flags: '--runtime <runtime>',
      description: 'how servers run',
      choices: ['auto', 'embedded', 'compose', 'external'],
    },
    {
      flags: '--profile <profile>',
      description: 'what to tune for',
      choices: ['low-latency', 'balanced', 'throughput'],
    },
    STRICT,
  ],
  async run(session, _args, options) {
    const { cwd, env } = session.context;
    refuseUnfinished(loadConfig({ cwd, env, file: session.configFile }).directory);
    const { result, applied } = await bringUp(session, options);
    session.printer.result(result, () => upText(session, result));
    return explainLeftOut(session.printer, applied);
  },
};

/**
 * `cdc up`, also for `cdc demo` and `cdc restore`.
 *
 * @param beforeApply what has to be done between the servers' start and the plan.
 */
export async function bringUp(
  session: Session,
  options: Options,
  beforeApply: (stack: Stack) => Promise<void> = async () => {},
): Promise<{ result: UpResult; stack: Stack; applied: ApplyResult }> {
  const { context, printer } = session;
  const startedAtMs = context.monotonicMs();
  const flags = { runtime: options.runtime, profile: options.profile };
  const loaded = loadConfig({
    cwd: context.cwd,
    env: context.env,
    file: session.configFile,
    flags,
  });
  const { runtime, why } = await runtimeToStart(loaded, context.env, flagList(flags));
  printer.note(`runtime ${runtime.kind}: ${why}`);
  // What is wrong in cdc.yaml and in the files that it names comes before what is wrong with the machine.
  const elsewhere = endpointsElsewhere(loaded, context.env);
  await withHooks(session, 'looking at this machine', async (hooks) => {
    await runtime.preflight(hooks);
    if (runtime.kind === 'external' || loaded.config.source.url)
      hooks.progress('asking the servers that run elsewhere');
    await askOthers(loaded, elsewhere);
    for (const { severity, subject, message, fix } of await askElsewhere(loaded, elsewhere))
      if (severity === 'warning') printer.note(`! ${subject}: ${message}\n  ${fix}`);
    return undefined;
  });
  const started = await withHooks(session, 'starting servers', async (hooks) => {
    const launched = await runtime.start(hooks);
    const seconds = formatSeconds((context.monotonicMs() - startedAtMs) / 1000);
    const text =
      launched.result === 'unchanged'
        ? 'servers run already'
        : `servers ready in ${seconds} (${launched.summary || 'all run elsewhere'})`;
    return { ...launched, text };
  });
  // Of a source that has just been started; an agent in a container has asked it, too, for itself.
  await settleNames(loaded, stackOf(loaded, context).endpoints.postgres);
  const stack = stackOf(loaded, context);
  await beforeApply(stack);
  if (stack.endpoints.postgres.managed) await setupExample(stack, 'inventory');
  const applied = await applyWithProgress(session, stack, {
    strict: options.strict === true,
  });
  await withHooks(session, 'starting what watches the pipeline', async (hooks) => {
    await runtime.complete(hooks);
    return undefined;
  });
  const heartbeat = printer.progress('waiting for a heartbeat row to cross the pipeline');
  const heartbeatMs = await crossPipeline(stack, context.signal).catch((error: unknown) => {
    heartbeat.fail('no heartbeat crossed the pipeline');
    throw error;
  });
  heartbeat.done(`a heartbeat row crossed the pipeline in ${formatMs(heartbeatMs)}`);
  const changed = applied.steps.length > 0;
  const result: UpResult = {
    result: started.result === 'started' ? 'created' : changed ? 'changed' : 'unchanged',
    runtime: runtime.kind,
    profile: started.profile,
    endpoints: endpointSummary(stack.endpoints),
    tables: applied.source.tables.length,
    loaded_rows: applied.loads.reduce((sum, load) => sum + load.rows, 0),
    heartbeat_ms: Math.round(heartbeatMs * 10) / 10,
    seconds: Math.round((context.monotonicMs() - startedAtMs) / 100) / 10,
    left_out: applied.leftOut,
  };
  return { result, stack, applied };
}

/**
 * Servers elsewhere are asked first: a wrong password, a standby, or a version that is too old should not cost a boot.
 *
 * @returns what does not keep them from being used.
 */
async function askElsewhere(
  loaded: LoadedConfig,
  endpoints: Elsewhere,
): Promise<readonly Finding[]> {
  const { postgres } = endpoints;
  const ofSource = postgres
    ? await askServer({ endpoints: { postgres }, names: namesOf(loaded) })
    : [];
  const ofServers = await checkServers(endpoints);
  refuseServers(ofServers);
  return [...ofSource, ...ofServers];
}

type Elsewhere = ReturnType<typeof endpointsElsewhere>;

/** Servers that cdc.yaml has addresses of. */
function endpointsElsewhere(loaded: LoadedConfig, env: Session['context']['env']) {
  return knownEndpoints({ ...loaded, env, ports: undefined, secrets: undefined });
}

/** Also before anything is started: an agent must not look after what is another pipeline's. */
async function askOthers(
  loaded: LoadedConfig,
  { postgres, connect, clickhouse }: Elsewhere,
): Promise<void> {
  if (postgres) await settleNames(loaded, postgres);
  if (!postgres || !clickhouse) return;
  const names = namesOf(loaded);
  await refuseOtherPipelines({ names, endpoints: { postgres, clickhouse } });
  if (connect) await refuseOtherConnectors({ names, endpoints: { postgres, clickhouse, connect } });
}

/** Shows the runtime's work; a result's text stays, and what fails is said. */
async function withHooks<T extends { readonly text: string } | undefined>(
  session: Session,
  what: string,
  work: (hooks: RuntimeHooks) => Promise<T>,
): Promise<T> {
  const { context, printer } = session;
  let progress: Progress | undefined;
  const show = (text: string) => {
    progress ??= printer.progress(what);
    progress.update(text);
  };
  try {
    const result = await work({ signal: context.signal, progress: show });
    if (result) (progress ?? printer.progress(what)).done(result.text);
    else progress?.done(`${what}: done`);
    return result;
  } catch (error) {
    progress?.fail(`${what} failed`);
    throw error;
  }
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
    ...leftOutLines(session.printer, result.left_out),
    `${paint.green('✔')} ${paint.bold(head)} (${formatSeconds(result.seconds)})`,
    ...Object.entries(result.endpoints).map(
      ([name, url]) => `  ${name.padEnd(11)} ${paint.dim(url)}`,
    ),
    `  next: ${paint.cyan('eval "$(cdc env)"')}, ${paint.cyan('cdc load inventory --rate 10')}, ${paint.cyan('cdc lag')}, ${paint.cyan('cdc verify')}`,
  ].join('\n');
}
