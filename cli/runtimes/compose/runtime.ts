import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type Docker from 'dockerode';
import type { LoadedConfig } from '../../config/load.ts';
import { type Finding, findingOf } from '../../core/findings.ts';
import { Problem } from '../../core/problems.ts';
import { readJson, writeFileAtomic } from '../../lib/files.ts';
import { freePort, isPortFree, portOwner } from '../../lib/ports.ts';
import type { Ran } from '../../lib/run.ts';
import { pause } from '../../lib/wait.ts';
import { SERVER_NAMES } from '../../stack/endpoints.ts';
import { createLayout, ensureSecrets, type Layout, layoutOf } from '../../stack/layout.ts';
import { type AgentState, readContainerState, readState, writeStopped } from '../../stack/state.ts';
import { ownServers } from '../choice.ts';
import { publishedPorts, resolveEndpoints } from '../resolve.ts';
import type { Harm, OpenLogs, PartStatus, Runtime, RuntimeHooks, Started } from '../runtime.ts';
import { openEngine, requireCompose } from './engine.ts';
import { harmContainer } from './harm.ts';
import { containerTail, openContainerLogs } from './logs.ts';
import {
  composeProfiles,
  composeVariables,
  containerKafkaVersion,
  PORT_VARIABLES,
  projectName,
  readFailure,
} from './project.ts';
import { compose } from './run.ts';
import { containersOf, containersStatus, type FoundContainer } from './status.ts';
import { GIVEN_PASSWORDS_FILE, requireReadable } from './write.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** What `docker compose config` prints, as far as it is needed. */
interface ComposeConfig {
  readonly services: Readonly<Record<string, { readonly image: string; readonly build?: unknown }>>;
}

/** What the last `cdc up` filled docker-compose.yml with; kept so that free ports stay the same. */
interface Remembered {
  readonly project: string;
  readonly ports: Readonly<Record<string, number>>;
}

const START_SECONDS = 300;
const LOOK_MS = 1000;
/** Ends and starts after which waiting is of no use. */
const RESTARTS_MOST = 3;
const PASSWORDS = [
  'CDC_SOURCE_PASSWORD',
  'CDC_KAFKA_PASSWORD',
  'CDC_CONNECT_PASSWORD',
  'CDC_CLICKHOUSE_PASSWORD',
];

/** Servers as containers: `docker compose` does the work, the engine tells how they are. */
export class ComposeRuntime implements Runtime {
  readonly kind = 'compose';
  readonly logPlace = 'the containers';
  private readonly loaded: LoadedConfig;
  private readonly env: Env;
  private readonly layout: Layout;
  private readonly project: string;
  private remembered: Remembered | undefined;

  constructor(loaded: LoadedConfig, env: Env) {
    this.loaded = loaded;
    this.env = env;
    this.layout = layoutOf(loaded.directory);
    this.remembered = readJson<Remembered>(this.rememberedFile());
    // A stack that was started without the CLI has its project in its state.
    const started = readState(this.layout)?.project;
    this.project = this.remembered?.project ?? started ?? projectName(loaded);
  }

  async preflight(hooks: RuntimeHooks): Promise<void> {
    const docker = await openEngine(this.env);
    await requireCompose(this.env);
    requireReadable(this.loaded);
    const running = await containersOf(docker, this.project);
    await this.choosePorts(running);
    await this.fetchImages(docker, hooks);
  }

  async start(hooks: RuntimeHooks): Promise<Started> {
    const docker = await openEngine(this.env);
    createLayout(this.layout);
    ensureSecrets(this.layout);
    this.keepPasswords();
    const before = await containersOf(docker, this.project);
    await this.choosePorts(before);
    for (const one of before.filter(({ status }) => status === 'paused'))
      await docker.getContainer(one.id).unpause();
    const servers = ownServers(this.loaded.config);
    if (servers.length > 0) await this.up(docker, servers, hooks);
    const after = await containersOf(docker, this.project);
    const same = (name: string) => {
      const [old, now] = [before, after].map((all) => all.find((one) => one.service === name));
      return old?.status === 'running' && old.id === now?.id;
    };
    return {
      result: [...servers, 'agent'].every(same) ? 'unchanged' : 'started',
      profile: this.loaded.config.profile,
      summary: servers.join(', '),
    };
  }

