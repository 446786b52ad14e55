import { chIdent, chLiteral } from '../lib/sql.ts';
import { type ColumnPlan, EXACT, nestedArrays, ownAlias, planColumn, readRow } from './columns.ts';
import { MULTISET_COLUMNS } from './multisetColumns.ts';
import { CH_CDC, snapshotNames, type TableId, type TargetNames } from './names.ts';
import type { SharedQueue } from './sharedQueues.ts';
import { isMultiset, type SourceTable, type StorageOptions } from './source.ts';
import {
  columnDefinition,
  type StorageColumn,
  type StorageMarks,
  storageClauses,
  tableBody,
  targetAlive,
} from './storage.ts';

/** A source table together with everything its copy needs. */
export interface TablePlan extends TableId {
  readonly source: SourceTable;
  readonly names: TargetNames;
  /** The database of the pipeline's own tables. */
  readonly own: string;
  readonly columns: readonly ColumnPlan[];
  /** Key columns, in the order of the key. */
  readonly key: readonly ColumnPlan[];
  /** Whether some value that its key can have does not fit: rows are then told apart by its text, too. */
  readonly hasKeyText: boolean;
  /** It has no key: its rows are counted, not told apart (core/multiset-ddl.ts). */
  readonly multiset: boolean;
  /** Whether its changes and all versions of its rows are kept. */
  readonly history: boolean;
}

/** Throws a RangeError when a type is not carried or there is no key; checks find those before. */
export function planTable(source: SourceTable, names: TargetNames, own: string): TablePlan {
  const typedColumns = source.columns.map(planColumn);
  const nested = nestedArrays(typedColumns);
  const columns = source.columns.map((column, i) => {
    // A sorting key cannot hold Array(Nullable(…)), nor tell by `_exact`; the text of such a value is as good.
    const typed = typedColumns[i];
    const isKeyText = typed?.keepsNull && source.key.includes(column.name);
    const isText = isKeyText || nested.has(column.name);
    const plan = isText ? planColumn({ ...column, carry: 'text' }) : typed;
    if (!plan) throw new RangeError(`type ${column.displayType} of ${column.name} is not carried`);
    return { ...plan, name: nameInCopy(column.name, source) };
  });
  const key = source.key.map((name) => {
    const column = columns.find((c) => c.source.name === name);
    if (!column) throw new RangeError(`key column ${name} is missing`);
    return column;
  });
  const multiset = isMultiset(source);
  if (multiset && source.replicaIdentity !== 'f' && source.mode !== 'append')
    throw new RangeError('no key');
  return {
    schema: source.schema,
    table: source.table,
    source,
    names,
    own,
    columns,
    key,
    hasKeyText: key.some((c) => c.keyText),
    multiset,
    history: source.history === true && !multiset,
  };
}

/** Of a column whose name is one of ours or of ClickHouse's: with underscores behind it. */
export function nameInCopy(name: string, table: SourceTable): string {
  const isReserved = (one: string) =>
    RESERVED_COLUMNS.has(one) || (isMultiset(table) && MULTISET_COLUMN_NAMES.has(one));
  if (!isReserved(name)) return name;
  let free = `${name}_`;
  while (isReserved(free) || table.columns.some((c) => c.name === free)) free += '_';
  return free;
}

/** An object in ClickHouse and the statement that makes it. */
export interface TargetObject {
  /** The own database of the pipeline whose object it is. */
  readonly own: string;
  readonly database: string;
  readonly name: string;
  readonly kind: 'queue' | 'fanout' | 'storage' | 'view' | 'materialized-view' | 'aggregate';
  readonly create: string;
  /** Of what keeps rows: its columns, as the statement has them. */
  readonly definitions?: readonly string[];
}

/** A table's storage: what it is compared by with the one that stands there. */
export interface StorageObject extends TargetObject {
  /** The source's columns, and what is kept beside them; those of ours never change. */
  readonly columns: readonly StorageColumn[];
  readonly key: readonly string[];
  readonly definitions: readonly string[];
  readonly body: string;
  readonly marks: StorageMarks;
  readonly ttl?: string;
  readonly settings?: StorageOptions['settings'];
}

