import pLimit from 'p-limit';
import { ClickHouse, withClickHouse } from '../components/clickhouse/client.ts';
import { endOlderRows, hasOlderRows } from '../components/clickhouse/load.ts';
import { recordLoad } from '../components/clickhouse/observe.ts';
import { withPostgres } from '../components/postgres/client.ts';
import type { TablePlan } from '../core/ddl.ts';
import { tableLabel } from '../core/names.ts';
import { failBarrier, passBarrier } from './barrier.ts';
import { loadByDebezium } from './debezium.ts';
import { loadGeneration } from './generations.ts';
import { type LoadProgress, type LoadResult, loadTable, OutOfReach } from './load.ts';
import type { Stack } from './stack.ts';

/** Who reads the rows: ClickHouse with `postgresql()`, or Debezium. */
export type Method = 'pull' | 'debezium';

export interface ExistingLoad extends LoadResult {
  readonly method: Method;
  /** Rows of the copy that the source does not have, ended. */
  readonly removed: number;
}

export interface ExistingEvents {
  step(text: string): void;
  loading(progress: LoadProgress): void;
  /** All rows of a table are read. */
  loaded?(result: LoadResult): void;
  /** The load of a table ended before its time; others follow. */
  failed?(text: string): void;
  /** Something to know even when all goes well. */
  remark?(text: string): void;
}

const FLOW_MS = 600_000;
/** Debezium reads one table after another, and a reading that begins ends those of before. */
const oneReading = pLimit(1);

/**
 * Loads a table's existing rows with the given version and ends what the copy has beyond them.
 * Where ClickHouse cannot reach the source, Debezium reads them.
 */
export async function loadExisting(
  stack: Stack,
  plan: TablePlan,
  version: bigint,
  options: { method: Method; signal: AbortSignal; events: ExistingEvents },
): Promise<ExistingLoad> {
  const { signal, events } = options;
  if (plan.multiset) return loadGeneration(stack, plan, version, options);
  try {
    const { method, ...loaded } = await read(stack, plan, version, options);
    const removed = await removeOthers(stack, plan, version, { signal, events });
    await withClickHouse(stack.endpoints.clickhouse, (clickhouse) =>
      recordLoad(clickhouse, plan, version, { chunk: '', state: 'done', rows: loaded.rows }),
    );
    return { ...loaded, method, removed };
  } catch (error) {
    return failBarrier(error);
  }
}

async function read(
  stack: Stack,
  plan: TablePlan,
  version: bigint,
  { method, signal, events }: { method: Method; signal: AbortSignal; events: ExistingEvents },
): Promise<LoadResult & { method: Method }> {
  if (method === 'pull') {
    try {
      const loaded = await loadTable(stack, plan, version, signal, events.loading);
      events.loaded?.(loaded);
      return { ...loaded, method };
    } catch (error) {
      if (!(error instanceof OutOfReach)) throw error;
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
  { signal, events }: { signal: AbortSignal; events: ExistingEvents },
): Promise<number> {
  const clickhouse = new ClickHouse(stack.endpoints.clickhouse, { requestTimeoutMs: 3_600_000 });
  try {
    if (!(await hasOlderRows(clickhouse, plan, version))) return 0;
    events.step('waiting for the copy to pass the moment of reading');
    await withPostgres(stack.endpoints.postgres, (source) =>
      passBarrier(stack, plan, source, clickhouse, { timeoutMs: FLOW_MS, signal }),
    );
    return await endOlderRows(clickhouse, plan, version);
  } finally {
    await clickhouse.close();
  }
}
