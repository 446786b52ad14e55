import type { ClickHouse } from '../../components/clickhouse/client.ts';
import { readRecords } from '../../components/clickhouse/records.ts';
import { withPostgres } from '../../components/postgres/client.ts';
import type { TablePlan } from '../../core/ddl.ts';
import { topicName } from '../../core/names.ts';
import type { SourceTable } from '../../core/source.ts';
import { stepsOf } from '../../core/steps.ts';
import { type EachResult, eachTable } from '../load/eachTable.ts';
import type { TableLoad } from '../load/events.ts';
import { loadRows } from '../load/loadRows.ts';
import {
  forgetOldSchema,
  type ResnapshotOptions,
  recordDone,
  recordFingerprint,
  resnapshotTable,
} from '../load/resnapshot.ts';
import { completeHistory } from '../load/tableHistory.ts';
import { recordTableBaseline, tableBaseline } from '../state/baseline.ts';
import { gapOf } from '../state/gaps.ts';
import { failureOf, forgetFailure, recordFailure } from '../state/loadFailures.ts';
import type { Stack } from '../state/stack.ts';
import { nextLoadVersion } from '../state/versions.ts';
import type { Plan } from './plan.ts';
import { pastDependents } from './stalls.ts';

/** Rows of the tables that a plan loads, for the first time or again. */
export async function loadTables(
  stack: Stack,
  clickhouse: ClickHouse,
  plan: Plan,
  baseline: bigint,
  renewed: boolean,
  options: ResnapshotOptions,
): Promise<EachResult<TablePlan, TableLoad[]>> {
  const { topicPrefix } = stack.names;
  const made = new Set(stepsOf(plan.steps, 'topic').map(({ topic }) => topic));
  const records = await readRecords(clickhouse);
  const loads = await eachTable(plan.tables, options, async (work, signal) => {
    const { plan: table, firstLoad, reload, history } = work;
    const own = { ...options, signal };
    const done: TableLoad[] = [];
    let version: bigint | undefined;
    if (firstLoad !== undefined) {
      const joined = tableBaseline(records, table.source, baseline);
      version =
        joined ??
        (await firstBaseline(stack, clickhouse, table.source, renewed ? baseline : undefined, own));
      const first = version;
      // It was in the publication before, maybe in another form; or another table of its name was.
      const flowed = !renewed && (joined === undefined || !made.has(topicName(topicPrefix, table)));
      done.push(
        await pastDependents(clickhouse, table, () =>
          loadRows(stack, table, first, { ...own, flowed }),
        ),
      );
      if (flowed) await forgetOldSchema(stack, clickhouse, table, version, signal);
      if (reload === undefined) {
        await recordFingerprint(clickhouse, table.source);
        const gap = gapOf(records, table.source);
        // A copy that was there already has got another form: these rows are of it.
        if (work.isMigrated || gap !== undefined) await recordDone(clickhouse, table.source, gap);
      }
    }
    if (reload !== undefined) {
      const first = tableBaseline(records, table.source, baseline) ?? baseline;
      const again = await pastDependents(clickhouse, table, () =>
        resnapshotTable(stack, clickhouse, table, first, own),
      );
      done.push(again.loaded);
      version = again.version;
    }
    if (version !== undefined && history.completes)
      await completeHistory(clickhouse, table.source, version);
    if (done.length > 0 && failureOf(records, table.source) !== undefined)
      await forgetFailure(clickhouse, table.source);
    return done;
  });
  const failed = loads.failed.map(({ table, problem }) => ({ table: table.plan, problem }));
  for (const { table, problem } of failed) await recordFailure(clickhouse, table.source, problem);
  return { ...loads, failed };
}

/**
 * A table that was in the publication under another name: what the copy may have of an earlier
 * table of this name must not outrank its rows, so they get a position of now.
 */
async function firstBaseline(
  stack: Stack,
  clickhouse: ClickHouse,
  table: SourceTable,
  ofSlot: bigint | undefined,
  { signal, events }: ResnapshotOptions,
): Promise<bigint> {
  const baseline =
    ofSlot ??
    (await withPostgres(stack.endpoints.postgres, (client) =>
      nextLoadVersion(clickhouse, client, signal, events.step),
    ));
  await recordTableBaseline(clickhouse, table, baseline);
  return baseline;
}
