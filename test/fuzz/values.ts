import fc from 'fast-check';
import { pgLiteral } from '../../cli/lib/sql.ts';
import { typeCases } from '../harness/types.ts';

/** A type of the type table, with values as SQL expressions. */
export interface FuzzType {
  readonly type: string;
  /** Edge values, as the type matrix has them. */
  readonly edges: readonly string[];
  readonly random: fc.Arbitrary<string>;
  /** Values that their column of the copy cannot hold: their text stands in its `_exact`. */
  readonly misfits: readonly string[];
}

const quoted = (arbitrary: fc.Arbitrary<string | number | bigint>) =>
  arbitrary.map((value) => pgLiteral(String(value)));

const integer = (bits: number) =>
  quoted(
    fc.oneof(
      // Few enough to meet again: keys that come back, rows that are equal.
      { weight: 3, arbitrary: fc.integer({ min: 0, max: 30 }) },
      {
        weight: 2,
        arbitrary: fc.bigInt({ min: -(2n ** BigInt(bits - 1)), max: 2n ** BigInt(bits - 1) - 1n }),
      },
    ),
  );

const decimal = (digits: number, scale: number) =>
  quoted(
    fc
      .bigInt({ min: -(10n ** BigInt(digits)) + 1n, max: 10n ** BigInt(digits) - 1n })
      .map((n) => `${n}e${-scale}`),
  );

const float = (arbitrary: fc.Arbitrary<number>) =>
  quoted(arbitrary.map((x) => (Object.is(x, -0) ? '-0' : String(x))));

/** Text with what has broken somebody's quoting, JSON, CSV or array syntax. */
const words = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: 'grapheme', maxLength: 12 }) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 12 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 6 }) },
  {
    weight: 2,
    arbitrary: fc
      .array(
        fc.constantFrom('\\', '"', "'", '\n', '\t', '{', '}', ',', '\u001f', '\u001e', '~', 'N'),
      )
      .map((parts) => parts.join('')),
  },
);
const text = words.map((value) => value.replaceAll('\0', '0'));

const pad = (n: number, digits = 2) => String(n).padStart(digits, '0');
const DAY_MS = 86_400_000;
/** Days from 1900 to 2299, which the copy's types can hold. */
const day = fc
  .oneof(fc.integer({ min: -25_567, max: 120_529 }), fc.integer({ min: 19_000, max: 19_010 }))
  .map((n) => new Date(n * DAY_MS).toISOString().slice(0, 10));
const clock = fc
  .record({ s: fc.nat(86_399), us: fc.oneof(fc.constant(0), fc.nat(999_999)) })
  .map(
    ({ s, us }) =>
      `${pad(Math.floor(s / 3600))}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}.${pad(us, 6)}`,
  );
const moment = fc.tuple(day, clock).map((parts) => parts.join(' '));
const zone = fc
  .tuple(fc.constantFrom('+', '-'), fc.nat(15), fc.constantFrom('00', '30', '45'))
  .map(([sign, hours, minutes]) => `${sign}${pad(hours)}:${minutes}`);

/** Fewer than 2^31 hours: more stop Debezium (docs/types.md). */
const interval = fc
  .tuple(
    fc.integer({ min: -3000, max: 3000 }),
    fc.integer({ min: -4000, max: 4000 }),
    fc.integer({ min: -(10 ** 15), max: 10 ** 15 }),
  )
  .map(([months, days, us]) => `${months} months ${days} days ${us} microseconds`);

const octets = (length: number, separator: string) =>
  fc
    .uint8Array({ minLength: length, maxLength: length })
    .map((b) => [...b].map((n) => n.toString(16).padStart(2, '0')).join(separator));

const bits = (minLength: number, maxLength: number) =>
  fc.array(fc.constantFrom('0', '1'), { minLength, maxLength }).map((b) => b.join(''));

const json = fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value));
/** No zero: jsonb cannot hold it. */
const jsonb = json.map((value) => value.replaceAll('\\u0000', '0'));

const real = fc.double({ noNaN: true, noDefaultInfinity: true });
const point = fc.tuple(real, real).map(([x, y]) => `(${x},${y})`);
const small = fc.integer({ min: -1000, max: 1000 });

const between = (low: fc.Arbitrary<string | number>, high: fc.Arbitrary<string | number>) =>
  fc
    .tuple(fc.constantFrom('[', '('), low, high, fc.constantFrom(']', ')'))
    .map(([open, a, b, close]) => `${open}${a},${b}${close}`);
