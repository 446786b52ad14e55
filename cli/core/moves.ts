import { chIdent } from '../lib/sql.ts';
import type { TablePlan, TargetObject } from './ddl.ts';
import { historyNames, type KnownNames, type TargetNames, tableLabelKey } from './names.ts';
import {
  createStatement,
  type DesiredTarget,
  digestOf,
  type ObservedObject,
  objectKey,
} from './plan.ts';

/** A copy that is to stand under other names than it does. */
export interface Move {
  readonly plan: TablePlan;
  readonly views: readonly TargetObject[];
  readonly from: TargetNames;
  readonly to: TargetNames;
  /** Statements, to be run while nothing is read: the rows are there under one name or the other at any time. */
  readonly sql: readonly string[];
}

type Observed = ReadonlyMap<string, ObservedObject & { kind: string | undefined }>;

/** Tables whose names in cdc.yaml have changed since they were given. */
export function movesOf(
  target: DesiredTarget,
  known: ReadonlyMap<string, KnownNames>,
  observed: Observed,
): Move[] {
  return target.tables.flatMap(({ plan, view, history }) => {
    const from = known.get(tableLabelKey(plan));
    const to = plan.names;
    if (from === undefined || isSame(from, to)) return [];
    const is = (names: TargetNames, name: string) =>
      isOurs(observed.get(objectKey({ database: names.database, name })));
    const renamed = storages(from)
      .map((name, i) => [name, storages(to)[i] ?? name] as const)
      .filter(([old, now]) => is(from, old) && !is(to, now));
    const old = [from.view, historyNames(from).changes, historyNames(from).asOf];
    const views = [view, ...(history ? [history.changes, history.asOf] : [])];
    const sql = [
      ...fillingViews({ plan, from })
        .filter(({ name }) => is(from, name))
        .map(({ name }) => dropView(from, name)),
      ...renamed.map(
        ([name, now]) =>
          `RENAME TABLE ${chIdent(from.database, name)} TO ${chIdent(to.database, now)}`,
      ),
      ...views.map(createStatement),
      ...old.filter((name) => is(from, name)).map((name) => dropView(from, name)),
    ];
    return [{ plan, views, from, to, sql }];
  });
}

/** What stands there once they are made: nothing of a moved table is to be made or dropped a second time. */
export function afterMoves(
  observed: Observed,
  moves: readonly Move[],
): Map<string, ObservedObject & { kind: string | undefined }> {
  const after = new Map(observed);
  for (const { from, to, views } of moves) {
    for (const [i, name] of storages(from).entries()) {
      const old = { database: from.database, name };
      const now = { database: to.database, name: storages(to)[i] ?? name };
      const found = after.get(objectKey(old));
      if (found === undefined) continue;
      after.delete(objectKey(old));
      if (!after.has(objectKey(now)))
        after.set(objectKey(now), { ...found, ...now, movedFrom: old });
    }
    for (const name of viewNames(from)) after.delete(objectKey({ database: from.database, name }));
    for (const view of views) {
      const { database, name, kind } = view;
      after.set(objectKey(view), {
        database,
        name,
        kind,
        engine: 'View',
        digest: digestOf(view),
        marks: { layout: '', options: '' },
        engineFull: '',
        columns: [],
      });
    }
  }
  return after;
}

/** What fills a copy under its old names: dropped before it is renamed. */
export function fillingViews({ plan: { own }, from }: Pick<Move, 'plan' | 'from'>): TargetObject[] {
  const { versionsMv, logMv } = historyNames(from);
  return [from.mv, versionsMv, logMv].map((name) => ({
    own,
    database: from.database,
    name,
    kind: 'materialized-view',
    create: '',
  }));
}

/** What another pipeline made under a name that was ours once is left alone. */
function isOurs(found: ObservedObject | undefined): boolean {
  return found !== undefined && found.otherOwn === undefined;
}

function isSame(one: TargetNames, other: TargetNames): boolean {
  return one.database === other.database && one.final === other.final && one.view === other.view;
}

function storages(names: TargetNames): string[] {
  const { log, versions } = historyNames(names);
  return [names.final, log, versions];
}

function viewNames(names: TargetNames): string[] {
  const { changes, asOf, versionsMv, logMv } = historyNames(names);
  return [names.view, names.mv, changes, asOf, versionsMv, logMv];
}

function dropView({ database }: TargetNames, name: string): string {
  return `DROP VIEW IF EXISTS ${chIdent(database, name)} SYNC`;
}
