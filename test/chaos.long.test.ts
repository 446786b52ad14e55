import { expect, test } from 'vitest';
import type { ChaosReport } from '../cli/chaos/run.ts';
import { ownStack } from './harness/ownStack.ts';

/** A short run of `cdc chaos`, of faults that strike servers, the agent, the copy and what is published. */

const { cdc } = ownStack('chaos');

const FAULTS = [
  'power-cut',
  'kill-connect',
  'freeze-clickhouse',
  'republish-table',
  'drop-copy',
  'poison-message',
];

test('a stack that copies tables of somebody is not broken unless that is asked for', async () => {
  const { exit, stderr } = await cdc('chaos', '--turns', '1');
  expect(exit).toBe(5);
  expect(stderr).toContain('CHAOS_OTHER_TABLES');
  expect(stderr).toContain('inventory.customers');
});

test('a fault that is not known, or not played here, is named with what is', async () => {
  const unknown = await cdc('chaos', '--yes', '--faults', 'kill-kafak');
  expect([unknown.exit, unknown.stderr]).toEqual([2, expect.stringContaining('kill-kafka')]);
  const elsewhere = await cdc('chaos', '--yes', '--faults', 'step-clock');
  expect([elsewhere.exit, elsewhere.stderr]).toEqual([
    5,
    expect.stringContaining('CHAOS_NOT_HERE'),
  ]);
  const { faults } = (await cdc('chaos', '--list', '--json')).json();
  const here = faults.filter((fault: { not_here?: string }) => fault.not_here === undefined);
  expect(here.map(({ name }: { name: string }) => name)).toEqual(expect.arrayContaining(FAULTS));
});

test('after each of these faults under load no row is wrong, and up starts at the first try after a power cut', async () => {
  const ran = await cdc(
    ...['chaos', '--yes', '--json', '--seed', '22', '--rate', '300'],
    ...['--turns', String(FAULTS.length), '--faults', FAULTS.join(',')],
  );
  const report = ran.json() as ChaosReport;
  const told = report.played.map(({ fault, rows_wrong, flowing_ms }) => ({
    fault,
    rows_wrong,
    flows: flowing_ms !== undefined,
  }));
  const wanted = FAULTS.map((fault) => ({ fault, rows_wrong: 0, flows: true }));
  expect(told.sort((a, b) => FAULTS.indexOf(a.fault) - FAULTS.indexOf(b.fault))).toEqual(wanted);
  // At its first try.
  expect(report.played.find(({ fault }) => fault === 'power-cut')?.mended_by).toBe('cdc up');
  expect(report).toMatchObject({ rows_wrong: 0, verified: true });
  expect(report.written).toBeGreaterThan(0);
  expect(ran.exit).toBe(0);
});

test('it leaves nothing of its own behind', async () => {
  const { json } = await cdc('verify', '--json');
  expect(json()).toMatchObject({ ok: true });
  expect(JSON.stringify(json())).not.toContain('cdc_chaos');
});
