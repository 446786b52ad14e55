import type { CpuByPart, Measure } from '../../core/bench.ts';

export interface ScenarioResult {
  readonly measures: readonly Measure[];
  readonly cpu_us_per_change: Readonly<Record<string, CpuByPart>>;
}
