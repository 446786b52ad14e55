import { readFileSync } from 'node:fs';
import { runBench, SCENARIO_NAMES, type ScenarioName } from '../bench/run.ts';
import { loadConfig, resolveFrom } from '../config/load.ts';
import { type BenchReport, type Comparison, compareRuns, type Measure } from '../core/bench.ts';
import { pageOf } from '../core/benchChart.ts';
import { Problem } from '../core/problems.ts';
import { type CommandSpec, positiveNumber, type Session } from '../kernel/program.ts';
import { writeFileAtomic } from '../lib/files.ts';
import { formatBytes, formatCount, formatMs, formatSeconds } from '../lib/format.ts';
import { nearest } from '../lib/nearest.ts';
import { packageVersion } from '../lib/packageRoot.ts';
import { stackOf } from '../pipeline/state/stack.ts';
import { observeStack, type StackStatus, watchStack } from '../pipeline/status/status.ts';
import { totalBytes } from '../runtimes/memory.ts';
import { stackMemory } from '../runtimes/registry.ts';
import { applyEvents } from './progress.ts';

const DEFAULT_SCENARIOS: readonly ScenarioName[] = ['idle', 'latency', 'throughput', 'load'];

export const bench: CommandSpec = {
  usage: 'bench',
  endsItself: true,
  summary:
    'measure latency, throughput, load, queries and idle CPU of this stack, with tables of its own (schema cdc_bench)',
  examples: [
    'cdc bench',
    'cdc bench --scenarios stages,query --backlog 1000000 --json > now.json',
    'cdc bench --compare before.json,now.json',
  ],
  options: [
    {
      flags: '--scenarios <list>',
      description: `some of ${SCENARIO_NAMES.join(', ')} (default ${DEFAULT_SCENARIOS.join(',')})`,
    },
    {
      flags: '--rows <n>',
      description: 'rows of the bulk load (default 3000000)',
      parse: positiveNumber,
    },
    {
      flags: '--backlog <n>',
      description: 'changes of each backlog (default 200000)',
      parse: positiveNumber,
    },
    {
      flags: '--rate <n>',
      description: 'changes per second while latency is measured (default 500)',
      parse: positiveNumber,
    },
    {
      flags: '--seconds <n>',
      description: 'how long latency and idleness are measured (default 15)',
      parse: positiveNumber,
    },
    {
      flags: '--html <file>',
      description: 'write the figures as a page with charts, too',
    },
    {
      flags: '--compare <a,b>',
      description: 'measure nothing: compare two files that --json has written',
    },
  ],
  async run(session, _args, options) {
    const { context, printer } = session;
    if (typeof options.compare === 'string') {
      const [before, after] = runsIn(options.compare, context.cwd);
      const compared = compareRuns(before, after);
      printer.result({ compared }, () => comparisonText(session, compared));
      return undefined;
    }
    const loaded = loadConfig({ cwd: context.cwd, env: context.env, file: session.configFile });
    const stack = stackOf(loaded, context);
    const events = applyEvents(printer);
    const { status } = await observeStack(watchStack(loaded, context.env));
    const report = await runBench(
      stack,
      {
        scenarios: chosenScenarios(options.scenarios as string | undefined),
        bulkRows: (options.rows as number | undefined) ?? 3_000_000,
        backlogRows: (options.backlog as number | undefined) ?? 200_000,
        rate: (options.rate as number | undefined) ?? 500,
        seconds: (options.seconds as number | undefined) ?? 15,
      },
      context.signal,
      {
        step: () => {},
        loading: events.loading,
        phase: (text) => printer.note(`… ${text}`),
        versions: versionsOf(status),
        memoryBytes: async () => totalBytes(await stackMemory(loaded, context.env)),
      },
    );
    if (typeof options.html === 'string')
      writeFileAtomic(resolveFrom(context.cwd, options.html), pageOf(report));
    printer.result(report, () => text(session, report));
    return undefined;
  },
};

function versionsOf({ components }: Pick<StackStatus, 'components'>): Record<string, string> {
  const found = components.flatMap(({ name, version }) => (version ? [[name, version]] : []));
  return { cdc: packageVersion(), ...Object.fromEntries(found) };
}

function chosenScenarios(names: string | undefined): readonly ScenarioName[] {
  if (names === undefined) return DEFAULT_SCENARIOS;
  return names.split(',').map((name) => {
    const found = SCENARIO_NAMES.find((one) => one === name.trim());
    if (!found)
      throw new Problem('NAME_UNKNOWN', {
        kind: 'scenario',
        name,
        known: SCENARIO_NAMES.join(', '),
        suggestion: `cdc bench --scenarios ${nearest(name, SCENARIO_NAMES) ?? SCENARIO_NAMES[0]}`,
      });
    return found;
  });
}

function runsIn(files: string, cwd: string): [BenchReport, BenchReport] {
  const names = files.split(',').map((name) => name.trim());
  const [before, after] = names.map((name) => runIn(resolveFrom(cwd, name)));
  if (names.length !== 2 || !before || !after)
    throw new Problem('BENCH_FILE', { file: files, detail: '--compare takes two files: a,b' });
  return [before, after];
}

function runIn(file: string): BenchReport {
  try {
    const found = JSON.parse(readFileSync(file, 'utf8')) as BenchReport;
    if (Array.isArray(found.measures)) return found;
  } catch (error) {
    throw new Problem('BENCH_FILE', { file, detail: (error as Error).message }, { cause: error });
  }
  throw new Problem('BENCH_FILE', { file, detail: 'It has no measures.' });
}

function text(session: Session, report: BenchReport): string {
  const { printer } = session;
  const figures = printer.table(
    ['scenario', 'measure', 'result', 'on'],
    report.measures.map((one) => [one.scenario, one.measure, shown(one), one.on]),
  );
  const cpu = Object.entries(report.cpu_us_per_change);
  const parts = [...new Set(cpu.flatMap(([, by]) => Object.keys(by)))];
  if (parts.length === 0) return figures;
  const used = printer.table(
    ['CPU of a change, µs', ...parts],
    cpu.map(([name, by]) => [name, ...parts.map((part) => String(by[part] ?? ''))]),
  );
  return `${figures}\n\n${used}`;
}

function comparisonText({ printer }: Session, compared: readonly Comparison[]): string {
  return printer.table(
    ['scenario', 'measure', 'before', 'after', 'better by'],
    compared.map((one) => [
      one.scenario,
      one.measure,
      shown({ ...one, value: one.before }),
      shown({ ...one, value: one.after }),
      one.ratio === undefined ? '' : `${one.ratio} ×`,
    ]),
  );
}

function shown({ value, unit }: Pick<Measure, 'value' | 'unit'>): string {
  if (unit === 'bytes') return formatBytes(value);
  if (unit === 'ms') return formatMs(value);
  if (unit === 's') return formatSeconds(value);
  return unit === '% of a core' ? `${value} % of a core` : `${formatCount(value)} ${unit}`;
}
