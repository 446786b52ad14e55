import { cpus, totalmem } from 'node:os';
import type { BenchReport, Histogram, Measure } from '../core/bench.ts';
import type { Stack } from '../pipeline/state/stack.ts';
import { type BenchEvents, BenchGround } from './ground.ts';
import { idle } from './scenarios/idle.ts';
import { latency } from './scenarios/latency.ts';
import { limits } from './scenarios/limits.ts';
import { load } from './scenarios/load.ts';
import { query } from './scenarios/query.ts';
import type { ScenarioResult } from './scenarios/scenario.ts';
import { stages, throughput } from './scenarios/throughput.ts';

export interface BenchOptions {
  readonly scenarios: readonly ScenarioName[];
  readonly bulkRows: number;
  readonly backlogRows: number;
  readonly rate: number;
  /** How long latency is measured, and idleness. */
  readonly seconds: number;
}

type Play = (ground: BenchGround, options: BenchOptions) => Promise<ScenarioResult>;

/** In this order: a bulk load comes late, since the server decodes its rows for a while, which would delay the others. */
const SCENARIOS = {
  idle: (ground, { seconds }) => idle(ground, seconds),
  latency: (ground, { rate, seconds }) => latency(ground, rate, seconds),
  throughput: (ground, { backlogRows }) => throughput(ground, backlogRows),
  stages: (ground, { backlogRows }) => stages(ground, backlogRows),
  load: (ground, { bulkRows }) => load(ground, bulkRows),
  query: (ground) => query(ground),
  limits: (ground, { backlogRows }) => limits(ground, backlogRows),
} as const satisfies Record<string, Play>;

export type ScenarioName = keyof typeof SCENARIOS;
export const SCENARIO_NAMES = Object.keys(SCENARIOS) as readonly ScenarioName[];

/** Which ask for the rows that were loaded. */
const NEEDS: Readonly<Partial<Record<ScenarioName, ScenarioName>>> = {
  query: 'load',
  limits: 'load',
};

/** Plays scenarios on a stack, on tables of its own, which are gone afterwards. */
export async function runBench(
  stack: Stack,
  options: BenchOptions,
  signal: AbortSignal,
  events: BenchEvents & {
    readonly versions: Readonly<Record<string, string>>;
    memoryBytes(): Promise<number>;
  },
): Promise<BenchReport> {
  const ground = new BenchGround(stack, signal, events);
  const wanted = new Set(options.scenarios.flatMap((name) => [name, NEEDS[name] ?? name]));
  const measures: Measure[] = [];
  const cpu: Record<string, Readonly<Record<string, number>>> = {};
  const histograms: Record<string, Histogram> = {};
  try {
    await ground.clean();
    await ground.makeTables();
    for (const name of SCENARIO_NAMES) {
      if (!wanted.has(name)) continue;
      const found = await SCENARIOS[name](ground, options);
      measures.push(...found.measures);
      Object.assign(cpu, found.cpu_us_per_change);
      Object.assign(histograms, found.histograms);
    }
    measures.push({
      scenario: 'memory',
      measure: 'everything',
      value: await events.memoryBytes(),
      unit: 'bytes',
      better: 'less',
      on: 'proportional set size, afterwards',
    });
  } finally {
    await ground.clean();
    await ground.clickhouse.close();
  }
  return {
    at: new Date().toISOString(),
    machine: {
      cores: cpus().length,
      memory_bytes: totalmem(),
      cpu: cpus()[0]?.model ?? 'unknown',
    },
    versions: events.versions,
    measures,
    cpu_us_per_change: cpu,
    histograms,
  };
}
