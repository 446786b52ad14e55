import { chIdent, chLiteral, pgIdent, pgLiteral } from '../lib/sql.ts';
import type { SourceColumn } from './source.ts';
import { elementsOf, hasOneDimension, oneDimension } from './types/array.ts';
import { mappingOf, type TypeMapping, textOf } from './types/mapping.ts';

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
  /** Whether the column is an array in ClickHouse too, and not text. */
  readonly array: boolean;
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
  misfitWire(wire: string): string;
  /** PostgreSQL: the column as the load query selects it (text). */
  loadSelect(column: string): string;
  fromLoad(text: string): string;
  misfitLoad(text: string): string;
  /** PostgreSQL and ClickHouse: the value as text that is equal on both sides; NULL is `~`. */
  canonicalSource(column: string): string;
  canonicalTarget(column: string): string;
  /** Whether the canonical text begins with its length in bytes, since it can hold any character. */
  readonly sized: boolean;
  /** PostgreSQL and ClickHouse: the value as people read it; NULL stays NULL. */
  shownSource(column: string): string;
  shownTarget(column: string): string;
}

/** Undefined when the type is not carried. */
export function planColumn(column: SourceColumn): ColumnPlan | undefined {
  const mapping = mappingOf(column);
  if (!mapping) return undefined;
  if (!column.array || column.carry) return scalarColumn(column, mapping);
  // ClickHouse's arrays have their depth in their type; PostgreSQL's have it in each value.
  if (column.dimensions > 1) return scalarColumn(column, textOf(column));
  return arrayColumn(column, mapping);
}

function scalarColumn(column: SourceColumn, mapping: TypeMapping): ColumnPlan {
  const nullable = !column.notNull;
  const settled = (value: string) => (nullable ? value : `assumeNotNull(${value})`);
  return {
    name: column.name,
    source: column,
    type: nullable ? nullableType(mapping.target) : mapping.target,
    nullable,
    wire: mapping.wire,
    array: false,
    nullArray: false,
    fromWire: (wire) => settled(mapping.fromWire(wire)),
    misfitWire: (wire) => `isNull(${mapping.fromWire(wire)})`,
    loadSelect: (name) => mapping.output(name),
    fromLoad: (value) => settled(mapping.fromOutput(value)),
    misfitLoad: (value) =>
      mapping.fromOutput(value) === value
        ? 'false'
        : `(isNull(${mapping.fromOutput(value)}) AND isNotNull(${value}))`,
    canonicalSource: (name) => canonical(mapping, name),
    canonicalTarget: (name) => {
      const value = nullable ? `assumeNotNull(${name})` : name;
      const body = sized(mapping, mapping.canonicalTarget(value));
      return nullable ? `if(isNull(${name}), '~', ${body})` : body;
    },
    sized: mapping.free,
    shownSource: (name) => (mapping.shown?.source ?? mapping.canonicalSource)(name),
    shownTarget: (name) => {
      const show = mapping.shown?.target ?? mapping.canonicalTarget;
      return nullable ? `if(isNull(${name}), NULL, ${show(`assumeNotNull(${name})`)})` : show(name);
    },
  };
}

function nullableType(target: string): string {
  const inner = /^LowCardinality\((.*)\)$/.exec(target)?.[1];
  return inner ? `LowCardinality(Nullable(${inner}))` : `Nullable(${target})`;
}

function canonical(mapping: TypeMapping, name: string): string {
  const body = mapping.canonicalSource(name);
  const whole = mapping.free ? `octet_length(${body})::text || ':' || ${body}` : body;
  return `coalesce(${whole}, '~')`;
}

function sized(mapping: TypeMapping, text: string): string {
  return mapping.free ? `concat(toString(length(${text})), ':', ${text})` : text;
}

