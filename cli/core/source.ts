import { createHash } from 'node:crypto';
import type { TableId } from './names.ts';

/** A column as PostgreSQL's catalog describes it. */
export interface SourceColumn {
  readonly name: string;
  /** Base type's name in pg_type (`int4`, `numeric`, `_text` is given as its element with `array`). */
  readonly type: string;
  /** As people write it: `numeric(10,2)`, `character varying(20)[]`. */
  readonly displayType: string;
  /** `e` enum, `c` composite, `b` base … from pg_type.typtype; domains are resolved already. */
  readonly typeKind: string;
  readonly array: boolean;
  /** Declared dimensions of an array, 0 otherwise; PostgreSQL does not enforce them. */
  readonly dimensions: number;
  /** What stands between the elements of an array's text: a comma, but for a few types. */
  readonly delimiter: string;
  /** numeric(precision, scale) and char(length); absent when not declared. */
  readonly precision: number | undefined;
  readonly scale: number | undefined;
  readonly length: number | undefined;
  readonly notNull: boolean;
  /** Somebody made a cast of the type to text: it need not be what PostgreSQL prints, and sends. */
  readonly hasTextCast?: boolean;
  /** From cdc.yaml: as PostgreSQL's text, or only a digest of it. */
  readonly carry?: 'text' | 'mask';
  /** From cdc.yaml: the ClickHouse type, without Nullable. */
  readonly chosenType?: string;
  /** From cdc.yaml: how ClickHouse compresses it, as within CODEC(…). */
  readonly codec?: string;
}

export interface SourceTable extends TableId {
  readonly oid: number;
  /** `r` ordinary, `p` partitioned. */
  readonly kind: 'r' | 'p';
  readonly columns: readonly SourceColumn[];
  /** All columns, in the catalog's order. */
  readonly attributes: readonly Attribute[];
  /** From cdc.yaml: an entry for it excludes or masks columns, whether or not it has them. */
  readonly isRuled?: boolean;
  /** From cdc.yaml: columns that it calls by the names that they have. */
  readonly ruledBy?: readonly string[];
  /** From cdc.yaml: what it calls the table, where that is not its name any more. */
  readonly renamedFrom?: TableId;
  /** OIDs of its partitions, on all levels. */
  readonly partitions?: readonly number[];
  /** Columns that cdc.yaml leaves out; they are not among `columns`. */
  readonly excluded: readonly string[];
  /** Generated columns whose values PostgreSQL does not publish; not among `columns` either. */
  readonly unpublished: readonly string[];
  /** Some of `columns` are generated: the publication has to be told to publish those. */
  readonly hasGenerated: boolean;
  /**
   * Columns that tell a row from every other at any moment, in their index's order: of the replica
   * identity index, else of the primary key, else (replica identity full) of another unique index
   * without NULLs. Empty when there is none. Never of a deferrable constraint: two rows can have one
   * key for a moment then, and the last change of a key would not tell which of them is left.
   */
  readonly key: readonly string[];
  readonly keyIsPrimary: boolean;
  /** There is a primary key, but a deferrable one. */
  readonly keyIsDeferrable: boolean;
  /** Of a partitioned table: its partitions whose replica identity is not full, quoted for SQL. */
  readonly notFull?: readonly string[];
  /** `d` default, `f` full, `i` index, `n` nothing. */
  readonly replicaIdentity: 'd' | 'f' | 'i' | 'n';
  /** From the planner's statistics; an estimate. */
  readonly estimatedRows: number;
  readonly bytes: number;
  readonly unlogged: boolean;
  /** From cdc.yaml: its changes are kept. */
  readonly history?: boolean;
  /**
   * Only rows that meet this condition are copied. From cdc.yaml; once PostgreSQL has parsed it, as
   * PostgreSQL prints it (components/postgres/filter.ts).
   */
  readonly where?: string;
  /** Columns that the publication is to name, or names already where only somebody else may change it. */
  readonly listed?: readonly string[];
  /** From cdc.yaml: rows are only ever added. It is asked only of a table without a key. */
  readonly mode?: 'append';
  /** From cdc.yaml: the sorting key of the copy, where it is not the key; `key` is the same then. */
  readonly orderBy?: readonly string[];
  /** Columns of `orderBy` that are not of the source's key. */
  readonly widenedBy?: readonly string[];
  /** From cdc.yaml: how the copy is stored. */
  readonly storage?: StorageOptions;
  /** From cdc.yaml: where the copy is, beside what follows from the table's own name. */
  readonly target?: Target;
  /** Digests, to tell whether values may have changed without a change of rows. */
  readonly shape: TableShape;
}

export interface Attribute {
  /** pg_attribute.attnum: it stays a column's, whatever that is called. */
  readonly number: number;
  readonly name: string;
  readonly isPublished: boolean;
}

