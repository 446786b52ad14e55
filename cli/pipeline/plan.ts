import { ClickHouse } from '../components/clickhouse/client.ts';
import { observeTarget, readLoadStates } from '../components/clickhouse/observe.ts';
import {
  databasesOf,
  rebuiltTables,
  reshapedTables,
  targetChanges,
} from '../components/clickhouse/prepare.ts';
import { tryStorages } from '../components/clickhouse/trial.ts';
import { Connect } from '../components/connect/client.ts';
import { withKafkaAdmin } from '../components/kafka/client.ts';
import { isUsable } from '../components/postgres/observe.ts';
import {
  alterPublicationStatement,
  createPublicationStatement,
  dropSlotStatement,
  filterPublicationStatement,
  ownTableStatements,
  publishGeneratedStatement,
} from '../components/postgres/prepare.ts';
import type { TablePlan } from '../core/ddl.ts';
import type { LeftOut } from '../core/leftOut.ts';
import { afterMoves, type Move, movesOf } from '../core/moves.ts';
import {
  CDC_SCHEMA,
  CH_CDC,
  OWN_TABLES,
  type TakenNames,
  tableLabel,
  tableLabelKey,
} from '../core/names.ts';
import {
  type Change,
  connectorDiff,
  objectKey,
  publicationDiff,
  tableObject,
} from '../core/plan.ts';
import { Problem } from '../core/problems.ts';
import { pgLiteral } from '../lib/sql.ts';
import { type AggregatePlan, planAggregates } from './aggregates.ts';
import { type Desired, desiredOf } from './desired.ts';
import { slotFloor, tableFloor } from './floor.ts';
import { failedLoads } from './loadFailures.ts';
import { reloadState } from './reload.ts';
import { historyState } from './rowHistory.ts';
import { type CapturedSource, captureSource, withoutCollisions } from './source.ts';
import type { Stack } from './stack.ts';
import { readTaken, unrecorded } from './targets.ts';
import { removalOf, type Withdrawal, withdrawalsOf } from './withdraw.ts';

export interface Plan {
  readonly source: CapturedSource;
  readonly desired: Desired;
  readonly changes: readonly Change[];
  /** Tables whose existing rows are not loaded, or not completely. */
  readonly toLoad: readonly string[];
  /** Tables whose storage has to change its columns or its key. */
  readonly reshaped: readonly string[];
  /** Tables whose storage is written anew, from the rows that are there; some of them are reshaped, too. */
  readonly rebuilt: readonly string[];
  /** Tables whose copies get other names. */
  readonly moves: readonly Move[];
  /** Tables whose names are to be recorded. */
  readonly unnamed: readonly TablePlan[];
  /** Tables whose rows are to be loaded again, since their form has changed. */
  readonly toReload: readonly string[];
  /** Tables that are in the publication with another filter. */
  readonly refiltered: readonly string[];
  /** Tables of which is not known which form they had when they were loaded. */
  readonly unknownShape: readonly string[];
  /** Tables whose history has to begin, is to be answered for once rows are loaded, or has to end. */
  readonly history: HistoryPlan;
  /** Tables that leave the publication since they cannot be copied any more. */
  readonly withdrawals: readonly Withdrawal[];
  /** Tables that are not copied, and those whose last load stopped. */
  readonly leftOut: readonly LeftOut[];
  /** Views that files declare. */
  readonly views: AggregatePlan;
}

interface HistoryPlan {
  readonly begin: readonly string[];
  readonly complete: readonly string[];
  readonly end: readonly string[];
}

export interface PlanOptions {
  /** A table that would be left out is an error. */
  readonly strict?: boolean;
  /** Files that declare no view that can be kept are told with the plan, and do not end it. */
  readonly tolerant?: boolean;
}

