import pLimit from 'p-limit';
import { ClickHouse, withClickHouse } from '../../components/clickhouse/client.ts';
import { endOlderRows, hasOlderRows } from '../../components/clickhouse/load.ts';
import { recordLoaded } from '../../components/clickhouse/records.ts';
import { withPostgres } from '../../components/postgres/client.ts';
import type { TablePlan } from '../../core/ddl.ts';
import { tableLabel } from '../../core/names.ts';
import { throwNotCaughtUp, waitUntilCaughtUp } from '../inspect/caughtUp.ts';
import type { Stack } from '../state/stack.ts';
import { loadByDebezium } from './debezium.ts';
import type { LoadEvents, Method, TableLoad } from './events.ts';
import { loadGeneration } from './generations.ts';
import { type LoadResult, loadTable, SourceUnreachableError } from './load.ts';

const FLOW_MS = 600_000;
/** Debezium reads one table after another, and a reading that begins ends those of before. */
const oneReading = pLimit(1);

/**
 * Loads a table's existing rows with the given version and ends what the copy has beyond them.
 * Where ClickHouse cannot reach the source, Debezium reads them.
 */
export async function loadRows(
  stack: Stack,
  plan: TablePlan,
  version: bigint,
  options: {
    method: Method;
    signal: AbortSignal;
    events: LoadEvents;
    /** The table has flowed before: messages that wait may be of another form than it has now. */
    flowed?: boolean;
  },
): Promise<TableLoad> {
  const { signal, events, flowed = false } = options;
  if (plan.multiset) return loadGeneration(stack, plan, version, options);
  try {
    const { method, ...loaded } = await read(stack, plan, version, options);
    const removed = await removeOthers(stack, plan, version, { signal, events, flowed });
    await withClickHouse(stack.endpoints.clickhouse, (clickhouse) =>
      recordLoaded(clickhouse, plan, version, loaded.rows),
    );
    return { ...loaded, method, removed };
  } catch (error) {
    return throwNotCaughtUp(error);
  }
}

async function read(
  stack: Stack,
  plan: TablePlan,
  version: bigint,
  { method, signal, events }: { method: Method; signal: AbortSignal; events: LoadEvents },
): Promise<LoadResult & { method: Method }> {
  if (method === 'pull') {
    try {
      const loaded = await loadTable(stack, plan, version, signal, events.loading);
      events.loaded?.(loaded);
      return { ...loaded, method };
    } catch (error) {
      if (!(error instanceof SourceUnreachableError)) throw error;
      events.remark?.(
        `ClickHouse cannot reach the source, so Debezium reads ${tableLabel(plan)}: ${error.message}`,
      );
    }
  }
  const loaded = await oneReading(() => {
    signal.throwIfAborted();
    return loadByDebezium(stack, plan, version, signal, events.loading);
  });
  events.loaded?.(loaded);
  return { ...loaded, method: 'debezium' };
}

/**
 * Rows of the copy that are older than the load and were not in it. The copy must have passed the
 * moment of reading first: a row that moved from pages that were not yet read to pages that were is
 * in no range, and its change is on its way.
 */
async function removeOthers(
  stack: Stack,
  plan: TablePlan,
  version: bigint,
  { signal, events, flowed }: { signal: AbortSignal; events: LoadEvents; flowed: boolean },
): Promise<number> {
  const clickhouse = new ClickHouse(stack.endpoints.clickhouse, { requestTimeoutMs: 3_600_000 });
  try {
    // Read late, messages from before another key got their column make rows that no later one ends.
    if (!flowed && !(await hasOlderRows(clickhouse, plan, version))) return 0;
    events.step('waiting for the copy to pass the moment of reading');
    await withPostgres(stack.endpoints.postgres, (source) =>
      waitUntilCaughtUp(stack, plan, source, clickhouse, { timeoutMs: FLOW_MS, signal }),
    );
    return await endOlderRows(clickhouse, plan, version);
  } finally {
    await clickhouse.close();
  }
}
