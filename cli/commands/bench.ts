import { loadConfig } from '../config/load.ts';
import type { Percentiles } from '../core/lag.ts';
import { type CommandSpec, positiveNumber, type Session } from '../kernel/program.ts';
import { formatBytes, formatCount, formatMs, formatSeconds } from '../lib/format.ts';
import { stackOf } from '../pipeline/state/stack.ts';
import { type BenchResult, bench as measure } from '../pipeline/status/bench.ts';
import { totalBytes } from '../runtimes/memory.ts';
import { stackMemory } from '../runtimes/registry.ts';
import { applyEvents } from './progress.ts';

export const bench: CommandSpec = {
  usage: 'bench',
  endsItself: true,
  summary:
    'measure bulk load, latency and backlog on this stack, with tables of its own (schema cdc_bench)',
  examples: ['cdc bench', 'cdc bench --rate 1000 --seconds 30 --json'],
  options: [
    {
      flags: '--rows <n>',
      description: 'rows of the bulk load (default 3000000)',
      parse: positiveNumber,
    },
    {
      flags: '--backlog <n>',
      description: 'inserts of the backlog (default 200000)',
      parse: positiveNumber,
    },
    {
      flags: '--rate <n>',
      description: 'changes per second while latency is measured (default 500)',
      parse: positiveNumber,
    },
    {
      flags: '--seconds <n>',
      description: 'how long latency is measured (default 15)',
      parse: positiveNumber,
    },
  ],
  async run(session, _args, options) {
    const { context, printer } = session;
    const loaded = loadConfig({ cwd: context.cwd, env: context.env, file: session.configFile });
    const stack = stackOf(loaded, context);
    const events = applyEvents(printer);
    const result = await measure(
      stack,
      {
        bulkRows: (options.rows as number | undefined) ?? 3_000_000,
        backlogRows: (options.backlog as number | undefined) ?? 200_000,
        rate: (options.rate as number | undefined) ?? 500,
        latencySeconds: (options.seconds as number | undefined) ?? 15,
      },
      context.signal,
      {
        step: () => {},
        loading: events.loading,
        phase: (text) => printer.note(`… ${text}`),
        memoryBytes: async () => totalBytes(await stackMemory(loaded, context.env)),
      },
    );
    printer.result(result, () => text(session, result));
    return undefined;
  },
};

function text(session: Session, result: BenchResult): string {
  const { bulk_load: bulk, latency, backlog } = result;
  const p = (value: Percentiles | undefined) =>
    value
      ? `p50 ${formatMs(value.p50)}, p95 ${formatMs(value.p95)}, p99 ${formatMs(value.p99)}`
      : 'not measured';
  return session.printer.table(
    ['measure', 'result'],
    [
      [
        'bulk load',
        `${formatCount(bulk.rows_per_second)} rows/s (${formatCount(bulk.rows)} rows in ${formatSeconds(bulk.seconds)})`,
      ],
      [
        `written, ${latency.rate}/s, ${latency.tables} tables`,
        `${p(latency.written_ms)} (${formatCount(latency.rows)} rows)`,
      ],
      ['visible to a client', `${p(latency.visible_ms)} (${latency.probes} probes)`],
      [
        'backlog',
        `${formatCount(backlog.changes_per_second)} changes/s (${formatCount(backlog.rows)} in ${formatSeconds(backlog.seconds)}; ${formatSeconds(backlog.seconds_with_start)} with the connector's start)`,
      ],
      ['memory', formatBytes(result.memory_bytes)],
    ],
  );
}
