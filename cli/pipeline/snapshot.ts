import { ClickHouse } from '../components/clickhouse/client.ts';
import { type LoadStates, readLoadStates } from '../components/clickhouse/observe.ts';
import type { TablePlan } from '../core/ddl.ts';
import { tableLabel } from '../core/names.ts';
import { Problem } from '../core/problems.ts';
import { withApplyLock } from './apply.ts';
import { desiredOf } from './desired.ts';
import { eachTable } from './eachTable.ts';
import type { ExistingEvents, ExistingLoad, Method } from './existing.ts';
import { slotFloor, tableFloor } from './floor.ts';
import { inspectSource, refuseOnErrors, refuseOtherFilters } from './plan.ts';
import { loadAgain, recordDone } from './reload.ts';
import type { Stack } from './stack.ts';
import { chooseTables } from './verify.ts';

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
): Promise<TableSnapshot[]> {
  return withApplyLock(stack, signal, async () => {
    const source = await inspectSource(stack);
    refuseOnErrors(source.findings);
    const desired = desiredOf(stack, source.tables);
    const chosen = chooseTables(desired.tables, patterns);
    refuseOtherFilters(source, chosen);
    const clickhouse = new ClickHouse(stack.endpoints.clickhouse);
    try {
      const states = await readLoadStates(clickhouse);
      const begun = chosen.map((plan) => ({ plan, floor: floorOf(stack, states, plan) }));
      return await eachTable(begun, { signal, events }, async ({ plan, floor }, own) => {
        const options = { method, signal: own, events };
        const again = await loadAgain(stack, clickhouse, plan, floor, options);
        await recordDone(clickhouse, plan.source);
        return { ...again.loaded, resumed: again.resumed };
      });
    } finally {
      await clickhouse.close();
    }
  });
}

/** The floor of a table's first load, which must have ended: `apply` goes on with it. */
function floorOf(stack: Stack, states: LoadStates, plan: TablePlan): bigint {
  const ofSlot = slotFloor(states, stack.names.slot);
  const own = ofSlot === undefined ? undefined : tableFloor(states, plan.source, ofSlot);
  if (own === undefined || states.load(plan, own) !== 'done')
    throw new Problem('TABLE_NOT_APPLIED', {
      table: tableLabel(plan),
      detail: 'It is chosen, but its tables and its first load are not there.',
    });
  return own;
}
