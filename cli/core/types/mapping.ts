import type { SourceColumn } from '../source.ts';

/**
 * How one PostgreSQL type is carried: one entry says what it is in ClickHouse, how Debezium sends
 * it, how `postgresql()` loads it, and how both sides write it down for `verify`. Expressions are
 * functions from SQL text to SQL text.
 */
export interface TypeMapping {
  /** ClickHouse type, without Nullable. */
  readonly target: string;
  /** Type that JSONExtract reads from Debezium's JSON; Nullable where NULL means "does not fit". */
  readonly wire: string;
  /** Wire value → Nullable(target); NULL when the value does not fit. */
  fromWire(wire: string): string;
  /** Text as PostgreSQL's load query gives it → Nullable(target). */
  fromText(text: string): string;
  /** PostgreSQL: column → the text that `fromText` reads. */
  toText(column: string): string;
  /** PostgreSQL: column → canonical text, equal to `canonicalTarget` of the copied value. */
  canonicalSource(column: string): string;
  /** ClickHouse: value (not NULL) → canonical text. */
  canonicalTarget(value: string): string;
  /** Whether canonical text can hold any character, so that it needs its length beside it. */
  readonly free: boolean;
}

const same = (expression: string) => expression;
const asText = (column: string) => `${column}::text`;

function integer(bits: 16 | 32 | 64): TypeMapping {
  return {
    target: `Int${bits}`,
    wire: `Nullable(Int${bits})`,
    fromWire: same,
    fromText: (text) => `toInt${bits}OrNull(${text})`,
    toText: asText,
    canonicalSource: asText,
    canonicalTarget: (value) => `toString(${value})`,
    free: false,
  };
}

/**
 * Floats are compared by their bits: both sides print the shortest text that reads back equal, but
 * not the same one. All NaNs are one value.
 */
function float(bits: 32 | 64): TypeMapping {
  const send = bits === 32 ? 'float4send' : 'float8send';
  return {
    target: `Float${bits}`,
    wire: `Nullable(Float${bits})`,
    fromWire: same,
    fromText: (text) => `toFloat${bits}OrNull(${text})`,
    toText: asText,
    canonicalSource: (column) =>
      `CASE WHEN ${column} = 'NaN' THEN 'nan' ELSE encode(${send}(${column}), 'hex') END`,
    canonicalTarget: (value) =>
      `if(isNaN(${value}), 'nan', leftPad(lower(hex(reinterpretAsUInt${bits}(${value}))), ${bits / 4}, '0'))`,
    free: false,
  };
}

function text(overrides: Partial<TypeMapping> = {}): TypeMapping {
  return {
    target: 'String',
    wire: 'Nullable(String)',
    fromWire: same,
    fromText: same,
    toText: asText,
    canonicalSource: asText,
    canonicalTarget: same,
    free: true,
    ...overrides,
  };
}

/** The largest precision a ClickHouse Decimal has. */
const DECIMAL_MAX = 76;

/** Debezium has words of its own for what is no number. */
function specialNumbers(wire: string): string {
  return `replaceOne(replaceOne(replaceOne(${wire}, 'NAN', 'NaN'), 'POSITIVE_INFINITY', 'Infinity'), 'NEGATIVE_INFINITY', '-Infinity')`;
}

function numeric(column: SourceColumn): TypeMapping {
  const { precision, scale = 0 } = column;
  // Without a declared precision any number of digits can come; only text keeps them all.
  if (precision === undefined || precision > DECIMAL_MAX || scale < 0 || scale > precision) {
    return text({ free: false, fromWire: specialNumbers });
  }
  const bits = precision <= 9 ? 32 : precision <= 18 ? 64 : precision <= 38 ? 128 : 256;
  return {
    target: `Decimal(${precision}, ${scale})`,
    wire: 'Nullable(String)',
    fromWire: (wire) => `toDecimal${bits}OrNull(${wire}, ${scale})`,
    fromText: (value) => `toDecimal${bits}OrNull(${value}, ${scale})`,
    toText: asText,
    canonicalSource: asText,
    canonicalTarget: (value) => `toDecimalString(${value}, ${scale})`,
    free: false,
  };
}

/**
 * Text of a date or timestamp in one form, whatever the session's DateStyle. to_char has no text
 * for infinity and shows a year before Christ like one after it: neither fits, and both are named.
 */
function charOf(column: string, shown: string, format: string): string {
  return `CASE WHEN isfinite(${column}) AND ${column} >= '0001-01-02' THEN to_char(${shown}, '${format}') WHEN ${column} IS NOT NULL THEN 'out of range' END`;
}

