import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type BenchReport,
  compareRuns,
  cpuBetween,
  histogram,
  type Measure,
  perChange,
  percentileMeasures,
} from '../../cli/core/bench.ts';
import { chartsOf, pageOf } from '../../cli/core/benchChart.ts';

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
  versions: { cdc: '0.1.0' },
  measures,
  cpu_us_per_change: {},
  histograms: {},
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

test('a histogram counts every sample once, between its bound and the one before', () => {
  const ms = fc.double({ min: 0, max: 1e6, noNaN: true });
  fc.assert(
    fc.property(fc.array(ms), (samples) => {
      const buckets = histogram(samples);
      let before = 0;
      let counted = 0;
      for (const { up_to_ms, count } of buckets) {
        expect(up_to_ms).toBeGreaterThan(before);
        counted += count;
        before = up_to_ms;
      }
      expect(counted).toBe(samples.length);
      // Bounds are rounded to tenths.
      if (samples.length > 0) expect(Math.max(...samples)).toBeLessThanOrEqual(before * 1.05 + 1);
    }),
  );
});

test('figures are drawn beside their limits, and nothing in them is markup', () => {
  const report: BenchReport = {
    ...run(
      measure({ measure: '<inserts>', value: 100 }),
      measure({ scenario: 'limits', measure: 'protocol', value: 400 }),
    ),
    histograms: { written: histogram([3, 4, 90]), nothing: [] },
  };
  const charts = chartsOf(report);
  expect(charts.map(({ name }) => name)).toEqual(['throughput', 'latency-written']);
  const widths = [...(charts[0]?.svg ?? '').matchAll(/<rect class="(\w+)"[^>]* width="(\d+)"/g)];
  expect(widths.map(([, kind, width]) => [kind, Number(width)])).toEqual([
    ['bar', 105],
    ['limit', 420],
  ]);
  for (const text of [...charts.map(({ svg }) => svg), pageOf(report)])
    expect(text).not.toContain('<inserts>');
});
