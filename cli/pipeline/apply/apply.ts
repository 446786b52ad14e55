import type pg from 'pg';
import { ClickHouse } from '../../components/clickhouse/client.ts';
import { ensureKafkaCollection } from '../../components/clickhouse/kafkaCollection.ts';
import { type CopiedTable, type KeptValues, keptValues } from '../../components/clickhouse/kept.ts';
import { runStatements } from '../../components/clickhouse/objects.ts';
import { queuesOf } from '../../components/clickhouse/queues.ts';
import { readRecords, renewRecords } from '../../components/clickhouse/records.ts';
import { Connect } from '../../components/connect/client.ts';
import { stopConnector } from '../../components/connect/control.ts';
import { withKafkaAdmin } from '../../components/kafka/client.ts';
import { createTopics, replicationOf } from '../../components/kafka/topics.ts';
import { withPostgres } from '../../components/postgres/client.ts';
import { observeMembership } from '../../components/postgres/membership.ts';
import { isUsable, observeSlot, walPosition } from '../../components/postgres/observe.ts';
import {
  createSlot,
  dropSlotStatement,
  waitForRunningTransactions,
} from '../../components/postgres/prepare.ts';
import type { TablePlan } from '../../core/ddl.ts';
import type { LeftOut } from '../../core/leftOut.ts';
import { versionAt } from '../../core/lineage.ts';
import { ownTablesOf, tableLabel, tableLabelKey } from '../../core/names.ts';
import { connectorDiff, publicationDiff } from '../../core/plan.ts';
import { Problem } from '../../core/problems.ts';
import { type Step, stepsOf } from '../../core/steps.ts';
import { withUndo } from '../../lib/undo.ts';
import { claimPipeline } from '../inspect/others.ts';
import { checkServers, refuseServers } from '../inspect/servers.ts';
import type { CapturedSource } from '../inspect/source.ts';
import { recordNames } from '../inspect/targets.ts';
import type { LoadEvents, TableLoad } from '../load/events.ts';
import { type RegisterResult, registerConnector } from '../load/register.ts';
import { requireResnapshot } from '../load/resnapshot.ts';
import { beginHistory, endHistory } from '../load/tableHistory.ts';
import { withApplyLock } from '../state/applyLock.ts';
import { type Author, withHistory } from '../state/applyLog.ts';
import {
  forgetSlotBaseline,
  recordSlotBaseline,
  recordTableBaseline,
  slotBaseline,
} from '../state/baseline.ts';
import { recordRules } from '../state/columnRules.ts';
import { recordGap } from '../state/gaps.ts';
import { failedLoad } from '../state/loadFailures.ts';
import { recordMembership } from '../state/membership.ts';
import type { Stack } from '../state/stack.ts';
import { makeViews, type WaitingView } from './aggregates.ts';
import { changeQueues } from './changeQueues.ts';
import { loadTables } from './loadTables.ts';
import { makePlan, type Plan, type PlanOptions } from './plan.ts';
import { queuesDesired, readToEnd } from './readToEnd.ts';
import { rememberCopies } from './remember.ts';
import { Made, takeBack } from './takeBack.ts';
import { withdraw } from './withdraw.ts';

export interface ApplyResult {
  readonly source: CapturedSource;
  readonly steps: readonly Step[];
  readonly connector: RegisterResult;
  readonly loads: readonly TableLoad[];
  /** Values of the tables that were loaded which their types cannot hold. */
  readonly kept: readonly KeptValues[];
  /** Tables that are not copied, and those whose load stopped. */
  readonly leftOut: readonly LeftOut[];
  /** Why loads stopped; the next apply goes on with them. */
  readonly failed: readonly Problem[];
  /** Views that wait for tables to be copied. */
  readonly waiting: readonly WaitingView[];
  /** Views that ClickHouse refused, or that could not be read; everything else is applied. */
  readonly refused: readonly Problem[];
}

export interface ApplyEvents extends LoadEvents {
  /** What will be done, before anything is. */
  planned?(steps: readonly Step[]): void;
}