export function storageColumns(columns: readonly ColumnPlan[]): StorageColumn[] {
  return columns.map(({ name, type, source: { codec } }) => ({
    name,
    type,
    ...(codec === undefined ? {} : { codec }),
  }));
}

/** When the change was committed in PostgreSQL and when it was written here, UTC. */
export const TIME_COLUMNS = [
  "_committed_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1))",
  "_written_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') CODEC(Delta, ZSTD(1))",
] as const;

/** Columns that storage has beside the source's, where rows are told apart by a key. */
const SYSTEM_COLUMNS = [
  // The change's WAL position: a later change of a row always has a higher one.
  '_version UInt64 CODEC(Delta, ZSTD(1))',
  '_deleted UInt8 CODEC(ZSTD(1))',
  ...TIME_COLUMNS,
] as const;

/**
 * The texts of those key columns whose values do not fit, last in the sorting key: different keys whose
 * stored values are the same stay different rows.
 */
export const KEY_TEXT = { name: '_exact_key', type: 'String' } as const;

/** Those of ours, where rows are told apart by a key. */
export const OWN_COLUMNS: ReadonlySet<string> = new Set([
  EXACT.name,
  KEY_TEXT.name,
  ...SYSTEM_COLUMNS.map((definition) => definition.slice(0, definition.indexOf(' '))),
]);

/** Names that no column of the source has in its copy; ClickHouse refuses the last ones. */
const RESERVED_COLUMNS: ReadonlySet<string> = new Set([
  ...OWN_COLUMNS,
  ...['_row_exists', '_block_number', '_block_offset'],
]);

/** Those of ours, where rows are counted (core/multiset-ddl.ts). */
const MULTISET_COLUMN_NAMES: ReadonlySet<string> = new Set(
  MULTISET_COLUMNS.map(({ name }) => name),
);

/** Whether a column of a storage, of either kind, is one of ours. */
export function isOwnColumn(name: string): boolean {
  return OWN_COLUMNS.has(name) || MULTISET_COLUMN_NAMES.has(name);
}

/** What every row keeps beside the source's columns: not in `SELECT *`, but by their names. */
export function keptColumns(plan: TablePlan): { name: string; type: string }[] {
  return plan.hasKeyText ? [EXACT, KEY_TEXT] : [EXACT];
}

/** Columns by which rows are told apart, quoted. */
export function keyColumns(plan: TablePlan): string[] {
  return [...plan.key.map((c) => chIdent(c.name)), ...(plan.hasKeyText ? [KEY_TEXT.name] : [])];
}

export function storageObject(plan: TablePlan): StorageObject {
  const kept = keptColumns(plan);
  const columns = storageColumns(plan.columns);
  return storageFrom(plan, {
    columns: [...columns, ...kept],
    definitions: [
      ...columns.map(columnDefinition),
      ...kept.map(({ name, type }) => `${name} ${type}`),
      ...SYSTEM_COLUMNS,
    ],
    engine: 'ReplacingMergeTree(_version)',
    key: [...plan.key.map((c) => c.name), ...(plan.hasKeyText ? [KEY_TEXT.name] : [])],
    order: keyColumns(plan),
  });
}

/** A storage of a table of the source, with what cdc.yaml says of how it is stored. */
export function storageFrom(
  plan: TablePlan,
  own: {
    readonly columns: readonly StorageColumn[];
    readonly definitions: readonly string[];
    readonly engine: string;
    readonly key: readonly string[];
    /** The sorting key, quoted. */
    readonly order: readonly string[];
  },
): StorageObject {
  const { database, final } = plan.names;
  const { columns, key } = own;
  const { clauses, ttl, settings, marks } = storageClauses(plan, own);
  const body = tableBody(own.definitions, clauses);
  return {
    own: plan.own,
    database,
    name: final,
    kind: 'storage',
    columns,
    key,
    definitions: own.definitions,
    body,
    marks,
    ...(ttl === undefined ? {} : { ttl }),
    ...(settings === undefined ? {} : { settings }),
    create: `CREATE TABLE IF NOT EXISTS ${chIdent(database, final)}\n${body}`,
  };
}

