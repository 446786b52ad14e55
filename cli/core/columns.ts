import { chIdent, chLiteral, pgIdent, pgLiteral } from '../lib/sql.ts';
import type { SourceColumn } from './source.ts';
import { elementsOf, hasOneDimension, oneDimension } from './types/array.ts';
import { mappingOf, textOf } from './types/mapping.ts';
import { type NoNull, type TypeMapping, textCast } from './types/typeMapping.ts';

/**
 * How a value is stored. What is needed more than once gets a name in the statement: ClickHouse analyses
 * a view anew for every block, and an expression that is repeated as often as it stands there.
 */
export interface IncrementalSnapshot {
  /** What was read → the value that fits, or NULL; absent where it is not needed. */
  readonly parse?: (read: string) => string;
  /** What was read, and what `parse` gave → value to store: the nearest that there is where it does not fit. */
  store(read: string, parsed: string): string;
  /**
   * Both → a number that is not 0 where the stored value is not the source's, whose text then stands
   * in `_exact`. Absent where that cannot be.
   */
  readonly unfit?: (read: string, parsed: string) => string;
}

/**
 * A column of the copy: its ClickHouse type and the expressions that fill and compare it. Arrays
 * are made here from their element's mapping.
 */
export interface ColumnPlan {
  /** In the copy: that of the source, unless the copy has a column of its own of this name. */
  readonly name: string;
  readonly source: SourceColumn;
  /** Complete ClickHouse type, with Nullable. */
  readonly type: string;
  readonly nullable: boolean;
  /** ClickHouse has no NULL of its type: NULL stands in `_exact`. */
  readonly keepsNull: boolean;
  /** Type of this column in the tuple that JSONExtract makes. */
  readonly wire: string;
  /** How a tuple's element is read. */
  readonly wired: IncrementalSnapshot;
  /** PostgreSQL: the column as the load query selects it (text). */
  loadSelect(column: string): string;
  /** How that text is read. */
  readonly loaded: IncrementalSnapshot;
  /**
   * Text that does not fit → what tells a key with it from others whose stored value is the same.
   * Absent where every value that a key can have fits.
   */
  readonly keyText?: (text: string) => string;
  /** PostgreSQL and ClickHouse: the value as text that is equal on both sides; NULL is `~`. */
  canonicalSource(column: string): string;
  canonicalTarget(column: string): string;
  /** Whether the canonical text begins with its length in bytes, since it can hold any character. */
  readonly sized: boolean;
  /** PostgreSQL and ClickHouse: the value as people read it; NULL stays NULL. */
  shownSource(column: string): string;
  shownTarget(column: string): string;
}

/**
 * The column of every storage table that has what its types cannot hold: PostgreSQL's text, by column;
 * NULL for one that ClickHouse does not have, as of an array. Empty for nearly all rows.
 */
export const EXACT = { name: '_exact', type: 'Map(String, Nullable(String))' } as const;

const isKept = (column: string) => `mapContains(${EXACT.name}, ${chLiteral(column)})`;
const kept = (column: string) => `${EXACT.name}[${chLiteral(column)}]`;

/** Undefined when the type is not carried. */
export function planColumn(column: SourceColumn): ColumnPlan | undefined {
  const mapping = mappingOf(column);
  if (!mapping) return undefined;
  if (mapping.noNull) return noNullColumn(column, mapping, mapping.noNull);
  if (!column.array || column.carry) return scalarColumn(column, mapping);
  // ClickHouse's arrays have their depth in their type; PostgreSQL's have it in each value.
  if (column.dimensions > 1) return scalarColumn(column, textOf(column));
  return arrayColumn(column, mapping);
}

/** A text, and what it parses to → the nearest value that the type has; NULL where there is none. */
function nearest(mapping: TypeMapping, text: string, parsed: string): string {
  const standIn = mapping.fallback?.standIn?.(text);
  // Not ifNull, which would look for what stands in of every row.
  return standIn === undefined ? parsed : `if(isNull(${parsed}), ${standIn}, ${parsed})`;
}

