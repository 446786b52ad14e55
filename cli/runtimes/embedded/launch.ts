import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { settingsDigest } from '../../config/digest.ts';
import type { LoadedConfig } from '../../config/load.ts';
import { PROBLEMS, Problem, type ProblemCode } from '../../core/problems.ts';
import { packageRoot } from '../../lib/packageRoot.ts';
import { isAlive } from '../../lib/processes.ts';
import { withUndo } from '../../lib/undo.ts';
import { StopWaiting, WaitTimeout, waitFor } from '../../lib/wait.ts';
import { createLayout, type Layout, layoutOf } from '../../stack/layout.ts';
import {
  type AgentState,
  ageOf,
  liveState,
  readState,
  refuseNewer,
  stackMarker,
  writeStopped,
} from '../../stack/state.ts';
import { endLeftovers } from './leftovers.ts';
import { logTail, openLog } from './supervisor.ts';

type Env = Readonly<Record<string, string | undefined>>;

export interface Launched {
  readonly state: AgentState;
  readonly result: 'started' | 'unchanged';
}

/** Starts the agent unless it runs, and waits until every server answers. */
export async function ensureAgent(
  loaded: LoadedConfig,
  env: Env,
  flags: readonly string[],
  signal: AbortSignal,
  onProgress: (state: AgentState) => void,
  onWait: (text: string) => void,
): Promise<Launched> {
  const layout = layoutOf(loaded.directory);
  createLayout(layout);
  const running = liveState(layout);
  if (running) refuseNewer(running);
  if (running && ageOf(running) < 0) {
    onWait(`replacing the agent of an earlier cdc (pid ${running.pid}); data stay`);
    await stopAgent(loaded.directory);
  } else if (running && running.phase !== 'failed' && running.phase !== 'stopping') {
    if (running.settingsDigest !== settingsDigest(loaded.config)) {
      throw new Problem('STACK_OTHER_CONFIG', {
        detail: `runtime ${running.runtime}, profile ${running.profile}, since ${running.startedAt}`,
      });
    }
    const state = await waitUntilReady(layout, signal, onProgress, () => runs(running));
    return { state, result: running.phase === 'ready' ? 'unchanged' : 'started' };
  }
  if (running && runs(running)) {
    onWait(`waiting for the agent of before (pid ${running.pid}) to end`);
    await waitUntilGone(running, signal);
  }
  const before = readState(layout)?.startedAt;
  const agent = spawnAgent(loaded, layout, env, flags);
  // Nobody asked for servers that come up after Ctrl-C.
  const stop = async () => {
    if (!signal.aborted) return;
    onWait('stopping the servers that were starting');
    await agent.stop();
  };
  const state = await withUndo(stop, () =>
    waitUntilReady(layout, signal, onProgress, agent.isAlive, before),
  );
  return { state, result: 'started' };
}

const STOP_MS = 20_000;

function spawnAgent(loaded: LoadedConfig, layout: Layout, env: Env, flags: readonly string[]) {
  const log = openLog(layout.log('agent'));
  const config = loaded.file ? ['--config', loaded.file] : [];
  const dist = join(packageRoot(), 'dist');
  const child = spawn(
    process.execPath,
    [
      join(dist, 'runtimes', 'embedded', 'keeper.js'),
      join(dist, 'main.js'),
      ...['agent', ...config, ...flags],
    ],
    {
      cwd: loaded.directory,
      env: { ...(env as NodeJS.ProcessEnv), CDC_STACK: stackMarker(layout) },
      stdio: ['ignore', log, log],
      detached: true,
    },
  );
  closeSync(log);
  let exited = false;
  child.once('exit', () => {
    exited = true;
  });
  child.once('error', () => {
    exited = true;
  });
  child.unref();
  return {
    isAlive: () => !exited,
    /** It ends what it has started, and itself. */
    stop: async () => {
      child.kill('SIGTERM');
      await waitFor('the agent to end', { timeoutMs: STOP_MS, everyMs: 50 }, () =>
        exited ? { ready: true } : { seen: 'it runs' },
      );
    },
  };
}

async function waitUntilReady(
  layout: Layout,
  signal: AbortSignal,
  onProgress: (state: AgentState) => void,
  agentAlive: () => boolean,
  notBefore?: string,
): Promise<AgentState> {
  try {
    return await waitFor('the servers', { timeoutMs: 300_000, everyMs: 50, signal }, () => {
      const alive = agentAlive();
      const state = readState(layout);
      if (!state || state.startedAt === notBefore) {
        // An agent that lost the race for the lock ends; the winner's state is what counts.
        const other = liveState(layout);
        if (!alive && !other) throw new StopWaiting(agentGone(layout));
        return { seen: 'the agent starts' };
      }
      onProgress(state);
      if (state.phase === 'ready') return { ready: state };
      if (state.phase === 'failed' && state.problem)
        throw new StopWaiting(problemFrom(state.problem));
      if (!runs(state)) throw new StopWaiting(agentGone(layout));
      return { seen: state.servers.map((s) => `${s.name} ${s.state}`).join(', ') };
    });
  } catch (error) {
    if (error instanceof WaitTimeout) {
      throw new Problem('AGENT_FAILED', { detail: `The servers did not get ready: ${error.seen}` });
    }
    throw error;
  }
}

/** The agent's problem, as if it had happened here; that of another version may have a code that is not known here. */
function problemFrom(rendered: NonNullable<AgentState['problem']>): Problem {
  const code = rendered.code in PROBLEMS ? (rendered.code as ProblemCode) : 'AGENT_FAILED';
  return Problem.restore(code, { ...rendered, code });
}

function agentGone(layout: Layout): Problem {
  const tail = logTail(layout.log('agent'), 5);
  return new Problem('AGENT_FAILED', { detail: tail || 'It left no message.' });
}

function runs({ pid }: AgentState): boolean {
  return pid !== undefined && isAlive(pid);
}

async function waitUntilGone(agent: AgentState, signal?: AbortSignal): Promise<void> {
  await waitFor(
    `pid ${agent.pid} to end`,
    { timeoutMs: 60_000, everyMs: 50, ...(signal ? { signal } : {}) },
    () => (runs(agent) ? { seen: 'it runs' } : { ready: true }),
  );
}

/**
 * Ends the agent and all that it started; also what an agent that was killed left behind.
 *
 * @returns whether anything ran.
 */
export async function stopAgent(directory: string): Promise<boolean> {
  const layout = layoutOf(directory);
  const state = liveState(layout);
  if (state?.pid !== undefined && state.view === undefined) {
    try {
      process.kill(state.pid, 'SIGTERM');
      await waitUntilGone(state);
    } catch (error) {
      if (!(error instanceof WaitTimeout)) throw error;
    }
  }
  const leftovers = await endLeftovers(layout);
  writeStopped(layout);
  return state !== undefined || leftovers.length > 0;
}