  async complete(hooks: RuntimeHooks): Promise<void> {
    await this.up(await openEngine(this.env), [], hooks);
  }

  async stop(deleteData: boolean): Promise<boolean> {
    const docker = await openEngine(this.env);
    await requireCompose(this.env);
    const before = await containersOf(docker, this.project);
    // What the containers' users own, this user may not delete.
    if (deleteData && process.getuid?.() !== 0)
      await this.compose(['run', '--rm', 'secrets', 'container-files', '--remove'], ['*']);
    const args = ['down', '--remove-orphans', ...(deleteData ? ['--volumes'] : [])];
    // Also what an interrupted start left: a network, the container that only prepares.
    const done = await this.compose(args, ['*']);
    if (done.code !== 0) throw await this.problemOf(docker, done);
    if (readState(this.layout)?.view === 'published') writeStopped(this.layout);
    return before.length > 0;
  }

  async status(agent: AgentState): Promise<PartStatus[]> {
    const docker = await openEngine(this.env);
    const parts = await containersStatus(docker, agent.project ?? this.project);
    if (parts.length === 0)
      throw new Problem('STACK_NOT_RUNNING', { directory: this.loaded.directory });
    return parts;
  }

  /** The container's agent writes where its user may. */
  agentState(): AgentState | undefined {
    return readContainerState(this.layout);
  }

  async findings(): Promise<Finding[]> {
    try {
      await openEngine(this.env);
      await requireCompose(this.env);
      return [];
    } catch (error) {
      return [findingOf('docker', error)];
    }
  }

  async kafkaVersion(): Promise<string | undefined> {
    return containerKafkaVersion();
  }

  logNames(): readonly string[] {
    return ['agent', ...SERVER_NAMES, ...OTHERS];
  }

  async logs(names: readonly string[], count: number): Promise<OpenLogs> {
    const docker = await openEngine(this.env);
    const found = await containersOf(docker, this.project);
    return openContainerLogs(
      docker,
      found.filter((one) => names.includes(one.service)),
      count,
    );
  }

  async harm(part: string, how: Harm): Promise<void> {
    await harmContainer(await openEngine(this.env), this.project, part, how);
  }

  async harmAll(): Promise<void> {
    const engine = await openEngine(this.env);
    const parts = ['agent', ...SERVER_NAMES];
    await Promise.all(parts.map((part) => harmContainer(engine, this.project, part, 'kill')));
  }

  private rememberedFile(): string {
    return join(this.layout.root, 'compose.json');
  }

  /** Free ports where cdc.yaml says auto; else a problem for one that another program has. */
  private async choosePorts(running: readonly FoundContainer[]): Promise<void> {
    const { config } = this.loaded;
    const auto = config.ports === 'auto';
    const named = publishedPorts(config) as Record<string, number>;
    const kept = this.remembered?.ports ?? {};
    const ports: Record<string, number> = {};
    const taken = new Set<number>();
    const up = new Set(running.filter((one) => one.status !== 'exited').map((one) => one.service));
    const stays = async (variable: string) =>
      kept[variable] !== undefined &&
      (up.has(serviceOf(variable)) || (await isPortFree(kept[variable])));
    for (const [variable, usual] of Object.entries(PORT_VARIABLES)) {
      const own = named[variable.slice('CDC_PORTS_'.length).toLowerCase()];
      const given = this.env[variable];
      ports[variable] = auto
        ? ((await stays(variable)) && kept[variable]) || (await freeOther(taken))
        : (own ?? (given ? Number(given) : usual));
      taken.add(ports[variable] ?? 0);
    }
    for (const [variable, port] of auto ? [] : Object.entries(ports)) {
      const service = serviceOf(variable);
      const wanted = SERVER_NAMES.some((name) => name === service)
        ? ownServers(config).some((name) => name === service)
        : this.profiles().includes(
            service === 'kafdrop' || service === 'portainer' ? 'tools' : 'observability',
          );
      if (wanted && !up.has(service) && !(await isPortFree(port)))
        throw new Problem('PORT_IN_USE', { port, server: service, owner: portOwner(port) });
    }
    this.remembered = { project: this.project, ports };
    createLayout(this.layout);
    writeFileAtomic(this.rememberedFile(), `${JSON.stringify(this.remembered, null, 2)}\n`, 0o600);
  }

