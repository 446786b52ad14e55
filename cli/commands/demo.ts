import { loadConfig } from '../config/load.ts';
import type { Percentiles } from '../core/lag.ts';
import { EXIT } from '../core/problems.ts';
import {
  type CommandSpec,
  durationOption,
  positiveNumber,
  type Session,
} from '../kernel/program.ts';
import {
  formatBytes,
  formatCount,
  formatMs,
  formatSeconds,
  parseDurationMs,
} from '../lib/format.ts';
import { pause } from '../lib/wait.ts';
import { readLag } from '../pipeline/inspect/lag.ts';
import { type Stack, stackOf } from '../pipeline/state/stack.ts';
import { isProven } from '../pipeline/verify/verify.ts';
import { totalBytes } from '../runtimes/memory.ts';
import { stackMemory } from '../runtimes/registry.ts';
import { prepareWorkload, writeWorkload } from './load.ts';
import { bringUp } from './up.ts';
import { verifyWithProgress } from './verify.ts';
import { verificationText } from './verify-text.ts';

interface DemoResult {
  readonly startup_seconds: number;
  readonly written: number;
  readonly verified_rows: number;
  readonly equal: boolean;
  readonly end_to_end_ms: Percentiles | undefined;
  readonly memory_bytes: number;
  readonly memory_by_process: Readonly<Record<string, number>>;
}

const DEFAULT_DURATION_MS = 20_000;
const DEFAULT_RATE = 200;
const LOOK_MS = 2000;

export const demo: CommandSpec = {
  usage: 'demo',
  endsItself: true,
  summary: 'up, a workload with a live view of the lag, a proof; leaves the stack running',
  examples: ['cdc demo', 'cdc demo --rate 500 --duration 60s'],
  options: [
    {
      flags: '--rate <n>',
      description: `row changes per second (default ${DEFAULT_RATE})`,
      parse: positiveNumber,
    },
    {
      flags: '--duration <time>',
      description: 'how long to write (default 20s)',
      parse: durationOption(parseDurationMs),
    },
  ],
  async run(session, _args, options) {
    const { context, printer } = session;
    const { result: started } = await bringUp(session, {});
    const loaded = loadConfig({ cwd: context.cwd, env: context.env, file: session.configFile });
    const stack = stackOf(loaded, context);
    await prepareWorkload(session, stack, 'ecommerce');
    const rate = (options.rate as number | undefined) ?? DEFAULT_RATE;
    const durationMs = (options.duration as number | undefined) ?? DEFAULT_DURATION_MS;
    const watching = new AbortController();
    const view = liveView(session, stack, watching.signal);
    const writingSinceMs = context.monotonicMs();
    let written = 0;
    try {
      // The shop's share of the rate, and the tutorial's tables with their updates and deletes.
      const runs = await Promise.all([
        writeWorkload(session, stack, 'ecommerce', { rate: rate * 0.75, durationMs }),
        writeWorkload(session, stack, 'inventory', { rate: rate * 0.25, durationMs }),
      ]);
      written = runs.reduce((sum, run) => sum + run.written, 0);
    } finally {
      watching.abort();
      await view;
    }
    // What the boot and the joining of tables delayed is not what the workload saw.
    const lag = await readLag(stack, Math.floor((context.monotonicMs() - writingSinceMs) / 1000));
    const verification = await verifyWithProgress(session, stack, []);
    const memory = await stackMemory(loaded, context.env);
    const result: DemoResult = {
      startup_seconds: started.seconds,
      written,
      verified_rows: verification.rows,
      equal: verification.ok,
      end_to_end_ms: lag.end_to_end_ms,
      memory_bytes: totalBytes(memory),
      memory_by_process: memory,
    };
    printer.result(
      result,
      () => `${verificationText(printer, verification)}\n\n${summary(session, result)}`,
    );
    return isProven(verification) ? undefined : EXIT.found;
  },
};

/** A line of lag every other second while the workload writes. */
async function liveView(session: Session, stack: Stack, signal: AbortSignal): Promise<void> {
  const { printer } = session;
  while (!signal.aborted) {
    await pause(LOOK_MS, signal).catch(() => {});
    if (signal.aborted) return;
    try {
      const lag = await readLag(stack, LOOK_MS / 1000);
      const p = lag.end_to_end_ms;
      printer.note(
        `  commit to ClickHouse: ${p ? `p50 ${formatMs(p.p50)}, p95 ${formatMs(p.p95)}` : 'not measured yet'}; ${lag.kafka_messages ?? '?'} messages in Kafka wait`,
      );
    } catch (error) {
      printer.note(`  lag not read: ${(error as Error).message}`);
    }
  }
}

function summary(session: Session, result: DemoResult): string {
  const { paint } = session.printer;
  const p = result.end_to_end_ms;
  const memory = Object.entries(result.memory_by_process).map(
    ([name, bytes]) => `${name} ${formatBytes(bytes)}`,
  );
  const row = (label: string, text: string) => `  ${paint.dim(label.padEnd(16))} ${text}`;
  return [
    paint.bold('Summary'),
    row('start-up', formatSeconds(result.startup_seconds)),
    row('rows written', formatCount(result.written)),
    row(
      'rows verified',
      `${formatCount(result.verified_rows)} ${result.equal ? paint.green('equal') : paint.red('not equal')}`,
    ),
    row(
      'commit → visible',
      p ? `p50 ${formatMs(p.p50)}  p95 ${formatMs(p.p95)}  p99 ${formatMs(p.p99)}` : 'not measured',
    ),
    row('memory', `${formatBytes(result.memory_bytes)} (${memory.join(', ')})`),
    '',
    `The stack keeps running. ${paint.cyan('npx cdc status')}, ${paint.cyan('npx cdc verify')}, ${paint.cyan('eval "$(npx cdc env)"')}, ${paint.cyan('npx cdc down')}`,
  ].join('\n');
}
