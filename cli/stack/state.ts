import { join } from 'node:path';
import { z } from 'zod';
import { Problem } from '../core/problems.ts';
import { readJson, writeFileAtomic, writeFileIfOther } from '../lib/files.ts';
import { isSameProcess } from '../lib/processes.ts';
import { PEER_NAMES } from './brokers.ts';
import { SERVER_NAMES } from './endpoints.ts';
import type { EmbeddedPorts, ExtraPorts, Layout } from './layout.ts';

/** What tells about the pipeline and is no part of it. */
export const OBSERVER_NAMES = [
  'prometheus',
  'alertmanager',
  'node_exporter',
  'postgres_exporter',
] as const;
export type ObserverName = (typeof OBSERVER_NAMES)[number];

/**
 * Raised with every change after which an agent of before does not understand what commands write, or they not what it
 * writes. Those that have none are of before it was written down.
 */
export const RELEASE = 1;

/** By name; one that a later cdc has is missing in what an earlier one wrote. */
function ports<T extends Record<string, number>>() {
  return z.record(z.string(), z.int()) as unknown as z.ZodType<T>;
}

/** What is known of one supervised server. */
const serverStatus = z.object({
  name: z.enum([...SERVER_NAMES, ...PEER_NAMES, ...OBSERVER_NAMES]),
  state: z.enum(['waiting', 'starting', 'ready', 'restarting', 'failed', 'stopped']),
  pid: z.int().optional(),
  restarts: z.int(),
  /** Seconds from spawn to the first answer, of the latest start. */
  startSeconds: z.number().optional(),
  detail: z.string().optional(),
});

/**
 * What `.cdc/state.json` tells everybody. The agent alone writes it; of containers, whose agent has a folder of its own
 * below `.cdc/`, whatever makes their files: then there is neither a process nor what it knows.
 */
const agentState = z.object({
  pid: z.int().optional(),
  /** From `processStart`: tells the agent from another process that got its pid later. */
  processStart: z.string().optional(),
  phase: z.enum(['starting', 'ready', 'failed', 'stopping', 'stopped']),
  runtime: z.enum(['embedded', 'compose', 'external']),
  /**
   * From where the ports below are seen: containers through their published ports, or from within their network;
   * absent: processes of this machine.
   */
  view: z.enum(['published', 'network']).optional(),
  /** The containers' project. */
  project: z.string().optional(),
  profile: z.string(),
  /** Changes when a setting changed that servers take only at their start. */
  settingsDigest: z.string(),
  ports: ports<EmbeddedPorts>().optional(),
  servers: z.array(serverStatus).readonly(),
  /** Prometheus, Alertmanager and exporters; their failure is none of the pipeline. */
  observers: z.array(serverStatus).readonly().default([]),
  extraPorts: ports<ExtraPorts>().optional(),
  /** Where the agent serves its metrics; absent until it does. */
  metricsUrl: z.string().optional(),
  /** What the control loops say: the last trouble of each, absent when it goes well. */
  loops: z.record(z.string(), z.string()),
  problem: z
    .object({ code: z.string(), message: z.string(), cause: z.string(), fix: z.string() })
    .optional(),
  exit: z.int().optional(),
  startedAt: z.string(),
  /** RELEASE of the agent's cdc; absent where it runs in a container, whose image goes with the CLI's. */
  release: z.int().optional(),
});

export type AgentState = Readonly<z.output<typeof agentState>>;
export type AgentPhase = AgentState['phase'];
export type RuntimeKind = AgentState['runtime'];
export type ServerStatus = Readonly<z.output<typeof serverStatus>>;
export type ServerState = ServerStatus['state'];
export type ProcessName = ServerStatus['name'];

/**
 * From where a stack's own servers are seen: processes of this machine, containers through their
 * published ports, or containers from within their network.
 */
export type View = 'processes' | NonNullable<AgentState['view']>;

/** Whether an agent that runs is of a cdc before or after this one; 0 where of the same. */
export function ageOf({ release = 0, view }: AgentState): number {
  return view === undefined ? release - RELEASE : 0;
}

/**
 * @throws {Problem} STACK_NEWER where a newer cdc runs the stack.
 */
export function refuseNewer(agent: AgentState): void {
  if (ageOf(agent) > 0)
    throw new Problem('STACK_NEWER', { pid: agent.pid ?? 0, since: agent.startedAt });
}

/** Undefined where nothing was written, or no state: that no second agent starts is up to its lock. */
export function readState(layout: Pick<Layout, 'stateFile'>): AgentState | undefined {
  const found = agentState.safeParse(readJson<unknown>(layout.stateFile));
  return found.success ? found.data : undefined;
}

/** What the agent in a container tells, for who looks at it from the machine. */
export function readContainerState({ root }: Layout): AgentState | undefined {
  return readState({ stateFile: join(root, 'agent', 'state.json') });
}

/** By the agent: all of it. */
export function writeState(layout: Layout, state: AgentState): void {
  // A container's agent is another user than who looks at it from the machine.
  const mode = state.view === 'network' ? 0o644 : 0o600;
  writeFileAtomic(layout.stateFile, textOf(state), mode);
}

/** For the CLI on this machine, by what makes the containers' files: they run here, and these ports lead to them. */
export function writePublished(
  layout: Layout,
  told: Required<Pick<AgentState, 'profile' | 'ports' | 'project'>>,
  now: Date,
): void {
  const last = readState(layout);
  const goesOn = last?.view === 'published' && last.phase === 'ready';
  const state: AgentState = {
    phase: 'ready',
    runtime: 'compose',
    view: 'published',
    ...told,
    settingsDigest: '',
    servers: [],
    observers: [],
    loops: {},
    startedAt: goesOn ? last.startedAt : now.toISOString(),
  };
  // Written anew it belongs to root until it is given back.
  writeFileIfOther(layout.stateFile, textOf(state), 0o600);
}

/** By what stops it: nothing of it runs any more. */
export function writeStopped(layout: Layout): void {
  const last = readState(layout);
  if (last && last.phase !== 'stopped')
    writeState(layout, { ...last, phase: 'stopped', servers: [] });
}

/** The state, if the agent that wrote it still runs. */
export function liveState(layout: Layout): AgentState | undefined {
  const state = readState(layout);
  if (!state || state.phase === 'stopped') return undefined;
  // Containers run without a process of this machine; what is true of them the engine tells.
  const lives =
    state.view === 'published' ||
    (state.pid !== undefined && isSameProcess(state.pid, state.processStart));
  return lives ? state : undefined;
}

function textOf(state: AgentState): string {
  return `${JSON.stringify(state, null, 2)}\n`;
}

/** The environment variable that marks every process of a stack. */
export function stackMarker(layout: Layout): string {
  return layout.root;
}
