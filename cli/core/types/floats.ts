import type { SourceColumn } from '../source.ts';
import { float } from './numbers.ts';
import { asText, type NoNull, type TypeMapping, text } from './typeMapping.ts';

/**
 * Values that are several floats, which is what people compute with: points, and the vectors of pgvector.
 * ClickHouse has no NULL of a tuple or an array.
 */

const SINGLE = float(32);
const DOUBLE = float(64);

/** (1,2) or [1,2,3] → Array(Nullable(Float…)); with a NULL in it where the text is NULL or no such list. */
function floatsIn(bits: 32 | 64): (text: string) => string {
  return (text) => {
    const list = `ifNull(${text}, '')`;
    return `arrayMap(x -> toFloat${bits}OrNull(x), splitByChar(',', substring(${list}, 2, length(${list}) - 2)))`;
  };
}

function severalFloats(
  bits: 32 | 64,
  own: Pick<TypeMapping, 'target' | 'canonicalSource' | 'canonicalTarget'> & { noNull: NoNull },
): (column: SourceColumn) => TypeMapping {
  const parse = floatsIn(bits);
  const mapping: TypeMapping = {
    ...own,
    wire: 'Nullable(String)',
    fromWire: parse,
    fromOutput: parse,
    output: asText,
    free: false,
    shown: { source: asText, target: (value) => `toString(${value})` },
    sent: "PostgreSQL's text",
  };
  // Elements of an array are Nullable. And what a user made may have the same name.
  return ({ array, typeKind }) =>
    array || typeKind !== 'b' ? text({ free: typeKind !== 'b' }) : mapping;
}

/** Every point fits: a Float64 has infinity and NaN, too. */
export const point = severalFloats(64, {
  target: 'Point',
  noNull: {
    store: (floats) => `(ifNull(${floats}[1], nan), ifNull(${floats}[2], nan))`,
    unfit: (floats) => `((length(${floats}) != 2) + has(${floats}, NULL))`,
    values: 'NULL: (nan, nan)',
  },
  canonicalSource: (column) =>
    [0, 1].map((axis) => DOUBLE.canonicalSource(`(${column})[${axis}]`)).join(" || ',' || "),
  canonicalTarget: (value) =>
    `concat(${[1, 2].map((axis) => DOUBLE.canonicalTarget(`tupleElement(${value}, ${axis})`)).join(", ',', ")})`,
});

/** What precedes the elements of an array in PostgreSQL's binary form, and each of them, in hexadecimal. */
const ARRAY_HEADER = 40;
const ELEMENT_LENGTH = '00000004';

/** vector and halfvec of pgvector. None has a NULL, NaN or infinity in it, or no elements. */
export const vector = severalFloats(32, {
  target: 'Array(Float32)',
  noNull: {
    store: (floats) =>
      `if(has(${floats}, NULL), CAST([], 'Array(Float32)'), arrayMap(x -> assumeNotNull(x), ${floats}))`,
    unfit: (floats) => `has(${floats}, NULL)`,
    values: 'NULL: []',
  },
  // Its own function of this kind is wherever the extension is; a cast needs no schema.
  canonicalSource: (column) =>
    `substr(encode(array_send(${column}::real[]), 'hex'), ${ARRAY_HEADER + 1})`,
  canonicalTarget: (value) =>
    `arrayStringConcat(arrayMap(x -> concat('${ELEMENT_LENGTH}', ${SINGLE.canonicalTarget('x')}), ${value}))`,
});
