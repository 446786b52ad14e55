import type { Logger } from 'pino';
import { settingsDigest } from '../config/digest.ts';
import type { LoadedConfig } from '../config/load.ts';
import { workerGroup } from '../core/names.ts';
import { errorText, Problem } from '../core/problems.ts';
import { tryLock } from '../lib/lock.ts';
import { processStart } from '../lib/processes.ts';
import { pause } from '../lib/wait.ts';
import { settleNames } from '../pipeline/inspect/others.ts';
import type { Stack } from '../pipeline/state/stack.ts';
import { chooseRuntime } from '../runtimes/choice.ts';
import { requireRoom } from '../runtimes/embedded/check.ts';
import { placeParts } from '../runtimes/embedded/ext4Placement.ts';
import { ensureJars } from '../runtimes/embedded/jars.ts';
import { adoptable, endLeftovers } from '../runtimes/embedded/leftovers.ts';
import { observersToRun } from '../runtimes/embedded/observers/programs.ts';
import { type ClaimedPorts, chooseExtraPorts, choosePorts } from '../runtimes/embedded/ports.ts';
import { serversToRun } from '../runtimes/embedded/registry.ts';
import type { ServerSetting } from '../runtimes/embedded/servers/server.ts';
import { Supervisor } from '../runtimes/embedded/supervisor.ts';
import { findJava, needsJava } from '../runtimes/embedded/toolchain.ts';
import {
  postgresEndpoint,
  publishedPorts,
  resolveEndpoints,
  withAgentPassword,
} from '../runtimes/resolve.ts';
import {
  createLayout,
  type EmbeddedPorts,
  type ExtraPorts,
  ensureSecrets,
  type Layout,
  layoutOf,
  type Secrets,
} from '../stack/layout.ts';
import { namesOf } from '../stack/names.ts';
import {
  type AgentPhase,
  type AgentState,
  type ProcessName,
  RELEASE,
  readState,
  stackMarker,
  type View,
  writeState,
} from '../stack/state.ts';
import { applyAtStart } from './applyAtStart.ts';
import { Backups } from './backups.ts';
import { currentStack } from './currentStack.ts';
import { GapWatch } from './gaps.ts';
import { ControlLoops } from './loops.ts';
import { serveMetrics } from './observe.ts';
import { Observers } from './observers.ts';
import { readMissingRows } from './rowsToRead.ts';
import { SchemaWatch } from './schema.ts';
import { SlotWatch } from './slotWatch.ts';
import { SourceWatch } from './sourceWatch.ts';
import { StallWatch } from './stalls.ts';

type Env = Readonly<Record<string, string | undefined>>;

const SETTLE_AGAIN_MS = 2000;

/**
 * The long-running half: boots and supervises the embedded servers, keeps the heartbeat going and
 * restarts failed connector tasks. Ends when the signal fires; returns the exit code.
 */
export async function runAgent(
  load: () => LoadedConfig,
  env: Env,
  signal: AbortSignal,
  log: Logger,
  place: AgentPlace = 'machine',
): Promise<number> {
  const loaded = load();
  const layout = layoutOf(loaded.directory);
  createLayout(layout);
  const lock = tryLock(layout.lockFile);
  if ('heldBy' in lock) {
    log.info({ pid: lock.heldBy }, 'another agent supervises this stack');
    return 0;
  }
  const agent = new Agent(loaded, load, layout, env, log, place);
  try {
    return await agent.run(signal);
  } finally {
    lock.release();
  }
}

/** In a container of docker-compose.yml the servers are containers, too: the engine supervises them. */
export type AgentPlace = 'machine' | 'container';

class Agent {
  private readonly place: AgentPlace;
  private readonly loaded: LoadedConfig;
  private readonly load: () => LoadedConfig;
  private readonly layout: Layout;
  private readonly env: Env;
  private readonly log: Logger;
  private readonly startedAt = new Date().toISOString();
  private readonly loops: Record<string, string> = {};
  private phase: AgentPhase = 'starting';
  /** What the agent wrote whose servers this one takes over. */
  private before: AgentState | undefined;
  private ports: EmbeddedPorts | undefined;
  private supervisor: Supervisor | undefined;
  private claimed: ClaimedPorts | undefined;
  private observers: Observers | undefined;
  private extra: { readonly ports: ExtraPorts; release(): void } | undefined;
  private metricsUrl: string | undefined;
  private problem: Problem | undefined;

