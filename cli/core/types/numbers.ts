import type { SourceColumn } from '../source.ts';
import { asText, same, type TypeMapping, text } from './typeMapping.ts';

export function integer(type: 'Int16' | 'Int32' | 'Int64' | 'UInt32'): TypeMapping {
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
export function float(bits: 32 | 64): TypeMapping {
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

/** The largest precision a ClickHouse Decimal has. */
export const DECIMAL_MAX = 76;
/** Digits behind the point of a number whose precision is not declared, or too large. */
const WIDE_SCALE = 38;

export function numeric(column: SourceColumn): TypeMapping {
  const { precision, scale = 0 } = column;
  // A scale below zero means zeros before the point; one above the precision, zeros behind it.
  const digits =
    precision === undefined
      ? Number.POSITIVE_INFINITY
      : Math.max(precision - Math.min(scale, 0), scale);
  if (digits <= DECIMAL_MAX) return decimal(digits, Math.max(scale, 0));
  const isDeclared = precision !== undefined && scale <= WIDE_SCALE;
  return wideDecimal(isDeclared ? Math.max(scale, 0) : WIDE_SCALE);
}

/** Text → Nullable(Decimal(digits, scale)). */
export function decimalFrom(digits: number, scale: number): (text: string) => string {
  const bits = digits <= 9 ? 32 : digits <= 18 ? 64 : digits <= 38 ? 128 : 256;
  return (text) => `toDecimal${bits}OrNull(${text}, ${scale})`;
}

function decimal(digits: number, scale: number): TypeMapping {
  const parse = decimalFrom(digits, scale);
  return {
    target: `Decimal(${digits}, ${scale})`,
    wire: 'Nullable(String)',
    fromWire: parse,
    fromOutput: parse,
    fallback: { canonical: same, values: 'NaN: NULL' },
    output: asText,
    canonicalSource: asText,
    canonicalTarget: (value) => `toDecimalString(${value}, ${scale})`,
    free: false,
    sent: 'number as text',
  };
}

/**
 * A number of any size in the widest Decimal. 1.50 and 1.5 are one number, so what is compared has no
 * zeros at the end.
 */
function wideDecimal(scale: number): TypeMapping {
  const whole = DECIMAL_MAX - scale;
  // A parser would cut digits behind the point that are too many; zeros there are none too many. Digits
  // before it that are too many are more than the type has. Short texts have none too many.
  const fitting =
    scale === 0 ? `^(-?\\\\d{1,${whole}})$` : `^(-?\\\\d{1,${whole}}\\\\.?\\\\d{0,${scale}})0*$`;
  const least = scale === 0 ? whole : Math.min(whole, scale);
  const parse = (value: string) =>
    `toDecimal256OrNull(if(length(${value}) <= ${least}, ${value}, extract(${value}, '${fitting}')), ${scale})`;
  const short = (value: string) => `TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM ${value}))`;
  return {
    target: `Decimal(${DECIMAL_MAX}, ${scale})`,
    wire: 'Nullable(String)',
    fromWire: parse,
    fromOutput: parse,
    fallback: {
      // Only what has too many digits behind the point is near to what is left without them.
      standIn: (value) =>
        `toDecimal256OrNull(extract(${value}, '^(-?\\\\d{1,${whole}}\\\\.\\\\d{${scale}})\\\\d+$'), ${scale})`,
      canonical: (value) => `if(position(${value}, '.') > 0, ${short(value)}, ${value})`,
      values: `more than ${scale} digits behind the point: cut; more than ${whole} before it, NaN, infinity: NULL`,
    },
    output: asText,
    canonicalSource: (column) => `trim_scale(${column})::text`,
    canonicalTarget: (value) => short(`toDecimalString(${value}, ${Math.max(scale, 1)})`),
    free: false,
    shown: { source: asText, target: (value) => `toString(${value})` },
    sent: "PostgreSQL's text",
  };
}

/** Scalars only: in an array, money is text in the form of the server's lc_monetary. */
export function money(column: SourceColumn): TypeMapping {
  if (column.array) return text();
  const number = decimal(19, 2);
  // A parser would cut a third digit behind the point, which some currencies have.
  const parse = (value: string) =>
    number.fromOutput(`extract(${value}, '^-?[0-9]+(?:\\\\.[0-9]{1,2})?$')`);
  return {
    ...number,
    fromWire: parse,
    fromOutput: parse,
    fallback: {
      standIn: (value) => number.fromOutput(`extract(${value}, '^-?[0-9]+\\\\.[0-9]{2}')`),
      canonical: same,
      values: 'more than two digits behind the point: cut',
    },
    output: (name) => `${name}::numeric::text`,
    canonicalSource: (name) =>
      `CASE WHEN scale(${name}::numeric) > 2 THEN ${name}::numeric::text ELSE round(${name}::numeric, 2)::text END`,
  };
}
