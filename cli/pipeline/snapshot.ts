import { ClickHouse } from '../components/clickhouse/client.ts';
import { type KeptValues, keptValues } from '../components/clickhouse/kept.ts';
import { type LoadStates, readLoadStates } from '../components/clickhouse/observe.ts';
import type { TablePlan } from '../core/ddl.ts';
import type { LeftOut } from '../core/leftOut.ts';
import { tableLabel } from '../core/names.ts';
import { Problem } from '../core/problems.ts';
import { loadedTables } from './apply.ts';
import { withApplyLock } from './applyLock.ts';
import { chooseTables } from './choose.ts';
import { eachTable } from './eachTable.ts';
import type { ExistingEvents, ExistingLoad, Method } from './existing.ts';
import { slotFloor, tableFloor } from './floor.ts';
import { failureOf, forgetFailure } from './loadFailures.ts';
import { loadAgain, recordDone } from './reload.ts';
import { captureSource, notApplied } from './source.ts';
import type { Stack } from './stack.ts';
import { standing } from './targets.ts';

export interface Snapshots {
  /** Values of the tables which their types cannot hold. */
  readonly kept: readonly KeptValues[];
  readonly tables: readonly TableSnapshot[];
  /** Tables that were asked for and are not copied. */
  readonly leftOut: readonly LeftOut[];
  /** Why loads stopped, or could not begin. */
  readonly failed: readonly Problem[];
}

export interface TableSnapshot extends ExistingLoad {
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
  events: ExistingEvents,
): Promise<Snapshots> {
  return withApplyLock(stack, signal, async () => {
    const source = await captureSource(stack);
    const desired = await standing(stack, source);
    const { plans, leftOut } = chooseTables(source, desired, patterns);
    const other = notApplied(source, plans);
    const clickhouse = new ClickHouse(stack.endpoints.clickhouse);
    try {
      const states = await readLoadStates(clickhouse);
      const floors = plans.map((plan) => ({
        plan,
        floor: other.includes(plan) ? undefined : floorOf(stack, states, plan),
      }));
      const begun = floors.flatMap(({ plan, floor }) =>
        floor === undefined ? [] : { plan, floor },
      );
      const { done, failed } = await eachTable(
        begun,
        { signal, events },
        async ({ plan, floor }, own) => {
          const options = { method, signal: own, events };
          const again = await loadAgain(stack, clickhouse, plan, floor, options);
          await recordDone(clickhouse, plan.source);
          if (failureOf(states, plan.source) !== undefined)
            await forgetFailure(clickhouse, plan.source);
          return { ...again.loaded, resumed: again.resumed };
        },
      );
      const notBegun = floors.flatMap(({ plan, floor }) =>
        floor === undefined ? notAppliedProblem(plan) : [],
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

/** The floor of a table's first load, which must have ended: `apply` goes on with it. */
function floorOf(stack: Stack, states: LoadStates, plan: TablePlan): bigint | undefined {
  const ofSlot = slotFloor(states, stack.names.slot);
  const own = ofSlot === undefined ? undefined : tableFloor(states, plan.source, ofSlot);
  return own !== undefined && states.load(plan, own) === 'done' ? own : undefined;
}

function notAppliedProblem(plan: TablePlan): Problem {
  const detail =
    'Its tables and its first load are not there, or the publication has another filter (where).';
  return new Problem('TABLE_NOT_APPLIED', { table: tableLabel(plan), detail });
}
