import { seededRandom } from './random.ts';

/** The schedule and the account of a run of `cdc chaos`. */

/** A fault's turn, before it is played. */
export interface Turn {
  readonly number: number;
  readonly fault: string;
  /** Quiet time before it. */
  readonly restMs: number;
  /** In [0, 1): what the fault chooses by, such as for how long. */
  readonly chance: number;
}

const REST_MOST_MS = 3000;

/** Endless; every fault gets its turn before one gets the next. The same seed and faults give the same turns. */
export function* turns(seed: number, faults: readonly string[]): Generator<Turn, never> {
  if (faults.length === 0) throw new RangeError('there is no fault to play');
  const random = seededRandom(seed);
  for (let number = 1; ; ) {
    const round = [...faults];
    while (round.length > 0) {
      const [fault] = round.splice(Math.floor(random() * round.length), 1) as [string];
      const restMs = Math.floor(random() * REST_MOST_MS);
      yield { number, fault, restMs, chance: random() };
      number += 1;
    }
  }
}

/** Between two limits, by a turn's chance. */
export function chosen(chance: number, low: number, high: number): number {
  return low + Math.floor(chance * (high - low + 1));
}

/** One of a list that is not empty. */
export function oneOf<T>(chance: number, items: readonly [T, ...T[]]): T {
  return items[Math.floor(chance * items.length)] ?? items[0];
}

/** A row as one side shows it: its key, and a digest of all of it. */
export type Digests = ReadonlyMap<string, string>;

/** Rows that the copy lacks, has beside those of the source, or shows otherwise. */
export interface Wrong {
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
}

export function compareRows(source: Digests, copy: Digests): Wrong {
  const missing = [...source.keys()].filter((key) => !copy.has(key)).length;
  const extra = [...copy.keys()].filter((key) => !source.has(key)).length;
  const different = [...source].filter(([key, digest]) => {
    const seen = copy.get(key);
    return seen !== undefined && seen !== digest;
  }).length;
  return { missing, extra, different };
}

export function wrongRows({ missing, extra, different }: Wrong): number {
  return missing + extra + different;
}

/** What became of a fault. */
export interface PlayedFault {
  readonly number: number;
  readonly fault: string;
  /** What was done, in words. */
  readonly what: string;
  /** Seconds since the run began. */
  readonly at_s: number;
  /** From the injection until `status` said something else than healthy; absent where it never did. */
  readonly detected_ms: number | undefined;
  /** What it said first. */
  readonly said: string | undefined;
  /** From the fault's end until rows written then had crossed, by every table; absent where they never did. */
  readonly flowing_ms: number | undefined;
  /** `itself`, or the commands that were run. */
  readonly mended_by: string;
  /** Whether the fault needs a command by its nature. */
  readonly needs_command: boolean;
  /** What the copy had wrong when changes flowed again and all had arrived, before anything loaded rows again. */
  readonly wrong: Wrong;
  /** Of these, rows that no `cdc apply` put right. */
  readonly rows_wrong: number;
}

export interface FaultSummary {
  readonly fault: string;
  readonly times: number;
  readonly detected_ms: number | undefined;
  readonly flowing_ms: number | undefined;
  readonly rows_wrong: number;
  readonly mended_by: readonly string[];
}

/** By fault, in the order of its first turn; times are the longest ones. */
export function summarize(played: readonly PlayedFault[]): FaultSummary[] {
  const names = [...new Set(played.map(({ fault }) => fault))];
  const longest = (values: readonly (number | undefined)[]) => {
    const known = values.filter((value) => value !== undefined);
    return known.length > 0 ? Math.max(...known) : undefined;
  };
  return names.map((fault) => {
    const all = played.filter((one) => one.fault === fault);
    return {
      fault,
      times: all.length,
      detected_ms: longest(all.map((one) => one.detected_ms)),
      flowing_ms: longest(all.map((one) => one.flowing_ms)),
      rows_wrong: all.reduce((sum, one) => sum + one.rows_wrong, 0),
      mended_by: [...new Set(all.map((one) => one.mended_by))],
    };
  });
}
