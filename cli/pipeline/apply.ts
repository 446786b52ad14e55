import type pg from 'pg';
import { ClickHouse } from '../components/clickhouse/client.ts';
import { type CopiedTable, type KeptValues, keptValues } from '../components/clickhouse/kept.ts';
import { readLoadStates } from '../components/clickhouse/observe.ts';
import { runStatements } from '../components/clickhouse/prepare.ts';
import { Connect } from '../components/connect/client.ts';
import { stopConnector } from '../components/connect/control.ts';
import { withKafkaAdmin } from '../components/kafka/client.ts';
import { createTopics, groupLag, replicationOf } from '../components/kafka/topics.ts';
import { withPostgres } from '../components/postgres/client.ts';
import { isUsable, observeSlot, walPosition } from '../components/postgres/observe.ts';
import {
  createSlot,
  dropSlotStatement,
  waitForRunningTransactions,
} from '../components/postgres/prepare.ts';
import type { TablePlan } from '../core/ddl.ts';
import type { LeftOut } from '../core/leftOut.ts';
import { historyNames, tableLabel, tableLabelKey } from '../core/names.ts';
import { type Change, connectorDiff, publicationDiff } from '../core/plan.ts';
import { Problem } from '../core/problems.ts';
import { WaitTimeout, waitFor } from '../lib/wait.ts';
import { makeViews, type WaitingView } from './aggregates.ts';
import { withApplyLock } from './applyLock.ts';
import { asOwner } from './asOwner.ts';
import { changeLanes } from './changeLanes.ts';
import { recordRules } from './columnRules.ts';
import type { ExistingEvents, ExistingLoad } from './existing.ts';
import { forgetSlotFloor, recordSlotFloor, recordTableFloor, slotFloor } from './floor.ts';
import { type Author, withHistory } from './history.ts';
import { failedLoad } from './loadFailures.ts';
import { loadTables } from './loadTables.ts';
import { makePlan, type Plan, type PlanOptions } from './plan.ts';
import { type RegisterResult, registerConnector } from './register.ts';
import { recordShape, requireReload } from './reload.ts';
import { beginHistory, endHistory } from './rowHistory.ts';
import type { CapturedSource } from './source.ts';
import type { Stack } from './stack.ts';
import { recordNames } from './targets.ts';
import { withdraw } from './withdraw.ts';

