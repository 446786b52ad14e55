import { chIdent, chLiteral } from '../lib/sql.ts';
import { isOwnColumn, KEY_TEXT, OWN_COLUMNS, type StorageObject, type TablePlan } from './ddl.ts';
import { ROW_HASH } from './multisetColumns.ts';
import {
  commentOf,
  digestOf,
  type ObservedColumn,
  type ObservedObject,
  objectKey,
} from './plan.ts';
import { ttlOf } from './stalls.ts';
import { columnDefinition, isFixedSetting, isOwnTtl, settingText } from './storage.ts';

/**
 * Whether a table's storage has other columns, types or another key than it should. All its rows
 * are loaded again then: what was stored meanwhile, and every row from before, lacks something.
 */
export function isMigrated(storage: StorageObject, found: ObservedObject | undefined): boolean {
  if (found === undefined) return false;
  const { come, turn, go } = columnStatements(storage, found);
  // Somebody dropped a column: of what was stored meanwhile it is missing.
  if (found.digest === digestOf(storage)) return come.length > 0;
  return hasOtherKey(storage, found) || come.length + turn.length + go.length > 0;
}

/**
 * What stands, with the columns of storages that somebody else made: those that the view over one does not have, which
 * has what the source had when it was made.
 */
export function withForeignColumns<O extends ObservedObject>(
  observed: ReadonlyMap<string, O>,
  tables: readonly TablePlan[],
): Map<string, O> {
  const marked = new Map(observed);
  for (const { names } of tables) {
    const key = objectKey({ ...names, name: names.final });
    const storage = observed.get(key);
    const view = observed.get(objectKey({ ...names, name: names.view }));
    if (!storage || !view || view.digest === undefined || view.columns.length === 0) continue;
    const own = new Set(view.columns.map((c) => c.name));
    const columns = storage.columns.map((c) =>
      own.has(c.name) || isOwnColumn(c.name) ? c : { ...c, isForeign: true },
    );
    marked.set(key, { ...storage, columns });
  }
  return marked;
}

/** Whether the rows have to be written into another table, since no ALTER makes this one as it should be. */
export function isRebuilt(storage: StorageObject, found: ObservedObject | undefined): boolean {
  return (
    found !== undefined &&
    found.digest !== digestOf(storage) &&
    (hasOtherKey(storage, found) || found.marks.layout !== storage.marks.layout)
  );
}

/** Statements for a storage, and between them those that make the view over it anew. */
export interface MigrationStatements {
  readonly first: readonly string[];
  readonly last: readonly string[];
}

/**
 * Statements that give a storage its columns, its key and its layout. What cannot be altered is written
 * anew from the rows that are there, and takes their place at once; only where these lack a column of
 * the new key it begins empty. What cannot be loaded again is kept, with its digest in its name.
 *
 * Whoever reads meanwhile finds what the view asks for: columns come before the view is recreated, and
 * go after it. Only one that changes its type is not there for a moment.
 */
export function migrationStatements(
  storage: StorageObject,
  found: ObservedObject,
  keep = false,
): MigrationStatements {
  const name = chIdent(storage.database, storage.name);
  const altered = (changes: readonly string[]) =>
    changes.map((change) => `ALTER TABLE ${name} ${change}`);
  const { come, turn, go } = columnStatements(storage, found);
  if (!isRebuilt(storage, found)) {
    const comment = `ALTER TABLE ${name} MODIFY COMMENT ${chLiteral(commentOf(storage))}`;
    const first = altered([...come, ...turn, ...optionStatements(storage, found)]);
    return go.length === 0
      ? { first: [...first, comment], last: [] }
      : { first, last: [...altered(go), comment] };
  }
  if (keep) {
    const old = chIdent(storage.database, `${storage.name}_${found.digest ?? 'old'}`);
    return { first: [`RENAME TABLE ${name} TO ${old}`, createAs(storage, name)], last: [] };
  }
  const next = chIdent(storage.own, `${REBUILD}${digestOf(storage)}`);
  const wanted = new Set(storage.columns.map((c) => c.name));
  const foreign = found.columns.filter((c) => c.isForeign && !wanted.has(c.name));
  const names = copiedColumns(storage, found, foreign);
  if (names === undefined) {
    return { first: [`DROP TABLE IF EXISTS ${name} SYNC`, createAs(storage, name)], last: [] };
  }
  // Versions that another key tells apart are not those of one row any more: the rows of now alone are right.
  const newest = hasOtherKey(storage, found) ? ' FINAL WHERE _deleted = 0' : '';
  const rebuild = [
    `DROP TABLE IF EXISTS ${next} SYNC`,
    createAs(storage, next),
    ...foreign.map(({ name: own, type, expression = '' }) =>
      `ALTER TABLE ${next} ADD COLUMN IF NOT EXISTS ${chIdent(own)} ${type} ${expression}`.trim(),
    ),
    `INSERT INTO ${next} (${names.join(', ')}) SELECT ${names.join(', ')} FROM ${name}${newest} SETTINGS max_partitions_per_insert_block = 0`,
    `EXCHANGE TABLES ${next} AND ${name}`,
    `DROP TABLE IF EXISTS ${next} SYNC`,
  ];
  return turn.length > 0 ? { first: rebuild, last: [] } : { first: altered(come), last: rebuild };
}

/** How the table begins that a storage is written into anew; in the pipeline's own database, where no user's table is. */
export const REBUILD = 'rebuild_';

function createAs(storage: StorageObject, name: string): string {
  return `CREATE TABLE IF NOT EXISTS ${name}\n${storage.body}\nCOMMENT '${commentOf(storage)}'`;
}

