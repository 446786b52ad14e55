import { asText, type Fallback, same, type TypeMapping } from './typeMapping.ts';

const YEARS =
  'years after 2299 and infinity: the last value of the type; years before 1900 and -infinity: the first';

/** What is before a type's first value, not after its last: -infinity, before Christ, before 1900. */
const EARLY = '^-|BC$|^(?:0\\\\d|1[0-8])\\\\d\\\\d-';

function nearestTime(first: string, last: string): Fallback {
  return {
    standIn: (value) =>
      `multiIf(isNull(${value}), NULL, match(${value}, '${EARLY}'), ${first}, ${last})`,
    canonical: same,
    values: YEARS,
  };
}

/** A time: PostgreSQL prints no zeros at the end of a fraction, and no fraction of zeros. */
function asPrinted(value: string): string {
  return `TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM toString(${value})))`;
}

/** Timestamps with and without zone: UTC, microseconds. */
export function dateTime(withZone: boolean): TypeMapping {
  // DateTime64 holds 1900 to 2299; a value outside would be clamped in silence, so its text is not let
  // through, nor is a year before Christ. (As few functions as can be: a view is analysed anew for
  // every block.)
  const parse = (value: string) =>
    `parseDateTime64BestEffortOrNull(extract(${value}, '^(?:19|20|21|22)\\\\d\\\\d-[^B]*$'), 6, 'UTC')`;
  const at = (time: string) => `toDateTime64('${time}', 6, 'UTC')`;
  return {
    target: "DateTime64(6, 'UTC')",
    wire: 'Nullable(String)',
    fromWire: parse,
    fromOutput: parse,
    fallback: nearestTime(at('1900-01-01 00:00:00'), at('2299-12-31 23:59:59.999999')),
    output: asText,
    canonicalSource: asText,
    canonicalTarget: (value) =>
      withZone ? `concat(${asPrinted(value)}, '+00')` : asPrinted(value),
    free: false,
    sent: "PostgreSQL's text, UTC",
  };
}

function dateFrom(value: string): string {
  return `toDate32OrNull(extract(${value}, '^(?:19|20|21|22)\\\\d\\\\d-\\\\d\\\\d-\\\\d\\\\d$'))`;
}

export const DATE: TypeMapping = {
  target: 'Date32',
  wire: 'Nullable(String)',
  fromWire: dateFrom,
  fromOutput: dateFrom,
  fallback: nearestTime("toDate32('1900-01-01')", "toDate32('2299-12-31')"),
  output: asText,
  canonicalSource: asText,
  canonicalTarget: (value) => `toString(${value})`,
  free: false,
  sent: "PostgreSQL's text",
};

function timeFrom(value: string): string {
  return `toTime64OrNull(${value}, 6)`;
}

/** 00:00:00 to 24:00:00, all of which Time64 holds. */
export const TIME: TypeMapping = {
  target: 'Time64(6)',
  wire: 'Nullable(String)',
  fromWire: timeFrom,
  fromOutput: timeFrom,
  output: asText,
  canonicalSource: asText,
  canonicalTarget: asPrinted,
  free: false,
  sent: "PostgreSQL's text",
};
