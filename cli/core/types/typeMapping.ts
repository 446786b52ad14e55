import type { SourceColumn } from '../source.ts';

/**
 * How one PostgreSQL type is carried: one entry says what it is in ClickHouse, how Debezium sends
 * it, how `postgresql()` loads it, and how both sides write it down for `verify`. Expressions are
 * functions from SQL text to SQL text.
 */
export interface TypeMapping {
  /** ClickHouse type, without Nullable. */
  readonly target: string;
  /** Type that JSONExtract reads from Debezium's JSON; Nullable, and NULL where a value does not fit. */
  readonly wire: string;
  /** Wire value → Nullable(target); NULL when the value does not fit. */
  fromWire(wire: string): string;
  /**
   * What `output` gives, also as an element in the text of an array → Nullable(target); NULL when the
   * value does not fit. Of a type that has a `fallback`, the wire value is this text, too. Of one that has a
   * `noNull`, this and `fromWire` give what that one takes.
   */
  fromOutput(text: string): string;
  /** Present where some values of the type do not fit the target. */
  readonly fallback?: Fallback;
  /** Present where ClickHouse has no NULL of the target. */
  readonly noNull?: NoNull;
  /** PostgreSQL: column → the text that is loaded; where nothing is better, what PostgreSQL prints. */
  output(column: string): string;
  /** PostgreSQL: column → canonical text, equal to `canonicalTarget` of the copied value. */
  canonicalSource(column: string): string;
  /** ClickHouse: value (not NULL) → canonical text. */
  canonicalTarget(value: string): string;
  /** Whether canonical text can hold any character, so that it needs its length beside it. */
  readonly free: boolean;
  /** The value as people read it; absent where the canonical text is good enough for them. */
  readonly shown?: { source(column: string): string; target(value: string): string };
  /** How Debezium sends it, in words. */
  readonly sent: string;
}

/** What becomes of a value that the target cannot hold: something near it, and its text beside. */
export interface Fallback {
  /** Text that does not fit → the nearest value, Nullable(target); absent where that is NULL. */
  standIn?(text: string): string;
  /** ClickHouse: such a text → what `canonicalSource` gives of the value. */
  canonical(text: string): string;
  /** Which values, and what stands in for them, in words. */
  readonly values: string;
}

/** How a value is stored of whose type ClickHouse has no NULL: it stands in `_exact`, as that of an array does. */
export interface NoNull {
  /** What was read in the text → the value, or what stands in for it. */
  store(parsed: string): string;
  /** What was read in the text → a number that is not 0 where that is not the value, as for NULL. */
  unfit(parsed: string): string;
  /** What stands in for NULL, in words. */
  readonly values: string;
}

export const same = (expression: string) => expression;
export const asText = (column: string) => `${column}::text`;

/** What the type's output function prints; not IS NULL, which a row of NULLs is, too. */
const withoutCast = (column: string) =>
  `CASE num_nulls(${column}) WHEN 0 THEN format('%s', ${column}) END`;

/** The text of a column's values, past a cast to text that somebody made. */
export function textCast({ hasTextCast }: SourceColumn): (column: string) => string {
  return hasTextCast ? withoutCast : asText;
}

/** Text as PostgreSQL prints it: what has no type of its own in ClickHouse, and loses nothing so. */
export function text(overrides: Partial<TypeMapping> = {}): TypeMapping {
  const output = overrides.output ?? asText;
  return {
    target: 'String',
    wire: 'Nullable(String)',
    fromWire: same,
    fromOutput: same,
    output,
    canonicalSource: output,
    canonicalTarget: same,
    free: true,
    sent: "PostgreSQL's text",
    ...overrides,
  };
}