  constructor(
    loaded: LoadedConfig,
    load: () => LoadedConfig,
    layout: Layout,
    env: Env,
    log: Logger,
    place: AgentPlace,
  ) {
    this.place = place;
    this.loaded = loaded;
    this.load = load;
    this.layout = layout;
    this.env = env;
    this.log = log;
  }

  async run(signal: AbortSignal): Promise<number> {
    const before = readState(this.layout);
    const adopted = this.adopt(before);
    this.publish();
    try {
      const { config, directory } = this.loaded;
      const secrets = withAgentPassword(ensureSecrets(this.layout), {
        config,
        directory,
        env: this.env,
      });
      this.extra = await chooseExtraPorts(config, before?.extraPorts);
      if (this.place === 'container') {
        this.ports = publishedPorts(config);
        this.publish();
      } else {
        await endLeftovers(this.layout, this.log, [...adopted.values()]);
        await this.startServers(secrets, before?.ports, adopted, signal);
      }
      await this.settle(secrets, signal);
      if (this.place === 'machine') this.setPhase('ready');
      const endpoints = resolveEndpoints({
        config: this.loaded.config,
        directory: this.loaded.directory,
        env: this.env,
        ports: this.ports,
        view: this.view(),
        secrets,
      });
      const names = namesOf(this.loaded);
      const report = (name: string, trouble: string | undefined) => {
        if (this.loops[name] === trouble) return;
        if (trouble === undefined) delete this.loops[name];
        else this.loops[name] = trouble;
        this.publish();
      };
      const stack = currentStack(this.load, this.env);
      const source = new SourceWatch(stack, this.log, (trouble) => report('source', trouble));
      const loops = new ControlLoops(
        { config: this.loaded.config, names },
        endpoints,
        source,
        this.log,
        report,
      );
      const gaps = new GapWatch(stack, this.log);
      const schema = new SchemaWatch(
        stack,
        this.log,
        (trouble) => report('schema', trouble),
        () => gaps.digest,
      );
      await Promise.all([
        ...(this.place === 'container' ? [this.applyFirst(stack, signal, report)] : []),
        loops.run(signal),
        source.run(signal),
        new SlotWatch(stack, this.log, report).run(signal),
        schema.run(signal),
        gaps.run(signal),
        new StallWatch(stack, this.log, (trouble) => report('tables', trouble)).run(signal),
        readMissingRows(stack, this.log, signal),
        new Backups(stack, this.log, report).run(signal),
        this.observers?.start(this.loaded, endpoints, this.extra.ports, stackMarker(this.layout)),
        serveMetrics(
          {
            config: this.loaded.config,
            names,
            endpoints,
            layout: this.layout,
            secrets,
            port: this.extra.ports.agent,
            log: this.log,
            state: () => this.state(),
            taskRestarts: () => loops.taskRestarts,
            report,
            listening: (url) => {
              this.metricsUrl = url;
              this.publish();
            },
          },
          signal,
        ),
        ...(this.supervisor ? [placeParts(this.layout.data('clickhouse'), signal)] : []),
      ]);
    } catch (error) {
      if (!signal.aborted) {
        this.problem =
          error instanceof Problem
            ? error
            : new Problem(
                'INTERNAL',
                { detail: String((error as Error)?.stack ?? error) },
                { cause: error },
              );
        this.log.error(
          { code: this.problem.code, cause: this.problem.causeText },
          this.problem.message,
        );
        this.setPhase('failed');
      }
    }
    await this.stop();
    return this.problem?.exit ?? 0;
  }

  /** Servers of an agent that was killed go on: whoever asks meanwhile finds them ready. */
  private adopt(before: AgentState | undefined): ReadonlyMap<ProcessName, number> {
    if (this.place === 'container') return new Map();
    const { profile } = this.loaded.config;
    const now = { profile, settingsDigest: settingsDigest(this.loaded.config) };
    const adopted = adoptable(this.layout, before, now);
    if (before && adopted.size > 0 && adopted.size === before.servers.length) {
      this.before = before;
      this.ports = before.ports;
      this.phase = before.phase;
    }
    return adopted;
  }

  /** Before anybody asks for its names: those of a pipeline that an earlier cdc made are found in its source. */
  private async settle(secrets: Secrets, signal: AbortSignal): Promise<void> {
    const postgres = postgresEndpoint({
      config: this.loaded.config,
      directory: this.loaded.directory,
      env: this.env,
      ports: this.ports,
      view: this.view(),
      secrets,
    });
    for (;;) {
      try {
        return await settleNames(this.loaded, postgres);
      } catch (error) {
        this.log.warn({ error: errorText(error) }, 'asking the source for names');
      }
      await pause(SETTLE_AGAIN_MS, signal);
    }
  }

