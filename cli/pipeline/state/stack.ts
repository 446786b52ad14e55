import { type LoadedConfig, loadConfig } from '../../config/load.ts';
import type { Config } from '../../config/schema.ts';
import type { PipelineNames } from '../../core/names.ts';
import { Problem } from '../../core/problems.ts';
import { PROFILES, type Profile } from '../../core/profiles.ts';
import type { Context } from '../../kernel/context.ts';
import { chooseRuntime } from '../../runtimes/choice.ts';
import { resolveEndpoints, withAgentPassword } from '../../runtimes/resolve.ts';
import type { Endpoints } from '../../stack/endpoints.ts';
import {
  createLayout,
  ensureSecrets,
  type Layout,
  layoutOf,
  type Secrets,
} from '../../stack/layout.ts';
import { namesOf } from '../../stack/names.ts';
import { type AgentState, liveState, readState, refuseNewer } from '../../stack/state.ts';

/** A pipeline whose servers are known: what every command works on. */
export interface Stack {
  readonly config: Config;
  readonly directory: string;
  readonly layout: Layout;
  readonly secrets: Secrets;
  readonly endpoints: Endpoints;
  readonly names: PipelineNames;
  readonly profile: Profile;
  readonly agent: AgentState | undefined;
  readonly env: Context['env'];
}

/** The stack of this folder. Throws STACK_NOT_RUNNING when servers that cdc runs are not up. */
export function attach(
  context: Context,
  options: { file?: string | undefined; mayLackAgent?: boolean },
): Stack {
  const loaded = loadConfig({ cwd: context.cwd, env: context.env, file: options.file });
  return stackOf(loaded, context, options.mayLackAgent);
}

/**
 * @param mayLackAgent an agent that was killed leaves its servers running, and changes flow on: what only looks at them
 *                     can do so.
 */
export function stackOf(
  loaded: LoadedConfig,
  context: Pick<Context, 'env'>,
  mayLackAgent = false,
): Stack {
  const layout = layoutOf(loaded.directory);
  const last = mayLackAgent ? readState(layout) : undefined;
  const agent = liveState(layout) ?? (last?.phase === 'ready' ? last : undefined);
  if (agent) refuseNewer(agent);
  // The agent in a container applies before it is ready, to servers that are.
  const servesReady = agent?.phase === 'ready' || agent?.view === 'network';
  if (chooseRuntime(loaded.config).servers.length > 0 && (!agent?.ports || !servesReady)) {
    throw new Problem('STACK_NOT_RUNNING', { directory: loaded.directory });
  }
  createLayout(layout);
  const secrets = withAgentPassword(ensureSecrets(layout), {
    config: loaded.config,
    directory: loaded.directory,
    env: context.env,
  });
  // Started with flags, the agent knows better than the file which profile runs.
  const profile = (agent?.profile ?? loaded.config.profile) as Config['profile'];
  return {
    config: loaded.config,
    directory: loaded.directory,
    layout,
    secrets,
    endpoints: resolveEndpoints({
      config: loaded.config,
      directory: loaded.directory,
      env: context.env,
      ports: agent?.ports,
      view: agent?.view,
      secrets,
    }),
    names: namesOf(loaded),
    profile: PROFILES[profile],
    agent,
    env: context.env,
  };
}
