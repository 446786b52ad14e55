import { ClickHouse } from '../../components/clickhouse/client.ts';
import { newestBeat } from '../../components/clickhouse/metricsQueries.ts';
import { firstLines } from '../../components/connect/check.ts';
import { Connect } from '../../components/connect/client.ts';
import { withPostgres } from '../../components/postgres/client.ts';
import { heartbeatNow } from '../../components/postgres/observe.ts';
import { writeHeartbeat } from '../../components/postgres/prepare.ts';
import { beatAgeMs } from '../../core/lag.ts';
import { positionIn, versionAt } from '../../core/lineage.ts';
import type { PipelineNames } from '../../core/names.ts';
import { Problem } from '../../core/problems.ts';
import { WaitTimeout, waitFor } from '../../lib/wait.ts';
import type { PostgresEndpoint } from '../../stack/endpoints.ts';
import { readEpoch } from '../state/owner.ts';
import type { Stack } from '../state/stack.ts';

/** The version of the latest heartbeat in ClickHouse; 0 when there is none. */
export async function arrivedVersion(clickhouse: ClickHouse): Promise<bigint> {
  return (await newestBeat(clickhouse))?.version ?? 0n;
}

/** Age of the newest heartbeat in ClickHouse, in milliseconds; absent when none has arrived. */
export async function heartbeatAgeMs(
  { names, everyMs }: { readonly names: Pick<PipelineNames, 'own'>; readonly everyMs: number },
  postgres: PostgresEndpoint,
  clickhouse: ClickHouse,
): Promise<number | undefined> {
  const newest = await newestBeat(clickhouse);
  if (newest === undefined) return undefined;
  const now = await withPostgres(postgres, (client) => heartbeatNow(client, names.own));
  return beatAgeMs({ ...newest, ...now, everyMs });
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
    const wanted = versionAt(await readEpoch(clickhouse), sent.lsn);
    await waitFor('a heartbeat row', { timeoutMs, everyMs: 10, signal }, async () => {
      const arrived = await arrivedVersion(clickhouse);
      return arrived >= wanted
        ? { ready: true }
        : { seen: `WAL position ${positionIn(arrived)} of ${sent.lsn}` };
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