/** What `apply` would do. Servers that are empty yet are fine; none is changed. */
export async function makePlan(stack: Stack, options: PlanOptions = {}): Promise<Plan> {
  const captured = await captureSource(stack, options);
  const topics = new Set(
    await withKafkaAdmin(stack.endpoints.kafka, (admin) => admin.listTopics()),
  );
  const source = withoutCollisions(stack, captured, topics, options.strict === true);
  const leftOut = new Set(source.leftOut.map(({ table }) => table));
  const clickhouse = new ClickHouse(stack.endpoints.clickhouse);
  try {
    const taken = await readTaken(clickhouse);
    const desired = desiredOf(stack, source.tables, source.chosen, taken);
    refuseTakenTargets(desired);
    await tryStorages(clickhouse, desired.target);
    const databases = await databasesOf(clickhouse);
    const found = await observeTarget(clickhouse, databasesToObserve(desired, taken));
    const moves = movesOf(desired.target, taken.known, found);
    const observed = afterMoves(found, moves);
    const reshaped = reshapedTables(desired.target, observed).map(tableLabel);
    const rebuilt = rebuiltTables(desired.target, observed).map(tableLabel);
    const refiltered = publicationDiff(source.observed.publication ?? [], source.tables).filter.map(
      tableLabel,
    );
    const toLoad: string[] = [];
    const toReload: string[] = [];
    const unknownShape: string[] = [];
    const history = { begin: [] as string[], complete: [] as string[], end: [] as string[] };
    const hasLoads = observed.has(objectKey({ database: CH_CDC.database, name: CH_CDC.loads }));
    const states = hasLoads ? await readLoadStates(clickhouse) : undefined;
    const floor =
      states && isUsable(source.observed.slot) ? slotFloor(states, stack.names.slot) : undefined;
    const joining = joiningTables(source);
    for (const table of desired.tables) {
      // Its changes flow, and its rows cannot be read: they are loaded when they can be.
      if (leftOut.has(tableLabel(table))) continue;
      // What was loaded before it left the publication lacks what happened since.
      const isLoadable = states && floor !== undefined && !joining.has(tableLabelKey(table));
      const own = isLoadable ? tableFloor(states, table.source, floor) : undefined;
      const load = own === undefined ? undefined : states?.load(table, own);
      const label = tableLabel(table);
      const isLoaded = load === 'done';
      // Somebody dropped it, or the database: what was loaded is not there.
      const isGone = load !== undefined && !observed.has(objectKey(storageOf(table)));
      if (!isLoaded) toLoad.push(label);
      const { isDue, isBegun, isToEnd } = states
        ? historyState(states, table, observed)
        : { isDue: table.history, isBegun: false, isToEnd: false };
      if (isDue) history.complete.push(label);
      if (isToEnd) history.end.push(label);
      const state = states && own !== undefined ? reloadState(states, table.source) : undefined;
      const isAgain =
        isGone || state?.needed === true || [...reshaped, ...refiltered].includes(label);
      // What an earlier command has loaded without it would be missing in the history.
      const lacksRows = isDue && load !== undefined && !(isBegun && (isAgain || !isLoaded));
      if (isDue && (!isBegun || lacksRows)) history.begin.push(label);
      if (own === undefined) continue;
      if (isAgain || lacksRows) toReload.push(label);
      else if (!state?.shapeKnown) unknownShape.push(label);
    }
    const loads = [...new Set([...toLoad, ...toReload])];
    const views = await planAggregates(stack, clickhouse, desired, observed);
    const [fault] = views.faults;
    if (fault && !options.tolerant) throw new Problem('VIEW_INVALID', { ...fault });
    const withdrawals = withdrawalsOf(stack.names.publication, {
      published: source.observed.publication ?? [],
      chosen: source.chosen,
      copied: source.tables,
    });
    const changes = [
      ...moves.map(moveChange),
      ...targetChanges(desired.target, observed, databases),
      ...sourceChanges(stack, source, withdrawals),
      ...topicChanges(desired, topics),
      ...(await connectorChanges(stack, desired)),
      ...desired.tables
        .filter((table) => loads.includes(tableLabel(table)))
        .map(
          (table): Change => ({
            component: 'clickhouse',
            action: 'load',
            object: tableObject(table),
            sql: [],
          }),
        ),
      ...views.changes,
    ];
    return {
      source,
      desired,
      changes,
      toLoad,
      reshaped,
      rebuilt,
      moves,
      unnamed: unrecorded(stack, desired.tables, taken),
      toReload,
      refiltered,
      unknownShape,
      history,
      views,
      withdrawals,
      leftOut: [
        ...source.leftOut,
        ...(states ? failedLoads(states, source.tables, stack.config.source.include) : []),
      ],
    };
  } finally {
    await clickhouse.close();
  }
}

