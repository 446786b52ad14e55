import { chIdent } from '../lib/sql.ts';
import { constraintOf, functionsOf, type ObjectName, viewsOf } from './stalls.ts';

/**
 * What somebody made on the storage of a copy, and what takes part in every write of it: a view behind it, a
 * constraint, an index, a projection, an expression of a column, a TTL. Where one of them fails, ClickHouse stores nothing.
 */
export interface Dependent extends ObjectName {
  readonly kind: 'view' | 'constraint' | 'index' | 'projection' | 'column' | 'ttl';
  /** Of the table; absent for a view, which is an object of its own, and for a TTL. */
  readonly part?: string;
  /** What ClickHouse evaluates for rows. */
  readonly expression: string;
  /** What takes it away; of a column only its expression: its values stay. */
  readonly take: string;
  /** What brings it back. */
  readonly back: string;
  /** How it was made. */
  readonly statement: string;
}

export function viewDependent(view: ObjectName, statement: string): Dependent {
  const name = chIdent(view.database, view.name);
  return {
    ...view,
    kind: 'view',
    expression: statement.slice(statement.indexOf(' AS SELECT') + 1),
    take: `DETACH TABLE ${name} PERMANENTLY SYNC`,
    back: `ATTACH TABLE ${name}`,
    statement,
  };
}

/** @param definition what follows ADD: `INDEX i note TYPE minmax GRANULARITY 1`. */
export function partDependent(
  table: ObjectName,
  kind: 'constraint' | 'index' | 'projection',
  part: string,
  definition: string,
): Dependent {
  const alter = `ALTER TABLE ${chIdent(table.database, table.name)}`;
  const back = `${alter} ADD ${definition}`;
  return {
    ...table,
    kind,
    part,
    expression: definition.slice(definition.indexOf(part) + part.length),
    take: `${alter} DROP ${kind.toUpperCase()} ${chIdent(part)}`,
    back,
    statement: back,
  };
}

/** @param how DEFAULT, MATERIALIZED, EPHEMERAL or ALIAS. */
export function columnDependent(
  table: ObjectName,
  part: string,
  how: string,
  expression: string,
): Dependent {
  const modify = `ALTER TABLE ${chIdent(table.database, table.name)} MODIFY COLUMN ${chIdent(part)}`;
  const back = `${modify} ${how} ${expression}`;
  return {
    ...table,
    kind: 'column',
    part,
    expression,
    take: `${modify} REMOVE ${how}`,
    back,
    statement: back,
  };
}

export function ttlDependent(table: ObjectName, expression: string): Dependent {
  const alter = `ALTER TABLE ${chIdent(table.database, table.name)}`;
  const back = `${alter} MODIFY TTL ${expression}`;
  return { ...table, kind: 'ttl', expression, take: `${alter} REMOVE TTL`, back, statement: back };
}

/** Those that an error of writing rows is about. */
export function culprits(dependents: readonly Dependent[], error: string): Dependent[] {
  const constraint = constraintOf(error);
  if (constraint)
    return dependents.filter((d) => d.kind === 'constraint' && d.part === constraint.constraint);
  const [view] = viewsOf(error);
  const own = dependents.filter(
    (d) => d.kind === 'view' && d.database === view?.database && d.name === view.name,
  );
  if (own.length > 0) return own;
  const functions = functionsOf(error);
  // A value that the column’s type cannot take is reported with the whole expression, whose names are not quoted there.
  const isTold = (d: Dependent) =>
    d.kind === 'column' && error.includes(`_CAST(${d.expression.replaceAll('`', '')}`);
  return dependents.filter(
    (d) =>
      d.kind !== 'view' &&
      (functions.some((name) => d.expression.includes(`${name}(`)) || isTold(d)),
  );
}

/** Those that need one of the columns. */
export function usersOf(dependents: readonly Dependent[], columns: readonly string[]): Dependent[] {
  const plain = columns.filter((name) => /^\w+$/.test(name));
  const quoted = columns.map((name) => chIdent(name));
  const bare = plain.length > 0 ? new RegExp(`(?<!\\w)(?:${plain.join('|')})(?!\\w)`) : undefined;
  return dependents.filter(
    ({ expression }) =>
      bare?.test(expression) === true || quoted.some((name) => expression.includes(name)),
  );
}

/** Views that ClickHouse names as it refuses to drop a column: it knows what `*` stands for, and nothing of databases. */
export function viewsNamed(dependents: readonly Dependent[], error: string): Dependent[] {
  const [, list = ''] = /referenced by materialized views? \[(.*)\]/s.exec(error) ?? [];
  return dependents.filter(({ kind, name }) => kind === 'view' && list.includes(`'${name}'`));
}

/** Columns that statements drop or change. */
export function columnsChanged(statements: readonly string[]): string[] {
  return statements.flatMap((statement) =>
    [...statement.matchAll(/(?:DROP COLUMN IF EXISTS|MODIFY COLUMN) `((?:[^`\\]|\\.)*)`/g)].map(
      (found) => (found[1] ?? '').replaceAll(/\\(.)/g, '$1'),
    ),
  );
}

export function dependentLabel({ kind, part, database, name }: Dependent): string {
  const of = `${database}.${name}`;
  if (kind === 'view') return `view ${of}`;
  return kind === 'ttl' ? `TTL of ${of}` : `${kind} ${part} of ${of}`;
}
