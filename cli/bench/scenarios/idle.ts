import { cpuBetween, type Measure, tenths } from '../../core/bench.ts';
import { pause } from '../../lib/wait.ts';
import type { BenchGround } from '../ground.ts';
import type { ScenarioResult } from './scenario.ts';

/** What came before has to come to rest: parts are merged, JVMs compile, statistics are written. */
const REST_MS = 20_000;

/** What the stack takes while nothing happens but its own heartbeats. */
export async function idle(ground: BenchGround, seconds: number): Promise<ScenarioResult> {
  ground.events.phase(`measuring ${seconds} s in which nothing happens`);
  await pause(REST_MS, ground.signal);
  const before = ground.cpu();
  await pause(seconds * 1000, ground.signal);
  const used = cpuBetween(before, ground.cpu());
  const all = Object.values(used).reduce((sum, ms) => sum + ms, 0);
  const on = `${seconds} s, heartbeats alone`;
  const measures = Object.entries({ everything: all, ...used }).map(
    ([part, ms]): Measure => ({
      scenario: 'idle',
      measure: part,
      value: tenths(ms / seconds / 10),
      unit: '% of a core',
      better: 'less',
      on,
    }),
  );
  return { measures: Object.keys(used).length > 0 ? measures : [], cpu_us_per_change: {} };
}
