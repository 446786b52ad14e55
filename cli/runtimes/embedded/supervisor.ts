import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import { Problem } from '../../core/problems.ts';
import { fileProblem } from '../../lib/files.ts';
import { pause, StopWaiting, WaitTimeout, waitFor } from '../../lib/wait.ts';
import { PEER_NAMES } from '../../stack/brokers.ts';
import type { ProcessName, ServerState, ServerStatus } from '../../stack/state.ts';
import { adoptedProcess, childProcess, endProcess, type ServerProcess } from './serverProcess.ts';
import type { EmbeddedServer, ServerSetting } from './servers/server.ts';

interface Slot {
  readonly server: EmbeddedServer;
  state: ServerState;
  process: ServerProcess | undefined;
  restarts: number;
  startSeconds: number | undefined;
  detail: string | undefined;
}

/** Connect takes 18 s of CPU to start: on a machine that does much else, a shorter time would end each of its starts. */
const START_TIMEOUT_MS = 240_000;
const BACKOFF_MS = [200, 500, 1000, 2000, 5000, 10_000];
/** A server that ran this long is healthy again: its next crash starts the back-off anew. */
const HEALTHY_AFTER_MS = 60_000;
const LOG_LIMIT_BYTES = 20 * 1024 * 1024;

/** Boots the servers, each as soon as those it needs answer, and restarts what dies. */
export class Supervisor {
  private readonly slots: Map<ProcessName, Slot>;
  private readonly setting: ServerSetting;
  private readonly marker: string;
  private readonly onChange: () => void;
  /** Processes that an earlier agent has started, and that run. */
  private readonly adopted: Map<ProcessName, number>;
  private readonly stopping = new AbortController();
  private loops: Promise<void>[] = [];

  constructor(
    servers: readonly EmbeddedServer[],
    setting: ServerSetting,
    options: {
      marker: string;
      onChange: () => void;
      adopted?: ReadonlyMap<ProcessName, number>;
    },
  ) {
    this.setting = setting;
    this.marker = options.marker;
    this.onChange = options.onChange;
    this.adopted = new Map(options.adopted);
    this.slots = new Map(
      servers.map((server) => [
        server.name,
        {
          server,
          state: 'waiting',
          process: undefined,
          restarts: 0,
          startSeconds: undefined,
          detail: undefined,
        },
      ]),
    );
  }

  statuses(): ServerStatus[] {
    return [...this.slots.values()].map((slot) => ({
      name: slot.server.name,
      state: slot.state,
      pid: slot.process?.pid,
      restarts: slot.restarts,
      startSeconds: slot.startSeconds,
      detail: slot.detail,
    }));
  }

  /** Resolves when every server has answered once; rejects with the first that cannot start. */
  async start(): Promise<void> {
    const firsts = [...this.slots.values()].map((slot) => {
      let onFirst: () => void = () => {};
      let onFail: (error: unknown) => void = () => {};
      const first = new Promise<void>((resolve, reject) => {
        onFirst = resolve;
        onFail = reject;
      });
      this.loops.push(
        this.supervise(slot, onFirst).catch((error) => {
          slot.state = 'failed';
          slot.detail =
            error instanceof Problem ? `${error.message} ${error.causeText}` : String(error);
          this.onChange();
          onFail(error);
        }),
      );
      return first;
    });
    await Promise.all(firsts);
  }

  /** Ends all servers, each after those that use it. */
  async stop(): Promise<void> {
    this.stopping.abort();
    const left = new Map(this.slots);
    while (left.size > 0) {
      const used = new Set([...left.values()].flatMap(({ server }) => server.uses));
      const unused = [...left.keys()].filter((name) => !used.has(name));
      // A circle of servers that use one another ends at once.
      const next = unused.length > 0 ? unused : [...left.keys()];
      await Promise.all(next.map((name) => this.stopOne(name)));
      for (const name of next) left.delete(name);
    }
    await Promise.all(this.loops);
  }

  private async stopOne(name: ProcessName): Promise<void> {
    const slot = this.slots.get(name);
    if (!slot?.process) return;
    await endProcess(slot.process, slot.server.stopSignal);
    slot.state = 'stopped';
    this.onChange();
  }

  private async supervise(slot: Slot, onFirst: () => void): Promise<void> {
    const signal = this.stopping.signal;
    let first = true;
    let failures = 0;
    while (!signal.aborted) {
      try {
        await this.neededServers(slot, first);
        const startedAtMs = performance.now();
        const { exited } = await this.launch(slot, first ? 'starting' : 'restarting');
        if (first) onFirst();
        first = false;
        const how = await exited;
        if (signal.aborted) return;
        if (performance.now() - startedAtMs > HEALTHY_AFTER_MS) failures = 0;
        slot.detail = `it ended (${how}) and is started again`;
      } catch (error) {
        if (signal.aborted) return;
        if (first) throw error;
        slot.detail = error instanceof Error ? error.message : String(error);
      }
      slot.state = 'restarting';
      slot.restarts += 1;
      this.onChange();
      const wait = BACKOFF_MS[Math.min(failures, BACKOFF_MS.length - 1)] ?? 1000;
      failures += 1;
      await pause(wait, signal).catch(() => {});
    }
  }