/**
 * Columns whose values the new table takes from the old one, quoted; undefined where the rows that are there
 * cannot be told apart by the new key.
 */
function copiedColumns(
  storage: StorageObject,
  found: ObservedObject,
  foreign: readonly ObservedColumn[],
): string[] | undefined {
  const present = new Map(found.columns.map((c) => [c.name, plain(c.type)]));
  const isCounted = (names: Iterable<string>) => [...names].includes(ROW_HASH);
  if (isCounted(storage.key) !== isCounted(present.keys())) return undefined;
  const taken = storage.columns.filter(({ name, type }) => {
    const old = present.get(name);
    return old !== undefined && (old === plain(type) || isWider(plain(type), old));
  });
  const names = new Set(taken.map((c) => c.name));
  if (!storage.key.every((name) => names.has(name) || name === KEY_TEXT.name)) return undefined;
  const ours = [...present.keys()].filter(
    (name) => OWN_COLUMNS.has(name) && name !== KEY_TEXT.name,
  );
  const theirs = foreign.filter((c) => !c.isComputed).map((c) => c.name);
  return [...new Set([...names, ...ours, ...theirs])].map((name) => chIdent(name));
}

/** What can be altered of how it is stored: TTL, settings, codecs. */
export function optionStatements(storage: StorageObject, found: ObservedObject): string[] {
  if (found.marks.options === storage.marks.options) return [];
  const wanted = new Set(storage.columns.map((c) => c.name));
  const codecs = storage.columns.filter((c) => c.codec !== undefined);
  const without = new Set(storage.columns.filter((c) => c.codec === undefined).map((c) => c.name));
  const settings = Object.entries(storage.settings ?? {}).filter(([name]) => !isFixedSetting(name));
  const gone = settingNames(found.engineFull).filter(
    (name) => !isFixedSetting(name) && !Object.hasOwn(storage.settings ?? {}, name),
  );
  return [
    ...codecs.map((column) => `MODIFY COLUMN ${columnDefinition(column)}`),
    ...found.columns
      .filter((c) => c.hasCodec && wanted.has(c.name) && without.has(c.name))
      .filter((c) => !OWN_COLUMNS.has(c.name))
      .map((c) => `MODIFY COLUMN ${chIdent(c.name)} REMOVE CODEC`),
    ...settings.map(([name, value]) => `MODIFY SETTING ${settingText(name, value)}`),
    ...gone.map((name) => `RESET SETTING ${name}`),
    ...(storage.ttl === undefined
      ? isOwnTtl(ttlOf(found.engineFull) ?? '')
        ? ['REMOVE TTL']
        : []
      : [`MODIFY TTL ${storage.ttl}`]),
  ];
}

/** Those of a table that stands: they are the last in its statement. */
function settingNames(engineFull: string): string[] {
  const text = engineFull.split(' SETTINGS ').at(-1) ?? '';
  if (text === engineFull) return [];
  return [...text.matchAll(/(\w+) = (?:'(?:[^'\\]|\\.)*'|[^,]+)/g)].map((found) => found[1] ?? '');
}

/** ClickHouse cannot change columns of a sorting key. Their order is not compared: rows are told apart all the same. */
export function hasOtherKey(storage: StorageObject, found: ObservedObject): boolean {
  const describe = (columns: readonly { name: string; type: string }[]) =>
    JSON.stringify(columns.map((c) => [c.name, plain(c.type)]).sort());
  const wanted = storage.columns.filter((c) => storage.key.includes(c.name));
  return describe(wanted) !== describe(found.columns.filter((c) => c.isKey));
}

/** Columns that come, that get another type, and that go. */
function columnStatements(storage: StorageObject, found: ObservedObject) {
  const present = new Map(found.columns.map((c) => [c.name, c]));
  const wanted = new Set(storage.columns.map((c) => c.name));
  const [come, turn]: [string[], string[]] = [[], []];
  let after = 'FIRST';
  for (const column of storage.columns) {
    const { name, type } = column;
    const old = present.get(name);
    const add = `ADD COLUMN IF NOT EXISTS ${columnDefinition(column)} ${after}`;
    if (!old) come.push(add);
    else if (isWider(plain(type), plain(old.type)))
      turn.push(`MODIFY COLUMN ${chIdent(name)} ${type}`);
    // A value that cannot be converted would stop the conversion for good; all come again anyhow.
    else if (plain(type) !== plain(old.type)) turn.push(drop(name), add);
    after = `AFTER ${chIdent(name)}`;
  }
  const go = found.columns.filter((c) => isLeft(c, wanted)).map((c) => drop(c.name));
  return { come, turn, go };
}

function isLeft(column: ObservedColumn, wanted: ReadonlySet<string>): boolean {
  return (
    !column.isComputed &&
    !column.isForeign &&
    !OWN_COLUMNS.has(column.name) &&
    !wanted.has(column.name)
  );
}

function drop(name: string): string {
  return `DROP COLUMN IF EXISTS ${chIdent(name)}`;
}

/** ClickHouse writes types with spaces of its own. */
function plain(type: string): string {
  return type.replaceAll(' ', '');
}

/** Every value of the old type is one of the new: integers that grew, and NULL that is allowed now. */
function isWider(type: string, old: string): boolean {
  if (type === old) return false;
  const parts = (text: string) => {
    const inner = /^Nullable\((.*)\)$/.exec(text)?.[1];
    return { inner: inner ?? text, nullable: inner !== undefined };
  };
  const [to, from] = [parts(type), parts(old)];
  if (from.nullable && !to.nullable) return false;
  const bits = (text: string) => Number(/^Int(\d+)$/.exec(text)?.[1] ?? Number.NaN);
  return to.inner === from.inner || bits(to.inner) > bits(from.inner);
}
