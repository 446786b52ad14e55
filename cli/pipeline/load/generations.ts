import { withClickHouse } from '../../components/clickhouse/client.ts';
import {
  currentGeneration,
  forgetOlder,
  generationStatement,
  makeCurrent,
  snapshotOf,
} from '../../components/clickhouse/generations.ts';
import { LOAD_SETTINGS, pulledSource } from '../../components/clickhouse/load.ts';
import { recordLoaded } from '../../components/clickhouse/records.ts';
import { withPostgres } from '../../components/postgres/client.ts';
import { type Relation, relationsOf } from '../../components/postgres/pages.ts';
import type { TablePlan } from '../../core/ddl.ts';
import { tableLabel } from '../../core/names.ts';
import { Problem } from '../../core/problems.ts';
import type { Stack } from '../state/stack.ts';
import { currentVersion } from '../state/versions.ts';
import type { LoadEvents, Method, TableLoad } from './events.ts';
import { loadError, SourceUnreachableError } from './load.ts';

/** TRUNCATE gives a table another file, too; then it is read once more. */
const ATTEMPTS = 3;

/**
 * Loads a table without a key: as a new generation, which becomes current when all of it is there.
 * A load that was killed is begun anew, since the snapshot that it read is gone.
 *
 * @param version a position up to which every change is seen by a snapshot taken now.
 */
export async function loadGeneration(
  stack: Stack,
  plan: TablePlan,
  version: bigint,
  { method, signal, events }: { method: Method; signal: AbortSignal; events: LoadEvents },
): Promise<TableLoad> {
  const label = tableLabel(plan);
  if (method === 'debezium') throw unreachable(label, 'Debezium reads only tables with a key.');
  const startedAtMs = performance.now();
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted();
    const before = await relations(stack, plan);
    const estimate = plan.source.where ? 0 : before.reduce((sum, r) => sum + r.estimatedRows, 0);
    const report = (rows: number, done: number) =>
      events.loading({
        table: label,
        rows,
        estimatedRows: estimate > 0 ? Math.max(estimate, rows) : undefined,
        seconds: (performance.now() - startedAtMs) / 1000,
        done,
      });
    report(0, 0);
    const read = await readGeneration(stack, plan, version, signal);
    if (!isRewritten(before, await relations(stack, plan))) {
      const loaded = {
        table: label,
        rows: read.rows,
        seconds: (performance.now() - startedAtMs) / 1000,
        resumedChunks: 0,
      };
      await withClickHouse(stack.endpoints.clickhouse, async (clickhouse) => {
        await makeCurrent(clickhouse, plan, read.record);
        await recordLoaded(clickhouse, plan, version, read.rows);
        // It is right without; and the next load does what this one could not.
        await forgetOlder(clickhouse, plan, read.record).catch(() => {});
      });
      report(read.rows, 1);
      events.loaded?.(loaded);
      return { ...loaded, method, removed: 0 };
    }
    if (attempt === ATTEMPTS)
      throw new Problem('LOAD_FAILED', {
        table: label,
        detail: 'it was rewritten while it was read',
      });
  }
}

async function readGeneration(stack: Stack, plan: TablePlan, version: bigint, signal: AbortSignal) {
  const label = tableLabel(plan);
  const { postgres, clickhouse: target } = stack.endpoints;
  return withClickHouse(
    target,
    async (clickhouse) => {
      // One reading at a time holds the lock of cdc apply; a clock that was set back must not matter.
      const last = await currentGeneration(clickhouse, plan);
      const now = BigInt(Date.now()) * 1000n;
      const generation = now > last ? now : last + 1n;
      const statement = generationStatement(
        plan,
        pulledSource(postgres, target),
        generation,
        version,
      );
      const written = await clickhouse
        .command(statement, LOAD_SETTINGS, signal)
        .catch((error: unknown) => {
          const ended = loadError(label, error);
          throw ended instanceof SourceUnreachableError ? unreachable(label, ended.message) : ended;
        });
      const snapshot = await snapshotOf(clickhouse, plan, generation);
      if (!snapshot)
        throw new Problem('LOAD_FAILED', { table: label, detail: 'its snapshot was not stored' });
      // What is written from here on is by transactions that had not ended when the rows were read.
      const after = await withPostgres(postgres, (client) => currentVersion(clickhouse, client));
      // One row has the snapshot.
      return { rows: written - 1, record: { generation, seen: version, after, ...snapshot } };
    },
    { requestTimeoutMs: 3_600_000 },
  );
}

function unreachable(table: string, why: string): Problem {
  return new Problem('LOAD_FAILED', {
    table,
    detail: `It has no key, so only ClickHouse can read its rows, with one statement, and it must reach the source for that: ${why}`,
  });
}

async function relations(stack: Stack, plan: TablePlan): Promise<Relation[]> {
  return withPostgres(stack.endpoints.postgres, (client) => relationsOf(client, plan.source));
}

/** What ALTER TABLE has rewritten is not as old snapshots have seen it. */
function isRewritten(before: readonly Relation[], after: readonly Relation[]): boolean {
  const files = (list: readonly Relation[]) =>
    JSON.stringify(list.map(({ schema, relation, fileNode }) => [schema, relation, fileNode]));
  return files(before) !== files(after);
}