  /** Gets what is not there; so a registry that cannot be reached is known before anything starts. */
  private async fetchImages(docker: Docker, hooks: RuntimeHooks): Promise<void> {
    const listed = await this.compose(['config', '--format', 'json'], this.profiles());
    if (listed.code !== 0) throw await this.problemOf(docker, listed);
    const { services } = JSON.parse(listed.stdout) as ComposeConfig;
    const missing: { readonly service: string; readonly image: string; readonly built: boolean }[] =
      [];
    for (const [service, { image, build }] of Object.entries(services)) {
      const found = await docker
        .getImage(image)
        .inspect()
        .catch(() => undefined);
      if (!found) missing.push({ service, image, built: build !== undefined });
    }
    if (missing.length === 0) return;
    const names = new Set(missing.map(({ image }) => image));
    hooks.progress(`getting ${names.size} images: ${[...names].join(', ')}`);
    const onLine = (line: string) => hooks.progress(`getting images: ${line.slice(0, 100)}`);
    const pulled = missing.filter(({ built }) => !built).map(({ service }) => service);
    const steps = [
      ...(pulled.length > 0 ? [['pull', ...pulled]] : []),
      // Both services that it is for share it.
      ...(missing.some(({ built }) => built) ? [['build', 'agent']] : []),
    ];
    for (const step of steps) {
      const done = await this.compose(step, this.profiles(), { hooks, onLine });
      if (done.code === 0) continue;
      const failure = readFailure(done.output, this.project);
      throw new Problem('IMAGE_UNAVAILABLE', {
        image: (failure.kind === 'image' && failure.image) || (missing[0]?.image ?? ''),
        detail: failure.kind === 'port' ? done.output : failure.detail,
      });
    }
  }

  private async up(
    docker: Docker,
    services: readonly string[],
    hooks: RuntimeHooks,
  ): Promise<void> {
    const args = ['up', '--detach', '--wait', '--wait-timeout', String(START_SECONDS), ...services];
    const onLine = (line: string) => {
      const seen = /^Container \S+?-([a-z-]+)-\d+ +(\w+)/.exec(line);
      if (seen && seen[1] !== 'secrets') hooks.progress(`${seen[1]} ${seen[2]?.toLowerCase()}`);
    };
    const ended = new AbortController();
    const watched = this.endlessRestart(docker, ended.signal);
    const done = this.compose(args, this.profiles(), { hooks, onLine });
    try {
      const first = await Promise.race([done, watched]);
      if ('service' in first) throw await this.containerProblem(docker, first);
      if (first.code !== 0) throw await this.problemOf(docker, first);
    } finally {
      ended.abort();
    }
  }

  /**
   * A container that ends again and again: `docker compose up --wait` would give it all its time.
   * Never resolves where there is none.
   */
  private async endlessRestart(
    docker: Docker,
    signal: AbortSignal,
  ): Promise<{ readonly service: string; readonly detail: string }> {
    // What a container did before is not what it does now.
    const before = new Map<string, number>();
    while (!signal.aborted) {
      for (const one of await containersOf(docker, this.project).catch(() => [])) {
        const found = await docker
          .getContainer(one.id)
          .inspect()
          .catch(() => undefined);
        if (!found) continue;
        const from = before.get(one.id) ?? found.RestartCount;
        before.set(one.id, from);
        const ends = found.RestartCount - from;
        if (one.status !== 'restarting' || ends < RESTARTS_MOST) continue;
        const detail = `It ended ${ends} times in a row, with exit code ${found.State.ExitCode}.`;
        return { service: one.service, detail };
      }
      await pause(LOOK_MS, signal).catch(() => {});
    }
    return new Promise(() => {});
  }