function scalarColumn(column: SourceColumn, mapping: TypeMapping): ColumnPlan {
  const { fallback } = mapping;
  const nullable = !column.notNull;
  const settled = (value: string) => (nullable ? value : `assumeNotNull(${value})`);
  const reading = (parse: (text: string) => string): IncrementalSnapshot =>
    fallback
      ? {
          parse,
          store: (text, parsed) => settled(nearest(mapping, text, parsed)),
          unfit: (text, parsed) => `(isNull(${parsed}) > isNull(${text}))`,
        }
      : { store: (text) => settled(parse(text)) };
  const target = (name: string) => {
    const value = nullable ? `assumeNotNull(${name})` : name;
    const body = sized(mapping, mapping.canonicalTarget(value));
    return nullable ? `if(isNull(${name}), '~', ${body})` : body;
  };
  return {
    name: column.name,
    source: column,
    type: nullable ? nullableType(mapping.target) : mapping.target,
    nullable,
    keepsNull: false,
    wire: mapping.wire,
    wired: reading(mapping.fromWire),
    loadSelect: (name) => mapping.output(name),
    loaded: reading(mapping.fromOutput),
    ...(fallback ? { keyText: fallback.canonical } : {}),
    canonicalSource: (name) => canonical(mapping, name),
    canonicalTarget: (name) => {
      if (!fallback) return target(name);
      const text = fallback.canonical(`assumeNotNull(${kept(column.name)})`);
      return `if(${isKept(column.name)}, ${sized(mapping, text)}, ${target(name)})`;
    },
    sized: mapping.free,
    shownSource: (name) => (mapping.shown?.source ?? mapping.canonicalSource)(name),
    shownTarget: (name) => {
      const show = mapping.shown?.target ?? mapping.canonicalTarget;
      const value = nullable
        ? `if(isNull(${name}), NULL, ${show(`assumeNotNull(${name})`)})`
        : show(name);
      return fallback ? `if(${isKept(column.name)}, ${kept(column.name)}, ${value})` : value;
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

/** A value of whose type ClickHouse has no NULL, but which is no array of PostgreSQL's. */
function noNullColumn(column: SourceColumn, mapping: TypeMapping, noNull: NoNull): ColumnPlan {
  const reading = (parse: (text: string) => string): IncrementalSnapshot => ({
    parse,
    store: (_, parsed) => noNull.store(parsed),
    unfit: (_, parsed) => noNull.unfit(parsed),
  });
  const text = kept(column.name);
  const target = (name: string) => sized(mapping, mapping.canonicalTarget(name));
  const show = mapping.shown?.target ?? mapping.canonicalTarget;
  return {
    name: column.name,
    source: column,
    type: mapping.target,
    nullable: !column.notNull,
    keepsNull: true,
    wire: mapping.wire,
    wired: reading(mapping.fromWire),
    loadSelect: (name) => mapping.output(name),
    loaded: reading(mapping.fromOutput),
    canonicalSource: (name) => canonical(mapping, name),
    canonicalTarget: (name) => `if(${isKept(column.name)}, ifNull(${text}, '~'), ${target(name)})`,
    sized: mapping.free,
    shownSource: (name) => (mapping.shown?.source ?? mapping.canonicalSource)(name),
    shownTarget: (name) => `if(${isKept(column.name)}, ${text}, ${show(name)})`,
  };
}

/** ClickHouse has no NULL array: it is stored empty, as is one of another shape. */
function arrayColumn(column: SourceColumn, mapping: TypeMapping): ColumnPlan {
  const printed = textCast(column);
  const elements = (text: string) => elementsOf(text, column.delimiter);
  const each = (items: string, convert: (text: string) => string) => {
    const body = convert('x');
    return body === 'x' ? items : `arrayMap(x -> ${body}, ${items})`;
  };
  // A NULL text has no elements, and no dimension.
  const whole = (text: string) => `ifNull(${text}, '')`;
  const itemsOf = (text: string) =>
    elements(`if(${hasOneDimension(whole(text))}, ${whole(text)}, '')`);
  const nulls = (array: string) => `arrayCount(x -> isNull(x), ${array})`;
  const reading: IncrementalSnapshot = {
    store: (text) =>
      each(itemsOf(text), (item) => nearest(mapping, item, mapping.fromOutput(item))),
    unfit: (text) => {
      const items = itemsOf(text);
      const lost = each(items, (item) => mapping.fromOutput(item));
      const shape = `(NOT ${hasOneDimension(whole(text))})`;
      // Added and not joined by OR: an operand of OR is evaluated on a copy of all that it reads.
      return lost === items ? shape : `(${shape} + (${nulls(lost)} != ${nulls(items)}))`;
    },
  };
  const joined = (array: string, element: (item: string) => string) =>
    `arrayStringConcat(arrayMap(x -> if(isNull(x), '~', ${element('assumeNotNull(x)')}), ${array}), '\\x1E')`;
  const stored = (item: string) => sized(mapping, mapping.canonicalTarget(item));
  // Of an array that is kept as text because of some of its elements, the others are as in any.
  const asKept = (item: string) => {
    const value = mapping.fromOutput(item);
    const text = mapping.fallback?.canonical(item) ?? item;
    return value === item
      ? stored(item)
      : `if(isNull(${value}), ${sized(mapping, text)}, ${stored(`assumeNotNull(${value})`)})`;
  };
  const keptText = `assumeNotNull(${kept(column.name)})`;
  return {
    name: column.name,
    source: column,
    type: `Array(${nullableType(mapping.target)})`,
    nullable: !column.notNull,
    keepsNull: true,
    wire: 'Nullable(String)',
    wired: reading,
    loadSelect: printed,
    loaded: reading,
    canonicalSource: (name) =>
      `CASE WHEN ${name} IS NULL THEN '~' WHEN ${oneDimension(name)} THEN coalesce((SELECT string_agg(${canonical(mapping, 'e')}, chr(30)) FROM (SELECT unnest(${name}) AS e) AS u), '') ELSE 'out of shape ' || ${printed(name)} END`,
    canonicalTarget: (name) =>
      `multiIf(NOT ${isKept(column.name)}, ${joined(name, stored)}, isNull(${kept(column.name)}), '~', ${hasOneDimension(keptText)}, ${joined(elements(keptText), asKept)}, concat('out of shape ', ${keptText}))`,
    sized: false,
    shownSource: printed,
    shownTarget: (name) => `if(${isKept(column.name)}, ${kept(column.name)}, toString(${name}))`,
  };
}

/** A row's columns as a statement reads them. */
export interface ReadRow {
  /** `expression AS name`, for the statement's WITH. */
  readonly named: readonly string[];
  /** What is stored, column by column. */
  readonly values: readonly string[];
  /** What stands in `_exact`: the texts of the columns that do not fit. */
  readonly exact: string;
  /** Of a column whose value can be one that does not fit: not 0 where it is. */
  unfit(column: ColumnPlan): string | undefined;
}

/**
 * @param reading which reading of a column.
 * @param read    where a column's value stands.
 * @param partial what is not 0 where a row has the key only; absent where none has.
 */
export function readRow(
  columns: readonly ColumnPlan[],
  reading: (column: ColumnPlan) => IncrementalSnapshot,
  read: (column: ColumnPlan) => string,
  partial?: string,
): ReadRow {
  const own = ownAlias(columns);
  const named: string[] = [];
  const values: string[] = [];
  const flags = new Map<ColumnPlan, string>();
  columns.forEach((column, i) => {
    const { parse, store, unfit } = reading(column);
    const text = read(column);
    const parsed = `${own}parsed_${i}`;
    if (parse) named.push(`${parse(text)} AS ${parsed}`);
    values.push(store(text, parsed));
    if (!unfit) return;
    const flag = `${own}unfit_${i}`;
    named.push(`${unfit(text, parsed)} AS ${flag}`);
    flags.set(column, flag);
  });
  return {
    named,
    values,
    exact: exactOf([...flags], read, partial),
    unfit: (column) => flags.get(column),
  };
}

/** What names in a statement begin with: as no column does, since an alias wins over a column. */
export function ownAlias(columns: readonly Pick<ColumnPlan, 'name'>[]): string {
  let own = '__cdc_';
  while (columns.some(({ name }) => name.startsWith(own))) own = `_${own}`;
  return own;
}

/**
 * Whether there are any is a sum, so that nothing else is evaluated for a block of rows that all fit:
 * ClickHouse evaluates a branch of `if` for the rows that need it.
 */
function exactOf(
  flags: readonly (readonly [ColumnPlan, string])[],
  read: (column: ColumnPlan) => string,
  partial: string | undefined,
): string {
  const empty = `CAST(map(), '${EXACT.type}')`;
  if (flags.length === 0) return empty;
  const sum = added(flags.map(([, flag]) => flag));
  // What is not there reads as NULL, which of these alone does not fit.
  const isPartial = partial !== undefined && flags.some(([c]) => c.keepsNull);
  const none = isPartial ? `((${sum}) * (${partial} = 0)) = 0` : `(${sum}) = 0`;
  const pairs = flags.map(
    ([column, flag]) => `(if(${flag} != 0, ${chLiteral(column.source.name)}, ''), ${read(column)})`,
  );
  return `if(${none}, ${empty}, CAST(arrayFilter(x -> x.1 != '', [${pairs.join(', ')}]), '${EXACT.type}'))`;
}

/** Halves of halves: ClickHouse refuses a chain of a thousand operators as too deep. */
function added(terms: readonly string[]): string {
  if (terms.length <= 4) return terms.join(' + ');
  const half = Math.ceil(terms.length / 2);
  return `(${added(terms.slice(0, half))}) + (${added(terms.slice(half))})`;
}

/** What stands between two fields; only free text holds it. */
export const FIELD_SEPARATOR = '\u001f';

/** PostgreSQL: a row's canonical text. */
export function canonicalRowSource(columns: readonly ColumnPlan[], alias: string): string {
  const separator = pgLiteral(FIELD_SEPARATOR);
  const texts = columns.map((column) =>
    column.canonicalSource(`${alias}.${pgIdent(column.source.name)}`),
  );
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

/**
 * Arrays that ClickHouse would take for parts of one Nested, whose arrays must all be of one length: their names
 * have the same beginning before a dot. They are kept as PostgreSQL's text.
 */
export function nestedArrays(columns: readonly (ColumnPlan | undefined)[]): Set<string> {
  const arrays = columns.filter((column) => column !== undefined).filter(isArray);
  const stemOf = ({ name }: ColumnPlan) => name.slice(0, Math.max(0, name.indexOf('.'))) || name;
  const count = new Map<string, number>();
  for (const column of arrays) count.set(stemOf(column), (count.get(stemOf(column)) ?? 0) + 1);
  const shared = arrays.filter((c) => c.name.includes('.') && (count.get(stemOf(c)) ?? 0) > 1);
  return new Set(shared.map(({ name }) => name));
}

function isArray({ type }: ColumnPlan): boolean {
  return type.startsWith('Array(');
}
