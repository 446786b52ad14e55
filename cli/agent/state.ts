import type { RenderedProblem } from '../core/problems.ts';
import { readJson, writeFileAtomic } from '../lib/files.ts';
import { isSameProcess } from '../lib/processes.ts';
import type { EmbeddedPorts, Layout } from '../runtimes/embedded/layout.ts';
import type { ServerStatus } from '../runtimes/embedded/supervisor.ts';
import type { RuntimeKind, View } from '../runtimes/resolve.ts';
import type { ExtraPorts } from './ports.ts';

export type AgentPhase = 'starting' | 'ready' | 'failed' | 'stopping' | 'stopped';

/** What the agent tells everybody through `.cdc/state.json`; the agent alone writes it. */
export interface AgentState {
  readonly pid: number;
  /** From `processStart`: tells the agent from another process that got its pid later. */
  readonly processStart: string | undefined;
  readonly phase: AgentPhase;
  readonly runtime: RuntimeKind;
  /** From where the ports below are seen; absent: processes of this machine. */
  readonly view?: View;
  /** The containers' project. */
  readonly project?: string;
  readonly profile: string;
  /** Changes when a setting changed that servers take only at their start. */
  readonly settingsDigest: string;
  readonly ports: EmbeddedPorts | undefined;
  readonly servers: readonly ServerStatus[];
  /** Prometheus, Alertmanager and exporters; their failure is none of the pipeline. */
  readonly observers: readonly ServerStatus[];
  readonly extraPorts: ExtraPorts | undefined;
  /** Where the agent serves its metrics; absent until it does. */
  readonly metricsUrl: string | undefined;
  /** What the control loops say: the last trouble of each, absent when it goes well. */
  readonly loops: Readonly<Record<string, string>>;
  readonly problem: RenderedProblem | undefined;
  readonly exit: number | undefined;
  readonly startedAt: string;
}

export function readState(layout: Layout): AgentState | undefined {
  return readJson<AgentState>(layout.stateFile);
}

export function writeState(layout: Layout, state: AgentState): void {
  // A container's agent is another user than who looks at it from the machine.
  const mode = state.view === 'network' ? 0o644 : 0o600;
  writeFileAtomic(layout.stateFile, `${JSON.stringify(state, null, 2)}\n`, mode);
}

/** The state, if the agent that wrote it still runs. */
export function liveState(layout: Layout): AgentState | undefined {
  const state = readState(layout);
  if (!state || state.phase === 'stopped') return undefined;
  // Containers run without a process of this machine; what is true of them the engine tells.
  const lives = state.view === 'published' || isSameProcess(state.pid, state.processStart);
  return lives ? state : undefined;
}

/** The environment variable that marks every process of a stack. */
export function stackMarker(layout: Layout): string {
  return layout.root;
}