  private async neededServers(slot: Slot, first: boolean): Promise<void> {
    // Topics are made on all brokers; whoever starts again does with those that are there.
    const peers: readonly string[] = first ? [] : PEER_NAMES;
    const missing = () =>
      slot.server.needs.filter((need) => {
        if (peers.includes(need)) return false;
        const needed = this.slots.get(need);
        return needed !== undefined && needed.state !== 'ready';
      });
    await waitFor(
      `${slot.server.name}: servers it needs`,
      { timeoutMs: START_TIMEOUT_MS, everyMs: 50, signal: this.stopping.signal },
      () => {
        const failed = slot.server.needs.find((need) => this.slots.get(need)?.state === 'failed');
        if (failed)
          throw new StopWaiting(
            new Problem('SERVER_START_FAILED', {
              server: slot.server.name,
              detail: `It needs ${failed}, which did not start.`,
            }),
          );
        const list = missing();
        return list.length === 0 ? { ready: true } : { seen: `${list.join(', ')} not ready` };
      },
    );
  }

  /** Starts the process, or takes over one that runs, and waits for its first answer; returns how its end can be awaited. */
  private async launch(slot: Slot, state: ServerState): Promise<{ exited: Promise<string> }> {
    const { server } = slot;
    slot.state = state;
    this.onChange();
    const log = this.setting.layout.log(server.name);
    const from = sizeOf(log);
    const startedAtMs = performance.now();
    const pid = this.adopted.get(server.name);
    this.adopted.delete(server.name);
    const running = pid === undefined ? await this.spawned(server) : adoptedProcess(pid);
    slot.process = running;
    const exited = running.exited.then((how) => {
      slot.process = undefined;
      return how;
    });
    try {
      await waitFor(
        server.name,
        { timeoutMs: START_TIMEOUT_MS, everyMs: 100, signal: this.stopping.signal },
        async () => {
          if (running.ended !== undefined)
            throw new StopWaiting(
              this.startProblem(server.name, `It ended at once (${running.ended}).`, from),
            );
          const answer = await server.ready(this.setting);
          return answer === true ? { ready: true } : { seen: answer };
        },
      );
    } catch (error) {
      await endProcess(running, server.stopSignal);
      // One that was taken over can have ended, or hang: then it is started as any other.
      if (pid !== undefined && !this.stopping.signal.aborted) return this.launch(slot, state);
      if (error instanceof WaitTimeout) throw this.startProblem(server.name, error.message, from);
      throw error;
    }
    slot.startSeconds = (performance.now() - startedAtMs) / 1000;
    slot.state = 'ready';
    slot.detail = undefined;
    this.onChange();
    return { exited };
  }

  private async spawned(server: EmbeddedServer): Promise<ServerProcess> {
    const launch = await server.prepare(this.setting, this.stopping.signal);
    this.stopping.signal.throwIfAborted();
    const log = openLog(this.setting.layout.log(server.name));
    const child = spawn(launch.command, launch.args, {
      cwd: this.setting.layout.root,
      env: { ...(this.setting.env as NodeJS.ProcessEnv), ...launch.env, CDC_STACK: this.marker },
      stdio: ['ignore', log, log],
      ...(launch.uid === undefined
        ? {}
        : { uid: launch.uid, gid: launch.gid ?? launch.uid, cwd: '/' }),
    });
    closeSync(log);
    const running = childProcess(child);
    running.exited.then(launch.ended);
    return running;
  }

  private startProblem(server: ProcessName, what: string, from: number): Problem {
    const { root, log } = this.setting.layout;
    const said = complaints(logSince(log(server), from));
    const full = said.find((line) => NO_SPACE.test(line));
    if (full) return new Problem('DISK_FULL', { path: root, detail: `${server}: ${full}` });
    return new Problem('SERVER_START_FAILED', { server, detail: [what, ...said].join('\n') });
  }
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}

/** Opens a log for appending; one that has grown large is put aside first, and only one of those is kept. */
export function openLog(path: string): number {
  try {
    if (statSync(path).size > LOG_LIMIT_BYTES) renameSync(path, `${path}.1`);
  } catch {
    // There is none yet.
  }
  try {
    return openSync(path, 'a', 0o600);
  } catch (error) {
    throw fileProblem(path, error) as Error;
  }
}

const NO_SPACE = /No space left on device|NOT_ENOUGH_SPACE|Cannot reserve/i;
const LOG_READ_BYTES = 512 * 1024;

/** What a log got since it was this long; of much the end. */
function logSince(path: string, from: number): string[] {
  try {
    const text = readFileSync(path);
    return text
      .subarray(Math.max(from, text.length - LOG_READ_BYTES))
      .toString('utf8')
      .split('\n');
  } catch {
    return [];
  }
}

/** The lines that tell why a server ended: a JVM says much about its end after its cause. */
function complaints(lines: readonly string[]): string[] {
  const full = lines.filter((line) => NO_SPACE.test(line)).slice(0, 1);
  const causes = lines.filter((line) =>
    /\b(ERROR|FATAL|PANIC)\b|^Caused by: |^Exception in /.test(line),
  );
  const wanted = causes.length > 0 ? causes.slice(0, 4) : lines.filter((l) => l.trim()).slice(-8);
  return [...full, ...wanted].map((line) => line.slice(0, 400));
}

export function logTail(path: string, lines: number): string {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '';
  }
}
