import { ClickHouse } from '../../components/clickhouse/client.ts';
import { databasesOf } from '../../components/clickhouse/objects.ts';
import { observeTarget, withEngines } from '../../components/clickhouse/observe.ts';
import { targetSteps } from '../../components/clickhouse/prepare.ts';
import { readRecords } from '../../components/clickhouse/records.ts';
import { tryStorages, tryViews } from '../../components/clickhouse/trial.ts';
import { Connect } from '../../components/connect/client.ts';
import { withKafkaAdmin } from '../../components/kafka/client.ts';
import type { LeftOut } from '../../core/leftOut.ts';
import { afterMoves, type Move, movesOf } from '../../core/moves.ts';
import { type TakenNames, tableLabel } from '../../core/names.ts';
import { connectorDiff, objectsOf, tableObject } from '../../core/plan.ts';
import { Problem } from '../../core/problems.ts';
import type { Step } from '../../core/steps.ts';
import { withForeignColumns } from '../../core/storageMigration.ts';
import { type Desired, desiredOf } from '../inspect/desired.ts';
import { refuseOtherConnectors, refuseOtherObjects } from '../inspect/others.ts';
import {
  type ComparedSource,
  captureSource,
  withoutCollisions,
  withoutRefused,
} from '../inspect/source.ts';
import { readTaken } from '../inspect/targets.ts';
import { failedLoads } from '../state/loadFailures.ts';
import type { Stack } from '../state/stack.ts';
import { type AggregatePlan, planAggregates } from './aggregates.ts';
import { sourceSteps } from './sourceSteps.ts';
import { type TableWork, tablesWork } from './tableWork.ts';

export interface Plan {
  readonly source: ComparedSource;
  readonly desired: Desired;
  /** In the order in which they are shown. */
  readonly steps: readonly Step[];
  /** What is to be done for each table that is copied. */
  readonly tables: readonly TableWork[];
  readonly moves: readonly Move[];
  /** Tables that are not copied, and those whose last load stopped. */
  readonly leftOut: readonly LeftOut[];
  /** Views that files declare. */
  readonly views: AggregatePlan;
}

export interface PlanOptions {
  /** A table that would be left out is an error. */
  readonly strict?: boolean;
  /** Another server or database is the source of this pipeline from now on. */
  readonly newSource?: boolean;
  /** Files that declare no view that can be kept are told with the plan, and do not end it. */
  readonly tolerant?: boolean;
}

/** What `apply` would do. Servers that are empty yet are fine; none is changed. */
export async function makePlan(stack: Stack, options: PlanOptions = {}): Promise<Plan> {
  const captured = await captureSource(stack, { ...options, mends: true });
  await refuseOtherConnectors(stack);
  const topics = new Set(
    await withKafkaAdmin(stack.endpoints.kafka, (admin) => admin.listTopics()),
  );
  const fitting = withoutCollisions(stack, captured, topics, options.strict === true);
  const clickhouse = new ClickHouse(stack.endpoints.clickhouse);
  try {
    const taken = await readTaken(clickhouse);
    const stands = async (desired: Desired) => {
      const found = await observeTarget(clickhouse, databasesToObserve(desired, taken));
      const moves = movesOf(desired.target, taken.known, found);
      const there = await withEngines(
        clickhouse,
        afterMoves(found, moves),
        objectsOf(desired.target),
      );
      return { moves, observed: withForeignColumns(there, desired.tables) };
    };
    const { epoch } = captured.lineage;
    const first = desiredOf(stack, fitting.tables, fitting.chosen, taken, epoch);
    refuseTakenTargets(first);
    await tryStorages(clickhouse, first.target);
    const before = await stands(first);
    const refused = await tryViews(clickhouse, first, before.observed);
    const source = withoutRefused(stack, fitting, refused, options.strict === true);
    const desired =
      refused.size === 0 ? first : desiredOf(stack, source.tables, source.chosen, taken, epoch);
    const { moves, observed } = refused.size === 0 ? before : await stands(desired);
    refuseOtherObjects(stack, desired.target, observed);
    const databases = await databasesOf(clickhouse);
    const records = await readRecords(clickhouse);
    const tables = tablesWork(stack, { source, desired, observed, taken, records });
    const views = await planAggregates(stack, clickhouse, desired, observed);
    const [fault] = views.faults;
    if (fault && !options.tolerant) throw new Problem('VIEW_INVALID', { ...fault });
    const moved = moves.map((move) => move.plan);
    const steps: Step[] = [
      ...moves.map(moveStep),
      ...targetSteps(desired.target, observed, databases, moved),
      ...sourceSteps(stack, source),
      ...topicSteps(desired, topics),
      ...(await connectorSteps(stack, desired)),
      ...tables.flatMap(loadSteps),
      ...views.steps,
    ];
    return {
      source,
      desired,
      steps,
      tables,
      moves,
      views,
      leftOut: [
        ...source.leftOut,
        ...failedLoads(records, source.tables, stack.config.source.include),
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
      detail: `Its target, ${names.database}.${asked}, is taken: another table's copy has this name, or a table that this pipeline did not make, or it is longer than a file's name can be.`,
    });
  }
}

function moveStep({ plan, from, to, sql }: Move): Step {
  return {
    kind: 'move',
    component: 'clickhouse',
    action: 'replace',
    object: `name ${from.database}.${from.view} by ${to.database}.${to.view}`,
    table: tableLabel(plan),
    sql,
    reason: 'cdc.yaml gives it another name',
    consequence: 'stops reading for a moment',
  };
}

function loadSteps({ plan, firstLoad, reload }: TableWork): Step[] {
  const reason = reload ?? firstLoad;
  if (reason === undefined) return [];
  const table = tableLabel(plan);
  return [
    {
      kind: 'load',
      component: 'clickhouse',
      action: 'load',
      object: tableObject(plan),
      table,
      sql: [],
      reason,
    },
  ];
}

function topicSteps(desired: Desired, present: ReadonlySet<string>): Step[] {
  return desired.topics
    .filter((topic) => !present.has(topic))
    .map((topic) => ({
      kind: 'topic',
      topic,
      component: 'kafka',
      action: 'create',
      object: `topic ${topic}`,
      sql: [],
    }));
}

async function connectorSteps(stack: Stack, desired: Desired): Promise<Step[]> {
  const connect = new Connect(stack.endpoints.connect);
  const present = await connect.config(stack.names.connector);
  const different = connectorDiff(present, desired.connector);
  if (different.length === 0) return [];
  const object = present
    ? `connector ${stack.names.connector} (${different.join(', ')})`
    : `connector ${stack.names.connector}`;
  return [
    {
      kind: 'connector',
      component: 'connect',
      action: present ? 'update' : 'create',
      object,
      sql: [],
      ...(present ? { consequence: 'restarts the connector' as const } : {}),
    },
  ];
}
