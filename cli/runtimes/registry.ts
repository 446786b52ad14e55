import type { LoadedConfig } from '../config/load.ts';
import type { Finding } from '../core/findings.ts';
import { Problem } from '../core/problems.ts';
import type { ServerName } from '../stack/endpoints.ts';
import { layoutOf } from '../stack/layout.ts';
import { liveState, type RuntimeKind, readState } from '../stack/state.ts';
import { chooseRuntime, requireContained, whatContainersLack } from './choice.ts';
import { whyNoContainers } from './compose/engine.ts';
import { ComposeRuntime } from './compose/runtime.ts';
import { checkMachine } from './embedded/check.ts';
import { EmbeddedRuntime } from './embedded/runtime.ts';
import { memoryByPart } from './memory.ts';
import type { Runtime } from './runtime.ts';

type Env = Readonly<Record<string, string | undefined>>;

export interface ChosenRuntime {
  readonly runtime: Runtime;
  /** Why, as a sentence; shown by `up`. */
  readonly why: string;
}

type MakeRuntime = (loaded: LoadedConfig, env: Env, flags?: readonly string[]) => Runtime;

/** One line each: everything else asks the `Runtime`. */
const RUNTIMES: Readonly<Record<RuntimeKind, MakeRuntime>> = {
  embedded: (...given) => new EmbeddedRuntime(...given),
  compose: (loaded, env) => new ComposeRuntime(loaded, env),
  // Its agent is a process of this machine, too.
  external: (...given) => new EmbeddedRuntime(...given),
};

/** The runtime that `cdc up` starts the servers with. */
export async function runtimeToStart(
  loaded: LoadedConfig,
  env: Env,
  flags: readonly string[],
): Promise<ChosenRuntime> {
  const { config, directory } = loaded;
  const choice = chooseRuntime(config);
  const embedded = (why: string) => ({ runtime: RUNTIMES.embedded(loaded, env, flags), why });
  const containers = (why: string) => ({ runtime: RUNTIMES.compose(loaded, env), why });
  if (choice.kind === 'external') return embedded(choice.why);
  const running = liveState(layoutOf(directory));
  const asked = config.runtime === 'auto' ? undefined : choice.kind;
  if (running && asked && running.runtime !== asked && running.runtime !== 'external') {
    throw new Problem('STACK_OTHER_CONFIG', {
      detail: `runtime ${running.runtime}, profile ${running.profile}, since ${running.startedAt}`,
    });
  }
  if (asked === 'compose') return containers('cdc.yaml, CDC_RUNTIME or --runtime asks for it');
  if (asked) return embedded(choice.why);
  const last = readState(layoutOf(directory))?.runtime;
  if (last === 'compose') {
    requireContained(config);
    return containers('as at the last start in this folder');
  }
  if (last === 'embedded') return embedded('as at the last start in this folder');
  const not = whatContainersLack(config)?.detail ?? (await whyNoContainers(env));
  return not === undefined
    ? containers('a Docker engine answers (--runtime embedded does without)')
    : embedded(`${choice.why}; no containers: ${not}`);
}

/** The runtime of the stack that runs in this folder, or ran last. */
export function currentRuntime(loaded: LoadedConfig, env: Env): Runtime {
  const asked = loaded.config.runtime === 'auto' ? 'embedded' : loaded.config.runtime;
  return RUNTIMES[readState(layoutOf(loaded.directory))?.runtime ?? asked](loaded, env);
}

/** The runtime of the stack that runs in this folder, or would be started. */
export function runtimeToWatch(loaded: LoadedConfig, env: Env): Runtime {
  const { runtime } = loaded.config;
  const runs = liveState(layoutOf(loaded.directory)) !== undefined;
  return runs || runtime === 'auto' ? currentRuntime(loaded, env) : RUNTIMES[runtime](loaded, env);
}

/** What this machine lacks for servers of its own, where no configuration can be read. */
export function machineFindings(
  env: Env,
  directory: string,
  servers: readonly ServerName[],
): Finding[] {
  return checkMachine(env, directory, servers);
}

/** Memory of the parts of a stack that runs, in bytes. */
export async function stackMemory(loaded: LoadedConfig, env: Env): Promise<Record<string, number>> {
  const agent = liveState(layoutOf(loaded.directory));
  return agent ? memoryByPart(await currentRuntime(loaded, env).status(agent)) : {};
}
