import type { Percentiles } from './lag.ts';

/** One figure of a run. */
export interface Measure {
  readonly scenario: string;
  readonly measure: string;
  readonly value: number;
  readonly unit: 'rows/s' | 'changes/s' | 'ms' | '% of a core' | 'bytes' | 's';
  readonly better: 'more' | 'less';
  /** What it was measured on, for people. */
  readonly on: string;
}

/** CPU by part of the stack: `kafka`, `agent`, …; parts that could not be read are absent. */
export type CpuByPart = Readonly<Record<string, number>>;

export interface BenchReport {
  readonly at: string;
  readonly machine: { readonly cores: number; readonly memory_bytes: number; readonly cpu: string };
  /** Of what was measured, by product. */
  readonly versions: Readonly<Record<string, string>>;
  readonly measures: readonly Measure[];
  /** Microseconds of CPU that a change took, by scenario and part. */
  readonly cpu_us_per_change: Readonly<Record<string, CpuByPart>>;
  /** Of latencies, by what was measured. */
  readonly histograms: Readonly<Record<string, Histogram>>;
}

/** How many samples fell between one bound and the next. */
export type Histogram = readonly { readonly up_to_ms: number; readonly count: number }[];

/** Each bound is a quarter more than the one before, so that a wide range needs few. */
const STEP = 1.25;

export function histogram(samples_ms: readonly number[]): Histogram {
  const counts = new Map<number, number>();
  for (const ms of samples_ms) {
    const n = Math.max(0, Math.ceil(Math.log(Math.max(ms, 1)) / Math.log(STEP)));
    counts.set(n, (counts.get(n) ?? 0) + 1);
  }
  const highest = Math.max(-1, ...counts.keys());
  const lowest = Math.min(...counts.keys());
  return Array.from({ length: highest + 1 }, (_, n) => ({
    up_to_ms: tenths(STEP ** n),
    count: counts.get(n) ?? 0,
  })).slice(highest < 0 ? 0 : lowest);
}

/** What parts have used between two readings, in the same unit. */
export function cpuBetween(before: CpuByPart, after: CpuByPart): Record<string, number> {
  return Object.fromEntries(
    Object.entries(after).flatMap(([part, value]) => {
      const from = before[part];
      // A process that was started again has a count of its own.
      return from === undefined || value < from ? [] : [[part, value - from] as const];
    }),
  );
}

/** Microseconds a change, one decimal. */
export function perChange(cpu_ms: CpuByPart, changes: number): Record<string, number> {
  return Object.fromEntries(
    Object.entries(cpu_ms).map(([part, ms]) => [part, tenths((ms * 1000) / changes)]),
  );
}

export function percentileMeasures(
  scenario: string,
  name: string,
  found: Percentiles | undefined,
  on: string,
): Measure[] {
  return Object.entries(found ?? {}).map(([percentile, value]) => ({
    scenario,
    measure: `${name} ${percentile}`,
    value,
    unit: 'ms',
    better: 'less',
    on,
  }));
}

export interface Comparison {
  readonly scenario: string;
  readonly measure: string;
  readonly unit: Measure['unit'];
  readonly before: number;
  readonly after: number;
  /** Above 1 where the second run is better. */
  readonly ratio: number | undefined;
}

/** What two runs have both measured. */
export function compareRuns(before: BenchReport, after: BenchReport): Comparison[] {
  return after.measures.flatMap((now) => {
    const then = before.measures.find(
      ({ scenario, measure }) => scenario === now.scenario && measure === now.measure,
    );
    if (!then) return [];
    const [more, less] = now.better === 'more' ? [now.value, then.value] : [then.value, now.value];
    const ratio = less > 0 ? Math.round((more / less) * 100) / 100 : undefined;
    const { scenario, measure, unit } = now;
    return [{ scenario, measure, unit, before: then.value, after: now.value, ratio }];
  });
}

export function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}
