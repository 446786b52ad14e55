/** A value of one side, as far as it is shown. NULL is null; a side without the row has none. */
export interface ShownValue {
  readonly text: string | null;
  /** Characters of the whole value. */
  readonly length: number;
}

const ELLIPSIS = '…';

/** Characters before the first difference that a window keeps. */
const LEAD = 20;

/**
 * The part of two values that shows how they differ: their beginning, unless they differ first
 * further on. What is left out is marked.
 *
 * @param width characters that each may take.
 */
export function showDifference(
  source: ShownValue,
  copy: ShownValue,
  width: number,
): [string | null, string | null] {
  const at = firstDifference(source.text ?? '', copy.text ?? '');
  const from = source.text === null || copy.text === null || at < width - 2 ? 0 : at - LEAD;
  return [windowOf(source, from, width), windowOf(copy, from, width)];
}

/** Counts characters, not UTF-16 units. */
function firstDifference(a: string, b: string): number {
  const [left, right] = [[...a], [...b]];
  const end = Math.min(left.length, right.length);
  for (let i = 0; i < end; i += 1) if (left[i] !== right[i]) return i;
  return end;
}

function windowOf({ text, length }: ShownValue, from: number, width: number): string | null {
  if (text === null) return null;
  const start = from > 0 ? ELLIPSIS : '';
  const room = width - start.length;
  const shown = [...text].slice(from, from + room);
  if (from + shown.length >= length) return start + shown.join('');
  return `${start}${shown.slice(0, room - ELLIPSIS.length).join('')}${ELLIPSIS}`;
}
