import { ClickHouse } from '../../components/clickhouse/client.ts';
import { firstLines } from '../../components/connect/check.ts';
import { Connect } from '../../components/connect/client.ts';
import { withPostgres } from '../../components/postgres/client.ts';
import { writeHeartbeat } from '../../components/postgres/prepare.ts';
import { CH_CDC } from '../../core/names.ts';
import { Problem } from '../../core/problems.ts';
import { chIdent } from '../../lib/sql.ts';
import { WaitTimeout, waitFor } from '../../lib/wait.ts';
import type { Stack } from '../state/stack.ts';

/** The WAL position of the latest heartbeat in ClickHouse; 0 when there is none. */
export async function arrivedPosition(clickhouse: ClickHouse): Promise<bigint> {
  const rows = await clickhouse.rows<{ version: string }>(
    `SELECT max(version) AS version FROM ${chIdent(clickhouse.own, CH_CDC.heartbeats)}`,
  );
  return BigInt(rows[0]?.version ?? '0');
}

/**
 * Writes a heartbeat row and waits until it has crossed the whole pipeline.
 *
 * @returns milliseconds from the write to its sight in ClickHouse.
 */
export async function crossPipeline(
  stack: Stack,
  signal: AbortSignal,
  timeoutMs = 60_000,
): Promise<number> {
  const clickhouse = new ClickHouse(stack.endpoints.clickhouse);
  try {
    const sent = await withPostgres(stack.endpoints.postgres, (client) =>
      writeHeartbeat(client, stack.names),
    );
    const sentAtMs = performance.now();
    await waitFor('a heartbeat row', { timeoutMs, everyMs: 10, signal }, async () => {
      const arrived = await arrivedPosition(clickhouse);
      return arrived >= sent.lsn
        ? { ready: true }
        : { seen: `WAL position ${arrived} of ${sent.lsn}` };
    });
    return performance.now() - sentAtMs;
  } catch (error) {
    if (!(error instanceof WaitTimeout)) throw error;
    throw new Problem('HEARTBEAT_TIMEOUT', {
      seconds: Math.round(timeoutMs / 1000),
      detail: await whatIsWrong(stack, error.seen),
    });
  } finally {
    await clickhouse.close();
  }
}

async function whatIsWrong(stack: Stack, seen: string): Promise<string> {
  try {
    const status = await new Connect(stack.endpoints.connect).status(stack.names.connector);
    if (!status)
      return `The connector ${stack.names.connector} is not registered. Last seen in ClickHouse: ${seen}.`;
    const failed = status.tasks.find((task) => task.state === 'FAILED');
    if (failed) return `The connector's task failed: ${firstLines(failed.trace ?? '')}`;
    return `Connector ${status.connector.state}, task ${status.tasks.map((t) => t.state).join(', ') || 'none'}; last seen in ClickHouse: ${seen}.`;
  } catch (error) {
    return error instanceof Error ? error.message : seen;
  }
}