  private profiles(): string[] {
    return composeProfiles(this.env, ownServers(this.loaded.config));
  }

  private compose(
    args: readonly string[],
    profiles: readonly string[],
    options: { hooks?: RuntimeHooks; onLine?: (line: string) => void } = {},
  ): Promise<Ran> {
    const { config, directory } = this.loaded;
    const endpoints = resolveEndpoints({
      config,
      directory,
      env: this.env,
      ports: publishedPorts(config),
      secrets: ensureSecrets(this.layout),
      view: 'published',
    });
    const variables = composeVariables({
      loaded: this.loaded,
      project: this.project,
      ports: this.remembered?.ports ?? PORT_VARIABLES,
      own: ownServers(config),
      endpoints,
    });
    return compose(args, {
      env: this.env,
      variables,
      profiles,
      ...(options.hooks ? { signal: options.hooks.signal } : {}),
      ...(options.onLine ? { onLine: options.onLine } : {}),
    });
  }

  private async problemOf(docker: Docker, done: Ran): Promise<Problem> {
    const failure = readFailure(done.output, this.project);
    if (failure.kind === 'port') {
      const { port } = failure;
      const variable = Object.entries(this.remembered?.ports ?? {}).find(([, at]) => at === port);
      const server = variable ? serviceOf(variable[0]) : 'a container';
      return new Problem('PORT_IN_USE', { port, server, owner: portOwner(port) });
    }
    if (failure.kind === 'image') {
      const { image = 'of a service', detail } = failure;
      return new Problem('IMAGE_UNAVAILABLE', { image, detail });
    }
    if (failure.kind === 'container') return this.containerProblem(docker, failure);
    return new Problem('CONTAINER_FAILED', { service: 'a service', detail: failure.detail });
  }

  private async containerProblem(
    docker: Docker,
    { service, detail }: { readonly service: string; readonly detail: string },
  ): Promise<Problem> {
    const tail = await containerTail(docker, this.project, service, 40);
    const other = tail.find((line) => /initialized by PostgreSQL version/.test(line));
    if (other)
      return new Problem('VOLUME_OTHER_VERSION', {
        volume: `${this.project}_postgres-data`,
        detail: other.replace(/^.*DETAIL: */, ''),
      });
    const said = tail.filter((line) => line.trim() !== '').slice(-5);
    return new Problem('CONTAINER_FAILED', { service, detail: [detail, ...said].join('\n') });
  }

  /** A container has another environment: what was given here has to reach it in a file. */
  private keepPasswords(): void {
    const given = PASSWORDS.flatMap((name) => (this.env[name] ? [[name, this.env[name]]] : []));
    const path = join(this.layout.root, GIVEN_PASSWORDS_FILE);
    if (given.length === 0) rmSync(path, { force: true });
    else writeFileAtomic(path, `${JSON.stringify(Object.fromEntries(given))}\n`, 0o600);
  }
}

const OTHERS = [
  'prometheus',
  'alertmanager',
  'grafana',
  'node-exporter',
  'postgres-exporter',
  'kafka-exporter',
  'kafdrop',
  'portainer',
];

/** The service that publishes a port: `CDC_PORTS_NODE_EXPORTER` is of `node-exporter`. */
function serviceOf(variable: string): string {
  const name = variable.slice('CDC_PORTS_'.length).toLowerCase().replaceAll('_', '-');
  return name.startsWith('clickhouse') ? 'clickhouse' : name;
}

async function freeOther(taken: ReadonlySet<number>): Promise<number> {
  for (;;) {
    const port = await freePort();
    if (!taken.has(port)) return port;
  }
}
