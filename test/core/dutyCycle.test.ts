import fc from 'fast-check';
import { expect, it } from 'vitest';
import { pauseAfter } from '../../cli/core/dutyCycle.ts';
import { formatPercent, parsePercent } from '../../cli/lib/format.ts';

it('work is the fraction of the time that was allowed, however long each piece takes', () => {
  const fraction = fc.double({ min: 0.001, max: 1, noNaN: true });
  const pieces = fc.array(fc.double({ min: 0.1, max: 60_000, noNaN: true }), { minLength: 1 });
  fc.assert(
    fc.property(fraction, pieces, (allowed, works) => {
      const sum = (list: number[]) => list.reduce((a, b) => a + b, 0);
      const rested = sum(works.map((ms) => pauseAfter(ms, allowed)));
      expect(sum(works) / (sum(works) + rested)).toBeCloseTo(allowed, 9);
    }),
  );
});

it.each([
  ['1%', 0.01, '1 %'],
  ['0.25 %', 0.0025, '0.25 %'],
  ['100%', 1, '100 %'],
  ['0%', undefined, undefined],
  ['101%', undefined, undefined],
  ['-1%', undefined, undefined],
  ['0.1', undefined, undefined],
  ['', undefined, undefined],
])('%j is the fraction %s', (text, fraction, shown) => {
  expect(parsePercent(text)).toBe(fraction);
  if (fraction !== undefined) expect(formatPercent(fraction)).toBe(shown);
});
