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
  readonly nullable: boolean;
  /** pg_attribute.atttypmod, or the domain's. */
  readonly modifier: number;
  readonly delimiter: string;
}

/** A value in a form that both sides share; null is NULL. */
export type Canonical = string | null;

/** What a row of the copy has of a value. */
export interface Held {
  /** What its column shows: the value, or what stands in for one that does not fit. */
  readonly shown: Canonical;
  /** What stands in `_exact`; absent where the value fits. */
  readonly exact?: Canonical;
}

const LONGEST_DECIMAL = 76;
const WIDE_SCALE = 38;

/** How many digits a numeric's column has in the copy, before the point and behind it. */
export function digitsIn(modifier: number): { whole: number; scale: number } {
  const wide = (scale: number) => ({ whole: LONGEST_DECIMAL - scale, scale });
  if (modifier < 4) return wide(WIDE_SCALE);
  const precision = ((modifier - 4) >> 16) & 0xffff;
  // Eleven bits, with a sign.
  const low = (modifier - 4) & 0x7ff;
  const scale = low >= 1024 ? low - 2048 : low;
  const digits = Math.max(precision - Math.min(scale, 0), scale);
  const behind = Math.max(scale, 0);
  return digits > LONGEST_DECIMAL
    ? wide(Math.min(behind, WIDE_SCALE))
    : { whole: digits - behind, scale: behind };
}

const NUMBER = /^(-?)0*(\d*)(?:\.(\d*?)0*)?$/;

/** Digits of a number without what does not count: 1.50 and 01.5 are 1.5, -0 is 0. */
function digitsOf(text: string): string {
  const match = NUMBER.exec(text);
  if (!match) return `not a number: ${text}`;
  const [, sign = '', whole = '', fraction = ''] = match;
  const body = `${whole || '0'}${fraction ? `.${fraction}` : ''}`;
  return body === '0' ? '0' : sign + body;
}

