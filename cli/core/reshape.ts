import { chIdent, chLiteral } from '../lib/sql.ts';
import { OWN_COLUMNS, type StorageObject } from './ddl.ts';
import {
  commentOf,
  createStatement,
  digestOf,
  type ObservedColumn,
  type ObservedObject,
} from './plan.ts';

/**
 * Whether a table's storage has other columns, types or another key than it should. All its rows
 * are loaded again then: what was stored meanwhile, and every row from before, lacks something.
 */
export function isReshaped(storage: StorageObject, found: ObservedObject | undefined): boolean {
  return (
    found !== undefined &&
    found.digest !== digestOf(storage) &&
    (hasOtherKey(storage, found) || columnStatements(storage, found).length > 0)
  );
}

/**
 * Statements that give a storage its columns. Only a change of the key makes it anew, and empty; what
 * cannot be loaded again is kept, with its digest in its name.
 */
export function reshapeStatements(
  storage: StorageObject,
  found: ObservedObject,
  keep = false,
): string[] {
  const name = chIdent(storage.database, storage.name);
  const old = chIdent(storage.database, `${storage.name}_${found.digest ?? 'old'}`);
  const leave = keep ? `RENAME TABLE ${name} TO ${old}` : `DROP TABLE IF EXISTS ${name} SYNC`;
  if (hasOtherKey(storage, found)) return [leave, createStatement(storage)];
  return [
    ...columnStatements(storage, found).map((change) => `ALTER TABLE ${name} ${change}`),
    `ALTER TABLE ${name} MODIFY COMMENT ${chLiteral(commentOf(storage))}`,
  ];
}

/** ClickHouse cannot change columns of a sorting key. Their order is not compared: rows are told apart all the same. */
export function hasOtherKey(storage: StorageObject, found: ObservedObject): boolean {
  const describe = (columns: readonly { name: string; type: string }[]) =>
    JSON.stringify(columns.map((c) => [c.name, plain(c.type)]).sort());
  const wanted = storage.columns.filter((c) => storage.key.includes(c.name));
  return describe(wanted) !== describe(found.columns.filter((c) => c.isKey));
}

function columnStatements(storage: StorageObject, found: ObservedObject): string[] {
  const present = new Map(found.columns.map((c) => [c.name, c]));
  const wanted = new Set(storage.columns.map((c) => c.name));
  const statements = found.columns.filter((c) => isLeft(c, wanted)).map((c) => drop(c.name));
  let after = 'FIRST';
  for (const { name, type } of storage.columns) {
    const old = present.get(name);
    const add = `ADD COLUMN IF NOT EXISTS ${chIdent(name)} ${type} ${after}`;
    if (!old) statements.push(add);
    else if (isWider(plain(type), plain(old.type)))
      statements.push(`MODIFY COLUMN ${chIdent(name)} ${type}`);
    // A value that cannot be converted would stop the conversion for good; all come again anyhow.
    else if (plain(type) !== plain(old.type)) statements.push(drop(name), add);
    after = `AFTER ${chIdent(name)}`;
  }
  return statements;
}

function isLeft(column: ObservedColumn, wanted: ReadonlySet<string>): boolean {
  return !column.isComputed && !OWN_COLUMNS.has(column.name) && !wanted.has(column.name);
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
