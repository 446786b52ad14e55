import type { CpuByPart, Histogram, Measure } from '../../core/bench.ts';

export interface ScenarioResult {
  readonly measures: readonly Measure[];
  readonly cpu_us_per_change: Readonly<Record<string, CpuByPart>>;
  readonly histograms?: Readonly<Record<string, Histogram>>;
}
