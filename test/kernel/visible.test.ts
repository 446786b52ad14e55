import fc from 'fast-check';
import stringWidth from 'string-width';
import { describe, expect, it } from 'vitest';
import { Problem } from '../../cli/core/problems.ts';
import { Printer } from '../../cli/kernel/printer.ts';
import { colour, visible, written } from '../../cli/kernel/visible.ts';
import { testContext } from '../harness/cli.ts';

/** Anything that a terminal obeys, of which only a line break and a tab may come out. */
const OBEYED =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it is about
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

const HOSTILE = [
  '\u001b[2J\u001b[H',
  '\u001b[31mred\u001b[0m',
  '\u001b]8;;http://evil.example\u0007click\u001b]8;;\u0007',
  '\u001b]52;c;ZXZpbA==\u0007',
  '\u009b31m',
  'safe\rdanger',
  '\u0007\u0008\u007f',
  '\u202egnp.exe\u202c',
  '\u2066a\u2069',
  'a\u2028b',
];

const hostile = fc
  .array(fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: 'binary' })), { maxLength: 6 })
  .map((parts) => parts.join(''));

/** Everything that a printer writes on a terminal with colours, of one text. */
function everything(text: string, json: boolean): string {
  const { context, stdout, stderr } = testContext({ cwd: '/', tty: true, env: { TERM: 'xterm' } });
  const printer = new Printer(context, json);
  printer.result({ [text]: text }, () => `${printer.paint.bold(text)} ${text}`);
  printer.script({ text }, () => text);
  printer.line(text);
  printer.note(text);
  printer.result(text, () => printer.table(['name', text], [[text, printer.paint.red(text)]]));
  printer.result(text, () =>
    printer.findings([{ id: 'x', severity: 'error', subject: text, message: text, fix: text }]),
  );
  printer.problem(new Problem('TABLE_UNKNOWN', { table: text, known: text }, { fix: text }));
  return stdout() + stderr();
}

/** Without the colours that a printer of ours makes. */
const plain = (text: string) =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it is about
  text.replace(/\u001b\[(1|2|22|31|32|33|36|39)m/g, '');

describe('what is printed on a terminal', () => {
  it.each(HOSTILE)('shows what %j is', (text) => {
    const shown = visible(text);
    expect(shown).not.toMatch(OBEYED);
    expect(shown).not.toBe(text);
  });

  it('never carries a sign that a terminal obeys, whatever names and values are', () => {
    fc.assert(
      fc.property(hostile, fc.boolean(), (text, json) => {
        expect(plain(everything(text, json))).not.toMatch(OBEYED);
      }),
      { numRuns: 300 },
    );
  });

  it('lets no colour through but our own', () => {
    const { context, stdout } = testContext({ cwd: '/', tty: true, env: { TERM: 'xterm' } });
    const printer = new Printer(context, false);
    printer.line(`${printer.paint.red('ours')} \u001b[31mtheirs\u001b[39m`);
    expect(stdout()).toBe('\u001b[31mours\u001b[39m \\u001b[31mtheirs\\u001b[39m\n');
  });

  it('keeps texts that do nothing', () => {
    for (const text of ['orders', 'Büro', 'данные', '日本', '👩‍💻', 'שלום', 'a b']) {
      expect(visible(text)).toBe(text);
      expect(written(text)).toBe(text);
    }
  });

  it('keeps lines and tabs of texts that have lines, and of names none', () => {
    expect(written('a\n\tb')).toBe('a\n\tb');
    expect(visible('a\n\tb')).toBe('a\\n\\tb');
  });

  it('counts a colour as no width', () => {
    expect(stringWidth(`${colour(31)}abc${colour(39)}`)).toBe(3);
  });
});

describe('JSON', () => {
  it('is the same document, of visible signs', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const { context, stdout } = testContext({ cwd: '/', tty: true });
        new Printer(context, true).result({ [text]: text }, () => '');
        expect(JSON.parse(stdout())).toEqual({ [text]: text });
        expect(stdout()).not.toMatch(OBEYED);
      }),
    );
  });
});

describe('a script', () => {
  it('is what it is where a program reads it, and visible on a terminal', () => {
    const to = (tty: boolean) => {
      const { context, stdout } = testContext({ cwd: '/', tty });
      new Printer(context, false).script({}, () => 'SELECT 1 AS "\u001b[2J"');
      return stdout();
    };
    expect(to(false)).toBe('SELECT 1 AS "\u001b[2J"\n');
    expect(to(true)).toBe('SELECT 1 AS "\\u001b[2J"\n');
  });
});
