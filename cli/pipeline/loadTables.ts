import type { ClickHouse } from '../components/clickhouse/client.ts';
import { readLoadStates } from '../components/clickhouse/observe.ts';
import { withPostgres } from '../components/postgres/client.ts';
import { loadVersion } from '../components/postgres/prepare.ts';
import type { TablePlan } from '../core/ddl.ts';
import { tableLabel, topicName } from '../core/names.ts';
import type { SourceTable } from '../core/source.ts';
import { type EachResult, eachTable } from './eachTable.ts';
import { type ExistingLoad, loadExisting } from './existing.ts';
import { recordTableFloor, tableFloor } from './floor.ts';
import { failureOf, forgetFailure, recordFailure } from './loadFailures.ts';
import type { Plan } from './plan.ts';
import {
  forgetOldForm,
  type ReloadOptions,
  recordDone,
  recordShape,
  reloadTable,
} from './reload.ts';
import { completeHistory } from './rowHistory.ts';
import type { Stack } from './stack.ts';

/** Rows of the tables that a plan loads, for the first time or again. */
export async function loadTables(
  stack: Stack,
  clickhouse: ClickHouse,
  plan: Plan,
  floor: bigint,
  renewed: boolean,
  options: ReloadOptions,
): Promise<EachResult<TablePlan, ExistingLoad[]>> {
  const { topicPrefix } = stack.names;
  const isNew = (topic: string) =>
    plan.changes.some((c) => c.component === 'kafka' && c.object === `topic ${topic}`);
  const states = await readLoadStates(clickhouse);
  const loads = await eachTable(plan.desired.tables, options, async (table, signal) => {
    const own = { ...options, signal };
    const done: ExistingLoad[] = [];
    const label = tableLabel(table);
    let version: bigint | undefined;
    if (plan.toLoad.includes(label)) {
      const joined = tableFloor(states, table.source, floor);
      version =
        joined ??
        (await firstFloor(stack, clickhouse, table.source, renewed ? floor : undefined, own));
      done.push(await loadExisting(stack, table, version, own));
      // It was in the publication before, maybe in another form; or another table of its name was.
      if (!renewed && (joined === undefined || !isNew(topicName(topicPrefix, table))))
        await forgetOldForm(stack, clickhouse, table, version, signal);
      if (!plan.toReload.includes(label)) {
        await recordShape(clickhouse, table.source);
        // A copy that was there already has got another form: these rows are of it.
        if (plan.reshaped.includes(label)) await recordDone(clickhouse, table.source);
      }
    }
    if (plan.toReload.includes(label)) {
      const first = tableFloor(states, table.source, floor) ?? floor;
      const again = await reloadTable(stack, clickhouse, table, first, own);
      done.push(again.loaded);
      version = again.version;
    }
    if (version !== undefined && plan.history.complete.includes(label))
      await completeHistory(clickhouse, table.source, version);
    if (done.length > 0 && failureOf(states, table.source) !== undefined)
      await forgetFailure(clickhouse, table.source);
    return done;
  });
  for (const { table, problem } of loads.failed)
    await recordFailure(clickhouse, table.source, problem);
  return loads;
}

/**
 * A table that was in the publication under another name: what the copy may have of an earlier
 * table of this name must not outrank its rows, so they get a position of now.
 */
async function firstFloor(
  stack: Stack,
  clickhouse: ClickHouse,
  table: SourceTable,
  ofSlot: bigint | undefined,
  { signal }: ReloadOptions,
): Promise<bigint> {
  const floor =
    ofSlot ??
    (await withPostgres(stack.endpoints.postgres, (client) => loadVersion(client, signal)));
  await recordTableFloor(clickhouse, table, floor);
  return floor;
}
