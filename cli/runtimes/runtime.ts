import type { Finding } from '../core/findings.ts';
import type { ServerName } from '../stack/endpoints.ts';
import type { AgentState, RuntimeKind } from '../stack/state.ts';

/** What a runtime shows while it works. */
export interface RuntimeHooks {
  readonly signal: AbortSignal;
  /** What goes on now; a line that replaces the last one. */
  progress(text: string): void;
}

export interface Started {
  readonly result: 'started' | 'unchanged';
  readonly profile: string;
  /** How each server came up, for people; empty when there is nothing to say. */
  readonly summary: string;
}

export interface LogLine {
  readonly component: string;
  readonly text: string;
}

/** The last lines of some logs, and what is written from then on. */
export interface OpenLogs {
  readonly lines: readonly LogLine[];
  follow(signal: AbortSignal, onLine: (line: LogLine) => void): Promise<void>;
}

/** A part of a stack (a server, the agent, an observer) as its runtime sees it; what was not read is absent. */
export interface PartStatus {
  readonly name: string;
  /** `ready` is good. */
  readonly state: string;
  readonly detail: string | undefined;
  /** What to type; absent when nothing is wrong. */
  readonly fix: string | undefined;
  readonly restarts: number | undefined;
  readonly memory_bytes: number | undefined;
}

/** `end` asks for an orderly end; who watches the server starts it again. */
export type Harm = 'kill' | 'end' | 'freeze' | 'thaw';

/** How the servers of a stack are run. Commands work with this and do not know which one it is. */
export interface Runtime {
  readonly kind: RuntimeKind;
  /** What can be known to be wrong before anything is started or made; throws it. */
  preflight(hooks: RuntimeHooks): Promise<void>;
  /** Starts the servers that do not run; returns when all of them answer. */
  start(hooks: RuntimeHooks): Promise<Started>;
  /** Starts what comes after the pipeline is applied; a second time it changes nothing. */
  complete(hooks: RuntimeHooks): Promise<void>;
  /** Ends everything; with `deleteData` the servers' data go, too. @returns whether anything ran. */
  stop(deleteData: boolean): Promise<boolean>;
  /**
   * Agent, servers and observers of a stack that runs; nothing is changed. Throws STACK_NOT_RUNNING where what
   * was written down is not there.
   */
  status(agent: AgentState): Promise<PartStatus[]>;
  /** What the agent says of itself, wherever it runs; absent when it has written nothing yet. */
  agentState(agent: AgentState): AgentState | undefined;
  /** What this runtime lacks here for these servers to start, or to go on; changes nothing and asks no network. */
  findings(servers: readonly ServerName[]): Promise<Finding[]>;
  /** Of the broker that it runs: Kafka's protocol does not tell. */
  kafkaVersion(): Promise<string | undefined>;
  /** Names that `logs` takes. */
  logNames(): readonly string[];
  logs(names: readonly string[], count: number): Promise<OpenLogs>;
  /** Does on purpose to a server or the agent what else happens by accident; nothing where it does not run. */
  harm(part: ServerName | 'agent', how: Harm): Promise<void>;
  /** Kills all that it runs at once: a power cut. */
  harmAll(): Promise<void>;
  /** Where logs are, for people. */
  readonly logPlace: string;
}

/** A PostgreSQL whose data came from a backup, after it has replayed its WAL. */
export interface Recovered {
  /** How far its WAL goes. */
  readonly end: bigint;
  /** When the last transaction was committed that it has. */
  readonly lastCommit: Date | undefined;
}

/** It did not get where it was to; the message is PostgreSQL's. */
export class RecoveryError extends Error {}