/** Also those that a copy is moved away from. */
function databasesToObserve(desired: Desired, { known }: TakenNames): string[] {
  return [
    ...new Set([
      ...desired.target.databases,
      ...[...known.values()].map(({ database }) => database),
    ]),
  ];
}

/** A name that cdc.yaml asks for is not another one. */
function refuseTakenTargets({ tables }: Desired): void {
  for (const { source, names } of tables) {
    const asked = source.target?.table;
    if (asked === undefined || asked === names.view) continue;
    throw new Problem('STORAGE_REFUSED', {
      table: tableLabel(source),
      detail: `Its target, ${names.database}.${asked}, is taken: another table's copy has this name, or a table that cdc did not make, or it is longer than a file's name can be.`,
    });
  }
}

function storageOf({ names }: TablePlan) {
  return { database: names.database, name: names.final };
}

function moveChange({ from, to, sql }: Move): Change {
  return {
    component: 'clickhouse',
    action: 'replace',
    object: `name ${from.database}.${from.view} by ${to.database}.${to.view}`,
    sql,
  };
}

/** Tables that come to a publication that is there: they get a floor of their own. */
function joiningTables({ observed, tables }: CapturedSource): Set<string> {
  const { publication } = observed;
  return new Set(publication && publicationDiff(publication, tables).add.map(tableLabelKey));
}

function sourceChanges(
  stack: Stack,
  source: CapturedSource,
  withdrawals: readonly Withdrawal[],
): Change[] {
  const { publication, slot } = stack.names;
  const { observed, tables } = source;
  const changes: Change[] = [];
  const change = (action: Change['action'], object: string, sql: string[]): Change => ({
    component: 'postgres',
    action,
    object,
    sql,
  });
  if (!observed.ownTables)
    changes.push(change('create', `schema ${CDC_SCHEMA}`, ownTableStatements()));
  const generated = tables.some((table) => table.hasGenerated);
  if (!observed.publication) {
    const all = [...tables, ...OWN_TABLES];
    changes.push(
      change('create', `publication ${publication}`, [
        createPublicationStatement(publication, all, generated),
      ]),
    );
  } else {
    if (generated && !observed.publishesGenerated && observed.ownsPublication !== false) {
      changes.push(
        change('update', `publication ${publication} (generated columns)`, [
          publishGeneratedStatement(publication),
        ]),
      );
    }
    const { add, remove, filter } = publicationDiff(observed.publication, tables);
    for (const id of filter) {
      changes.push(
        change('update', `filter of ${tableObject(id)} in publication ${publication}`, [
          filterPublicationStatement(publication, id),
        ]),
      );
    }
    for (const id of add) {
      changes.push(
        change('add', `${tableObject(id)} to publication ${publication}`, [
          alterPublicationStatement(publication, 'ADD', id),
        ]),
      );
    }
    const withdrawn = new Set(withdrawals.map(({ table }) => tableLabelKey(table)));
    changes.push(
      // Of somebody else's they cannot be taken; there they are a finding.
      ...(observed.ownsPublication === false ? [] : remove)
        .filter((id) => !withdrawn.has(tableLabelKey(id)))
        .map((id) => removalOf(publication, id)),
      ...withdrawals.map((withdrawal) => withdrawal.change),
    );
  }
  if (!isUsable(observed.slot)) {
    const create = `SELECT pg_create_logical_replication_slot(${pgLiteral(slot)}, 'pgoutput')`;
    changes.push(
      observed.slot
        ? change('replace', `slot ${slot} (it lost WAL)`, [dropSlotStatement(slot), create])
        : change('create', `slot ${slot}`, [create]),
    );
  }
  return changes;
}

function topicChanges(desired: Desired, present: ReadonlySet<string>): Change[] {
  return desired.topics
    .filter((topic) => !present.has(topic))
    .map((topic) => ({ component: 'kafka', action: 'create', object: `topic ${topic}`, sql: [] }));
}

async function connectorChanges(stack: Stack, desired: Desired): Promise<Change[]> {
  const connect = new Connect(stack.endpoints.connect);
  const present = await connect.config(stack.names.connector);
  const different = connectorDiff(present, desired.connector);
  if (different.length === 0) return [];
  const object = present
    ? `connector ${stack.names.connector} (${different.join(', ')})`
    : `connector ${stack.names.connector}`;
  return [{ component: 'connect', action: present ? 'update' : 'create', object, sql: [] }];
}
