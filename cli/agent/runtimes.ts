import type { LoadedConfig } from '../config/load.ts';
import { Problem } from '../core/problems.ts';
import { whyNoContainers } from '../runtimes/compose/engine.ts';
import { ComposeRuntime } from '../runtimes/compose/runtime.ts';
import { layoutOf } from '../runtimes/embedded/layout.ts';
import { chooseRuntime } from '../runtimes/resolve.ts';
import type { Runtime } from '../runtimes/runtime.ts';
import { EmbeddedRuntime } from './embedded.ts';
import { liveState, readState } from './state.ts';

type Env = Readonly<Record<string, string | undefined>>;

export interface ChosenRuntime {
  readonly runtime: Runtime;
  /** Why, as a sentence; shown by `up`. */
  readonly why: string;
}

/** The runtime that `cdc up` starts the servers with. */
export async function runtimeToStart(
  loaded: LoadedConfig,
  env: Env,
  flags: readonly string[],
): Promise<ChosenRuntime> {
  const { config, directory } = loaded;
  const choice = chooseRuntime(config);
  const embedded = (why: string) => ({ runtime: new EmbeddedRuntime(loaded, env, flags), why });
  const containers = (why: string) => ({ runtime: new ComposeRuntime(loaded, env), why });
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
  if (last === 'compose') return containers('as at the last start in this folder');
  if (last === 'embedded') return embedded('as at the last start in this folder');
  const not = await whyNoContainers(env);
  return not === undefined
    ? containers('a Docker engine answers (--runtime embedded does without)')
    : embedded(`${choice.why}; no containers: ${not}`);
}

/** The runtime of the stack that runs in this folder, or ran last. */
export function currentRuntime(loaded: LoadedConfig, env: Env): Runtime {
  const last = readState(layoutOf(loaded.directory))?.runtime ?? loaded.config.runtime;
  return last === 'compose' ? new ComposeRuntime(loaded, env) : new EmbeddedRuntime(loaded, env);
}