function floatOf(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/** A point: two floats. */
function pointOf(numbers: readonly number[]): string {
  return `(${numbers.map(floatOf)})`;
}

const INFINITE: Readonly<Record<string, number>> = {
  inf: Number.POSITIVE_INFINITY,
  '-inf': Number.NEGATIVE_INFINITY,
  nan: Number.NaN,
  '-nan': Number.NaN,
};

const FIRST_DAY = '1900-01-01';
const LAST_DAY = '2299-12-31';

/** A date or timestamp: those outside of the years that the copy's types have move to their edge. */
function dated(text: string, first: string, last: string, canonical: string): Held {
  if (text === 'infinity') return { shown: last, exact: text };
  if (text === '-infinity' || text.endsWith(' BC')) return { shown: first, exact: text };
  const year = Number(/^\d+/.exec(text)?.[0]);
  if (year < 1900) return { shown: first, exact: text };
  return year > 2299 ? { shown: last, exact: text } : { shown: canonical };
}

/** A time with all digits of its fraction. */
const micros = (text: string) => {
  const [whole = '', fraction = ''] = text.replace(/\+00$/, '').split('.');
  return `${whole}.${fraction.padEnd(6, '0')}`;
};

function numericOf(column: OracleColumn, text: string): Held {
  // ClickHouse has no NaN and no infinity in a Decimal.
  const none = column.nullable || column.array ? null : '0';
  const match = NUMBER.exec(text);
  if (!match) return { shown: none, exact: text };
  const [, sign = '', whole = '', fraction = ''] = match;
  const { whole: before, scale } = digitsIn(column.modifier);
  const exact = digitsOf(text);
  if (whole.length > before) return { shown: none, exact };
  if (fraction.length <= scale) return { shown: exact };
  return { shown: digitsOf(`${sign}${whole}.${fraction.slice(0, scale)}`), exact };
}

function scalarOfSource(column: OracleColumn, text: string): Held {
  switch (column.base) {
    case 'float4':
      return { shown: floatOf(Math.fround(Number(text))) };
    case 'float8':
      return { shown: floatOf(Number(text)) };
    case 'point':
      // In an array, a point stays the text that it is.
      return { shown: column.array ? text : pointOf(text.slice(1, -1).split(',').map(Number)) };
    case 'bool':
      return { shown: text === 't' ? 'true' : 'false' };
    case 'bytea':
      return { shown: text.slice(2) };
    case 'numeric':
      return numericOf(column, text);
    case 'money':
      // In an array, money stays the text that it is.
      return { shown: column.array ? text : digitsOf(text.replace(/[$,]/g, '')) };
    case 'date':
      return dated(text, FIRST_DAY, LAST_DAY, text);
    case 'time':
      return { shown: micros(text) };
    case 'timestamp':
    case 'timestamptz':
      return dated(
        text,
        `${FIRST_DAY} 00:00:00.000000`,
        `${LAST_DAY} 23:59:59.999999`,
        micros(text),
      );
    default:
      return { shown: text };
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
export function ofSource(column: OracleColumn, text: string | null): Held {
  const isArray = column.array && !column.asText;
  // ClickHouse has no NULL array, and no NULL point.
  if (text === null) {
    if (isArray) return { shown: '[]', exact: null };
    const isPoint = column.base === 'point' && !column.array;
    return isPoint ? { shown: pointOf([Number.NaN, Number.NaN]), exact: null } : { shown: null };
  }
  if (!column.array) return scalarOfSource(column, text);
  if (column.asText) return { shown: text };
  const exact = exactOf(column, text);
  const items = elementsOf(text, column.delimiter);
  if (!items) return { shown: '[]', exact };
  const held = items.map((item) =>
    item === null ? { shown: null } : scalarOfSource(column, item),
  );
  const shown = JSON.stringify(held.map((item) => item.shown));
  return held.every((item: Held) => item.exact === undefined) ? { shown } : { shown, exact };
}

/** A text in `_exact`: of numbers, zeros at the end do not count. */
function exactOf(column: OracleColumn, text: string): string {
  if (column.base !== 'numeric') return text;
  const plain = (item: Canonical) => (item !== null && NUMBER.test(item) ? digitsOf(item) : item);
  if (!column.array) return plain(text) ?? text;
  const items = elementsOf(text, column.delimiter);
  return items ? `{${items.map(plain)}}` : text;
}

/** How ClickHouse is asked for a value: bytes that are no text would not survive JSON. */
export function selectOf(column: OracleColumn, name: string): string {
  if (column.base !== 'bytea' || column.asText) return name;
  return column.array ? `arrayMap(x -> hex(x), ${name})` : `hex(${name})`;
}

function scalarOfCopy(column: OracleColumn, value: unknown): Canonical {
  if (value === null) return null;
  const numberOf = (item: unknown) => (typeof item === 'number' ? item : INFINITE[String(item)]);
  switch (column.base) {
    case 'float4':
    case 'float8': {
      const number = numberOf(value);
      if (number === undefined) return `not a number: ${value}`;
      return floatOf(column.base === 'float4' ? Math.fround(number) : number);
    }
    case 'point': {
      if (column.array) return String(value);
      const numbers = Array.isArray(value) ? value.map(numberOf) : [];
      return numbers.length === 2 && numbers.every((number) => number !== undefined)
        ? pointOf(numbers)
        : `not a point: ${value}`;
    }
    case 'bytea':
      return String(value).toLowerCase();
    case 'numeric':
      return digitsOf(String(value));
    case 'time':
      return micros(String(value));
    case 'money':
      return column.array ? String(value) : digitsOf(String(value));
    default:
      return String(value);
  }
}

/** A row's `_exact`, as pairs of a column's name and a text; NULL of an array that is NULL. */
export type Beside = readonly (readonly [column: string, text: string | null])[];

/** What the copy has of a value, from the JSON that ClickHouse sends. */
export function ofCopy(column: OracleColumn, value: unknown, beside: Beside = []): Held {
  const shown = shownByCopy(column, value);
  const own = beside.filter(([name]) => name === column.name);
  if (own.length === 0) return { shown };
  if (own.length > 1) return { shown, exact: `several: ${JSON.stringify(own)}` };
  const text = own[0]?.[1] ?? null;
  return { shown, exact: text === null ? null : exactOf(column, text) };
}

function shownByCopy(column: OracleColumn, value: unknown): Canonical {
  if (!column.array) return scalarOfCopy(column, value);
  if (column.asText) return value === null ? null : String(value);
  if (!Array.isArray(value)) return `no array: ${value}`;
  return JSON.stringify(value.map((item) => scalarOfCopy(column, item)));
}

export interface OracleRow {
  readonly key: string;
  readonly text: string;
}

/** Keys that show the same are different ones where their texts are. */
export function rowOf(
  values: readonly Held[],
  isKey: (nth: number) => boolean,
  strangers: Beside = [],
): OracleRow {
  const key = values.filter((_, i) => isKey(i));
  return {
    key: JSON.stringify(key.map(({ shown, exact }) => (exact === undefined ? shown : exact))),
    text: JSON.stringify(strangers.length > 0 ? [...values, { strangers }] : values),
  };
}

export interface Difference {
  readonly key: string;
  readonly how: 'missing' | 'extra' | 'different' | 'twice';
  readonly source?: string;
  readonly copy?: string;
}

/** Where no key tells rows apart: each that one side has more often than the other, once for each time. */
export function countedDifferences(
  source: readonly string[],
  copy: readonly string[],
): Difference[] {
  const more = new Map<string, number>();
  for (const text of source) more.set(text, (more.get(text) ?? 0) + 1);
  for (const text of copy) more.set(text, (more.get(text) ?? 0) - 1);
  return [...more].flatMap(([text, count]) =>
    Array.from({ length: Math.abs(count) }, () =>
      count > 0
        ? { key: text, how: 'missing' as const, source: text }
        : { key: text, how: 'extra' as const, copy: text },
    ),
  );
}

/** Rows that differ. */
export function differencesOf(
  source: readonly OracleRow[],
  copy: readonly OracleRow[],
): Difference[] {
  const found: Difference[] = [];
  const rest = new Map<string, string>();
  for (const { key, text } of copy) {
    if (rest.has(key)) found.push({ key, how: 'twice', copy: text });
    rest.set(key, text);
  }
  for (const { key, text } of source) {
    const other = rest.get(key);
    rest.delete(key);
    if (other === undefined) found.push({ key, how: 'missing', source: text });
    else if (other !== text) found.push({ key, how: 'different', source: text, copy: other });
  }
  for (const [key, text] of rest) found.push({ key, how: 'extra', copy: text });
  return found;
}
