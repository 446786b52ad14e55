import type { SourceColumn } from '../source.ts';
import { chosenMapping } from './chosen.ts';
import { point, vector } from './floats.ts';
import { float, integer, money, numeric } from './numbers.ts';
import { DATE, dateTime, TIME } from './times.ts';
import { asText, same, type TypeMapping, text, textCast } from './typeMapping.ts';

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
  return own ?? textCast(column);
}

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
const PRINTED = text();
/** Printed with digits and signs only, never with a separator of ours. */
const BARE = text({ free: false });

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
  time: TIME,
  timetz: BARE,
  timestamp: dateTime(false),
  timestamptz: dateTime(true),
  interval: BARE,
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
  point,
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
  vector,
  halfvec: vector,
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
 * The mapping of a column's type, or of its elements' type; undefined when the type is not carried. A type
 * that was chosen and cannot be is a finding (core/overrides.ts).
 * Composites, ranges that a user made and types of other extensions are the text that they print.
 */
export function mappingOf(column: SourceColumn): TypeMapping | undefined {
  if (column.carry === 'text') return textOf(column);
  if (column.carry === 'mask') return maskOf(column);
  if (column.typeKind === 'e')
    return text({ target: 'LowCardinality(String)', output: textCast(column) });
  if (NOT_CARRIED.has(column.type)) return undefined;
  const found = Object.hasOwn(TYPES, column.type)
    ? TYPES[column.type]
    : column.hasTextCast
      ? textOf(column)
      : PRINTED;
  const own = typeof found === 'function' ? found(column) : found;
  if (!own || column.chosenType === undefined) return own;
  return chosenMapping(own, column, column.chosenType) ?? own;
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

/** Whether cdc.yaml may choose this type for a column. */
export function canBe(column: SourceColumn, type: string): boolean {
  const { chosenType: _, ...bare } = column;
  const own = mappingOf(bare);
  return own !== undefined && chosenMapping(own, column, type) !== undefined;
}

export const CARRIED_TYPES: readonly string[] = Object.keys(TYPES);
export const TYPES_NOT_CARRIED: readonly string[] = [...NOT_CARRIED];
