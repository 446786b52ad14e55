import { randomInt } from 'node:crypto';

/*
 * What others wrote (names, values, logs, what servers answer) does nothing to a terminal: signs that would move its
 * cursor, name its window, fill its clipboard or turn its lines round are shown as JSON writes them.
 */

const group = () => randomInt(1000, 10_000);
/** Marks the sequences of colours that are our own: nobody else's text can know it. */
const OWN = `\u001b[${group()};${group()};${group()};`;

/** C0 and C1, DEL, separators of lines, and what turns the direction of writing. */
const UNSEEN = '\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069';
const own = OWN.replaceAll('[', '\\[');
const SIGNS = new RegExp(`(?!${own})[${UNSEEN}]`, 'g');
/** Of a text with lines. */
const SIGNS_IN_LINES = new RegExp(`(?!${own}|[\\n\\t])[${UNSEEN}]`, 'g');
const OWN_COLOURS = new RegExp(`${own}(\\d+)m`, 'g');

const escaped = (sign: string) => {
  const short = JSON.stringify(sign).slice(1, -1);
  return short === sign ? `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}` : short;
};

/** A name or a value, in one line. */
export function visible(text: string): string {
  return text.replace(SIGNS, escaped);
}

/** A sequence of colours that `written` lets through. */
export function colour(code: number): string {
  return `${OWN}${code}m`;
}

/** A text as it goes to a stream: the last step of everything that is printed. */
export function written(text: string): string {
  return text.replace(SIGNS_IN_LINES, escaped).replace(OWN_COLOURS, '\u001b[$1m');
}

/** The same document, of visible signs. */
export function writtenJson(document: string): string {
  return document.replace(SIGNS_IN_LINES, escaped);
}
