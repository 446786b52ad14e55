import { ClickHouse } from '../../components/clickhouse/client.ts';
import { type KeptValues, keptValues } from '../../components/clickhouse/kept.ts';
import { type Records, readRecords } from '../../components/clickhouse/records.ts';
import type { TablePlan } from '../../core/ddl.ts';
import type { LeftOut } from '../../core/leftOut.ts';
import { tableLabel } from '../../core/names.ts';
import { Problem } from '../../core/problems.ts';
import { chooseTables } from '../inspect/choose.ts';
import { captureSource, notApplied } from '../inspect/source.ts';
import { standing } from '../inspect/targets.ts';
import { eachTable } from '../load/eachTable.ts';
import type { LoadEvents, Method, TableLoad } from '../load/events.ts';
import { recordDone, resnapshot } from '../load/resnapshot.ts';
import { withApplyLock } from '../state/applyLock.ts';
import { slotBaseline, tableBaseline } from '../state/baseline.ts';
import { failureOf, forgetFailure } from '../state/loadFailures.ts';
import type { Stack } from '../state/stack.ts';
import { loadedTables } from './apply.ts';

export interface Snapshots {
  /** Values of the tables which their types cannot hold. */
  readonly kept: readonly KeptValues[];
  readonly tables: readonly TableSnapshot[];
  /** Tables that were asked for and are not copied. */
  readonly leftOut: readonly LeftOut[];
  /** Why loads stopped, or could not begin. */
  readonly failed: readonly Problem[];
}

export interface TableSnapshot extends TableLoad {
  /** It went on with what an earlier command had begun. */
  readonly resumed: boolean;
}

/**
 * Loads tables again while changes flow, and ends rows that the source does not have. A snapshot
 * that was begun and not finished is gone on with: what it has read stays right, since every change
 * since then outranks it.
 */
export async function snapshotTables(
  stack: Stack,
  patterns: readonly string[],
  method: Method,
  signal: AbortSignal,
  events: LoadEvents,
): Promise<Snapshots> {
  return withApplyLock(stack, signal, events.step, async () => {
    const source = await captureSource(stack);
    const desired = await standing(stack, source);
    const { plans, leftOut } = chooseTables(source, desired, patterns);
    const other = notApplied(source, plans, stack.names.own);
    const clickhouse = new ClickHouse(stack.endpoints.clickhouse);
    try {
      const records = await readRecords(clickhouse);
      const baselines = plans.map((plan) => ({
        plan,
        baseline: other.includes(plan) ? undefined : baselineOf(stack, records, plan),
      }));
      const begun = baselines.flatMap(({ plan, baseline }) =>
        baseline === undefined ? [] : { plan, baseline },
      );
      const { done, failed } = await eachTable(
        begun,
        { signal, events },
        async ({ plan, baseline }, own) => {
          const options = { method, signal: own, events, isOfApply: false };
          const again = await resnapshot(stack, clickhouse, plan, baseline, options);
          await recordDone(clickhouse, plan.source, again.gap);
          if (failureOf(records, plan.source) !== undefined)
            await forgetFailure(clickhouse, plan.source);
          return { ...again.loaded, resumed: again.resumed };
        },
      );
      const notBegun = baselines.flatMap(({ plan, baseline }) =>
        baseline === undefined ? notAppliedProblem(plan) : [],
      );
      return {
        tables: done,
        kept: await keptValues(clickhouse, loadedTables(plans, done)),
        leftOut,
        failed: [...notBegun, ...failed.map(({ problem }) => problem)],
      };
    } finally {
      await clickhouse.close();
    }
  });
}

/** The baseline of a table's first load, which must have ended: `apply` goes on with it. */
function baselineOf(stack: Stack, records: Records, plan: TablePlan): bigint | undefined {
  const ofSlot = slotBaseline(records, stack.names.slot);
  const own = ofSlot === undefined ? undefined : tableBaseline(records, plan.source, ofSlot);
  return own !== undefined && records.load(plan, own) === 'done' ? own : undefined;
}

function notAppliedProblem(plan: TablePlan): Problem {
  const detail =
    'Its tables and its first load are not there, or the publication has another filter (where).';
  return new Problem('TABLE_NOT_APPLIED', { table: tableLabel(plan), detail });
}
