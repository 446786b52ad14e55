import type { StorageObject, TablePlan, TargetObject } from '../../core/ddl.ts';
import { CH_CDC, historyNames } from '../../core/names.ts';
import {
  type Change,
  commentOf,
  createStatement,
  type DesiredLane,
  type DesiredTarget,
  digestOf,
  type ObservedObject,
  objectKey,
} from '../../core/plan.ts';
import {
  isRebuilt,
  isReshaped,
  optionStatements,
  REBUILD,
  reshapeStatements,
} from '../../core/reshape.ts';
import { chIdent, chLiteral } from '../../lib/sql.ts';
import type { ClickHouse, Settings } from './client.ts';

type Observed = ReadonlyMap<string, ObservedObject & { kind: string | undefined }>;

const label = (object: { database: string; name: string }) => `${object.database}.${object.name}`;
const sqlName = (object: { database: string; name: string }) =>
  chIdent(object.database, object.name);

/** Statements that bring the target from what stands there to what should; empty when equal. */
export function targetChanges(
  desired: DesiredTarget,
  observed: Observed,
  databases: readonly string[],
): Change[] {
  const changes: Change[] = [];
  for (const database of desired.databases) {
    if (databases.includes(database)) continue;
    changes.push({
      component: 'clickhouse',
      action: 'create',
      object: `database ${database}`,
      sql: [`CREATE DATABASE IF NOT EXISTS ${chIdent(database)}`],
    });
  }
  const stale = staleObjects(desired, observed);
  // What reads goes first, so that nothing passes through a half-changed lane.
  changes.push(...stale.map(dropChange));
  changes.push(...ownChanges(desired.own, observed));
  const stopped = [
    ...new Set([...reshapedTables(desired, observed), ...rebuiltTables(desired, observed)]),
  ];
  for (const table of desired.tables) {
    const found = stopped.includes(table.plan) && observed.get(objectKey(table.storage));
    const view = viewChanges(table.storage, table.view, observed, Boolean(found));
    if (found) {
      const { first, last } = reshapeStatements(table.storage, found);
      changes.push(
        ...reshapeChange(table.storage, found, first),
        ...view,
        ...reshapeChange(table.storage, found, last),
      );
    } else changes.push(...storageChanges(table.storage, observed), ...view);
    changes.push(...historyChanges(table, observed));
  }
  const views = new Set(
    stopped.flatMap(({ names }) =>
      [names.mv, historyNames(names).versionsMv].map((name) => objectKey({ ...names, name })),
    ),
  );
  for (const lane of desired.lanes) changes.push(...laneChanges(lane, observed, views));
  return changes;
}

/** What keeps rows is altered; what rows only pass through is made anew, all of it: one part knows the other. */
function ownChanges(own: readonly TargetObject[], observed: Observed): Change[] {
  const [stored, passing] = [
    own.filter(({ kind }) => kind === 'storage'),
    own.filter(({ kind }) => kind !== 'storage'),
  ];
  const changes = stored.flatMap((object) => storageChanges(object, observed));
  const differs = (part: TargetObject) => observed.get(objectKey(part))?.digest !== digestOf(part);
  if (!passing.some(differs)) return changes;
  const old = passing.filter((part) => observed.has(objectKey(part))).reverse();
  return [
    ...changes,
    {
      component: 'clickhouse',
      action: old.length > 0 ? 'replace' : 'create',
      object: `table ${CH_CDC.database}.${CH_CDC.exceptions}`,
      sql: [...old.map((part) => dropStatement(part.kind, part)), ...passing.map(createStatement)],
    },
  ];
}

/** Tables whose storage has to change its columns or its key. */
export function reshapedTables(desired: DesiredTarget, observed: Observed): TablePlan[] {
  return desired.tables
    .filter(({ storage }) => isReshaped(storage, observed.get(objectKey(storage))))
    .map(({ plan }) => plan);
}

/** Tables whose storage is written anew, from the rows that are there. */
export function rebuiltTables(desired: DesiredTarget, observed: Observed): TablePlan[] {
  return desired.tables
    .filter(({ storage }) => isRebuilt(storage, observed.get(objectKey(storage))))
    .map(({ plan }) => plan);
}

function historyChanges(
  { history }: DesiredTarget['tables'][number],
  observed: Observed,
): Change[] {
  if (!history) return [];
  const { versions, log, changes, asOf } = history;
  const found = observed.get(objectKey(versions));
  const differs = found && isReshaped(versions, found);
  const kept = differs && reshapeStatements(versions, found, true);
  return [
    ...storageChanges(log, observed),
    ...(kept
      ? reshapeChange(versions, found, [...kept.first, ...kept.last])
      : storageChanges(versions, observed)),
    ...viewChanges(undefined, changes, observed, false),
    ...viewChanges(versions, asOf, observed, differs === true),
  ];
}

function reshapeChange(
  storage: StorageObject,
  found: ObservedObject,
  sql: readonly string[],
): Change[] {
  if (sql.length === 0) return [];
  return [
    {
      component: 'clickhouse',
      action: isRebuilt(storage, found) ? 'replace' : 'alter',
      object: `table ${label(storage)}`,
      sql,
    },
  ];
}

/** A view converts to the types that its storage had when the view was made. */
function viewChanges(
  storage: TargetObject | undefined,
  object: TargetObject,
  observed: Observed,
  reshaped: boolean,
): Change[] {
  const found = observed.get(objectKey(object));
  const columns = storage && observed.get(objectKey(storage))?.columns;
  const stored = new Map(columns?.map(({ name, type }) => [name, type]));
  const hasTypes = !storage || found?.columns.every((c) => stored.get(c.name) === c.type);
  if (!reshaped && hasTypes && found?.digest === digestOf(object)) return [];
  return [
    {
      component: 'clickhouse',
      action: found ? 'replace' : 'create',
      object: `${object.kind} ${label(object)}`,
      sql: [createStatement(object)],
    },
  ];
}

