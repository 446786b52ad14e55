/**
 * What the copy of a row has to be, said a second time: these rules share nothing with cli/, so that
 * a mistake in the product's mapping or in `cdc verify` is not made here as well. They compare the
 * text that PostgreSQL sends to any client with the JSON that ClickHouse sends.
 */

/** A column of the source as its catalog has it; domains are resolved to what they are made of. */
export interface OracleColumn {
  readonly name: string;
  /** Type in pg_type, of the elements if it is an array. */
  readonly base: string;
  readonly array: boolean;
  /** Declared with several dimensions, or part of the key: the copy has the array's text. */
  readonly asText: boolean;
  /** pg_attribute.atttypmod, or the domain's. */
  readonly modifier: number;
  readonly delimiter: string;
}

/** A value in a form that both sides share; null is NULL. */
export type Canonical = string | null;

export const NO_FIT = Symbol('a value that the copy cannot hold');

const LONGEST_DECIMAL = 76;

/** Precision and scale of a numeric that is a Decimal in the copy. */
export function decimalOf(modifier: number): { scale: number } | undefined {
  if (modifier < 4) return undefined;
  const precision = ((modifier - 4) >> 16) & 0xffff;
  // Eleven bits, with a sign.
  const low = (modifier - 4) & 0x7ff;
  const scale = low >= 1024 ? low - 2048 : low;
  const digits = Math.max(precision - Math.min(scale, 0), scale);
  return digits > LONGEST_DECIMAL ? undefined : { scale: Math.max(scale, 0) };
}

/** Digits of a number without what does not count: 1.50 and 01.5 are 1.5, -0 is 0. */
function digitsOf(text: string): string {
  const match = /^(-?)0*(\d*)(?:\.(\d*?)0*)?$/.exec(text);
  if (!match) return `not a number: ${text}`;
  const [, sign = '', whole = '', fraction = ''] = match;
  const body = `${whole || '0'}${fraction ? `.${fraction}` : ''}`;
  return body === '0' ? '0' : sign + body;
}

function floatOf(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

const INFINITE: Readonly<Record<string, number>> = {
  inf: Number.POSITIVE_INFINITY,
  '-inf': Number.NEGATIVE_INFINITY,
  nan: Number.NaN,
  '-nan': Number.NaN,
};

/** A date or timestamp within the years that the copy's types have. */
function dated(text: string, canonical: string): string | typeof NO_FIT {
  return /^(19|20|21|22)\d\d-[^B]*$/.test(text) ? canonical : NO_FIT;
}

const micros = (text: string) => {
  const [whole = '', fraction = ''] = text.replace(/\+00$/, '').split('.');
  return `${whole}.${fraction.padEnd(6, '0')}`;
};

function scalarOfSource(column: OracleColumn, text: string): string | typeof NO_FIT {
  switch (column.base) {
    case 'float4':
      return floatOf(Math.fround(Number(text)));
    case 'float8':
      return floatOf(Number(text));
    case 'bool':
      return text === 't' ? 'true' : 'false';
    case 'bytea':
      return text.slice(2);
    case 'numeric':
      if (!decimalOf(column.modifier)) return text;
      return text === 'NaN' ? NO_FIT : digitsOf(text);
    case 'money':
      // In an array, money stays the text that it is.
      return column.array ? text : digitsOf(text.replace(/[$,]/g, ''));
    case 'date':
      return dated(text, text);
    case 'timestamp':
    case 'timestamptz':
      return dated(text, micros(text));
    default:
      return text;
  }
}

/** Elements of an array's text; undefined where it has not just one dimension from 1 on. */
export function elementsOf(text: string, delimiter: string): Canonical[] | undefined {
  if (!text.startsWith('{')) return undefined;
  const items: Canonical[] = [];
  let at = 1;
  while (text[at] !== '}') {
    if (text[at] === '{') return undefined;
    if (text[at] === '"') {
      let item = '';
      for (at += 1; text[at] !== '"'; at += 1) {
        if (text[at] === '\\') at += 1;
        item += text[at];
      }
      at += 1;
      items.push(item);
    } else {
      const from = at;
      while (text[at] !== delimiter && text[at] !== '}') at += 1;
      const item = text.slice(from, at);
      items.push(item === 'NULL' ? null : item);
    }
    if (text[at] === delimiter) at += 1;
  }
  return items;
}

/** What the copy of a value has to be, from the text that PostgreSQL sends. */
export function ofSource(column: OracleColumn, text: string | null): Canonical | typeof NO_FIT {
  if (text === null) return null;
  if (!column.array) return scalarOfSource(column, text);
  if (column.asText) return text;
  const items = elementsOf(text, column.delimiter);
  if (!items) return NO_FIT;
  const values = items.map((item) => (item === null ? null : scalarOfSource(column, item)));
  return values.includes(NO_FIT) ? NO_FIT : JSON.stringify(values);
}

/** How ClickHouse is asked for a value: bytes that are no text would not survive JSON. */
export function selectOf(column: OracleColumn, name: string): string {
  if (column.base !== 'bytea' || column.asText) return name;
  return column.array ? `arrayMap(x -> hex(x), ${name})` : `hex(${name})`;
}

function scalarOfCopy(column: OracleColumn, value: unknown): Canonical {
  if (value === null) return null;
  switch (column.base) {
    case 'float4':
    case 'float8': {
      const number = typeof value === 'number' ? value : INFINITE[String(value)];
      if (number === undefined) return `not a number: ${value}`;
      return floatOf(column.base === 'float4' ? Math.fround(number) : number);
    }
    case 'bytea':
      return String(value).toLowerCase();
    case 'numeric':
      return decimalOf(column.modifier) ? digitsOf(String(value)) : String(value);
    case 'money':
      return column.array ? String(value) : digitsOf(String(value));
    default:
      return String(value);
  }
}

/** What the copy's value is, from the JSON that ClickHouse sends; `isNull` is of an array. */
export function ofCopy(column: OracleColumn, value: unknown, isNull: boolean): Canonical {
  if (!column.array) return scalarOfCopy(column, value);
  if (column.asText) return value === null ? null : String(value);
  if (isNull) return JSON.stringify(value) === '[]' ? null : `NULL, but stored ${value}`;
  if (!Array.isArray(value)) return `no array: ${value}`;
  return JSON.stringify(value.map((item) => scalarOfCopy(column, item)));
}

export interface OracleRow {
  readonly key: string;
  /** NO_FIT: the copy may have an older form of the row, or none. */
  readonly text: string | typeof NO_FIT;
}

export interface Difference {
  readonly key: string;
  readonly how: 'missing' | 'extra' | 'different' | 'twice';
  readonly source?: string;
  readonly copy?: string;
}

/** Rows that differ, but for those that do not fit. */
export function differencesOf(
  source: readonly OracleRow[],
  copy: readonly OracleRow[],
): Difference[] {
  const found: Difference[] = [];
  const rest = new Map<string, string>();
  for (const { key, text } of copy) {
    if (rest.has(key)) found.push({ key, how: 'twice', copy: String(text) });
    rest.set(key, String(text));
  }
  for (const { key, text } of source) {
    const other = rest.get(key);
    rest.delete(key);
    if (text === NO_FIT) continue;
    if (other === undefined) found.push({ key, how: 'missing', source: text });
    else if (other !== text) found.push({ key, how: 'different', source: text, copy: other });
  }
  for (const [key, text] of rest) found.push({ key, how: 'extra', copy: text });
  return found;
}
