import { chLiteral } from '../../lib/sql.ts';
import type { SourceColumn } from '../source.ts';
import { DECIMAL_MAX, decimalFrom } from './numbers.ts';
import type { TypeMapping } from './typeMapping.ts';

/**
 * A column whose ClickHouse type somebody chose in cdc.yaml. A value fits where what is stored says the
 * same as what PostgreSQL printed: it is read back, and both are compared in the type that the column
 * has by itself. Whatever does not fit is kept as any such value is.
 *
 * Only functions that cannot throw are used, for an exception in a view stops all tables of its queue:
 * ClickHouse's accurateCastOrNull throws where a scale overflows.
 */

type Source = 'number' | 'timestamp' | 'date' | 'text';

const SOURCES: Readonly<Record<string, Source>> = {
  int2: 'number',
  int4: 'number',
  int8: 'number',
  numeric: 'number',
  timestamp: 'timestamp',
  timestamptz: 'timestamp',
  date: 'date',
  text: 'text',
  varchar: 'text',
  citext: 'text',
};

/** How a value of the target is made, and the text that is compared with the source's. */
interface Target {
  readonly of: readonly Source[];
  /** Text, and what the column's own type reads in it → Nullable(target). */
  make(text: string, own: string): string;
  back(value: string): string;
  /** What it makes of a number that is too large has nothing to do with it. */
  readonly wraps?: boolean;
}

const toText = (value: string) => `toString(${value})`;
const inUtc = (value: string) => `toString(toTimeZone(${value}, 'UTC'))`;
const utc = (time: string) => `toDateTime64('${time}', 6, 'UTC')`;
/** ClickHouse wraps what is beyond the range of a type, and leaves NULL out of `least` and `greatest`. */
const within = (own: string, first: string, last: string) =>
  `if(isNull(${own}), NULL, least(greatest(${own}, ${utc(first)}), ${utc(last)}))`;
/** Digits behind the point that are zeros say nothing. */
const whole = (text: string) => `extract(${text}, '^(-?\\\\d+)(?:\\\\.0*)?$')`;

/** Undefined where cdc has no way to make this type. */
function targetOf(type: string): Target | undefined {
  const integer = /^U?Int(?:8|16|32|64|128|256)$/.exec(type);
  if (integer)
    return {
      of: ['number'],
      make: (text) => `to${type}OrNull(${whole(text)})`,
      back: toText,
      wraps: true,
    };
  if (/^Float(?:32|64)$/.test(type))
    return { of: ['number'], make: (text) => `to${type}OrNull(${text})`, back: toText };
  const decimal = /^Decimal\((\d+), ?(\d+)\)$/.exec(type);
  if (decimal) {
    const [precision, scale] = [Number(decimal[1]), Number(decimal[2])];
    if (precision < 1 || precision > DECIMAL_MAX || scale > precision) return undefined;
    return { of: ['number'], make: decimalFrom(precision, scale), back: toText };
  }
  if (type === 'LowCardinality(String)')
    return { of: ['text'], make: (text) => text, back: (value) => value };
  if (type === 'Date32')
    return { of: ['timestamp'], make: (_, own) => `toDate32(${own})`, back: toText };
  if (type === 'Date') {
    const make = (_: string, own: string) =>
      `toDate(${within(`toDateTime64(${own}, 6, 'UTC')`, '1970-01-01 00:00:00', '2149-06-06 00:00:00')})`;
    return { of: ['timestamp', 'date'], make, back: toText };
  }
  return dateTimeOf(type);
}

function dateTimeOf(type: string): Target | undefined {
  const found = /^DateTime(?:64\(([0-6])(?:, ?'([^'\\]+)')?\)|(?:\('([^'\\]+)'\))?)$/.exec(type);
  if (!found) return undefined;
  const [, scale, zone64, zone32] = found;
  const zone = zone64 ?? zone32 ?? 'UTC';
  if (!isTimeZone(zone)) return undefined;
  const make = (own: string) =>
    scale === undefined
      ? `toDateTime(${within(own, '1970-01-01 00:00:00', '2106-02-07 06:28:15')}, ${chLiteral(zone)})`
      : `toDateTime64(${own}, ${scale}, ${chLiteral(zone)})`;
  return { of: ['timestamp'], make: (_, own) => make(own), back: inUtc };
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/** What a column of this type can be made, in words; undefined where that is nothing. */
export function choicesOf(column: SourceColumn): string | undefined {
  const source = sourceOf(column);
  return source && CHOICES[source];
}

function sourceOf({ type, typeKind, array }: SourceColumn): Source | undefined {
  return !array && typeKind === 'b' && Object.hasOwn(SOURCES, type) ? SOURCES[type] : undefined;
}

const CHOICES: Readonly<Record<Source, string>> = {
  number: 'Decimal(P, S), Float32, Float64, Int8 … Int256, UInt8 … UInt256',
  timestamp: "DateTime64(0 … 6, 'Zone'), DateTime('Zone'), Date32, Date",
  date: 'Date',
  text: 'LowCardinality(String)',
};

/** Undefined where a column of this type cannot be made the type that was chosen. */
export function chosenMapping(
  own: TypeMapping,
  column: SourceColumn,
  chosen: string,
): TypeMapping | undefined {
  const source = sourceOf(column);
  const target = targetOf(chosen);
  if (!source || !target?.of.includes(source)) return undefined;
  if (source === 'text') return { ...own, target: chosen };
  const { fallback } = own;
  const make = (text: string) => target.make(text, own.fromOutput(text));
  const again = (value: string) => own.fromOutput(target.back(value));
  const parse = (text: string) =>
    `if(${again(make(text))} = ${own.fromOutput(text)}, ${make(text)}, NULL)`;
  const near = (text: string) => {
    const nearest = fallback?.standIn?.(text);
    if (nearest === undefined || source === 'number') return make(text);
    return target.make(text, `ifNull(${own.fromOutput(text)}, ${nearest})`);
  };
  return {
    ...own,
    target: chosen,
    wire: 'Nullable(String)',
    fromWire: parse,
    fromOutput: parse,
    fallback: {
      ...(target.wraps ? {} : { standIn: near }),
      canonical: fallback?.canonical ?? ((text) => text),
      values: `what ${chosen} does not give back: the nearest that it has, or NULL`,
    },
    canonicalTarget: (value) => own.canonicalTarget(`assumeNotNull(${again(value)})`),
    shown: {
      source: own.shown?.source ?? own.canonicalSource,
      target: (value) => `toString(${value})`,
    },
  };
}
