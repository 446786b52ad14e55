import { rmSync } from 'node:fs';
import type { LoadedConfig } from '../../config/load.ts';
import type { Finding } from '../../core/findings.ts';
import { findMarked, processTree, signalQuietly } from '../../lib/processes.ts';
import type { ServerName } from '../../stack/endpoints.ts';
import { createLayout, type Layout, layoutOf } from '../../stack/layout.ts';
import { type AgentState, liveState, readState } from '../../stack/state.ts';
import { ownServers } from '../choice.ts';
import { checkPortsFree } from '../ports.ts';
import type { Harm, OpenLogs, PartStatus, Runtime, RuntimeHooks, Started } from '../runtime.ts';
import { checkMachine, diskFindings, requireOpenFiles, requireRoom } from './check.ts';
import { ensureJars, kafkaVersion } from './jars.ts';
import { ensureAgent, stopAgent } from './launch.ts';
import { markOf } from './leftovers.ts';
import {
  endOf,
  followLogs,
  LOG_COMPONENTS,
  type LogComponent,
  lastLines,
  logFiles,
} from './logs.ts';
import { libchdb, postgresHome } from './packages.ts';
import { EMBEDDED_SERVERS } from './registry.ts';
import { postgresOutsideFolder, requireName } from './servers/postgres.ts';
import { processStatus } from './status.ts';
import { findJava, needsJava } from './toolchain.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** Servers as processes of this machine, which the agent supervises; also where all run elsewhere. */
export class EmbeddedRuntime implements Runtime {
  readonly kind: 'embedded' | 'external';
  readonly logPlace: string;
  private readonly loaded: LoadedConfig;
  private readonly env: Env;
  private readonly flags: readonly string[];
  private readonly layout: Layout;

  /** `flags`: what was given to `cdc up` and the agent has to know. */
  constructor(loaded: LoadedConfig, env: Env, flags: readonly string[] = []) {
    this.loaded = loaded;
    this.env = env;
    this.flags = flags;
    this.layout = layoutOf(loaded.directory);
    this.logPlace = this.layout.logs;
    this.kind = ownServers(loaded.config).length === 0 ? 'external' : 'embedded';
  }

  async preflight(hooks: RuntimeHooks): Promise<void> {
    const { config } = this.loaded;
    const servers = ownServers(config);
    createLayout(this.layout);
    const running = liveState(this.layout) !== undefined;
    if (servers.length > 0) requireRoom(this.layout.root, running);
    if (running) return;
    if (servers.length > 0) requireOpenFiles();
    if (servers.includes('postgres')) {
      postgresHome();
      requireName(this.env);
    }
    if (servers.includes('clickhouse')) libchdb();
    await checkPortsFree(config, servers);
    if (!needsJava(servers)) return;
    findJava(this.env);
    hooks.progress('looking for the Kafka and Debezium jars');
    await ensureJars(this.env, hooks.signal, hooks.progress);
  }

  async start(hooks: RuntimeHooks): Promise<Started> {
    const { state, result } = await ensureAgent(
      this.loaded,
      this.env,
      this.flags,
      hooks.signal,
      (now) => hooks.progress(serverLine(now)),
      hooks.progress,
    );
    return { result, profile: state.profile, summary: serverLine(state) };
  }

  /** The agent runs since the servers do. */
  async complete(): Promise<void> {}

  async stop(deleteData: boolean): Promise<boolean> {
    const stopped = await stopAgent(this.loaded.directory);
    if (deleteData)
      rmSync(postgresOutsideFolder(this.layout.root), { recursive: true, force: true });
    return stopped;
  }

  async status(agent: AgentState): Promise<PartStatus[]> {
    const disk = agent.servers.length > 0 ? diskFindings(this.loaded.directory) : [];
    const detail = disk.map(({ message }) => `disk: ${message}`).join('; ') || undefined;
    return processStatus(agent).map((part) => (part.name === 'agent' ? { ...part, detail } : part));
  }

  agentState(agent: AgentState): AgentState {
    return agent;
  }

  async findings(servers: readonly ServerName[]): Promise<Finding[]> {
    return checkMachine(this.env, this.loaded.directory, servers);
  }

  async kafkaVersion(): Promise<string | undefined> {
    return kafkaVersion(this.env);
  }

  logNames(): readonly string[] {
    return LOG_COMPONENTS;
  }

  async logs(names: readonly string[], count: number): Promise<OpenLogs> {
    const files = logFiles(this.layout, names as readonly LogComponent[]).map((file) => ({
      ...file,
      from: endOf(file.path),
    }));
    const lines = files.flatMap((file) =>
      lastLines(file.path, count).map((text) => ({ component: file.name, text })),
    );
    return { lines, follow: (signal, onLine) => followLogs(files, signal, onLine) };
  }

  async harm(part: ServerName | 'agent', how: Harm): Promise<void> {
    const state = readState(this.layout);
    const found = part === 'agent' ? state : state?.servers.find(({ name }) => name === part);
    if (found?.pid === undefined) return;
    const signal =
      part !== 'agent' && how === 'end' ? EMBEDDED_SERVERS[part].stopSignal : SIGNALS[how];
    // All that PostgreSQL consists of stands still; the agent's children are the servers.
    const isWhole = part !== 'agent' && (how === 'freeze' || how === 'thaw');
    for (const pid of isWhole ? processTree(found.pid) : [found.pid]) signalQuietly(pid, signal);
  }

  async harmAll(): Promise<void> {
    for (const pid of findMarked(markOf(this.layout))) signalQuietly(pid, 'SIGKILL');
  }
}

const SIGNALS = { kill: 'SIGKILL', end: 'SIGTERM', freeze: 'SIGSTOP', thaw: 'SIGCONT' } as const;

function serverLine(state: AgentState): string {
  return state.servers
    .map((s) =>
      s.state === 'ready' ? `${s.name} ${s.startSeconds?.toFixed(1)} s` : `${s.name} ${s.state}`,
    )
    .join(', ');
}
