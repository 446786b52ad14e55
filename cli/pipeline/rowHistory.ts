import type { ClickHouse } from '../components/clickhouse/client.ts';
import { type LoadStates, recordState } from '../components/clickhouse/observe.ts';
import type { TablePlan } from '../core/ddl.ts';
import { HISTORY_BEGIN, HISTORY_END, HISTORY_STATES, historyObjects } from '../core/history-ddl.ts';
import { historyNames } from '../core/names.ts';
import { type ObservedObject, objectKey } from '../core/plan.ts';
import { hasOtherKey } from '../core/reshape.ts';
import type { SourceTable } from '../core/source.ts';
import { requireReload } from './reload.ts';

/**
 * The history of a table's rows begins with a load: until all rows are in it, it answers for no
 * time. So a table that is copied already is loaded again when its history is turned on.
 */
export interface HistoryState {
  /** There is no history yet for this very table, or some part of it was taken away. */
  readonly isDue: boolean;
  /** An earlier command began it, and its rows may be on their way. */
  readonly isBegun: boolean;
  /** It was turned off, and when it ended is not recorded. */
  readonly isToEnd: boolean;
}

export function historyState(
  states: LoadStates,
  plan: TablePlan,
  observed: ReadonlyMap<string, ObservedObject>,
): HistoryState {
  const known = states.whole(plan);
  const [state, oid] = known.get(HISTORY_BEGIN)?.split(':') ?? [];
  const isOfTable = Number(oid) === plan.source.oid;
  if (!plan.history) {
    const ended = known.get(HISTORY_END) === HISTORY_STATES.ended;
    return { isDue: false, isBegun: false, isToEnd: state !== undefined && !ended };
  }
  const { versions } = historyObjects(plan);
  const found = observed.get(objectKey(versions));
  const isKept = isOfTable && found !== undefined && !hasOtherKey(versions, found);
  const { versionsMv } = historyNames(plan.names);
  const isFilled = observed.has(objectKey({ ...plan.names, name: versionsMv }));
  return {
    isDue: !(isKept && isFilled && state === HISTORY_STATES.done),
    isBegun: isKept && state === HISTORY_STATES.begun,
    isToEnd: false,
  };
}

/**
 * Before its views are made. What an earlier command has loaded already would be missing in it:
 * then all is loaded again.
 */
export async function beginHistory(
  clickhouse: ClickHouse,
  table: SourceTable,
  options: { reload: boolean },
): Promise<void> {
  if (options.reload) await requireReload(clickhouse, table);
  await recordState(clickhouse, table, HISTORY_BEGIN, `${HISTORY_STATES.begun}:${table.oid}`);
  await recordState(clickhouse, table, HISTORY_END, HISTORY_STATES.open);
}

/** All rows are in it, with this version or a later one: from now on it answers. */
export async function completeHistory(
  clickhouse: ClickHouse,
  table: SourceTable,
  version: bigint,
): Promise<void> {
  const state = `${HISTORY_STATES.done}:${table.oid}:${version}`;
  await recordState(clickhouse, table, HISTORY_BEGIN, state);
}

/** Before its views go: what it has stays, and answers for times until now. */
export async function endHistory(clickhouse: ClickHouse, table: SourceTable): Promise<void> {
  await recordState(clickhouse, table, HISTORY_END, HISTORY_STATES.ended);
}
