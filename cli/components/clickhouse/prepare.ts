import type { StorageObject, TablePlan, TargetObject } from '../../core/ddl.ts';
import { CH_CDC, historyNames, tableLabel } from '../../core/names.ts';
import {
  commentOf,
  createStatement,
  type DesiredSharedQueue,
  type DesiredTarget,
  digestOf,
  type ObservedObject,
  objectKey,
} from '../../core/plan.ts';
import type { Step } from '../../core/steps.ts';
import {
  isMigrated,
  isRebuilt,
  migrationStatements,
  optionStatements,
  REBUILD,
} from '../../core/storageMigration.ts';
import { chIdent, chLiteral } from '../../lib/sql.ts';

type Observed = ReadonlyMap<string, ObservedObject & { kind: string | undefined }>;

const label = (object: { database: string; name: string }) => `${object.database}.${object.name}`;
const sqlName = (object: { database: string; name: string }) =>
  chIdent(object.database, object.name);

/** Steps that bring the target from what stands there to what should; none when equal. */
export function targetSteps(
  desired: DesiredTarget,
  observed: Observed,
  databases: readonly string[],
  /** Tables whose copies get other names before. */
  moved: readonly TablePlan[] = [],
): Step[] {
  const steps: Step[] = [];
  for (const database of desired.databases) {
    if (databases.includes(database)) continue;
    steps.push({
      kind: 'database',
      component: 'clickhouse',
      action: 'create',
      object: `database ${database}`,
      sql: [`CREATE DATABASE IF NOT EXISTS ${chIdent(database)}`],
    });
  }
  const stale = staleObjects(desired, observed);
  // What reads goes first, so that nothing passes through a half-changed queue.
  steps.push(...stale.map(dropStep));
  steps.push(...ownSteps(desired, observed));
  const altered = [
    ...new Set([...migratedTables(desired, observed), ...rebuiltTables(desired, observed)]),
  ];
  for (const table of desired.tables) {
    const about: About = {
      table: tableLabel(table.plan),
      isStopped: altered.includes(table.plan) || moved.includes(table.plan),
    };
    const found = altered.includes(table.plan) && observed.get(objectKey(table.storage));
    const view = viewSteps(table.storage, table.view, observed, Boolean(found), about);
    if (found) {
      const { first, last } = migrationStatements(table.storage, found);
      steps.push(
        ...migrationStep(table.storage, found, first, about),
        ...view,
        ...migrationStep(table.storage, found, last, about),
      );
    } else steps.push(...storageSteps(table.storage, observed, about), ...view);
    steps.push(...historySteps(table, observed, about));
  }
  const views = new Set(
    altered.flatMap(({ names }) =>
      [names.mv, historyNames(names).versionsMv].map((name) => objectKey({ ...names, name })),
    ),
  );
  for (const sharedQueue of desired.sharedQueues)
    steps.push(...queueSteps(sharedQueue, observed, views));
  return steps;
}

/** Which table an object is of, and whether it is changed while nothing is read. */
interface About {
  readonly table?: string;
  readonly isStopped: boolean;
}

const OF_OURS: About = { isStopped: false };

/** What keeps rows is altered; what rows only pass through is recreated, all of it: one part knows the other. */
function ownSteps({ own, database }: DesiredTarget, observed: Observed): Step[] {
  const [stored, passing] = [
    own.filter(({ kind }) => kind === 'storage'),
    own.filter(({ kind }) => kind !== 'storage'),
  ];
  const steps = stored.flatMap((object) => storageSteps(object, observed, OF_OURS));
  const differs = (part: TargetObject) => observed.get(objectKey(part))?.digest !== digestOf(part);
  if (!passing.some(differs)) return steps;
  const old = passing.filter((part) => observed.has(objectKey(part))).reverse();
  return [
    ...steps,
    {
      kind: 'own',
      component: 'clickhouse',
      action: old.length > 0 ? 'replace' : 'create',
      object: `table ${database}.${CH_CDC.exceptions}`,
      sql: [...old.map((part) => dropStatement(part.kind, part)), ...passing.map(createStatement)],
    },
  ];
}

