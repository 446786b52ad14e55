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
  /** What `output` gives, also as an element in the text of an array → Nullable(target). */
  fromOutput(text: string): string;
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
  /** Values that the target cannot hold, in words; absent where there are none. */
  readonly misfits?: string;
}

const same = (expression: string) => expression;
const asText = (column: string) => `${column}::text`;

function integer(type: 'Int16' | 'Int32' | 'Int64' | 'UInt32'): TypeMapping {
  return {
    target: type,
    wire: `Nullable(${type})`,
    fromWire: same,
    fromOutput: (text) => `to${type}OrNull(${text})`,
    output: asText,
    canonicalSource: asText,
    canonicalTarget: (value) => `toString(${value})`,
    free: false,
    sent: 'number',
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
    fromOutput: (text) => `toFloat${bits}OrNull(${text})`,
    output: asText,
    canonicalSource: (column) =>
      `CASE WHEN ${column} = 'NaN' THEN 'nan' ELSE encode(${send}(${column}), 'hex') END`,
    canonicalTarget: (value) =>
      `if(isNaN(${value}), 'nan', leftPad(lower(hex(reinterpretAsUInt${bits}(${value}))), ${bits / 4}, '0'))`,
    free: false,
    shown: { source: asText, target: (value) => `toString(${value})` },
    sent: 'number',
  };
}