const low = fc.integer({ min: -1000, max: 0 });
const high = fc.integer({ min: 1, max: 1000 });
const earlier = moment.map((m) => m.replace(/^\d{4}/, '1950').replace('02-29', '02-28'));
const later = moment.map((m) => m.replace(/^\d{4}/, '2150').replace('02-29', '02-28'));
const dates = (m: fc.Arbitrary<string>) => m.map((value) => value.slice(0, 10));
const times = (m: fc.Arbitrary<string>) => m.map((value) => `"${value}"`);

/** Random values; a type that is not here has its edge values only. */
const RANDOM: Readonly<Record<string, fc.Arbitrary<string>>> = {
  smallint: integer(16),
  integer: integer(32),
  bigint: integer(64),
  real: float(fc.float()),
  'double precision': float(fc.double()),
  'numeric(12,2)': decimal(12, 2),
  'numeric(38,10)': decimal(38, 10),
  'numeric(76,20)': decimal(76, 20),
  'numeric(5,-2)': decimal(5, -2),
  'numeric(2,5)': decimal(2, 5),
  'numeric(1000,500)': decimal(900, 450),
  numeric: quoted(
    fc
      .tuple(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), fc.integer({ min: -60, max: 60 }))
      .map(([n, e]) => `${n}e${e}`),
  ),
  money: quoted(
    fc
      .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
      .map((n) => `${n < 0n ? '-' : ''}${String(n < 0n ? -n : n).padStart(3, '0')}`)
      .map((digits) => `${digits.slice(0, -2)}.${digits.slice(-2)}`),
  ),
  text: quoted(text),
  'varchar(20)': quoted(text),
  'char(6)': quoted(text),
  '"char"': quoted(text),
  name: quoted(text),
  citext: quoted(text),
  bytea: quoted(
    fc.uint8Array({ maxLength: 40 }).map((b) => `\\x${Buffer.from(b).toString('hex')}`),
  ),
  boolean: fc.constantFrom('true', 'false'),
  date: quoted(day),
  time: quoted(clock),
  timetz: quoted(fc.tuple(clock, zone).map((parts) => parts.join(''))),
  timestamp: quoted(moment),
  timestamptz: quoted(fc.tuple(moment, fc.constantFrom('+00', '+00:00')).map((p) => p.join(''))),
  interval: quoted(interval),
  uuid: quoted(fc.uuid()),
  json: quoted(json),
  jsonb: quoted(jsonb),
  xml: quoted(text.map((t) => `<a>${t.replace(/[^\p{L}\p{N} '"{},]/gu, '.')}</a>`)),
  bit: quoted(bits(1, 1)),
  'bit(12)': quoted(bits(12, 12)),
  varbit: quoted(bits(0, 70)),
  inet: quoted(
    fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.tuple(fc.ipV4(), fc.nat(32)).map((p) => p.join('/')),
    ),
  ),
  macaddr: quoted(octets(6, ':')),
  macaddr8: quoted(octets(8, ':')),
  point: quoted(point),
  lseg: quoted(fc.tuple(point, point).map((p) => `[${p}]`)),
  box: quoted(fc.tuple(point, point).map((p) => p.join(','))),
  path: quoted(
    fc
      .tuple(fc.constantFrom('[]', '()'), fc.array(point, { minLength: 1, maxLength: 4 }))
      .map(([b, points]) => `${b[0]}${points}${b[1]}`),
  ),
  polygon: quoted(fc.array(point, { minLength: 1, maxLength: 4 }).map((p) => `(${p})`)),
  circle: quoted(fc.tuple(point, fc.nat(99)).map(([p, r]) => `<${p},${r}>`)),
  int4range: quoted(between(low, high)),
  int8range: quoted(between(low, high)),
  numrange: quoted(between(low, high)),
  tsrange: quoted(between(times(earlier), times(later))),
  tstzrange: quoted(between(times(earlier.map((m) => `${m}+05`)), times(later))),
  daterange: quoted(between(dates(earlier), dates(later))),
  int4multirange: quoted(fc.array(between(low, high), { maxLength: 3 }).map((r) => `{${r}}`)),
  nummultirange: quoted(fc.array(between(low, high), { maxLength: 3 }).map((r) => `{${r}}`)),
  tsvector: text.map((t) => `to_tsvector('simple', ${pgLiteral(t)})`),
  oid: quoted(fc.nat({ max: 4_294_967_295 })),
  pg_lsn: quoted(
    fc.tuple(fc.nat(0xffff), fc.nat(0x7fffffff)).map((p) => p.map((n) => n.toString(16)).join('/')),
  ),
  xid8: quoted(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
  tid: quoted(fc.tuple(fc.nat(99_999), fc.nat(999)).map((p) => `(${p})`)),
  int2vector: quoted(fc.array(small, { maxLength: 5 }).map((n) => n.join(' '))),
  hstore: fc
    .tuple(text, text, text)
    .map(([a, b, c]) => `hstore(ARRAY[${[a, b, `k${a}`, c].map(pgLiteral)}])`),
  ltree: quoted(
    fc.array(fc.stringMatching(/^[a-zA-Z0-9_]{1,5}$/), { maxLength: 4 }).map((l) => l.join('.')),
  ),
  cube: quoted(fc.tuple(small, small).map((p) => `(${p})`)),
};