/**
 * Brings source, Kafka, ClickHouse and Connect to what the configuration says. Every step can be
 * run twice; an interrupted run is repaired by the next.
 */
export async function applyPlan(
  stack: Stack,
  signal: AbortSignal,
  events: ApplyEvents,
  options: ApplyOptions = { by: 'cli' },
): Promise<ApplyResult> {
  return withApplyLock(stack, signal, events.step, async () => {
    const plan = await makePlan(stack, options);
    const { source } = plan;
    const { waiting, faults } = plan.views;
    const refused = faults.map((fault) => new Problem('VIEW_INVALID', { ...fault }));
    const clickhouse = new ClickHouse(stack.endpoints.clickhouse);
    try {
      await renewRecords(clickhouse);
      if (plan.steps.length === 0) {
        await claimPipeline(stack, clickhouse, source.lineage);
        await rememberCopies(clickhouse, plan);
        await recordNames(stack, clickhouse, unnamed(plan));
        await recordRules(clickhouse, source.tables, source.remembered);
        await recordMembership(clickhouse, source.tables, source.observed.membership);
        const { leftOut } = source;
        const nothing = {
          steps: [],
          loads: [],
          kept: [],
          failed: [],
          connector: 'unchanged',
        } as const;
        return { ...nothing, source, leftOut, waiting, refused };
      }
      // A pipeline that has its slot was begun on servers that were looked at.
      if (!isUsable(source.observed.slot)) {
        const why = source.lineage.broken ?? source.observed.slot?.passedBy;
        // What to do with a copy of another history is for somebody to decide.
        if (why !== undefined && options.by === 'agent')
          throw new Problem('SOURCE_BROKEN', { detail: `${why}.` });
        refuseServers(await checkServers(stack.endpoints));
        await makeTopics(stack, plan, true);
      }
      events.planned?.(plan.steps);
      const work = async () => {
        const made = new Made(stack.names.own);
        const { connector, baseline, renewed } = await withUndo(
          () => takeBack(stack, made, events.remark ?? (() => {})),
          () => changeServers(stack, clickhouse, plan, made, signal, events),
        );
        const { done, failed } = await loadTables(stack, clickhouse, plan, baseline, renewed, {
          method: 'pull',
          signal,
          events,
        });
        await rememberCopies(clickhouse, plan);
        events.step('making views');
        refused.push(...(await makeViews(clickhouse, plan.views)));
        // A command says so; the agent goes on following the schema.
        if (refused[0] && options.by === 'cli') throw refused[0];
        const loads = done.flat();
        const kept = await keptValues(clickhouse, loadedTables(plan.desired.tables, loads));
        const { include } = stack.config.source;
        return {
          source,
          steps: plan.steps,
          connector,
          loads,
          kept,
          leftOut: [
            ...source.leftOut,
            ...failed.map(({ table, problem }) =>
              failedLoad(table.source, problem.message, include),
            ),
          ],
          failed: failed.map(({ problem }) => problem),
          waiting,
          refused,
        };
      };
      const resultOf = ({ failed }: ApplyResult) =>
        ['applied', ...failed.map((problem) => problem.message)].join('; but ');
      return await withHistory(clickhouse, options.by, plan.steps, work, resultOf);
    } finally {
      await clickhouse.close();
    }
  });
}

/** The tables of some loads, as they stand in ClickHouse. */
export function loadedTables(
  tables: readonly TablePlan[],
  loads: readonly { readonly table: string }[],
): CopiedTable[] {
  const loaded = new Set(loads.map(({ table }) => table));
  return tables
    .map((plan) => ({ ...plan.names, label: tableLabel(plan) }))
    .filter(({ label }) => loaded.has(label));
}

export interface ApplyOptions extends PlanOptions {
  readonly by: Author;
}

