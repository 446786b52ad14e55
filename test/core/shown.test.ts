import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ShownValue, showDifference } from '../../cli/core/shown.ts';

const value = (text: string | null, length = [...(text ?? '')].length): ShownValue => ({
  text,
  length,
});

describe('two values that differ', () => {
  it.each([
    ['v8', 'other', ['v8', 'other']],
    ['', null, ['', null]],
    [null, 'x', [null, 'x']],
    ['a'.repeat(50), 'b', [`${'a'.repeat(29)}…`, 'b']],
    [
      `${'a'.repeat(100)}X${'b'.repeat(100)}`,
      `${'a'.repeat(100)}Y`,
      [`…${'a'.repeat(20)}Xbbbbbbb…`, `…${'a'.repeat(20)}Y`],
    ],
  ])('%j and %j are shown as %j', (source, copy, shown) => {
    expect(showDifference(value(source), value(copy), 30)).toEqual(shown);
  });

  it('take no more room than there is, and show where they differ', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 120 });
    fc.assert(
      fc.property(text, text, text, fc.integer({ min: 25, max: 90 }), (start, a, b, width) => {
        fc.pre([...a][0] !== [...b][0] && a !== '' && b !== '');
        const shown = showDifference(value(start + a), value(start + b), width);
        for (const part of shown) expect([...(part ?? '')].length).toBeLessThanOrEqual(width);
        expect(shown[0]).not.toBe(shown[1]);
      }),
    );
  });

  it('of which only the beginnings were read say that there is more', () => {
    const [source, copy] = showDifference(value('aaaa', 10_000), value('aaab', 9), 20);
    expect(source).toBe('aaaa…');
    expect(copy).toBe('aaab…');
  });
});