/** In ClickHouse. */
export interface Target {
  readonly database?: string | undefined;
  readonly table?: string | undefined;
}

/** Without a key rows cannot be told apart: the copy has each as often as the source does. */
export function isMultiset({ key }: Pick<SourceTable, 'key'>): boolean {
  return key.length === 0;
}

export interface TableShape {
  /** Numbers, names and types of the columns. */
  readonly columns: string;
  /** Changes with every ALTER TABLE of a column. */
  readonly touched: string;
  /** Changes when the table is rewritten: ALTER TABLE … USING, but VACUUM FULL, too. */
  readonly files: string;
  /** Changes when a key is dropped and made again, between which rows could have been told apart by another. */
  readonly key: string;
  /** Enums and composites that its columns use, also within others. */
  readonly types: readonly TypeForm[];
}

/** Of what stands in rows PostgreSQL sends no change when it is called otherwise, or gets a field more. */
export interface TypeForm {
  readonly oid: number;
  /** Of an enum, in the order in which they were made: one more changes no row, one renamed does. */
  readonly labels?: readonly string[];
  /** Of a composite: a digest of its fields. */
  readonly fields?: string;
}

type Form = Pick<SourceTable, 'shape' | 'where' | 'storage' | 'isRuled' | 'listed'>;

export function schemaFingerprint(table: Form): string {
  const { columns, touched, files, key, types } = table.shape;
  const used = types.map((type) => `${type.oid}-${type.labels?.length ?? ''}-${typeDigest(type)}`);
  return [columns, touched, files, filterDigest(table), key, used.join(',')].join(' ');
}

/** Whether the text says of which form the types were; those of earlier releases do not. */
export function knowsTypes(shape: string): boolean {
  return shape.split(' ').length > 5;
}

/** @param count of the labels that count. */
function typeDigest({ labels, fields = '' }: TypeForm, count = labels?.length): string {
  const text = labels ? JSON.stringify(labels.slice(0, count)) : fields;
  return createHash('md5').update(text).digest('hex').slice(0, 8);
}

/** A type that a column does not use any more comes with another form of the table. */
function typesDiffer(types: readonly TypeForm[], loaded: string): boolean {
  return loaded.split(',').some((text) => {
    const [oid, count, digest] = text.split('-');
    const type = types.find((one) => one.oid === Number(oid));
    return type !== undefined && digest !== typeDigest(type, count ? Number(count) : undefined);
  });
}

/**
 * Of what decides which rows are copied, and which of their columns are sent: a longer TTL brings back some
 * that are not there any more, and between two lists a table is withheld, whoever may change them.
 */
function filterDigest({ where, storage, listed }: Form): string {
  const ttl = storage?.ttl;
  if (where === undefined && ttl === undefined && listed === undefined) return '';
  const parts = [
    where ?? '',
    ttl ? JSON.stringify([ttl.column, ttl.count, ttl.unit]) : '',
    listed ? JSON.stringify(listed) : '',
  ];
  const text = parts.join('');
  return createHash('md5').update(text).digest('hex');
}

/**
 * Whether rows may have got other values since the copy was loaded, of which PostgreSQL sends no
 * change: columns were added or renamed, changed their type, or a rewrite gave them other values; a label of an
 * enum was renamed, a composite got a field; whether
 * changes told them apart by another key meanwhile, or none; or whether the copy was loaded by another filter.
 * Changes of a table of which values are kept back are withheld while its columns are others than cdc knows.
 */
export function mayDiffer(table: Form, loaded: string): boolean {
  const { shape } = table;
  // Copies that an earlier release loaded have no key here.
  const [columns, touched, files, filter = '', key = shape.key, types = ''] = loaded.split(' ');
  return (
    columns !== shape.columns ||
    filter !== filterDigest(table) ||
    key !== shape.key ||
    typesDiffer(shape.types, types) ||
    (touched !== shape.touched && (files !== shape.files || table.isRuled === true))
  );
}

/** A table of the publication, with the filter and the columns that it has there. */
export interface PublishedTable extends TableId {
  readonly where?: string;
  /** In the table's order; all of them, later ones too, where it names none. */
  readonly listed?: readonly string[];
}

export function sameColumns(
  one: readonly string[] | undefined,
  other: readonly string[] | undefined,
): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** How a table is stored in ClickHouse, where cdc.yaml says more than its key does. */
export interface StorageOptions {
  /** Expression of ClickHouse over columns of the sorting key: versions in two partitions never merge. */
  readonly partitionBy?: string;
  readonly ttl?: Ttl;
  /** Of MergeTree, by name. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
}

/** Rows are in the copy until this long after the time in a column. */
export interface Ttl {
  readonly column: string;
  readonly count: number;
  readonly unit: string;
}
