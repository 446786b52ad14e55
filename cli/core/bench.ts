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
  readonly measures: readonly Measure[];
  /** Microseconds of CPU that a change took, by scenario and part. */
  readonly cpu_us_per_change: Readonly<Record<string, CpuByPart>>;
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