export interface ApplyResult {
  readonly source: CapturedSource;
  readonly changes: readonly Change[];
  readonly connector: RegisterResult;
  readonly loads: readonly ExistingLoad[];
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

export interface ApplyEvents extends ExistingEvents {
  /** What will be done, before anything is. */
  planned?(changes: readonly Change[]): void;
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
  return withApplyLock(stack, signal, async () => {
    const plan = await makePlan(stack, options);
    const { source } = plan;
    const { waiting, faults } = plan.views;
    const refused = faults.map((fault) => new Problem('VIEW_INVALID', { ...fault }));
    const clickhouse = new ClickHouse(stack.endpoints.clickhouse);
    try {
      if (plan.changes.length === 0) {
        await recordShapes(clickhouse, plan);
        await recordNames(stack, clickhouse, plan.unnamed);
        const { leftOut } = source;
        const nothing = {
          changes: [],
          loads: [],
          kept: [],
          failed: [],
          connector: 'unchanged',
        } as const;
        return { ...nothing, source, leftOut, waiting, refused };
      }
      events.planned?.(plan.changes);
      const work = async () => {
        const { connector, floor, renewed } = await changeServers(
          stack,
          clickhouse,
          plan,
          signal,
          events,
        );
        const { done, failed } = await loadTables(stack, clickhouse, plan, floor, renewed, {
          method: 'pull',
          signal,
          events,
        });
        await recordShapes(clickhouse, plan);
        events.step('making views');
        refused.push(...(await makeViews(clickhouse, plan.views)));
        // A command says so; the agent goes on following the schema.
        if (refused[0] && options.by === 'cli') throw refused[0];
        const loads = done.flat();
        const kept = await keptValues(clickhouse, loadedTables(plan.desired.tables, loads));
        const { include } = stack.config.source;
        const { changes } = plan;
        return {
          source,
          changes,
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
      return await withHistory(clickhouse, options.by, plan.changes, work, resultOf);
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
  signal: AbortSignal,
  events: ApplyEvents,
): Promise<{ connector: RegisterResult; floor: bigint; renewed: boolean }> {
  const isView = new Set<Change>(plan.views.changes);
  const ofTarget = plan.changes.filter(
    (c) => c.component === 'clickhouse' && c.sql.length > 0 && !isView.has(c),
  );
  const [reading, others] = partition(ofTarget, (c) => c.object.startsWith('queue '));
  const reshaped = plan.desired.tables.filter((t) => plan.reshaped.includes(tableLabel(t)));
  const moved = plan.moves.map((move) => tableLabel(move.plan));
  const stopping = [...plan.reshaped, ...plan.rebuilt, ...moved];
  const stopped = plan.desired.tables.filter((t) => stopping.includes(tableLabel(t)));
  const objects = stopped.flatMap(({ names }) => {
    const { database, final, view } = names;
    const { log, versions, asOf } = historyNames(names);
    const tables = [final, log, versions].map((name) => `table ${database}.${name}`);
    return [...tables, ...[view, asOf].map((name) => `view ${database}.${name}`)];
  });
  const [reshaping, storing] = partition(
    others,
    (c) => objects.includes(c.object) || c.object.startsWith('name '),
  );
  // The target's tables first: floors and progress are recorded in them.
  events.step('creating ClickHouse tables');
  for (const change of storing) await runStatements(clickhouse, change.sql);
  events.step('preparing the source');
  const later = plan.source.leftOut.map(({ table }) => table);
  const loaded = [...plan.toReload, ...later];
  for (const { source } of plan.desired.tables) {
    const label = tableLabel(source);
    if (loaded.includes(label) && plan.refiltered.includes(label))
      await requireReload(clickhouse, source);
  }
  await recordRules(clickhouse, plan.source.tables, plan.source.remembered);
  await keepBack(stack, plan);
  const { floor, renewed } = await prepareSource(stack, clickhouse, plan, signal);
  await withKafkaAdmin(stack.endpoints.kafka, (admin) =>
    createTopics(admin, plan.desired.topics, replicationOf(stack.endpoints.kafka)),
  );
  events.step('creating ClickHouse queues and views');
  for (const { source } of reshaped) await requireReload(clickhouse, source);
  await changeHistories(clickhouse, plan);
  await changeLanes(stack, clickhouse, plan, reading, reshaping, events);
  await recordNames(stack, clickhouse, plan.unnamed);
  if (renewed) await readToEnd(stack, plan, signal);
  signal.throwIfAborted();
  events.step('registering the connector');
  const connector = (await registerConnector(stack, plan.desired.connector)).result;
  return { connector, floor, renewed };
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

/** Recorded before the views that fill a history come and go. */
async function changeHistories(clickhouse: ClickHouse, plan: Plan): Promise<void> {
  const { begin, end } = plan.history;
  for (const { source } of plan.desired.tables) {
    const label = tableLabel(source);
    if (end.includes(label)) await endHistory(clickhouse, source);
    if (begin.includes(label))
      await beginHistory(clickhouse, source, { reload: plan.toReload.includes(label) });
  }
}

async function recordShapes(clickhouse: ClickHouse, plan: Plan): Promise<void> {
  for (const { source } of plan.desired.tables) {
    if (plan.unknownShape.includes(tableLabel(source))) await recordShape(clickhouse, source);
  }
}

function partition<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  return [items.filter(test), items.filter((item) => !test(item))];
}

/** Publication, slot and heartbeat; returns the slot's floor, and whether this run made it. */
async function prepareSource(
  stack: Stack,
  clickhouse: ClickHouse,
  plan: Plan,
  signal: AbortSignal,
): Promise<{ floor: bigint; renewed: boolean }> {
  const { slot } = stack.names;
  const changes = plan.changes.filter((c) => c.component === 'postgres');
  return withPostgres(stack.endpoints.postgres, async (client) => {
    const joined = changes.some((c) => c.action === 'add');
    if (joined && plan.source.observed.slot) await recordJoiningTables(client, clickhouse, plan);
    const withdrawing = new Set(plan.withdrawals.map(({ change }) => change));
    const statements = changes
      .filter((c) => !c.object.startsWith('slot ') && !withdrawing.has(c))
      .flatMap((c) => c.sql);
    for (const statement of statements) await asOwner(client, statement);
    await withdraw(client, clickhouse, plan.withdrawals);
    const { slot: present } = plan.source.observed;
    if (!isUsable(present)) {
      // A connector that read another slot of this name would go on from where that one was.
      await forgetConnector(stack);
      // Were this run to end before the new floor is known, the old one must not be taken for it.
      await forgetSlotFloor(clickhouse, slot);
      if (present) await client.query(dropSlotStatement(slot));
      const floor = await createSlot(client, slot);
      await recordSlotFloor(clickhouse, slot, floor);
      return { floor, renewed: true };
    }
    // Of a transaction that is open when its filter changes, too, rows may pass by the old one. A table
    // that is in the publication and was never loaded may have been added a moment ago, by hand or by a
    // run that was killed.
    if (joined || plan.refiltered.length > 0 || plan.toLoad.length > 0)
      await waitForRunningTransactions(client, signal);
    const recorded = slotFloor(await readLoadStates(clickhouse), slot);
    if (recorded !== undefined) return { floor: recorded, renewed: false };
    const seen = await observeSlot(client, slot);
    if (seen?.restartLsn === undefined)
      throw new Problem('SLOT_LOST', { slot, detail: 'it has no WAL position' });
    await recordSlotFloor(clickhouse, slot, seen.restartLsn);
    return { floor: seen.restartLsn, renewed: false };
  });
}

/**
 * Waits until ClickHouse has read what an earlier slot brought to Kafka. Such a change is older than
 * the new floor; of a row that is deleted by now it must be there when the load ends older rows.
 */
async function readToEnd(stack: Stack, plan: Plan, signal: AbortSignal): Promise<void> {
  try {
    await withKafkaAdmin(stack.endpoints.kafka, (admin) =>
      waitFor('ClickHouse to read', { timeoutMs: 600_000, everyMs: 100, signal }, async () => {
        let messages = 0;
        for (const { names, topics } of plan.desired.lanes) {
          for (const lag of await groupLag(admin, names.group, topics)) messages += lag.messages;
        }
        return messages === 0 ? { ready: true } : { seen: `${messages} messages not read` };
      }),
    );
  } catch (error) {
    if (!(error instanceof WaitTimeout)) throw error;
    throw new Problem('LOAD_FAILED', { table: 'all tables', detail: error.message });
  }
}

/** Before a table joins the publication: every change of it that is streamed is later than this. */
async function recordJoiningTables(
  client: pg.ClientBase,
  clickhouse: ClickHouse,
  plan: Plan,
): Promise<void> {
  const position = await walPosition(client);
  const { add } = publicationDiff(plan.source.observed.publication ?? [], plan.source.tables);
  const joining = new Set(add.map(tableLabelKey));
  for (const table of plan.source.tables) {
    if (joining.has(tableLabelKey(table))) await recordTableFloor(clickhouse, table, position);
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