  private async applyFirst(
    stack: () => Stack,
    signal: AbortSignal,
    report: (loop: string, trouble: string | undefined) => void,
  ): Promise<void> {
    await applyAtStart(stack, signal, this.log, (trouble) => report('apply', trouble));
    if (!signal.aborted) this.setPhase('ready');
  }

  private view(): View | undefined {
    return this.place === 'container' ? 'network' : undefined;
  }

  private async startServers(
    secrets: Secrets,
    previous: EmbeddedPorts | undefined,
    adopted: ReadonlyMap<ProcessName, number>,
    signal: AbortSignal,
  ): Promise<void> {
    const { config, directory } = this.loaded;
    const choice = chooseRuntime(config);
    const toRun = observersToRun(config.observability, this.env);
    if (choice.servers.length === 0) return;
    requireRoom(this.layout.root, false);
    // The ports of servers that run are theirs.
    this.claimed =
      previous && adopted.size > 0
        ? { ports: previous, release: () => {} }
        : await choosePorts(config, choice.servers, previous);
    this.ports = this.claimed.ports;
    this.publish();
    const java = needsJava(choice.servers) ? findJava(this.env) : '';
    const endpoints = resolveEndpoints({
      config,
      directory,
      env: this.env,
      ports: this.ports,
      secrets,
    });
    const setting: ServerSetting = {
      layout: this.layout,
      ports: this.ports,
      secrets,
      kafka: endpoints.kafka,
      own: endpoints.clickhouse.own,
      backsUp: config.backup.to !== undefined,
      workerGroup: workerGroup(namesOf(this.loaded), endpoints.kafka.managed),
      source: endpoints.postgres,
      jars: needsJava(choice.servers)
        ? await ensureJars(this.env, signal, () => {})
        : { kafka: '', plugins: '', jmxAgent: '' },
      java,
      observed: toRun.programs.prometheus !== undefined,
      env: childEnvironment(this.env),
      profile: config.profile,
    };
    this.supervisor = new Supervisor(serversToRun(config, choice.servers), setting, {
      marker: stackMarker(this.layout),
      onChange: () => this.publish(),
      adopted,
    });
    const stopEarly = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    await Promise.race([this.supervisor.start(), stopEarly]);
    this.observers = new Observers(toRun, setting, () => this.publish());
  }

  private async stop(): Promise<void> {
    if (this.phase !== 'failed') this.setPhase('stopping');
    await this.observers?.stop();
    await this.supervisor?.stop();
    this.claimed?.release();
    this.extra?.release();
    if (this.phase !== 'failed') this.setPhase('stopped');
    this.publish();
  }

  private setPhase(phase: AgentPhase): void {
    this.phase = phase;
    this.log.info({ phase }, 'agent');
    this.publish();
  }

  private state(): AgentState {
    return {
      pid: process.pid,
      processStart: processStart(process.pid),
      phase: this.phase,
      runtime: chooseRuntime(this.loaded.config).kind,
      ...(this.place === 'container' ? { view: 'network' as const } : {}),
      profile: this.loaded.config.profile,
      settingsDigest: settingsDigest(this.loaded.config),
      ports: this.ports,
      servers: this.supervisor?.statuses() ?? this.before?.servers ?? [],
      observers: this.observers?.statuses() ?? [],
      extraPorts: this.extra?.ports,
      metricsUrl: this.metricsUrl,
      loops: { ...this.loops },
      problem: this.problem?.render(),
      exit: this.problem?.exit,
      startedAt: this.startedAt,
      release: RELEASE,
    };
  }

  private publish(): void {
    try {
      writeState(this.layout, this.state());
    } catch (error) {
      // A full disk must not end the agent: it is needed most then.
      this.log.error({ error: (error as Error).message }, 'the state was not written');
    }
  }
}

/**
 * Servers get what they need to run, and none of the passwords that the CLI may carry. Their locale is always the same:
 * in another one Java cannot open a folder called Büro, or writes its own constants in Turkish.
 */
function childEnvironment(env: Env): Env {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'JAVA_HOME', 'LD_LIBRARY_PATH', 'USER'];
  const found = kept.filter((key) => env[key] !== undefined).map((key) => [key, env[key]]);
  return { ...Object.fromEntries(found), LC_ALL: 'C.UTF-8' };
}
