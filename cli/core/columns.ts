import { chIdent, chLiteral, pgIdent, pgLiteral } from '../lib/sql.ts';
import type { SourceColumn } from './source.ts';
import { mappingOf, type TypeMapping } from './types/mapping.ts';

/**
 * A column of the copy: its ClickHouse type and the expressions that fill and compare it. Arrays
 * are made here from their element's mapping.
 */
export interface ColumnPlan {
  readonly name: string;
  readonly source: SourceColumn;
  /** Complete ClickHouse type, with Nullable. */
  readonly type: string;
  readonly nullable: boolean;
  /** Type of this column in the tuple that JSONExtract makes. */
  readonly wire: string;
  /**
   * ClickHouse has no Nullable(Array): a NULL array is stored empty and the column's name is put
   * into `_nulls`.
   */
  readonly nullArray: boolean;
  /** Tuple element → value to store. */
  fromWire(wire: string): string;
  /**
   * Condition on the stream. Scalars: the value is NULL, as the image's null or because it did not
   * fit (misfitOf tells which). Arrays: the stored value would not equal what the image held.
   */
  misfitWire(wire: string, json: string): string;
  /** PostgreSQL: the column as the load query selects it (text). */
  loadSelect(column: string): string;
  fromLoad(text: string): string;
  misfitLoad(text: string): string;
  /** PostgreSQL and ClickHouse: the value as text that is equal on both sides; NULL is `~`. */
  canonicalSource(column: string): string;
  canonicalTarget(column: string): string;
}

/** Undefined when the type is not carried. */
export function planColumn(column: SourceColumn): ColumnPlan | undefined {
  const mapping = mappingOf(column);
  if (!mapping) return undefined;
  return column.array ? arrayColumn(column, mapping) : scalarColumn(column, mapping);
}

function scalarColumn(column: SourceColumn, mapping: TypeMapping): ColumnPlan {
  const nullable = !column.notNull;
  const settled = (value: string) => (nullable ? value : `assumeNotNull(${value})`);
  return {
    name: column.name,
    source: column,
    type: nullable ? `Nullable(${mapping.target})` : mapping.target,
    nullable,
    wire: mapping.wire,
    nullArray: false,
    fromWire: (wire) => settled(mapping.fromWire(wire)),
    misfitWire: (wire) => `isNull(${mapping.fromWire(wire)})`,
    loadSelect: (name) => mapping.toText(name),
    fromLoad: (value) => settled(mapping.fromText(value)),
    misfitLoad: (value) => `(isNull(${mapping.fromText(value)}) AND isNotNull(${value}))`,
    canonicalSource: (name) => canonical(mapping, name),
    canonicalTarget: (name) => {
      const value = nullable ? `assumeNotNull(${name})` : name;
      const body = mapping.free
        ? `concat(toString(length(${mapping.canonicalTarget(value)})), ':', ${mapping.canonicalTarget(value)})`
        : mapping.canonicalTarget(value);
      return nullable ? `if(isNull(${name}), '~', ${body})` : body;
    },
  };
}

function canonical(mapping: TypeMapping, name: string): string {
  const body = mapping.canonicalSource(name);
  const whole = mapping.free ? `octet_length(${body})::text || ':' || ${body}` : body;
  return `coalesce(${whole}, '~')`;
}