const ODD_DATES = [
  'infinity',
  '-infinity',
  '1999-01-01 BC',
  '4713-01-01 BC',
  '0001-01-01',
  '1899-12-31',
  '2300-01-01',
  '20000-01-01',
];
const ODD_TIMES = [
  ...ODD_DATES,
  '1899-12-31 23:59:59.999999',
  '2300-01-01 00:00:00.000001',
  '294276-12-31 23:59:59.999999',
  '0044-03-15 12:00:00.5 BC',
];
const NAN = ["'NaN'"];
/** Some of them meet in what stands in for them, as 1e60 and NaN do; 38.38 digits fit. */
const WIDE_NUMBERS = [
  "'NaN'",
  "'Infinity'",
  "'-Infinity'",
  '1e60',
  '-1e60',
  `'0.${'123456789'.repeat(5)}1'`,
  '1e-50',
  '-1e-50',
  `'7.${'0'.repeat(37)}15'`,
  `'7.${'0'.repeat(37)}11'`,
  `'0.${'9'.repeat(38)}'`,
  `'-${'9'.repeat(38)}.${'9'.repeat(38)}'`,
  `'1${'0'.repeat(38)}.5'`,
];

/** A domain is not an array of another shape by itself: `arrayValue` does not make these. */
const ODD_MOODS = ["'{{sad},{NULL}}'", "'[0:1]={sad,NULL}'"];

/** Values that do not fit, and some at the edge of what does. */
const MISFITS: Readonly<Record<string, readonly string[]>> = {
  'numeric(12,2)': NAN,
  'numeric(38,10)': NAN,
  'numeric(76,20)': NAN,
  'numeric(5,-2)': NAN,
  'numeric(2,5)': NAN,
  'numeric(1000,500)': WIDE_NUMBERS.filter((value) => !value.includes('Infinity')),
  numeric: WIDE_NUMBERS,
  date: [...ODD_DATES, '5874897-12-31'].map(pgLiteral),
  timestamp: ODD_TIMES.map(pgLiteral),
  timestamptz: ODD_TIMES.map(pgLiteral),
};

/** Of `label`, whose labels get other names: its values are said by their places. */
const LABELS = 4;

/** Types that only the fuzzer has: an enum whose cast to text is somebody's own, and one whose labels are renamed. */
export function ownTypesSql(schema: string): string {
  const labels = Array.from({ length: LABELS }, (_, i) => pgLiteral(`label ${i}`));
  return `
    CREATE TYPE ${schema}.tint AS ENUM ('red', 'Green, "dark"', '');
    CREATE FUNCTION ${schema}.loud(${schema}.tint) RETURNS text LANGUAGE sql
      AS $$ SELECT upper(textin(enum_out($1))) || '!' $$;
    CREATE CAST (${schema}.tint AS text) WITH FUNCTION ${schema}.loud(${schema}.tint);
    CREATE TYPE ${schema}.label AS ENUM (${labels.join(', ')});`;
}

function ownCases(schema: string): { type: string; values: string[] }[] {
  const label = (_: unknown, i: number) => `(enum_range(NULL::${schema}.label))[${i + 1}]`;
  return [
    { type: `${schema}.tint`, values: ["'red'", `'Green, "dark"'`, "''"] },
    { type: `${schema}.label`, values: Array.from({ length: LABELS }, label) },
  ];
}