/** Everything but the rows. */
async function changeServers(
  stack: Stack,
  clickhouse: ClickHouse,
  plan: Plan,
  made: Made,
  signal: AbortSignal,
  events: ApplyEvents,
): Promise<{ connector: RegisterResult; baseline: bigint; renewed: boolean }> {
  // The target's tables first: baselines and progress are recorded in them.
  events.step('creating ClickHouse tables');
  for (const step of plan.steps.filter(isStored)) await runStatements(clickhouse, step.sql);
  const { lineage } = plan.source;
  if (lineage.broken === undefined) await claimPipeline(stack, clickhouse, lineage);
  events.step('preparing the source');
  const later = new Set(plan.source.leftOut.map(({ table }) => table));
  for (const { plan: table, reload, isRefiltered, gap } of plan.tables) {
    if (gap !== undefined) await recordGap(clickhouse, table.source, gap);
    const isLoaded = reload !== undefined || later.has(tableLabel(table));
    if (isLoaded && isRefiltered) await requireResnapshot(clickhouse, table.source);
  }
  await recordRules(clickhouse, plan.source.tables, plan.source.remembered);
  await keepBack(stack, plan);
  const { baseline, renewed } = await prepareSource(stack, clickhouse, plan, made, signal, events);
  if (lineage.broken !== undefined) {
    // With the epoch that they are of: in the next one they would outrank what is loaded.
    await readToEnd(stack, await queuesOf(clickhouse), signal, events);
    await claimPipeline(stack, clickhouse, lineage);
  }
  events.step('making topics in Kafka');
  await makeTopics(stack, plan);
  events.step('creating ClickHouse queues and views');
  await ensureKafkaCollection(clickhouse, stack.endpoints.kafka);
  for (const { plan: table, isMigrated } of plan.tables)
    if (isMigrated) await requireResnapshot(clickhouse, table.source);
  await changeHistories(clickhouse, plan);
  await changeQueues(stack, clickhouse, plan, events);
  await recordNames(stack, clickhouse, unnamed(plan));
  if (renewed) await readToEnd(stack, queuesDesired(plan), signal, events);
  signal.throwIfAborted();
  events.step('registering the connector');
  const options = {
    signal,
    onWait: events.step,
    onSend: () => {
      made.connector = true;
    },
  };
  const connector = (await registerConnector(stack, plan.desired.connector, options)).result;
  return { connector, baseline, renewed };
}

async function makeTopics(
  { endpoints: { kafka } }: Stack,
  { desired }: Plan,
  validateOnly = false,
): Promise<void> {
  await withKafkaAdmin(kafka, (admin) =>
    createTopics(admin, desired.topics, replicationOf(kafka), validateOnly),
  );
}

/** What a rule keeps back must be known before a table is in the publication, or anything else makes it flow. */
async function keepBack(stack: Stack, plan: Plan): Promise<void> {
  const present = await new Connect(stack.endpoints.connect).config(stack.names.connector);
  if (!present || !isUsable(plan.source.observed.slot)) return;
  const different = connectorDiff(present, plan.desired.connector);
  if (different.some((option) => KEEPS_BACK.has(option)))
    await registerConnector(stack, plan.desired.connector);
}

const KEEPS_BACK: ReadonlySet<string> = new Set([
  'text.ruled',
  'text.private',
  'text.masked',
  'column.exclude.list',
]);

/** What holds rows, and what reads it: made before anything flows; what is changed while nothing flows comes later. */
function isStored(step: Step): boolean {
  switch (step.kind) {
    case 'database':
    case 'own':
      return true;
    case 'drop':
      return step.dropped !== 'queue';
    case 'storage':
    case 'view':
      return !step.isStopped;
    default:
      return false;
  }
}

function unnamed({ tables }: Plan): TablePlan[] {
  return tables.filter(({ isUnnamed }) => isUnnamed).map(({ plan }) => plan);
}

/** Recorded before the views that fill a history come and go. */
async function changeHistories(clickhouse: ClickHouse, { tables }: Plan): Promise<void> {
  for (const { plan, reload, history } of tables) {
    if (history.ends) await endHistory(clickhouse, plan.source);
    if (history.begins)
      await beginHistory(clickhouse, plan.source, { reload: reload !== undefined });
  }
}

