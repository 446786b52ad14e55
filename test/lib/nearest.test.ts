import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { editDistance, nearest } from '../../cli/lib/nearest.ts';

const word = fc.string({ maxLength: 8 });

describe('editDistance', () => {
  it('is a distance', () => {
    fc.assert(
      fc.property(word, word, word, (a, b, c) => {
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, b) === 0).toBe(a === b);
        expect(editDistance(a, c)).toBeLessThanOrEqual(editDistance(a, b) + editDistance(b, c));
      }),
    );
  });
});

describe('nearest', () => {
  it.each([
    ['exlude', 'exclude'],
    ['Include', 'include'],
    ['stauts', 'status'],
    ['verfy', 'verify'],
  ])('takes %s for %s', (typed, meant) => {
    expect(nearest(typed, ['include', 'exclude', 'status', 'verify'])).toBe(meant);
  });

  it('suggests nothing that is far off', () => {
    expect(nearest('xyzzy', ['include', 'exclude'])).toBeUndefined();
    expect(nearest('anything', [])).toBeUndefined();
  });
});