function arrayColumn(column: SourceColumn, mapping: TypeMapping): ColumnPlan {
  const nullable = !column.notNull;
  const elements = (text: string) => elementsOf(text, column.delimiter);
  const convert = (items: string) => {
    const body = mapping.fromOutput('x');
    return body === 'x' ? items : `arrayMap(x -> ${body}, ${items})`;
  };
  // A NULL text has no elements.
  const fromText = (text: string) => convert(elements(`ifNull(${text}, '')`));
  const nulls = (array: string) => `arrayCount(x -> isNull(x), ${array})`;
  const lost = (text: string) => {
    const shape = `NOT ${hasOneDimension(text)}`;
    const items = elements(text);
    return convert(items) === items
      ? shape
      : `(${shape} OR ${nulls(convert(items))} != ${nulls(items)})`;
  };
  const misfit = (text: string) =>
    nullable
      ? `(isNotNull(${text}) AND ${lost(`assumeNotNull(${text})`)})`
      : `(isNull(${text}) OR ${lost(`assumeNotNull(${text})`)})`;
  return {
    name: column.name,
    source: column,
    type: `Array(${nullableType(mapping.target)})`,
    nullable,
    wire: 'Nullable(String)',
    array: true,
    nullArray: nullable,
    fromWire: fromText,
    misfitWire: misfit,
    loadSelect: (name) => `${name}::text`,
    fromLoad: fromText,
    misfitLoad: misfit,
    canonicalSource: (name) =>
      `CASE WHEN ${name} IS NULL THEN '~' WHEN ${oneDimension(name)} THEN coalesce((SELECT string_agg(${canonical(mapping, 'e')}, chr(30)) FROM (SELECT unnest(${name}) AS e) AS u), '') ELSE 'out of shape ' || ${name}::text END`,
    canonicalTarget: (name) => {
      const body = sized(mapping, mapping.canonicalTarget('assumeNotNull(x)'));
      const joined = `arrayStringConcat(arrayMap(x -> if(isNull(x), '~', ${body}), ${name}), '\\x1E')`;
      return nullable ? `if(has(_nulls, ${chLiteral(column.name)}), '~', ${joined})` : joined;
    },
    sized: false,
    shownSource: (name) => `${name}::text`,
    shownTarget: (name) =>
      nullable
        ? `if(has(_nulls, ${chLiteral(column.name)}), NULL, toString(${name}))`
        : `toString(${name})`,
  };
}

/**
 * Number over an image and the tuple read from it: not 0 when some value was lost on the way. A
 * scalar is NULL where the image has null and where its value did not fit, so the NULLs must be as
 * many as the image's nulls in columns that may have them; without any, nothing is counted.
 *
 * Terms are added and not joined by OR: ClickHouse evaluates an operand of OR, AND or multiIf on a
 * copy of all that it reads, here the whole tuple for each column.
 * @param alias a name that the statement has not used yet.
 */
export function misfitOf(
  columns: readonly ColumnPlan[],
  element: (column: ColumnPlan) => string,
  image: string,
  alias: string,
): string {
  const scalars = columns.filter((c) => !c.array);
  const nulls = scalars.map((c) => c.misfitWire(element(c))).join(' + ');
  const mayBeNull = scalars.filter((c) => c.nullable).map((c) => chLiteral(c.name));
  const arrays = columns.filter((c) => c.array).map((c) => c.misfitWire(element(c)));
  const inImage = `arrayCount(p -> p.2 = 'null' AND has([${mayBeNull.join(', ')}], p.1), JSONExtractKeysAndValuesRaw(${image}))`;
  const scalar =
    mayBeNull.length === 0 ? nulls : `(((${nulls}) AS ${alias}) != 0 AND ${alias} != ${inImage})`;
  return [scalar, ...arrays].filter((term) => term !== '').join(' + ');
}

/** What stands between two fields; only free text holds it. */
export const FIELD_SEPARATOR = '\u001f';

/** PostgreSQL: a row's canonical text. */
export function canonicalRowSource(columns: readonly ColumnPlan[], alias: string): string {
  const separator = pgLiteral(FIELD_SEPARATOR);
  const texts = columns.map((column) => column.canonicalSource(`${alias}.${pgIdent(column.name)}`));
  return joined(texts, separator);
}

/**
 * Halves of halves: a chain would copy what it has so far for every field. (`concat` copies nothing,
 * and still takes longer: it finds each argument's output function anew.)
 */
function joined(texts: readonly string[], separator: string): string {
  if (texts.length <= 4) return texts.join(` || ${separator} || `);
  const half = Math.ceil(texts.length / 2);
  const [left, right] = [texts.slice(0, half), texts.slice(half)];
  return `(${joined(left, separator)}) || ${separator} || (${joined(right, separator)})`;
}

export function canonicalRowTarget(columns: readonly ColumnPlan[]): string {
  const parts = columns.map((column) => column.canonicalTarget(chIdent(column.name)));
  return parts.length === 1 ? (parts[0] ?? "''") : `concat(${parts.join(", '\\x1F', ")})`;
}