function storageChanges(object: TargetObject | StorageObject, observed: Observed): Change[] {
  const found = observed.get(objectKey(object));
  if (!found) {
    return [
      {
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
      component: 'clickhouse',
      action: 'alter',
      object: `table ${label(object)}`,
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

/** Column definitions of the statement whose names the table does not have. */
function missingColumns(object: TargetObject, found: ObservedObject): string[] {
  const present = new Set(found.columns.map((c) => c.name));
  return object.create
    .split('\n')
    .filter((line) => line.startsWith('    '))
    .map((line) => line.trim().replace(/,$/, ''))
    .filter((definition) => {
      const quoted = /^`((?:[^`\\]|\\.)*)`/.exec(definition)?.[1]?.replaceAll(/\\(.)/g, '$1');
      const name = quoted ?? definition.split(' ')[0] ?? '';
      return !present.has(name);
    });
}

/** A lane is changed as a whole: reading stops, its parts are made anew, reading starts. */
function laneChanges(
  lane: DesiredLane,
  observed: Observed,
  reshaped: ReadonlySet<string>,
): Change[] {
  const parts = [lane.queue, ...lane.behind, lane.reader];
  const differs = (part: TargetObject) =>
    observed.get(objectKey(part))?.digest !== digestOf(part) || reshaped.has(objectKey(part));
  // A view behind a Null table that is made anew would see nothing more.
  const renewed = lane.behind.some((part) => part.kind === 'fanout' && differs(part));
  const different = parts.filter(
    (part) => differs(part) || (renewed && lane.behind.includes(part)),
  );
  if (different.length === 0) return [];
  const sql: string[] = [`DROP VIEW IF EXISTS ${sqlName(lane.reader)} SYNC`];
  for (const part of [...different].reverse()) {
    if (part === lane.reader || !observed.has(objectKey(part))) continue;
    sql.push(dropStatement(part.kind, part));
  }
  sql.push(...lane.behind.filter((part) => different.includes(part)).map(createStatement));
  if (different.includes(lane.queue)) sql.push(createStatement(lane.queue));
  sql.push(createStatement(lane.reader));
  return [
    {
      component: 'clickhouse',
      action:
        different.length === parts.length && !observed.has(objectKey(lane.queue))
          ? 'create'
          : 'replace',
      object: `queue ${label(lane.queue)}`,
      sql,
    },
  ];
}

function dropStatement(
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
  const parts = desired.lanes.flatMap((lane) => [lane.queue, lane.reader, ...lane.behind]);
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
        (o.kind === 'storage' && o.database === CH_CDC.database && o.name.startsWith(REBUILD)),
    )
    .filter((o) => !wanted.has(objectKey(o)))
    .sort((a, b) => rank(a) - rank(b));
}

function dropChange(object: ObservedObject & { kind: string | undefined }): Change {
  return {
    component: 'clickhouse',
    action: 'drop',
    object: `${object.kind} ${label(object)}`,
    sql: [dropStatement(object.kind, object)],
  };
}

export async function databasesOf(clickhouse: ClickHouse): Promise<string[]> {
  return (await clickhouse.rows<{ name: string }>('SELECT name FROM system.databases')).map(
    (r) => r.name,
  );
}

export async function runStatements(
  clickhouse: ClickHouse,
  sql: readonly string[],
  settings: Settings = {},
): Promise<void> {
  for (const statement of sql) await clickhouse.command(statement, settings);
}

/** Remembers objects as they stand; what comes back makes those again that are not there any more, in this order. */
export async function standingObjects(
  clickhouse: ClickHouse,
  objects: readonly TargetObject[],
): Promise<() => Promise<void>> {
  const read = async () => {
    const rows = await clickhouse.rows<{ database: string; name: string; statement: string }>(
      `SELECT database, name, create_table_query AS statement FROM system.tables
        WHERE database IN ({databases:Array(String)})`,
      { databases: [...new Set(objects.map(({ database }) => database))] },
    );
    return new Map(rows.map((row) => [objectKey(row), row.statement]));
  };
  const before = await read();
  return async () => {
    const after = await read();
    for (const object of objects) {
      const statement = before.get(objectKey(object));
      if (statement === undefined || after.has(objectKey(object))) continue;
      // ClickHouse shows no passwords.
      const whole = object.kind === 'queue' ? createStatement(object) : statement;
      await clickhouse.command(whole);
    }
  };
}

/** Stems of the lanes in `cdc` that exist while Debezium reads a table. */
export async function readingLanes(clickhouse: ClickHouse): Promise<string[]> {
  const found = await clickhouse.rows<{ stem: string }>(
    `SELECT DISTINCT extract(name, '^(snapshot_[0-9a-f]{8})_') AS stem FROM system.tables
      WHERE database = ${chLiteral(CH_CDC.database)} AND stem != ''`,
  );
  return found.map((row) => row.stem);
}

/** What reads goes first. */
export async function dropReadingLane(clickhouse: ClickHouse, stem: string): Promise<void> {
  const { database } = CH_CDC;
  await runStatements(clickhouse, [
    dropStatement('materialized-view', { database, name: `${stem}_queue_mv` }),
    dropStatement('queue', { database, name: `${stem}_queue` }),
    dropStatement('materialized-view', { database, name: `${stem}_mv` }),
    dropStatement('fanout', { database, name: `${stem}_queue_rows` }),
  ]);
}