function arrayColumn(column: SourceColumn, mapping: TypeMapping): ColumnPlan {
  const nullable = !column.notNull;
  const name = chLiteral(column.name);
  const each = (array: string, convert: (x: string) => string) => {
    const body = convert('x');
    return body === 'x' ? array : `arrayMap(x -> ${body}, ${array})`;
  };
  const texts = (json: string) => `JSONExtract(assumeNotNull(${json}), 'Array(Nullable(String))')`;
  const fromText = (json: string) => each(texts(json), mapping.fromText);
  const fromWire = (wire: string) => each(wire, mapping.fromWire);
  const nulls = (array: string) => `arrayCount(x -> isNull(x), ${array})`;
  const rawNulls = (items: string) => `countEqual(${items}, 'null')`;
  const items = (json: string) => `JSONExtractArrayRaw(${json}, ${name})`;
  // Elements as JSON text: PostgreSQL's array of texts, which keeps NULL and any character.
  const elementTexts = (col: string) =>
    `(SELECT json_agg(${mapping.toText('e')} ORDER BY n)::text FROM unnest(${col}) WITH ORDINALITY AS u(e, n))`;
  return {
    name: column.name,
    source: column,
    type: `Array(Nullable(${mapping.target}))`,
    nullable,
    wire: `Array(${mapping.wire})`,
    nullArray: nullable,
    fromWire,
    misfitWire: (wire, json) =>
      `(length(${wire}) != length(${items(json)}) OR ${nulls(fromWire(wire))} != ${rawNulls(items(json))} OR JSONType(${json}, ${name}) NOT IN (${nullable ? "'Array', 'Null'" : "'Array'"}))`,
    // More than one dimension, or a lower bound that is not 1, is not carried as a plain array.
    loadSelect: (col) =>
      `CASE WHEN ${col} IS NULL THEN NULL WHEN coalesce(array_ndims(${col}), 1) > 1 THEN 'multidimensional' ELSE coalesce(${elementTexts(col)}, '[]') END`,
    fromLoad: (json) => `if(isNull(${json}), [], ${fromText(json)})`,
    misfitLoad: (json) =>
      `(isNotNull(${json}) AND (${json} = 'multidimensional' OR ${nulls(fromText(json))} != ${rawNulls(`JSONExtractArrayRaw(assumeNotNull(${json}))`)}))`,
    canonicalSource: (col) =>
      `CASE WHEN ${col} IS NULL THEN '~' ELSE coalesce((SELECT string_agg(${canonical(mapping, 'e')}, chr(30) ORDER BY n) FROM unnest(${col}) WITH ORDINALITY AS u(e, n)), '') END`,
    canonicalTarget: (col) => {
      const value = mapping.canonicalTarget('assumeNotNull(x)');
      const body = mapping.free ? `concat(toString(length(${value})), ':', ${value})` : value;
      const joined = `arrayStringConcat(arrayMap(x -> if(isNull(x), '~', ${body}), ${col}), '\\x1E')`;
      return nullable ? `if(has(_nulls, ${name}), '~', ${joined})` : joined;
    },
  };
}

/**
 * Condition over an image and the tuple read from it: some value was lost on the way. A scalar is
 * NULL where the image has null and where its value did not fit, so the NULLs must be as many as
 * the image's nulls in columns that may have them.
 */
export function misfitOf(
  columns: readonly ColumnPlan[],
  element: (column: ColumnPlan) => string,
  image: string,
): string {
  const scalars = columns.filter((c) => !c.source.array);
  const nulls = scalars.map((c) => c.misfitWire(element(c), image));
  const mayBeNull = scalars.filter((c) => c.nullable).map((c) => chLiteral(c.name));
  const arrays = columns.filter((c) => c.source.array).map((c) => c.misfitWire(element(c), image));
  const inImage = `arrayCount(p -> p.2 = 'null' AND has([${mayBeNull.join(', ')}], p.1), JSONExtractKeysAndValuesRaw(${image}))`;
  const scalar =
    nulls.length === 0
      ? []
      : mayBeNull.length === 0
        ? nulls
        : [`${nulls.join(' + ')} != ${inImage}`];
  return [...scalar, ...arrays].join(' OR ') || 'false';
}

/** PostgreSQL: a row's canonical text. Fields are joined by a character that only free text holds. */
export function canonicalRowSource(columns: readonly ColumnPlan[], alias: string): string {
  return columns
    .map((column) => column.canonicalSource(`${alias}.${pgIdent(column.name)}`))
    .join(` || ${pgLiteral('\u001f')} || `);
}

export function canonicalRowTarget(columns: readonly ColumnPlan[]): string {
  const parts = columns.map((column) => column.canonicalTarget(chIdent(column.name)));
  return parts.length === 1 ? (parts[0] ?? "''") : `concat(${parts.join(", '\\x1F', ")})`;
}
