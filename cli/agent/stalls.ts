import type { Logger } from 'pino';
import { ClickHouse } from '../components/clickhouse/client.ts';
import { forgetReturned } from '../components/clickhouse/dependents.ts';
import { type Stall, stalledQueues } from '../components/clickhouse/stalls.ts';
import type { TablePlan } from '../core/ddl.ts';
import { tableLabel } from '../core/names.ts';
import { objectKey } from '../core/plan.ts';
import { errorText } from '../core/problems.ts';
import type { Step } from '../core/steps.ts';
import { pause } from '../lib/wait.ts';
import { applyPlan } from '../pipeline/apply/apply.ts';
import { makePlan } from '../pipeline/apply/plan.ts';
import { answerStalls, endIsolations, failsAnew, withholdTable } from '../pipeline/apply/stalls.ts';
import { refuseOtherPipelines } from '../pipeline/inspect/others.ts';
import type { Stack } from '../pipeline/state/stack.ts';

const LOOK_MS = 2000;
/** What is not urgent. */
const TIDY_MS = 10_000;

/**
 * Keeps a table that cannot be stored from holding up others: it gets a queue of its own, and what somebody made on
 * the copy and that refuses its rows is set aside.
 */
export class StallWatch {
  private readonly stack: () => Stack;
  private readonly log: Logger;
  private readonly report: (trouble: string | undefined) => void;
  /** Of queues that stand: how often each was seen to fail anew, and when last; none while what was done must show. */
  private readonly seen = new Map<string, { looks: number; failed_s: number }>();

  private tidyAtMs = 0;
  /** What stands is looked at, and changed, where the records are this pipeline's. */
  private areOurs = false;

  constructor(stack: () => Stack, log: Logger, report: (trouble: string | undefined) => void) {
    this.stack = stack;
    this.log = log;
    this.report = report;
  }

  async run(signal: AbortSignal): Promise<void> {
    // One connection for all looks, which are many.
    let clickhouse: ClickHouse | undefined;
    while (!signal.aborted) {
      try {
        clickhouse ??= new ClickHouse(this.stack().endpoints.clickhouse, { maxConnections: 2 });
        await this.look(clickhouse, signal);
      } catch (error) {
        // Servers that are gone are said by those who watch them.
        if (!signal.aborted) this.log.debug({ error: errorText(error) }, 'queues that stand');
      }
      await pause(LOOK_MS, signal).catch(() => {});
    }
    await clickhouse?.close();
  }

  private async look(clickhouse: ClickHouse, signal: AbortSignal): Promise<void> {
    if (!this.areOurs) await refuseOtherPipelines(this.stack());
    this.areOurs = true;
    const stalls = await stalledQueues(clickhouse);
    const standing = stalls.map((stall) => ({ ...stall, looks: this.count(stall) }));
    for (const key of this.seen.keys())
      if (!stalls.some((stall) => objectKey(stall.queue) === key)) this.seen.delete(key);
    const answer = await answerStalls(clickhouse, standing);
    const ended = await this.tidy(clickhouse, stalls);
    for (const stall of answer.answered)
      this.seen.set(objectKey(stall.queue), { looks: 0, failed_s: stall.failed_s });
    this.report(answer.standing.join('; ') || undefined);
    if (answer.done.length + ended.length === 0) return;
    this.log.warn({ stalls: answer.done, ended }, 'queues that stood');
    if (answer.isolated.length + ended.length === 0) return;
    const stack = this.stack();
    // Whoever wants changes of the schema reported only gets none of these made.
    if (stack.config.agent.schema_changes === 'report') {
      const plan = await makePlan(stack, { tolerant: true });
      const alone = plan.desired.tables.filter((table) =>
        answer.isolated.includes(tableLabel(table)),
      );
      if (plan.steps.some((step) => !isOfQueues(step) && !isOf(step, alone))) {
        for (const table of alone)
          if (await failsAnew(clickhouse, tableLabel(table), signal))
            await withholdTable(clickhouse, table);
        return;
      }
    }
    const events = { step: () => {}, loading: () => {} };
    await applyPlan(stack, signal, events, { by: 'agent', tolerant: true });
  }

  /** Tables that share a queue again; and forgets what somebody has brought back. */
  private async tidy(clickhouse: ClickHouse, stalls: readonly Stall[]): Promise<string[]> {
    if (performance.now() < this.tidyAtMs) return [];
    this.tidyAtMs = performance.now() + TIDY_MS;
    await forgetReturned(clickhouse);
    return endIsolations(clickhouse, stalls);
  }

  private count(stall: Stall): number {
    const { failed_s } = stall;
    const before = this.seen.get(objectKey(stall.queue)) ?? { looks: 0, failed_s: 0 };
    const now = failed_s > before.failed_s ? { looks: before.looks + 1, failed_s } : before;
    this.seen.set(objectKey(stall.queue), now);
    return now.looks;
  }
}

/** Queues, and what hangs behind them: rows only pass through. */
function isOfQueues(step: Step): boolean {
  if (step.kind === 'lane') return true;
  return (
    step.kind === 'drop' && ['queue', 'fanout', 'materialized-view'].includes(step.dropped ?? '')
  );
}

/** A table's own storage, view and rows, which are made whole. */
function isOf(step: Step, tables: readonly TablePlan[]): boolean {
  return tables.some((table) => {
    if (step.kind === 'load') return step.table === tableLabel(table);
    if (step.kind !== 'storage' && step.kind !== 'view') return false;
    const { database, final, view } = table.names;
    return step.target.database === database && [final, view].includes(step.target.name);
  });
}