/** Gives the label at a place another name. */
export function renameLabel(schema: string, nth: number, to: string): string {
  const label = `SELECT enumlabel INTO l FROM pg_enum WHERE enumtypid = '${schema}.label'::regtype ORDER BY enumsortorder LIMIT 1 OFFSET ${nth % LABELS}`;
  const rename = `EXECUTE format('ALTER TYPE ${schema}.label RENAME VALUE %L TO %L', l, ${pgLiteral(to)})`;
  return `DO $do$ DECLARE l text; BEGIN ${label}; ${rename}; END $do$`;
}

/** The type table as the fuzzer draws from it; a type's place in it does not depend on the schema. */
export function fuzzTypes(schema: string): FuzzType[] {
  // To PostgreSQL, NaN is more than any number, also in the check of a domain.
  const ofDomains: typeof MISFITS = { [`${schema}.cents`]: NAN, [`${schema}.moods`]: ODD_MOODS };
  return [...typeCases(schema), ...ownCases(schema)].map(({ type, values }) => {
    // A megabyte in every sixth text would make the type matrix of it; `large` has long values.
    const edges = values.filter((value) => !value.includes('200000'));
    return {
      type,
      edges,
      random: RANDOM[type] ?? fc.constantFrom(...edges),
      misfits: MISFITS[type] ?? ofDomains[type] ?? [],
    };
  });
}

/** One in so many values of a type that has misfits is one; of keys, which have to meet, more are. */
export const MISFIT_RARITY = 6;
export const KEY_MISFIT_RARITY = 3;

/** What a number stands for among the values of a type: never NULL. */
export function scalarValue(
  { type, edges, random, misfits }: FuzzType,
  n: number,
  rarity = MISFIT_RARITY,
): string {
  const pick = <T>(list: readonly T[]) => list[Math.floor(n / 64) % list.length];
  const misfit = n % rarity === 1 ? pick(misfits) : undefined;
  const edge = n % 5 === 0 ? pick(edges) : undefined;
  const [drawn = edges[0] ?? ''] =
    (misfit ?? edge) ? [] : fc.sample(random, { seed: n, numRuns: 1, unbiased: true });
  return `(${misfit ?? edge ?? drawn})::${type}`;
}

/** An array's value: mostly of one dimension from 1 on, which is what ClickHouse's have. */
export function arrayValue(element: FuzzType, n: number, deep: boolean): string {
  const type = `${element.type}[]`;
  const list = (count: number, salt: number) => {
    const items = Array.from({ length: count }, (_, i) =>
      (n + i) % 4 === 1 ? 'NULL' : scalarValue(element, n + salt + 101 * i),
    );
    return `ARRAY[${items}]::${type}`;
  };
  const deepOf = (count: number) => `ARRAY[${list(count, 0)}, ${list(count, 7)}]`;
  const from = (bounds: string, array: string) =>
    `(${pgLiteral(`${bounds}=`)} || (${array})::text)::${type}`;
  if (deep && n % 3 === 0) return deepOf(2);
  if (!deep && n % MISFIT_RARITY === MISFIT_RARITY - 1) {
    const shapes = [
      () => `ARRAY[${list(1, 0)}]`,
      () => from('[0:1]', list(2, 0)),
      () => from('[-7:-7]', list(1, 0)),
      () => deepOf(2),
      () => from('[1:2][0:0]', deepOf(1)),
    ];
    return (shapes[Math.floor(n / 64) % shapes.length] as () => string)();
  }
  return n % 9 === 0 ? `'{}'::${type}` : list(1 + (n % 3), 0);
}

/** A value that is kept out of line, where the type can have one. */
export function largeValue(type: string, n: number): string | undefined {
  // Does not compress to a size that fits into the row.
  const bulk = `(SELECT string_agg(md5(i::text || '${n}'), '') FROM generate_series(1, ${150 + (n % 200)}) i)`;
  const of: Readonly<Record<string, string>> = {
    text: bulk,
    citext: `${bulk}::citext`,
    bytea: `convert_to(${bulk}, 'UTF8')`,
    json: `to_json(${bulk})`,
    jsonb: `to_jsonb(${bulk})`,
    hstore: `hstore('k', ${bulk})`,
    varbit: `('x' || ${bulk})::varbit`,
    'integer[]': `(SELECT array_agg((hashint4(i) + ${n % 1000})::int) FROM generate_series(1, 1500) i WHERE hashint4(i) < 2147480000)`,
    'text[]': `ARRAY[${bulk}, NULL]`,
  };
  return of[type];
}
