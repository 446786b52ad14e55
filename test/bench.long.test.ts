import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SCENARIO_NAMES } from '../cli/bench/run.ts';
import type { BenchReport } from '../cli/core/bench.ts';
import { ownStack } from './harness/ownStack.ts';

/** A small run of every scenario of `cdc bench`. No figure is asserted, only that there is one. */

const { directory, cdc } = ownStack('bench');

test('every scenario has figures, can be compared with itself, and leaves nothing behind', async () => {
  const ran = await cdc(
    ...['bench', '--json', '--scenarios', SCENARIO_NAMES.join(',')],
    ...['--rows', '5000', '--backlog', '3000', '--rate', '50', '--seconds', '3'],
  );
  expect(ran.exit, ran.stderr).toBe(0);
  const report = ran.json() as BenchReport;
  expect([...new Set(report.measures.map(({ scenario }) => scenario))].sort()).toEqual(
    [...SCENARIO_NAMES, 'memory'].sort(),
  );
  for (const { measure, value } of report.measures)
    expect(value, measure).toBeGreaterThanOrEqual(0);
  expect(Object.keys(report.cpu_us_per_change)).toContain('throughput, inserts');
  writeFileSync(join(directory, 'run.json'), JSON.stringify(report));
  const compared = (await cdc('bench', '--json', '--compare', 'run.json,run.json')).json();
  expect(compared.compared).toHaveLength(report.measures.length);
  expect((await cdc('verify', '--json')).json()).toMatchObject({ ok: true });
  expect((await cdc('plan', '--json')).json()).toMatchObject({ result: 'unchanged' });
});

test('a scenario that there is not, and a file that is no run, are named', async () => {
  const unknown = await cdc('bench', '--scenarios', 'idel');
  expect([unknown.exit, unknown.stderr]).toEqual([2, expect.stringContaining('idle')]);
  const none = await cdc('bench', '--compare', 'none.json,run.json');
  expect([none.exit, none.stderr]).toEqual([2, expect.stringContaining('BENCH_FILE')]);
});