/** Condition: rows that a table of our own has of one table. */
export function ownRows(id: TableId): string {
  return `schema_name = ${chLiteral(id.schema)} AND table_name = ${chLiteral(id.table)}`;
}

/** The WAL position of a table's last TRUNCATE; 0 when there was none. */
function truncatePosition(plan: TablePlan): string {
  return `(SELECT max(version) FROM ${chIdent(plan.own, CH_CDC.truncates)} WHERE ${ownRows(plan)})`;
}

/** What people query: the latest version of every row that still exists. */
export function viewObject(plan: TablePlan): TargetObject {
  const { database, final, view } = plan.names;
  const kept = keptColumns(plan);
  const columns = [...plan.columns.map((c) => chIdent(c.name)), ...kept.map(({ name }) => name)];
  return {
    own: plan.own,
    database,
    name: view,
    kind: 'view',
    create: `CREATE OR REPLACE VIEW ${chIdent(database, view)}
(
${viewColumns(plan)}
) AS
SELECT ${columns.join(', ')}
FROM ${chIdent(database, final)} FINAL
WHERE _deleted = 0 AND _version > ${truncatePosition(plan)}${and(targetAlive(plan.source))}`,
  };
}

function and(condition: string | undefined): string {
  return condition === undefined ? '' : ` AND ${condition}`;
}

/** A column that is MATERIALIZED is not in `SELECT *`; of a view it is read like any other. */
export function viewColumns(plan: TablePlan): string {
  return [
    ...plan.columns.map((c) => `    ${chIdent(c.name)} ${c.type}`),
    ...keptColumns(plan).map(
      ({ name, type }) =>
        `    ${name} ${type} MATERIALIZED ${name === EXACT.name ? 'map()' : "''"}`,
    ),
  ].join(',\n');
}

/**
 * Inside a table's view its columns are aliases, and an alias wins over a column of the same name: what
 * the view reads is named as no column is.
 */
function rowName(plan: TablePlan): string {
  return `${ownAlias(plan.columns)}row`;
}

/** ClickHouse refuses a tuple with an element of this name. */
const NO_TUPLE_ELEMENT = 'null';

/**
 * How a table's columns are read from an image. `row` qualifies the queue's columns.
 * @param partial what is not 0 where the image has the key only; absent where it never is.
 */
export function extraction(
  plan: TablePlan,
  row: string,
  partial: string | undefined = `${row}op = 'd'`,
) {
  const tuple = `${ownAlias(plan.columns)}tuple`;
  const inTuple = plan.columns.filter(({ source }) => source.name !== NO_TUPLE_ELEMENT);
  const wire = inTuple.map((c) => `${chIdent(c.source.name)} ${c.wire}`).join(', ');
  const whole =
    inTuple.length > 0 ? `JSONExtract(${row}image, ${chLiteral(`Tuple(${wire})`)})` : 'tuple()';
  // By position: names may hold any character.
  const element = (column: ColumnPlan) =>
    column.source.name === NO_TUPLE_ELEMENT
      ? `JSONExtract(${row}image, ${chLiteral(column.source.name)}, ${chLiteral(column.wire)})`
      : `tupleElement(${tuple}, ${inTuple.indexOf(column) + 1})`;
  // A delete carries the key only, unless the replica identity is full.
  const read = readRow(plan.columns, (c) => c.wired, element, partial);
  return {
    named: [`${whole} AS ${tuple}`, ...read.named].join(',\n    '),
    values: read.values,
    belongs: `${row}route = ${chLiteral(routeOf(plan))}`,
    exact: read.exact,
    keyText: keyTextOf(plan, element, read.unfit),
  };
}

