import { migratedTables } from '../../components/clickhouse/prepare.ts';
import type { Records } from '../../components/clickhouse/records.ts';
import { isUsable } from '../../components/postgres/observe.ts';
import type { TablePlan } from '../../core/ddl.ts';
import { ownTablesOf, type TakenNames, tableLabel, tableLabelKey } from '../../core/names.ts';
import { type ObservedObject, objectKey, publicationDiff } from '../../core/plan.ts';
import type { Desired } from '../inspect/desired.ts';
import type { CapturedSource } from '../inspect/source.ts';
import { unrecorded } from '../inspect/targets.ts';
import { resnapshotState } from '../load/resnapshot.ts';
import { historyState } from '../load/tableHistory.ts';
import { slotBaseline, tableBaseline } from '../state/baseline.ts';
import { gapFound } from '../state/gaps.ts';
import type { Stack } from '../state/stack.ts';
import { STORAGE_GONE } from '../state/storages.ts';

/** What is to be done for one table that is copied, beside what the steps of a plan say. */
export interface TableWork {
  readonly plan: TablePlan;
  /** Why its existing rows are to be loaded for the first time, or completely; absent when they are not. */
  readonly firstLoad: string | undefined;
  /** Why they are to be loaded again. */
  readonly reload: string | undefined;
  /** Its storage changes its columns or its key. */
  readonly isMigrated: boolean;
  /** Its names are to be recorded. */
  readonly isUnnamed: boolean;
  /** It is in the publication with another filter or other columns. */
  readonly isRefiltered: boolean;
  /** Why changes of it can have passed by, as is found now; what is recorded already is not said again. */
  readonly gap: string | undefined;
  /** It is not known which form it had when it was loaded. */
  readonly isShapeUnknown: boolean;
  /** Its history has to begin, is to be answered for once rows are loaded, or has to end. */
  readonly history: {
    readonly begins: boolean;
    readonly completes: boolean;
    readonly ends: boolean;
  };
}

interface Seen {
  readonly source: CapturedSource;
  readonly desired: Desired;
  readonly observed: ReadonlyMap<string, ObservedObject & { kind: string | undefined }>;
  readonly taken: TakenNames;
  readonly records: Records;
}

export function tablesWork(stack: Stack, seen: Seen): TableWork[] {
  const { source, desired, observed, taken } = seen;
  const migrated = new Set(migratedTables(desired.target, observed));
  const unnamed = new Set(unrecorded(stack, desired.tables, taken));
  const { publication } = source.observed;
  const diff =
    publication && publicationDiff(publication, source.tables, ownTablesOf(stack.names.own));
  const refiltered = new Set(diff?.filter.map(tableLabelKey));
  const leftOut = new Set(source.leftOut.map(({ table }) => table));
  // Tables that come to a publication that is there get a baseline of their own.
  const rows = rowsWork(stack, seen, new Set(diff?.add.map(tableLabelKey)));
  return desired.tables.map((plan) => {
    const form = {
      isMigrated: migrated.has(plan),
      isRefiltered: refiltered.has(tableLabelKey(plan)),
    };
    return {
      plan,
      ...form,
      isUnnamed: unnamed.has(plan),
      // The changes of what is left out flow, and its rows cannot be read: they are loaded when they can be.
      ...(leftOut.has(tableLabel(plan)) ? NOTHING : rows(plan, form)),
    };
  });
}

const NOTHING = {
  firstLoad: undefined,
  reload: undefined,
  gap: undefined,
  isShapeUnknown: false,
  history: { begins: false, completes: false, ends: false },
} as const;

type RowsWork = Pick<TableWork, 'firstLoad' | 'reload' | 'gap' | 'isShapeUnknown' | 'history'>;

function rowsWork(stack: Stack, { source, observed, records }: Seen, joining: ReadonlySet<string>) {
  const baseline = isUsable(source.observed.slot)
    ? slotBaseline(records, stack.names.slot)
    : undefined;
  const { membership } = source.observed;
  return (
    plan: TablePlan,
    { isMigrated, isRefiltered }: Pick<TableWork, 'isMigrated' | 'isRefiltered'>,
  ): RowsWork => {
    // What was loaded before it left the publication lacks what happened since.
    const isLoadable = baseline !== undefined && !joining.has(tableLabelKey(plan));
    const own = isLoadable ? tableBaseline(records, plan.source, baseline) : undefined;
    const load = own === undefined ? undefined : records.load(plan, own);
    const isLoaded = load === 'done';
    const { isDue, isBegun, isToEnd } = historyState(records, plan, observed);
    const state = own === undefined ? undefined : resnapshotState(records, plan.source);
    // Somebody dropped it, or the database: what was loaded is not there.
    const storage = observed.get(objectKey(storageOf(plan)));
    const isGone = load !== undefined && storage === undefined;
    const seen = { membership, uuid: storage?.uuid };
    const gap = own === undefined ? undefined : gapFound(records, plan.source, seen);
    const [again] = [
      isGone && STORAGE_GONE,
      isMigrated && 'its columns, their types or its key are others',
      isRefiltered && 'other rows or columns of it are published',
      gap,
      state?.why,
      state?.needed === true && 'rows of it are of another form, or were not sent',
    ].filter((why) => typeof why === 'string');
    // What an earlier command has loaded without it would be missing in the history.
    const lacksRows =
      isDue && load !== undefined && !(isBegun && (again !== undefined || !isLoaded));
    const reload = again ?? (lacksRows ? 'its history begins with them' : undefined);
    return {
      firstLoad: isLoaded ? undefined : 'its rows are not in the copy, or not all of them',
      reload: own === undefined ? undefined : reload,
      gap,
      isShapeUnknown: own !== undefined && reload === undefined && !state?.shapeKnown,
      history: {
        begins: isDue && (!isBegun || lacksRows),
        completes: isDue,
        ends: isToEnd,
      },
    };
  };
}

function storageOf({ names }: TablePlan) {
  return { database: names.database, name: names.final };
}
