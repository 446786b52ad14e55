import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chIdent, chLiteral, pgIdent, pgIdentShown, pgLiteral } from '../../cli/lib/sql.ts';
import { HOSTILE_NAMES } from '../harness/arbitrary.ts';

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.stringMatching(/^['"`\\\n\t%0;-]*$/),
  fc.constantFrom(...HOSTILE_NAMES),
);
const pgText = text.filter((t) => !t.includes('\0'));

/** What PostgreSQL's and ClickHouse's lexers make of a quoted text; undefined if it does not end. */
const readPgIdent = (sql: string) => /^"((?:[^"]|"")+)"$/s.exec(sql)?.[1]?.replaceAll('""', '"');
function readPgLiteral(sql: string): string | undefined {
  const plain = /^'((?:[^'\\]|'')*)'$/s.exec(sql)?.[1];
  if (plain !== undefined) return plain.replaceAll("''", "'");
  const escaped = /^ E'((?:[^'\\]|''|\\\\)*)'$/s.exec(sql)?.[1];
  return escaped?.replaceAll(/''|\\\\/g, (pair) => pair[0] ?? '');
}
const ESCAPES: Record<string, string> = { n: '\n', t: '\t', '0': '\0' };
const unescaped = (body: string | undefined) =>
  body?.replaceAll(/\\(.)/gs, (_, char: string) => ESCAPES[char] ?? char);
const readChIdent = (sql: string) => unescaped(/^`((?:[^`\\]|\\.)+)`$/s.exec(sql)?.[1]);
const readChLiteral = (sql: string) => unescaped(/^'((?:[^'\\]|\\.)*)'$/s.exec(sql)?.[1]);

describe('quoting', () => {
  it('a PostgreSQL identifier that is shown reads back as it was, and does nothing to a terminal', () => {
    const number = (_: string, hex?: string) =>
      hex === undefined ? '\\' : String.fromCharCode(Number.parseInt(hex, 16));
    fc.assert(
      fc.property(
        pgText.filter((t) => t !== ''),
        (name) => {
          const shown = pgIdentShown(name);
          // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it is about
          expect(shown).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
          const isEscaped = shown.startsWith('U&');
          const read = readPgIdent(isEscaped ? shown.slice(2) : shown);
          const plain = isEscaped ? read?.replaceAll(/\\(?:\\|([0-9a-f]{4}))/g, number) : read;
          expect(plain).toBe(name);
        },
      ),
    );
  });

  it('a PostgreSQL identifier reads back as it was', () => {
    fc.assert(
      fc.property(
        pgText.filter((t) => t !== ''),
        (t) => readPgIdent(pgIdent(t)) === t,
      ),
    );
  });

  it('a PostgreSQL literal reads back as it was', () => {
    fc.assert(fc.property(pgText, (t) => readPgLiteral(pgLiteral(t)) === t));
  });

  it('a ClickHouse identifier reads back as it was', () => {
    fc.assert(
      fc.property(
        pgText.filter((t) => t !== ''),
        (t) => readChIdent(chIdent(t)) === t,
      ),
    );
  });

  it('a ClickHouse literal reads back as it was', () => {
    fc.assert(fc.property(text, (t) => readChLiteral(chLiteral(t)) === t));
  });

  it('is different for different parts', () => {
    const parts = fc.array(
      pgText.filter((t) => t !== ''),
      { minLength: 1, maxLength: 3 },
    );
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const same = JSON.stringify(a) === JSON.stringify(b);
        expect(pgIdent(...a) === pgIdent(...b)).toBe(same);
        expect(chIdent(...a) === chIdent(...b)).toBe(same);
      }),
    );
  });

  it('looks as one would write it', () => {
    expect(pgIdent('inventory', 'orders')).toBe('"inventory"."orders"');
    expect(chIdent('inventory', 'orders')).toBe('`inventory`.`orders`');
    expect(pgLiteral("it's")).toBe("'it''s'");
    expect(pgLiteral('a\\b')).toBe(" E'a\\\\b'");
    expect(chLiteral("it's")).toBe("'it\\'s'");
  });
});
