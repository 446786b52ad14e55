import type { ClickHouse } from '../../components/clickhouse/client.ts';
import { forgetRecord, type Records, writeRecord } from '../../components/clickhouse/records.ts';
import type { TablePlan } from '../../core/ddl.ts';
import { historyObjects } from '../../core/history-ddl.ts';
import { historyNames } from '../../core/names.ts';
import { type ObservedObject, objectKey } from '../../core/plan.ts';
import type { SourceTable } from '../../core/source.ts';
import { hasOtherKey } from '../../core/storageMigration.ts';
import { requireResnapshot } from './resnapshot.ts';

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
  records: Records,
  plan: TablePlan,
  observed: ReadonlyMap<string, ObservedObject>,
): HistoryState {
  const begin = records.get(plan, 'history');
  if (!plan.history) {
    const isEnded = records.get(plan, 'history end') !== undefined;
    return { isDue: false, isBegun: false, isToEnd: begin !== undefined && !isEnded };
  }
  const { versions } = historyObjects(plan);
  const found = observed.get(objectKey(versions));
  const isOfTable = begin?.oid === plan.source.oid;
  const isKept = isOfTable && found !== undefined && !hasOtherKey(versions, found);
  const { versionsMv } = historyNames(plan.names);
  const isFilled = observed.has(objectKey({ ...plan.names, name: versionsMv }));
  return {
    isDue: !(isKept && isFilled && begin?.state === 'done'),
    isBegun: isKept && begin?.state === 'begun',
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
  if (options.reload) await requireResnapshot(clickhouse, table);
  await writeRecord(clickhouse, table, 'history', { state: 'begun', oid: table.oid });
  await forgetRecord(clickhouse, table, 'history end');
}

/** All rows are in it, with this version or a later one: from now on it answers. */
export async function completeHistory(
  clickhouse: ClickHouse,
  table: SourceTable,
  version: bigint,
): Promise<void> {
  await writeRecord(clickhouse, table, 'history', { state: 'done', oid: table.oid, version });
}

/** Before its views go: what it has stays, and answers for times until now. */
export async function endHistory(clickhouse: ClickHouse, table: SourceTable): Promise<void> {
  await writeRecord(clickhouse, table, 'history end', { ended: true });
}