/** Timestamps with and without zone: UTC, microseconds. */
function dateTime(withZone: boolean): TypeMapping {
  // isostring on the wire: 2024-01-31T10:20:30.123456Z. DateTime64 holds 1900 to 2299; a value
  // outside would be clamped, so its text is not let through. (As few functions as can be: a view
  // is analysed anew for every block that it passes.)
  const parse = (value: string) =>
    `parseDateTime64BestEffortOrNull(extract(${value}, '^(?:19|20|21|22)\\\\d\\\\d-.*$'), 6, 'UTC')`;
  // ClickHouse's sessions have the server's time zone, not ours.
  const shown = (column: string) => (withZone ? `${column} AT TIME ZONE 'UTC'` : column);
  return {
    target: "DateTime64(6, 'UTC')",
    wire: 'Nullable(String)',
    fromWire: parse,
    fromText: parse,
    toText: (column) => charOf(column, shown(column), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    canonicalSource: (column) => charOf(column, shown(column), 'YYYY-MM-DD HH24:MI:SS.US'),
    canonicalTarget: (value) => `toString(${value})`,
    free: false,
  };
}

const DATE: TypeMapping = {
  target: 'Date32',
  wire: 'Nullable(String)',
  // Debezium appends a Z to an ISO date.
  fromWire: dateFrom,
  fromText: dateFrom,
  toText: (column) => charOf(column, column, 'YYYY-MM-DD'),
  canonicalSource: (column) => charOf(column, column, 'YYYY-MM-DD'),
  canonicalTarget: (value) => `toString(${value})`,
  free: false,
};

function dateFrom(value: string): string {
  return `toDate32OrNull(extract(${value}, '^((?:19|20|21|22)\\\\d\\\\d-\\\\d\\\\d-\\\\d\\\\d)Z?$'))`;
}

const TIME = text({
  // 10:20:30.5Z on the wire; PostgreSQL prints the same without a zone.
  fromWire: (wire) => `trimRight(${wire}, 'Z')`,
  free: false,
});

const BYTEA: TypeMapping = {
  target: 'String',
  wire: 'Nullable(String)',
  fromWire: (wire) => `unhex(${wire})`,
  fromText: (value) => `unhex(${value})`,
  toText: (column) => `encode(${column}, 'hex')`,
  canonicalSource: (column) => `encode(${column}, 'hex')`,
  canonicalTarget: (value) => `lower(hex(${value}))`,
  free: false,
};

const UUID: TypeMapping = {
  target: 'UUID',
  wire: 'Nullable(String)',
  fromWire: (wire) => `toUUIDOrNull(${wire})`,
  fromText: (value) => `toUUIDOrNull(${value})`,
  toText: asText,
  canonicalSource: asText,
  canonicalTarget: (value) => `toString(${value})`,
  free: false,
};

const BOOL: TypeMapping = {
  target: 'Bool',
  wire: 'Nullable(Bool)',
  fromWire: same,
  fromText: (value) => `accurateCastOrNull(${value}, 'Bool')`,
  toText: asText,
  canonicalSource: asText,
  canonicalTarget: (value) => `toString(${value})`,
  free: false,
};

/**
 * char(n): a cast to text drops the padding that is part of the value; the output function, which
 * format() calls, keeps it, but makes NULL empty.
 */
const padded = (column: string) =>
  `CASE WHEN ${column} IS NULL THEN NULL ELSE format('%s', ${column}) END`;

const BY_NAME: Readonly<Record<string, TypeMapping | ((column: SourceColumn) => TypeMapping)>> = {
  int2: integer(16),
  int4: integer(32),
  int8: integer(64),
  float4: float(32),
  float8: float(64),
  numeric,
  text: text(),
  varchar: text(),
  bpchar: text({ toText: padded, canonicalSource: padded }),
  name: text(),
  citext: text(),
  json: text(),
  jsonb: text(),
  bool: BOOL,
  date: DATE,
  time: TIME,
  timestamp: dateTime(false),
  timestamptz: dateTime(true),
  uuid: UUID,
  bytea: BYTEA,
};

/** The mapping of a column's element type; undefined when the type is not carried. */
export function mappingOf(column: SourceColumn): TypeMapping | undefined {
  if (column.typeKind === 'e') return text();
  const found = Object.hasOwn(BY_NAME, column.type) ? BY_NAME[column.type] : undefined;
  return typeof found === 'function' ? found(column) : found;
}

export const CARRIED_TYPES: readonly string[] = Object.keys(BY_NAME);