/** The texts of key columns that do not fit, as one; empty for nearly all rows. */
export function keyTextOf(
  plan: TablePlan,
  read: (column: ColumnPlan) => string,
  unfit: (column: ColumnPlan) => string | undefined,
): string {
  const columns = plan.key.flatMap((c) => {
    const flag = unfit(c);
    return c.keyText && flag ? [{ flag, text: c.keyText(`ifNull(${read(c)}, '')`) }] : [];
  });
  const sum = columns.map(({ flag }) => flag).join(' + ');
  const texts = columns.map(({ flag, text }) => `if(${flag}, ${text}, '')`);
  return `if((${sum}) = 0, '', arrayStringConcat([${texts.join(', ')}], '\\x1F'))`;
}

/** Names a table among a queue's rows; the separator is in no name that people type. */
export function routeOf(id: TableId): string {
  return `${id.schema}\u001f${id.table}`;
}

/** From the queue's rows into storage: typed columns, the version, the mark of a delete. */
export function tableView(plan: TablePlan, sharedQueue: SharedQueue): TargetObject {
  const { database, mv } = plan.names;
  // A row that Debezium read may be older than any change: it must outrank none.
  const version = `if(${rowName(plan)}.op = 'r', 1, ${rowName(plan)}.version)`;
  return viewInto(plan, sharedQueue, { database, name: mv }, version);
}

/** Behind a queue that exists while Debezium reads a table: what it reads, with one version. */
export function snapshotView(
  plan: TablePlan,
  sharedQueue: SharedQueue,
  version: bigint,
): TargetObject {
  const name = { database: sharedQueue.names.database, name: snapshotNames(plan, plan.own).mv };
  return viewInto(plan, sharedQueue, name, `toUInt64(${version})`, `${rowName(plan)}.op = 'r'`);
}

function viewInto(
  plan: TablePlan,
  sharedQueue: SharedQueue,
  view: { database: string; name: string },
  version: string,
  condition?: string,
): TargetObject {
  const { database, final } = plan.names;
  const row = rowName(plan);
  const { widenedBy } = plan.source;
  const { named, values, belongs, exact, keyText } = widenedBy
    ? extraction(plan, `${row}.`, '0')
    : extraction(plan, `${row}.`);
  // What a delete does not carry becomes the type's default; nobody sees it.
  const columns = plan.columns.map((c, i) => `    ${values[i]} AS ${chIdent(c.name)}`);
  columns.push(`    ${exact} AS ${EXACT.name}`);
  if (plan.hasKeyText) columns.push(`    ${keyText} AS ${KEY_TEXT.name}`);
  const rows = chIdent(sharedQueue.names.database, sharedQueue.names.fanout);
  return {
    own: plan.own,
    ...view,
    kind: 'materialized-view',
    create: `CREATE MATERIALIZED VIEW IF NOT EXISTS ${chIdent(view.database, view.name)} TO ${chIdent(database, final)} AS
WITH ${named}
SELECT
${columns.join(',\n')},
    ${version} AS _version,
    ${row}.op = 'd' AS _deleted,
    ${row}.committed_at AS _committed_at
FROM ${widenedBy ? movedRows(rows, routeOf(plan), widenedBy) : rows} AS ${row}
WHERE ${belongs}${condition ? ` AND ${condition}` : ''}`,
  };
}

/**
 * A queue's rows, and before an update that changes a column of the sorting key which is not of the source's
 * key the end of the old row: to Debezium such an update is like any other.
 */
function movedRows(rows: string, route: string, columns: readonly string[]): string {
  const of = (image: string, name: string) => `JSONExtractRaw(${image}, ${chLiteral(name)})`;
  const differs = columns.map((name) => {
    const before = of("ifNull(lane.before, '')", name);
    return `(${before} NOT IN ('', ${of('lane.image', name)}))`;
  });
  return `(
    SELECT
        arrayJoin(if(lane.op = 'u' AND (${differs.join(' OR ')}), [('d', ifNull(lane.before, '')), (lane.op, lane.image)], [(lane.op, lane.image)])) AS side,
        tupleElement(side, 1) AS op,
        tupleElement(side, 2) AS image,
        lane.route AS route,
        lane.version AS version,
        lane.committed_at AS committed_at
    FROM ${rows} AS lane
    WHERE lane.route = ${chLiteral(route)}
)`;
}