/** Tables whose storage has to change its columns or its key. */
export function migratedTables(desired: DesiredTarget, observed: Observed): TablePlan[] {
  return desired.tables
    .filter(({ storage }) => isMigrated(storage, observed.get(objectKey(storage))))
    .map(({ plan }) => plan);
}

/** Tables whose storage is written anew, from the rows that are there. */
export function rebuiltTables(desired: DesiredTarget, observed: Observed): TablePlan[] {
  return desired.tables
    .filter(({ storage }) => isRebuilt(storage, observed.get(objectKey(storage))))
    .map(({ plan }) => plan);
}

function historySteps(
  { history }: DesiredTarget['tables'][number],
  observed: Observed,
  about: About,
): Step[] {
  if (!history) return [];
  const { versions, log, changes, asOf } = history;
  const found = observed.get(objectKey(versions));
  const differs = found && isMigrated(versions, found);
  const kept = differs && migrationStatements(versions, found, true);
  return [
    ...storageSteps(log, observed, about),
    ...(kept
      ? migrationStep(versions, found, [...kept.first, ...kept.last], about)
      : storageSteps(versions, observed, about)),
    ...viewSteps(undefined, changes, observed, false, about),
    ...viewSteps(versions, asOf, observed, differs === true, about),
  ];
}

function migrationStep(
  storage: StorageObject,
  found: ObservedObject,
  sql: readonly string[],
  about: About,
): Step[] {
  if (sql.length === 0) return [];
  const isAnew = isRebuilt(storage, found);
  return [
    {
      kind: 'storage',
      target: storage,
      ...about,
      component: 'clickhouse',
      action: isAnew ? 'replace' : 'alter',
      object: `table ${label(storage)}`,
      sql,
      reason: isMigrated(storage, found)
        ? 'its columns, their types or its key are others'
        : 'it is to be stored in another way',
      consequence: isAnew ? 'writes the copy anew' : 'stops reading for a moment',
    },
  ];
}

/** A view converts to the types that its storage had when the view was made. */
function viewSteps(
  storage: TargetObject | undefined,
  object: TargetObject,
  observed: Observed,
  migrated: boolean,
  about: About,
): Step[] {
  const found = observed.get(objectKey(object));
  const columns = storage && observed.get(objectKey(storage))?.columns;
  const stored = new Map(columns?.map(({ name, type }) => [name, type]));
  const hasTypes = !storage || found?.columns.every((c) => stored.get(c.name) === c.type);
  if (!migrated && hasTypes && found?.digest === digestOf(object)) return [];
  return [
    {
      kind: 'view',
      target: object,
      ...about,
      component: 'clickhouse',
      action: found ? 'replace' : 'create',
      object: `${object.kind} ${label(object)}`,
      sql: [createStatement(object)],
    },
  ];
}

function storageSteps(
  object: TargetObject | StorageObject,
  observed: Observed,
  about: About,
): Step[] {
  const found = observed.get(objectKey(object));
  if (!found) {
    return [
      {
        kind: 'storage',
        target: object,
        ...about,
        component: 'clickhouse',
        action: 'create',
        object: `table ${label(object)}`,
        sql: [createStatement(object)],
      },
    ];
  }
  if (found.digest === digestOf(object)) return [];
  const added = missingColumns(object, found);
  return [
    {
      kind: 'storage',
      target: object,
      ...about,
      component: 'clickhouse',
      action: 'alter',
      object: `table ${label(object)}`,
      reason:
        'marks' in object ? 'it is to be stored in another way' : 'this version has more columns',
      sql: [
        ...added.map(
          (definition) => `ALTER TABLE ${sqlName(object)} ADD COLUMN IF NOT EXISTS ${definition}`,
        ),
        ...('marks' in object ? optionStatements(object, found) : []).map(
          (change) => `ALTER TABLE ${sqlName(object)} ${change}`,
        ),
        `ALTER TABLE ${sqlName(object)} MODIFY COMMENT ${chLiteral(commentOf(object))}`,
      ],
    },
  ];
}

