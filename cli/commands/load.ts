import { postgresPool, postgresProblem } from '../components/postgres/client.ts';
import { EXIT } from '../core/problems.ts';
import type { CommandSpec, Session } from '../kernel/program.ts';
import { durationOption, UsageError } from '../kernel/program.ts';
import { formatCount, formatSeconds, parseDurationMs } from '../lib/format.ts';
import { pause } from '../lib/wait.ts';
import { waitForQueues } from '../pipeline/inspect/caughtUp.ts';
import { findWorkload, setupExample } from '../pipeline/inspect/examples.ts';
import { attach, type Stack } from '../pipeline/state/stack.ts';
import { LANES } from '../workloads/lanes.ts';
import { type RunResult, runWorkload } from '../workloads/runner.ts';
import { leftOutLines } from './left-out.ts';
import { applyWithProgress } from './progress.ts';

export const load: CommandSpec = {
  usage: 'load <workload>',
  endsItself: true,
  summary: 'write a workload to the source: inventory or ecommerce',
  examples: [
    'cdc load inventory',
    'cdc load ecommerce --rate 500 --duration 20s',
    'cdc load inventory --rate max --duration 5s',
  ],
  options: [
    { flags: '--rate <n>', description: 'row changes per second, or max', parse: parseRate },
    {
      flags: '--duration <time>',
      description: 'how long (default: until interrupted)',
      parse: durationOption(parseDurationMs),
    },
  ],
  async run(session, [name], options) {
    const { printer } = session;
    const workload = String(name);
    findWorkload(workload);
    const stack = attach(session.context, { file: session.configFile });
    await prepareWorkload(session, stack, workload);
    const run = await writeWorkload(session, stack, workload, {
      rate: options.rate as number | 'max' | undefined,
      durationMs: options.duration as number | undefined,
    });
    const seconds = Math.round(run.seconds * 100) / 100;
    printer.result({ workload, ...run, seconds }, () => {
      const perSecond = formatCount(run.written / Math.max(run.seconds, 0.001));
      return `${formatCount(run.written)} row changes written in ${formatSeconds(run.seconds)} (${perSecond}/s): ${formatCount(run.inserts)} inserts, ${formatCount(run.updates)} updates, ${formatCount(run.deletes)} deletes${run.errors > 0 ? `; ${run.errors} attempts failed and were repeated` : ''}`;
    });
    // Without a duration an interrupt is the way to end it.
    return options.duration !== undefined && session.context.signal.aborted
      ? EXIT.interrupted
      : undefined;
  },
};

function parseRate(text: string): number | 'max' {
  if (text === 'max') return 'max';
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0)
    throw new UsageError(`--rate ${text}: give a number above 0, or max`);
  return value;
}

/** Makes the workload's tables and takes them into the pipeline. */
export async function prepareWorkload(
  session: Session,
  stack: Stack,
  workload: string,
): Promise<void> {
  await setupExample(stack, workload);
  const applied = await applyWithProgress(session, stack);
  for (const line of leftOutLines(session.printer, applied.leftOut)) session.printer.note(line);
  if (applied.steps.length === 0) return;
  const progress = session.printer.progress('waiting for the queues that tables joined');
  await waitForQueues(stack, session.context.signal).catch((error: unknown) => {
    progress.fail('the queues do not read');
    throw error;
  });
  progress.done('all queues read');
}

export interface WriteOptions {
  readonly rate: number | 'max' | undefined;
  readonly durationMs: number | undefined;
}

/** Writes until the time is over; shows how much. */
export async function writeWorkload(
  session: Session,
  stack: Stack,
  name: string,
  options: WriteOptions,
): Promise<RunResult> {
  const { context, printer } = session;
  const workload = findWorkload(name);
  const rate = options.rate ?? workload.defaultRate;
  const pool = await postgresPool(stack.endpoints.postgres, 10);
  const progress = printer.progress(`writing ${name}`);
  try {
    const writer = await workload.open(pool, { now: () => context.now() });
    const run = await runWorkload(writer, {
      rate,
      durationMs: options.durationMs,
      signal: context.signal,
      now: () => context.monotonicMs(),
      sleep: pause,
      random: Math.random,
      concurrency: LANES,
      onProgress: (p) =>
        progress.update(
          `writing ${name}: ${formatCount(p.written)} row changes, ${formatCount(p.rate)}/s, ${formatSeconds(p.seconds)}`,
        ),
    });
    progress.done(`wrote ${formatCount(run.written)} row changes of ${name}`);
    return run;
  } catch (error) {
    progress.fail(`writing ${name} stopped`);
    throw postgresProblem(stack.endpoints.postgres, error);
  } finally {
    await pool.end();
  }
}
