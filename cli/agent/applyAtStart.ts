import type { Logger } from 'pino';
import { Connect } from '../components/connect/client.ts';
import { errorText } from '../core/problems.ts';
import { describeStep } from '../core/steps.ts';
import { pause } from '../lib/wait.ts';
import { applyPlan } from '../pipeline/apply/apply.ts';
import { setupExample } from '../pipeline/inspect/examples.ts';
import type { Stack } from '../pipeline/state/stack.ts';

const RETRY_MS = 3000;

/**
 * What `cdc up` does once the servers run, for an agent that nobody runs it for (docker compose up).
 * A pipeline that has its connector was applied before: what has changed since is for the schema watch,
 * and a lost slot for somebody to decide.
 */
export async function applyAtStart(
  stack: () => Stack,
  signal: AbortSignal,
  log: Logger,
  report: (trouble: string | undefined) => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await applyOnce(stack(), signal, log);
      report(undefined);
      return;
    } catch (error) {
      if (signal.aborted) return;
      const text = errorText(error);
      report(text);
      log.warn({ error: text }, 'applying at the start; it is tried again');
    }
    await pause(RETRY_MS, signal).catch(() => {});
  }
}

async function applyOnce(stack: Stack, signal: AbortSignal, log: Logger): Promise<void> {
  const connector = await new Connect(stack.endpoints.connect).status(stack.names.connector);
  if (connector) return;
  if (stack.endpoints.postgres.managed) await setupExample(stack, 'inventory');
  const applied = await applyPlan(
    stack,
    signal,
    {
      step: (text) => log.info({ step: text }, 'applying'),
      loading: () => {},
      remark: (text) => log.warn(text),
      planned: (steps) => log.info({ changes: steps.map(describeStep) }, 'applying'),
    },
    { by: 'agent' },
  );
  log.info({ changes: applied.steps.length, loads: applied.loads.length }, 'applied');
  for (const { table, why } of applied.leftOut) log.warn({ table, why }, 'left out');
  for (const problem of applied.refused)
    log.warn({ error: `${problem.message} ${problem.causeText}` }, 'making views');
}