/** Definitions of columns that the table does not have. */
function missingColumns({ definitions = [] }: TargetObject, found: ObservedObject): string[] {
  const present = new Set(found.columns.map((c) => c.name));
  return definitions.filter((definition) => {
    const quoted = /^`((?:[^`\\]|\\.)*)`/.exec(definition)?.[1]?.replaceAll(/\\(.)/g, '$1');
    return !present.has(quoted ?? definition.split(' ')[0] ?? '');
  });
}

/** A queue is changed as a whole: reading stops, its parts are recreated, reading starts. */
function queueSteps(
  sharedQueue: DesiredSharedQueue,
  observed: Observed,
  migrated: ReadonlySet<string>,
): Step[] {
  const parts = [sharedQueue.queue, ...sharedQueue.behind, sharedQueue.reader];
  const differs = (part: TargetObject) =>
    observed.get(objectKey(part))?.digest !== digestOf(part) || migrated.has(objectKey(part));
  // A view behind a Null table that is recreated would see nothing more.
  const renewed = sharedQueue.behind.some((part) => part.kind === 'fanout' && differs(part));
  const different = parts.filter(
    (part) => differs(part) || (renewed && sharedQueue.behind.includes(part)),
  );
  if (different.length === 0) return [];
  const stop = [`DROP VIEW IF EXISTS ${sqlName(sharedQueue.reader)} SYNC`];
  for (const part of [...different].reverse()) {
    if (part === sharedQueue.reader || !observed.has(objectKey(part))) continue;
    stop.push(dropStatement(part.kind, part));
  }
  const start = [
    ...sharedQueue.behind.filter((part) => different.includes(part)),
    ...(different.includes(sharedQueue.queue) ? [sharedQueue.queue] : []),
    sharedQueue.reader,
  ].map(createStatement);
  const isNew = different.length === parts.length && !observed.has(objectKey(sharedQueue.queue));
  return [
    {
      kind: 'lane',
      queue: sharedQueue.queue,
      stop,
      start,
      component: 'clickhouse',
      action: isNew ? 'create' : 'replace',
      object: `queue ${label(sharedQueue.queue)}`,
      sql: [...stop, ...start],
      ...(isNew
        ? {}
        : {
            reason: different.includes(sharedQueue.queue)
              ? 'tables join or leave it, or its settings are others'
              : 'what stores its rows is to be another',
            consequence: 'stops reading for a moment' as const,
          }),
    },
  ];
}

export function dropStatement(
  kind: string | undefined,
  object: { database: string; name: string },
): string {
  const what = kind === 'view' || kind === 'materialized-view' ? 'VIEW' : 'TABLE';
  return `DROP ${what} IF EXISTS ${sqlName(object)} SYNC`;
}

/**
 * Queues and views of ours that nothing wants any more. Storage is kept: it holds data; not that of a
 * rebuild which was stopped.
 */
function staleObjects(desired: DesiredTarget, observed: Observed) {
  const parts = desired.sharedQueues.flatMap((sharedQueue) => [
    sharedQueue.queue,
    sharedQueue.reader,
    ...sharedQueue.behind,
  ]);
  const wanted = new Set([...parts, ...desired.own].map(objectKey));
  const rank = (o: { kind: string | undefined; name: string }) =>
    o.kind === 'materialized-view'
      ? o.name.endsWith('queue_mv')
        ? 0
        : 1
      : o.kind === 'queue'
        ? 2
        : 3;
  return [...observed.values()]
    .filter(
      (o) =>
        (o.kind !== undefined && ['queue', 'fanout', 'materialized-view'].includes(o.kind)) ||
        (o.kind === 'storage' && o.database === desired.database && o.name.startsWith(REBUILD)),
    )
    .filter((o) => !wanted.has(objectKey(o)))
    .sort((a, b) => rank(a) - rank(b));
}

function dropStep(object: ObservedObject & { kind: string | undefined }): Step {
  return {
    kind: 'drop',
    dropped: object.kind,
    reason: 'nothing needs it any more',
    component: 'clickhouse',
    action: 'drop',
    object: `${object.kind} ${label(object)}`,
    sql: [dropStatement(object.kind, object)],
  };
}
