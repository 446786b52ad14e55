import {
  type FaultSummary,
  type PlayedFault,
  summarize,
  type Turn,
  turns,
  type Wrong,
  wrongRows,
} from '../core/chaos.ts';
import { Problem } from '../core/problems.ts';
import { pause, WaitTimeout, waitFor } from '../lib/wait.ts';
import { verify } from '../pipeline/verify/verify.ts';
import { liveState } from '../stack/state.ts';
import { waitForFlow } from './flow.ts';
import type { Fault, Ground } from './ground.ts';
import { Lookout } from './lookout.ts';
import { countWrong, dropTables, makeTables, SCHEMA } from './tables.ts';
import { ChaosWriter } from './writer.ts';

/** Changes of a stack on a busy machine flow again within this by themselves, or somebody has to do something. */
const BY_ITSELF_MS = 300_000;
/** A fault that needs a command is to be noticed within this. */
const NOTICED_MS = 10_000;
/** Differences for so long, while nothing is written, are no lag. */
const SETTLED_MS = 60_000;
const WARM_UP_MS = 3000;

export interface ChaosOptions {
  readonly seed: number;
  /** No fault is begun after this, nor after so many. */
  readonly durationMs: number;
  readonly most: number | undefined;
  /** Row changes a second. */
  readonly rate: number;
  readonly faults: readonly Fault[];
}

export interface ChaosEvents {
  phase(text: string): void;
  begun(turn: Turn): void;
  played(fault: PlayedFault): void;
}

export interface ChaosReport {
  readonly seed: number;
  readonly faults: readonly string[];
  readonly rate: number;
  readonly seconds: number;
  readonly played: readonly PlayedFault[];
  readonly by_fault: readonly FaultSummary[];
  /** Row changes that were committed. */
  readonly written: number;
  /** Transactions that failed: their server was down, or ended them. */
  readonly failed: number;
  /** Of the run's tables, at the end. */
  readonly rows: number;
  /** Over all faults, and at the end. */
  readonly rows_wrong: number;
  /** Whether `cdc verify` says the same at the end, of every table of the stack. */
  readonly verified: boolean;
  /** Set where the run had to end early. */
  readonly ended_by: string | undefined;
}

/** Breaks the stack in turns while rows are written, and counts what is wrong after each. */
export async function runChaos(
  ground: Ground,
  options: ChaosOptions,
  events: ChaosEvents,
): Promise<ChaosReport> {
  const { stack, signal } = ground;
  events.phase(`making tables in schema ${SCHEMA}`);
  await dropTables(stack, []);
  const writer = new ChaosWriter(stack.endpoints.postgres, options.rate);
  const played: PlayedFault[] = [];
  let endedBy: string | undefined;
  try {
    ground.tables = await makeTables(stack, signal);
    await waitForFlow(ground, BY_ITSELF_MS);
    const startedAtMs = performance.now();
    writer.start();
    await pause(WARM_UP_MS, signal);
    // Nothing that is not written can be wrong.
    if (writer.written === 0)
      throw new Problem('CHAOS_NOTHING_WRITTEN', {
        detail: writer.trouble ?? 'It is not known why.',
      });
    const names = options.faults.map(({ name }) => name);
    for (const turn of turns(options.seed, names)) {
      const isOver = performance.now() - startedAtMs > options.durationMs;
      if (isOver || turn.number > (options.most ?? turn.number)) break;
      events.begun(turn);
      const at_s = Math.round((performance.now() - startedAtMs) / 100) / 10;
      const of = new TurnOf(ground, writer, turn, find(options.faults, turn), events);
      // What was played before an interrupt is worth its report.
      const one = await of.play(at_s).catch(ifAborted(signal));
      if (one) {
        played.push(one);
        events.played(one);
      }
      if (one?.flowing_ms !== undefined) continue;
      endedBy = one ? `nothing made changes flow again after ${one.fault}` : 'it was interrupted';
      break;
    }
    await writer.stop();
    const seconds = Math.round((performance.now() - startedAtMs) / 1000);
    events.phase('comparing for the last time');
    const last = await settledWrong(ground).catch(() => undefined);
    const proof = endedBy
      ? undefined
      : await verify(
          stack,
          [],
          { signal, repair: false, rows: 0, sample: undefined },
          { table: () => {}, phase: () => {} },
        );
    return {
      seed: options.seed,
      faults: names,
      rate: options.rate,
      seconds,
      played,
      by_fault: summarize(played),
      written: writer.written,
      failed: writer.failed,
      rows: last?.rows ?? 0,
      rows_wrong:
        played.reduce((sum, { rows_wrong }) => sum + rows_wrong, 0) +
        (last ? wrongRows(last.wrong) : 0),
      verified: proof?.ok === true,
      ended_by: endedBy,
    };
  } finally {
    await writer.stop();
    events.phase('dropping the tables');
    await dropTables(stack, ground.tables).catch((error: unknown) => {
      // Of a stack that stands there is worse to say.
      if (endedBy === undefined) throw error;
    });
  }
}