/** Publication, slot and heartbeat; returns the slot's baseline, and whether this run made it. */
async function prepareSource(
  stack: Stack,
  clickhouse: ClickHouse,
  plan: Plan,
  made: Made,
  signal: AbortSignal,
  events: ApplyEvents,
): Promise<{ baseline: bigint; renewed: boolean }> {
  const { slot } = stack.names;
  const { postgres } = stack.endpoints;
  const { epoch } = plan.source.lineage;
  return withPostgres(postgres, async (client) => {
    const publication = stepsOf(plan.steps, 'publication');
    const joined = publication.some((step) => step.joins);
    if (joined && isUsable(plan.source.observed.slot))
      await recordJoiningTables(client, clickhouse, plan);
    const ownTables = stepsOf(plan.steps, 'source-tables');
    await withPostgres(postgres, (watcher) =>
      made.inSource([...ownTables, ...publication], { client, watcher, signal }, events.step),
    );
    await withdraw(client, clickhouse, stepsOf(plan.steps, 'withdrawal'));
    // Of what this run has altered, as it is by now; else what somebody alters meanwhile is to be seen next time.
    const isOurs = publication.length + stepsOf(plan.steps, 'withdrawal').length > 0;
    await recordMembership(
      clickhouse,
      plan.source.tables,
      isOurs
        ? await observeMembership(client, stack.names.publication)
        : plan.source.observed.membership,
    );
    const { slot: present } = plan.source.observed;
    if (!isUsable(present)) {
      // A connector that read another slot of this name would go on from where that one was.
      await forgetConnector(stack);
      // Were this run to end before the new baseline is known, the old one must not be taken for it.
      await forgetSlotBaseline(clickhouse, slot);
      if (present) await client.query(dropSlotStatement(slot));
      const making = () =>
        withPostgres(postgres, (watcher) => createSlot(client, watcher, slot, signal, events.step));
      const position = present ? await making() : await made.theSlot(making);
      const baseline = versionAt(epoch, position);
      await recordSlotBaseline(clickhouse, slot, baseline);
      return { baseline, renewed: true };
    }
    // Of a transaction that is open when its filter changes, too, rows may pass by the old one. A table
    // that is in the publication and was never loaded may have been added a moment ago, by hand or by a
    // run that was killed.
    const waits = plan.tables.some((t) => t.isRefiltered || t.firstLoad !== undefined);
    if (joined || waits) await waitForRunningTransactions(client, signal, events.step);
    const recorded = slotBaseline(await readRecords(clickhouse), slot);
    if (recorded !== undefined) return { baseline: recorded, renewed: false };
    const seen = await observeSlot(client, slot);
    if (seen?.restartLsn === undefined)
      throw new Problem('SLOT_LOST', { slot, detail: 'it has no WAL position' });
    const baseline = versionAt(epoch, seen.restartLsn);
    await recordSlotBaseline(clickhouse, slot, baseline);
    return { baseline, renewed: false };
  });
}

/** Before a table joins the publication: every change of it that is streamed is later than this. */
async function recordJoiningTables(
  client: pg.ClientBase,
  clickhouse: ClickHouse,
  plan: Plan,
): Promise<void> {
  const position = versionAt(plan.source.lineage.epoch, await walPosition(client));
  const { add } = publicationDiff(
    plan.source.observed.publication ?? [],
    plan.source.tables,
    ownTablesOf(clickhouse.own),
  );
  const joining = new Set(add.map(tableLabelKey));
  for (const table of plan.source.tables) {
    if (joining.has(tableLabelKey(table))) await recordTableBaseline(clickhouse, table, position);
  }
}

async function forgetConnector(stack: Stack): Promise<void> {
  const connect = new Connect(stack.endpoints.connect);
  const { connector } = stack.names;
  if (!(await connect.config(connector))) return;
  await stopConnector(connect, connector);
  await connect.deleteOffsets(connector);
  await connect.delete(connector);
}