/** Text as PostgreSQL prints it: what has no type of its own in ClickHouse, and loses nothing so. */
function text(overrides: Partial<TypeMapping> = {}): TypeMapping {
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

/** A cast to text that is not what PostgreSQL prints: the output function is called by its name. */
const printedBy = (output: string) => (column: string) => `textin(${output}(${column}))`;

const PRINTED_BY: Readonly<Record<string, (column: string) => string>> = {
  bool: printedBy('boolout'),
  // A cast drops the padding, which is part of the value.
  bpchar: printedBy('bpcharout'),
  // A cast appends the length of the network mask.
  inet: printedBy('inet_out'),
  // Printed in the form of the server's lc_monetary, which is lost when Debezium reads it.
  money: (column) => `${column}::numeric::text`,
  // A cast keeps a declaration of the encoding.
  xml: printedBy('xml_out'),
};

/** PostgreSQL: the text that it prints for a column of any type. */
function printed(column: SourceColumn): (name: string) => string {
  const own =
    !column.array && Object.hasOwn(PRINTED_BY, column.type) ? PRINTED_BY[column.type] : undefined;
  return own ?? asText;
}

/** The largest precision a ClickHouse Decimal has. */
const DECIMAL_MAX = 76;

function numeric(column: SourceColumn): TypeMapping {
  const { precision, scale = 0 } = column;
  // A scale below zero means zeros before the point; one above the precision, zeros behind it.
  const digits =
    precision === undefined
      ? Number.POSITIVE_INFINITY
      : Math.max(precision - Math.min(scale, 0), scale);
  // Without a declared precision any number of digits can come; only text keeps them all.
  if (digits > DECIMAL_MAX) return text({ free: false });
  return decimal(digits, Math.max(scale, 0));
}

function decimal(digits: number, scale: number): TypeMapping {
  const bits = digits <= 9 ? 32 : digits <= 18 ? 64 : digits <= 38 ? 128 : 256;
  const parse = (value: string) => `toDecimal${bits}OrNull(${value}, ${scale})`;
  return {
    target: `Decimal(${digits}, ${scale})`,
    wire: 'Nullable(String)',
    fromWire: parse,
    fromOutput: parse,
    output: asText,
    canonicalSource: asText,
    canonicalTarget: (value) => `toDecimalString(${value}, ${scale})`,
    free: false,
    sent: 'number as text',
    misfits: 'NaN',
  };
}

/** Scalars only: in an array, money is text in the form of the server's lc_monetary. */
function money(column: SourceColumn): TypeMapping {
  if (column.array) return text();
  const number = decimal(19, 2);
  // A parser would cut a third digit behind the point, which some currencies have.
  const parse = (value: string) =>
    number.fromOutput(`extract(${value}, '^-?[0-9]+(?:\\\\.[0-9]{1,2})?$')`);
  return {
    ...number,
    fromWire: parse,
    fromOutput: parse,
    output: (name) => `${name}::numeric::text`,
    canonicalSource: (name) => `round(${name}::numeric, 2)::text`,
    misfits: 'more than two digits behind the point',
  };
}

const YEARS = 'infinity, years before 1900 or after 2299';

/** Timestamps with and without zone: UTC, microseconds. */
function dateTime(withZone: boolean): TypeMapping {
  // 2024-01-31T10:20:30.123456Z on the wire, 2024-01-31 10:20:30.123456+00 as printed. DateTime64
  // holds 1900 to 2299; a value outside would be clamped, so its text is not let through, nor is a
  // year before Christ. (As few functions as can be: a view is analysed anew for every block.)
  const parse = (value: string) =>
    `parseDateTime64BestEffortOrNull(extract(${value}, '^(?:19|20|21|22)\\\\d\\\\d-[^B]*$'), 6, 'UTC')`;
  // PostgreSQL prints no zeros at the end of a fraction, and no fraction of zeros.
  const asPrinted = (value: string) =>
    `TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM toString(${value})))`;
  return {
    target: "DateTime64(6, 'UTC')",
    wire: 'Nullable(String)',
    fromWire: parse,
    fromOutput: parse,
    output: asText,
    canonicalSource: asText,
    canonicalTarget: (value) =>
      withZone ? `concat(${asPrinted(value)}, '+00')` : asPrinted(value),
    free: false,
    sent: 'ISO text, UTC',
    misfits: YEARS,
  };
}

/** Debezium appends a Z to an ISO date. */
function dateFrom(value: string): string {
  return `toDate32OrNull(extract(${value}, '^((?:19|20|21|22)\\\\d\\\\d-\\\\d\\\\d-\\\\d\\\\d)Z?$'))`;
}

const DATE: TypeMapping = {
  target: 'Date32',
  wire: 'Nullable(String)',
  fromWire: dateFrom,
  fromOutput: dateFrom,
  output: asText,
  canonicalSource: asText,
  canonicalTarget: (value) => `toString(${value})`,
  free: false,
  sent: 'ISO text',
  misfits: YEARS,
};

const BYTEA: TypeMapping = {
  target: 'String',
  wire: 'Nullable(String)',
  fromWire: (wire) => `unhex(${wire})`,
  // Printed as \x00ff.
  fromOutput: (value) => `unhex(substring(${value}, 3))`,
  output: asText,
  canonicalSource: (column) => `encode(${column}, 'hex')`,
  canonicalTarget: (value) => `lower(hex(${value}))`,
  free: false,
  shown: { source: asText, target: (value) => `concat('\\\\x', lower(hex(${value})))` },
  sent: 'hexadecimal',
};

const UUID: TypeMapping = {
  target: 'UUID',
  wire: 'Nullable(String)',
  fromWire: (wire) => `toUUIDOrNull(${wire})`,
  fromOutput: (value) => `toUUIDOrNull(${value})`,
  output: asText,
  canonicalSource: asText,
  canonicalTarget: (value) => `toString(${value})`,
  free: false,
  sent: 'text',
};

const BOOL: TypeMapping = {
  target: 'Bool',
  wire: 'Nullable(Bool)',
  fromWire: same,
  fromOutput: (value) => `accurateCastOrNull(${value}, 'Bool')`,
  output: asText,
  canonicalSource: asText,
  canonicalTarget: (value) => `toString(${value})`,
  free: false,
  sent: 'true or false',
};

/** Text that is the same in every type of the family; nothing is converted. */
const PLAIN = text({ sent: 'text' });
const PADDED = text({ sent: 'text, with its padding', output: printedBy('bpcharout') });
const INET = text({ free: false, output: printedBy('inet_out') });
const XML = text({ output: printedBy('xml_out') });
const ENUM = text({ target: 'LowCardinality(String)' });
const PRINTED = text();
/** Printed with digits and signs only, never with a separator of ours. */
const BARE = text({ free: false });
const INTERVAL = text({
  free: false,
  misfits:
    'infinity (PostgreSQL 17 and newer) is streamed as 00:00:00; more than 2^31 hours stop Debezium',
});

type Entry = TypeMapping | ((column: SourceColumn) => TypeMapping);

/** By the name in pg_type. A type that is not here is text too: see `mappingOf`. */
const TYPES: Readonly<Record<string, Entry>> = {
  int2: integer('Int16'),
  int4: integer('Int32'),
  int8: integer('Int64'),
  float4: float(32),
  float8: float(64),
  numeric,
  money,
  text: PLAIN,
  varchar: PLAIN,
  bpchar: PADDED,
  name: PLAIN,
  char: PRINTED,
  bytea: BYTEA,
  bool: BOOL,
  date: DATE,
  time: BARE,
  timetz: BARE,
  timestamp: dateTime(false),
  timestamptz: dateTime(true),
  interval: INTERVAL,
  uuid: UUID,
  json: PLAIN,
  jsonb: PLAIN,
  jsonpath: PRINTED,
  xml: XML,
  bit: BARE,
  varbit: BARE,
  inet: INET,
  cidr: BARE,
  macaddr: BARE,
  macaddr8: BARE,
  point: BARE,
  line: BARE,
  lseg: BARE,
  box: BARE,
  path: BARE,
  polygon: BARE,
  circle: BARE,
  int4range: BARE,
  int8range: BARE,
  numrange: BARE,
  tsrange: BARE,
  tstzrange: BARE,
  daterange: BARE,
  int4multirange: BARE,
  int8multirange: BARE,
  nummultirange: BARE,
  tsmultirange: BARE,
  tstzmultirange: BARE,
  datemultirange: BARE,
  tsvector: PRINTED,
  tsquery: PRINTED,
  oid: integer('UInt32'),
  pg_lsn: BARE,
  xid: BARE,
  xid8: BARE,
  tid: BARE,
  pg_snapshot: BARE,
  txid_snapshot: BARE,
  int2vector: BARE,
  oidvector: BARE,
  refcursor: PRINTED,
  citext: PRINTED,
  hstore: PRINTED,
  ltree: PRINTED,
  lquery: PRINTED,
  ltxtquery: PRINTED,
  cube: BARE,
  seg: PRINTED,
  isbn: BARE,
  vector: BARE,
  halfvec: BARE,
  sparsevec: BARE,
  geometry: BARE,
  geography: BARE,
};

/** Names of objects: what PostgreSQL prints depends on the search path of the session. */
const NOT_CARRIED: ReadonlySet<string> = new Set(
  [
    'class',
    'collation',
    'config',
    'dictionary',
    'namespace',
    'oper',
    'operator',
    'proc',
    'procedure',
    'role',
    'type',
  ].map((kind) => `reg${kind}`),
);

/**
 * The mapping of a column's type, or of its elements' type; undefined when the type is not carried.
 * Composites, ranges that a user made and types of other extensions are the text that they print.
 */
export function mappingOf(column: SourceColumn): TypeMapping | undefined {
  if (column.carry === 'text') return textOf(column);
  if (column.carry === 'mask') return maskOf(column);
  if (column.typeKind === 'e') return ENUM;
  if (NOT_CARRIED.has(column.type)) return undefined;
  const found = Object.hasOwn(TYPES, column.type) ? TYPES[column.type] : PRINTED;
  return typeof found === 'function' ? found(column) : found;
}

/** Any column as the text that PostgreSQL prints. */
export function textOf(column: SourceColumn): TypeMapping {
  return text({ output: printed(column) });
}

/** A digest instead of the value: equal values stay equal, and nothing more is told of them. */
function maskOf(column: SourceColumn): TypeMapping {
  const output = printed(column);
  return text({
    free: false,
    output: (name) => `encode(sha256(convert_to(${output(name)}, 'UTF8')), 'hex')`,
  });
}

export const CARRIED_TYPES: readonly string[] = Object.keys(TYPES);
export const TYPES_NOT_CARRIED: readonly string[] = [...NOT_CARRIED];
