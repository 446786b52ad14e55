import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { formatCount, formatSeconds } from '../../cli/lib/format.ts';
import { type Failure, playBatch, type Totals } from './batch.ts';
import { drawOf, type Program, program, programAt } from './program.ts';
import { mix } from './tables.ts';

/** What a run is told, by the environment: `npm run fuzz` sets it. */
export interface Run {
  readonly seed: number;
  readonly from: number;
  readonly programs: number;
  /** Makes a program that fails smaller, as long as this. */
  readonly shrinkMs: number;
  /** Of all programs; else of some batches. */
  readonly followed: boolean;
}

export function runOf(env: Readonly<Record<string, string | undefined>>): Run {
  const number = (name: string, otherwise: number) => Number(env[name] ?? otherwise);
  const only = /^(\d+)(?:-(\d+))?$/.exec(env.CDC_FUZZ_ONLY ?? '');
  const from = Number(only?.[1] ?? 0);
  return {
    seed: number('CDC_FUZZ_SEED', 4),
    from,
    programs: only ? Number(only[2] ?? from) - from + 1 : number('CDC_FUZZ_PROGRAMS', 14),
    shrinkMs: 1000 * number('CDC_FUZZ_SHRINK', 0),
    followed: env.CDC_FUZZ_FOLLOWED === '1',
  };
}

/** Programs that share their `apply`s. */
export const BATCH = 20;
/** One batch in so many has its changes of form carried over by the agent. */
const FOLLOWED_RARITY = 4;
/** One batch in so many loses a server while it writes. */
const KILL_RARITY = 5;
const SERVERS = ['clickhouse', 'connect', 'kafka'] as const;

export function noTotals(): Totals {
  return {
    programs: 0,
    statements: 0,
    refused: 0,
    tables: 0,
    rows: 0,
    values: 0,
    kept: 0,
    snapshots: 0,
    kills: 0,
    followed: 0,
  };
}

/** Plays all programs of a run, says where it is, and returns what differed. */
export async function playRun(
  run: Run,
  say: (line: string) => void,
): Promise<{ totals: Totals; failures: Failure[] }> {
  const totals = noTotals();
  const failures: Failure[] = [];
  const startedAtMs = performance.now();
  const end = run.from + run.programs;
  say(`fuzz: seed ${run.seed}, programs ${run.from} to ${end - 1}`);
  for (let from = run.from; from < end; from += BATCH) {
    const indexes = Array.from({ length: Math.min(BATCH, end - from) }, (_, i) => from + i);
    const programs = new Map(indexes.map((index) => [index, programAt(run.seed, index)]));
    const dice = mix(run.seed, from);
    const kill = run.programs > BATCH && dice % KILL_RARITY === 0;
    const server = kill ? SERVERS[Math.floor(dice / KILL_RARITY) % SERVERS.length] : undefined;
    const followed = run.followed || (dice >>> 8) % FOLLOWED_RARITY === 0;
    const found = await playBatch({ programs, kill: server, followed }, totals);
    for (const failure of found) {
      failures.push(failure);
      say(`fuzz: ${toldOf(run.seed, failure, { batch: from, followed })}`);
    }
    say(
      `fuzz: ${summary(totals, failures)}, ${formatSeconds((performance.now() - startedAtMs) / 1000)}`,
    );
  }
  return { totals, failures };
}

export function summary(totals: Totals, failures: readonly Failure[]): string {
  const { programs, statements, refused, tables, rows, values, kept } = totals;
  return [
    `${formatCount(programs)} programs, ${formatCount(statements)} statements (${formatCount(refused)} refused by PostgreSQL)`,
    `${formatCount(tables)} tables, ${formatCount(rows)} rows, ${formatCount(values)} values, ${formatCount(kept)} of them kept as text beside`,
    `${totals.snapshots} snapshots, ${totals.kills} servers killed, ${formatCount(totals.followed)} programs followed by the agent`,
    `${failures.length} failures`,
  ].join('; ');
}

/** What failed, what was done, and what to type to see it again. */
export function toldOf(
  seed: number,
  failure: Failure,
  { batch, followed }: { batch: number; followed: boolean },
): string {
  const { index, what, log } = failure;
  const only = index ?? `${batch}-${batch + BATCH - 1}`;
  const file = join(tmpdir(), `cdc-fuzz-${seed}-${only}.sql`);
  writeFileSync(file, `${log.join('\n')}\n`);
  return `program ${only} of seed ${seed}: ${what}\n  statements: ${file}\n  again: npm run fuzz -- --seed ${seed} --only ${only}${followed ? ' --followed' : ''}`;
}

/** Looks for a smaller program that fails too; returns what failed last, with its statements. */
export async function shrunk(run: Run): Promise<Failure | undefined> {
  let last: Failure | undefined;
  const fails = async (candidate: Program) => {
    const programs = new Map([[run.from, candidate]]);
    const [failure] = await playBatch(
      { programs, kill: undefined, followed: run.followed },
      noTotals(),
    );
    last = failure ?? last;
    return failure === undefined;
  };
  await fc.check(fc.asyncProperty(program, fails), {
    ...drawOf(run.seed, run.from),
    interruptAfterTimeLimit: run.shrinkMs,
  });
  return last;
}
