import { expect, test } from 'vitest';
import {
  type BenchReport,
  compareRuns,
  cpuBetween,
  type Measure,
  perChange,
  percentileMeasures,
} from '../../cli/core/bench.ts';

const measure = (given: Partial<Measure>): Measure => ({
  scenario: 'throughput',
  measure: 'inserts',
  value: 1,
  unit: 'changes/s',
  better: 'more',
  on: '',
  ...given,
});
const run = (...measures: Measure[]): BenchReport => ({
  at: '2026-11-27T00:00:00Z',
  machine: { cores: 2, memory_bytes: 1, cpu: 'x' },
  measures,
  cpu_us_per_change: {},
});

test('a ratio above one is a better second run, whichever way is better', () => {
  const before = run(
    measure({ value: 100 }),
    measure({ scenario: 'latency', measure: 'written p50', value: 90, unit: 'ms', better: 'less' }),
    measure({ measure: 'gone' }),
  );
  const after = run(
    measure({ value: 250 }),
    measure({ scenario: 'latency', measure: 'written p50', value: 45, unit: 'ms', better: 'less' }),
    measure({ measure: 'new' }),
  );
  const ratios = compareRuns(before, after).map((one) => [one.measure, one.ratio]);
  expect(ratios).toEqual([
    ['inserts', 2.5],
    ['written p50', 2],
  ]);
});

test('what took no time has no ratio', () => {
  const less = (value: number) => run(measure({ value, better: 'less' }));
  expect(compareRuns(less(5), less(0))[0]?.ratio).toBeUndefined();
});

test('CPU is told by part and change; a process that was started again has no figure', () => {
  const used = cpuBetween({ kafka: 100, connect: 500 }, { kafka: 160, connect: 20, agent: 5 });
  expect(used).toEqual({ kafka: 60 });
  expect(perChange(used, 1000)).toEqual({ kafka: 60 });
});

test('percentiles that were not measured are no figures', () => {
  expect(percentileMeasures('latency', 'written', undefined, '')).toEqual([]);
  expect(
    percentileMeasures('latency', 'written', { p50: 1, p95: 2, p99: 3 }, '').map((one) => [
      one.measure,
      one.value,
    ]),
  ).toEqual([
    ['written p50', 1],
    ['written p95', 2],
    ['written p99', 3],
  ]);
});
