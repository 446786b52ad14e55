import { ClickHouse } from '../components/clickhouse/client.ts';
import { loadRecords, recordLoad } from '../components/clickhouse/observe.ts';
import { withPostgres } from '../components/postgres/client.ts';
import { loadVersion } from '../components/postgres/prepare.ts';
import type { TablePlan } from '../core/ddl.ts';
import { tableLabel } from '../core/names.ts';
import { Problem } from '../core/problems.ts';
import { withApplyLock } from './apply.ts';
import { desiredOf } from './desired.ts';
import { type ExistingEvents, type ExistingLoad, loadExisting, type Method } from './existing.ts';
import { slotFloor, tableFloor } from './floor.ts';
import { inspectSource, refuseOnErrors } from './plan.ts';
import type { Stack } from './stack.ts';
import { chooseTables } from './verify.ts';

export interface TableSnapshot extends ExistingLoad {
  /** It went on with what an earlier command had begun. */
  readonly resumed: boolean;
}

/** Kept among the loads, as a record of floor 0, like the floors. */
const RECORD = 'snapshot';

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
    const clickhouse = new ClickHouse(stack.endpoints.clickhouse);
    try {
      for (const plan of chosen) await floorOf(stack, clickhouse, plan);
      const results: TableSnapshot[] = [];
      for (const plan of chosen) {
        signal.throwIfAborted();
        const floor = await floorOf(stack, clickhouse, plan);
        const begun = await unfinished(clickhouse, plan, floor);
        const version = begun ?? (await begin(stack, clickhouse, plan, signal, events));
        const options = { method, signal, events };
        const loaded = await loadExisting(stack, plan, desired.lanes, version, options);
        await record(clickhouse, plan, 'done');
        results.push({ ...loaded, resumed: begun !== undefined });
      }
      return results;
    } finally {
      await clickhouse.close();
    }
  });
}

/** The floor of a table's first load, which must have ended: `apply` goes on with it. */
async function floorOf(stack: Stack, clickhouse: ClickHouse, plan: TablePlan): Promise<bigint> {
  const ofSlot = await slotFloor(clickhouse, stack.names.slot);
  const own = ofSlot === undefined ? undefined : await tableFloor(clickhouse, plan.source, ofSlot);
  const records = own === undefined ? undefined : await loadRecords(clickhouse, plan, own);
  if (own === undefined || records?.get('')?.state !== 'done')
    throw new Problem('TABLE_NOT_APPLIED', { table: tableLabel(plan) });
  return own;
}

/** Version of a snapshot of this very table that was begun and not finished. */
async function unfinished(
  clickhouse: ClickHouse,
  plan: TablePlan,
  floor: bigint,
): Promise<bigint | undefined> {
  const found = (await loadRecords(clickhouse, plan, 0n)).get(RECORD);
  const [version, oid] = found?.state.split(':') ?? [];
  if (version === undefined || Number(oid) !== plan.source.oid || BigInt(version) <= floor)
    return undefined;
  return BigInt(version);
}

async function begin(
  stack: Stack,
  clickhouse: ClickHouse,
  plan: TablePlan,
  signal: AbortSignal,
  events: ExistingEvents,
): Promise<bigint> {
  events.step(`waiting for transactions that have written to end`);
  const version = await withPostgres(stack.endpoints.postgres, (client) =>
    loadVersion(client, signal),
  );
  await record(clickhouse, plan, `${version}:${plan.source.oid}`);
  return version;
}

async function record(clickhouse: ClickHouse, plan: TablePlan, state: string): Promise<void> {
  await recordLoad(clickhouse, plan, 0n, { chunk: RECORD, state, rows: 0 });
}
