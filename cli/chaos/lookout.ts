import { pause } from '../lib/wait.ts';
import {
  notRunning,
  observeStack,
  type StackStatus,
  watchStack,
} from '../pipeline/status/status.ts';
import type { Ground } from './ground.ts';

const LOOK_MS = 300;
const GOOD_STATES = new Set(['ready', 'running']);

export interface Sighting {
  readonly afterMs: number;
  readonly said: string;
}

/** Looks as somebody would who types `cdc status` again and again, until it says something else than healthy. */
export class Lookout {
  private readonly ground: Ground;
  private readonly usual: ReadonlySet<string>;
  private readonly stopping = new AbortController();
  private startedAtMs = 0;
  private done: Promise<void> | undefined;
  seen: Sighting | undefined;

  private constructor(ground: Ground, usual: ReadonlySet<string>) {
    this.ground = ground;
    this.usual = usual;
  }

  /** What is said before the fault is not said of it. */
  static async open(ground: Ground): Promise<Lookout> {
    return new Lookout(ground, new Set(await complaints(ground)));
  }

  start(): void {
    this.startedAtMs = performance.now();
    this.done = this.look();
  }

  async stop(): Promise<Sighting | undefined> {
    this.stopping.abort();
    await this.done;
    return this.seen;
  }

  private async look(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted && this.seen === undefined) {
      const said = await complaints(this.ground).catch((error: Error) => [error.message]);
      const first = said.find((line) => !this.usual.has(line));
      if (first !== undefined)
        this.seen = { afterMs: performance.now() - this.startedAtMs, said: first };
      else await pause(LOOK_MS, signal).catch(() => {});
    }
  }
}

async function complaints({ loaded, env }: Ground): Promise<string[]> {
  const watched = watchStack(loaded, env);
  if (!watched.agent) {
    const { message, causeText } = notRunning(watched);
    return [`${message} ${causeText}`];
  }
  return complaintsOf((await observeStack(watched)).status);
}

/** Each thing that `status` shows and that is not as it should be. */
function complaintsOf(status: StackStatus): string[] {
  const parts = status.components
    .filter(({ state, detail, fix }) => !GOOD_STATES.has(state) || fix !== undefined || detail)
    .map(({ name, state, detail }) => `${name}: ${detail ?? state}`);
  const standing = (status.standing ?? []).map(({ table }) => `${table} stands`);
  const others = status.healthy || parts.length > 0 || standing.length > 0 ? [] : ['not healthy'];
  return [...parts, ...standing, ...others];
}