/** For what an interrupt ends: nothing came of it. */
function ifAborted(signal: AbortSignal): (error: unknown) => undefined {
  return (error) => {
    if (!signal.aborted) throw error;
    return undefined;
  };
}

function find(faults: readonly Fault[], { fault: name }: Turn): Fault {
  const found = faults.find((fault) => fault.name === name);
  if (!found) throw new RangeError(`there is no fault ${name}`);
  return found;
}

/** One fault from its injection to the count of what it left. */
class TurnOf {
  private readonly ground: Ground;
  private readonly writer: ChaosWriter;
  private readonly turn: Turn;
  private readonly fault: Fault;
  private readonly events: ChaosEvents;
  private readonly commands: string[] = [];

  constructor(ground: Ground, writer: ChaosWriter, turn: Turn, fault: Fault, events: ChaosEvents) {
    this.events = events;
    this.ground = ground;
    this.writer = writer;
    this.turn = turn;
    this.fault = fault;
  }

  async play(at_s: number): Promise<PlayedFault> {
    const { ground, turn, fault } = this;
    await pause(turn.restMs, ground.signal);
    const lookout = await Lookout.open(ground);
    lookout.start();
    const what = await fault.play(ground, turn.chance).catch((error: unknown) => {
      // The schedule goes on: a fault that could not be played is one that did no harm.
      if (ground.signal.aborted) throw error;
      return `not played to its end: ${(error as Error).message}`;
    });
    const endedAtMs = performance.now();
    if (fault.mend) {
      await this.noticed(lookout);
      await this.command(fault.mend);
    }
    const flows = await this.flows();
    const flowing_ms = flows ? Math.round(performance.now() - endedAtMs) : undefined;
    // What flows without an agent is watched by nobody.
    if (flows && liveState(ground.stack.layout) === undefined) await this.command('up');
    const sighting = await lookout.stop();
    const wrong = flows ? await this.judge() : NOTHING;
    const left = wrongRows(wrong) > 0 ? await this.mended() : 0;
    return {
      number: turn.number,
      fault: fault.name,
      what,
      at_s,
      detected_ms: sighting && Math.round(sighting.afterMs),
      said: sighting?.said,
      flowing_ms,
      mended_by: this.commands.join(', then ') || 'itself',
      needs_command: fault.mend !== undefined,
      wrong,
      rows_wrong: left,
    };
  }

  private async noticed(lookout: Lookout): Promise<void> {
    const { signal } = this.ground;
    await waitFor('status to say so', { timeoutMs: NOTICED_MS, everyMs: 50, signal }, () =>
      lookout.seen ? { ready: true } : { seen: 'healthy' },
    ).catch(unlessLate);
  }

  /** Whether changes flow, by themselves or by what somebody would type next. */
  private async flows(): Promise<boolean> {
    for (const mend of [undefined, 'apply', 'up', 'down', 'up'] as const) {
      if (mend) await this.command(mend);
      if (mend === 'down') continue;
      const flowed = await waitForFlow(this.ground, BY_ITSELF_MS).catch(unlessLate);
      if (flowed !== undefined) return true;
    }
    return false;
  }

  private async command(...args: string[]): Promise<void> {
    this.events.phase(`cdc ${args.join(' ')}`);
    const ran = await this.ground.cdc(...args);
    const problem = /\[([A-Z][A-Z_]+)\]/.exec(ran.output)?.[1];
    const failed = ran.code === 0 ? '' : ` (exit ${ran.code}${problem ? `, ${problem}` : ''})`;
    this.commands.push(`cdc ${args.join(' ')}${failed}`);
  }

  /** What is wrong while nothing is written, and all that was has arrived. */
  private async judge(): Promise<Wrong> {
    await this.writer.hold();
    try {
      return (await settledWrong(this.ground)).wrong;
    } finally {
      this.writer.go();
    }
  }

  /** Tries what a user would; afterwards the copy is equal, so that the next fault is judged by itself. */
  private async mended(): Promise<number> {
    await this.command('apply');
    const left = wrongRows(await this.judge());
    if (left === 0) return 0;
    await this.command('snapshot', `${SCHEMA}.*`);
    await this.judge();
    return left;
  }
}

const NOTHING: Wrong = { missing: 0, extra: 0, different: 0 };

/** Looks until nothing is wrong, or what is wrong is no lag. */
async function settledWrong(ground: Ground) {
  const { stack, signal } = ground;
  await waitForFlow(ground, BY_ITSELF_MS);
  let last = await countWrong(stack.endpoints, ground.tables);
  await waitFor(
    'the copy to be equal',
    { timeoutMs: SETTLED_MS, everyMs: 250, signal },
    async () => {
      last = await countWrong(stack.endpoints, ground.tables);
      return wrongRows(last.wrong) === 0
        ? { ready: true }
        : { seen: `${wrongRows(last.wrong)} rows` };
    },
  ).catch(unlessLate);
  return last;
}

/** That something did not come in time is a result here. */
function unlessLate(error: unknown): undefined {
  if (!(error instanceof WaitTimeout)) throw error;
  return undefined;
}
