import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  chosen,
  compareRows,
  oneOf,
  type PlayedFault,
  summarize,
  type Turn,
  turns,
  wrongRows,
} from '../../cli/core/chaos.ts';

const seeds = fc.integer({ min: 0, max: 2 ** 31 });
const names = fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 12 });
const chances = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

function first(count: number, seed: number, faults: readonly string[]): Turn[] {
  const all = turns(seed, faults);
  return Array.from({ length: count }, () => all.next().value);
}

describe('a schedule', () => {
  it('is the same for the same seed and faults', () => {
    fc.assert(
      fc.property(seeds, names, (seed, faults) => {
        expect(first(40, seed, faults)).toEqual(first(40, seed, faults));
      }),
    );
  });

  it('gives every fault its turn before one gets the next', () => {
    fc.assert(
      fc.property(seeds, names, fc.integer({ min: 0, max: 3 }), (seed, faults, round) => {
        const all = first((round + 1) * faults.length, seed, faults);
        const last = all.slice(round * faults.length).map(({ fault }) => fault);
        expect(last.toSorted()).toEqual(faults.toSorted());
      }),
    );
  });

  it('is another one for another seed', () => {
    const faults = ['a', 'b', 'c', 'd', 'e', 'f'];
    const orders = [1, 2, 3, 4].map((seed) => JSON.stringify(first(12, seed, faults)));
    expect(new Set(orders).size).toBe(4);
  });

  it('numbers its turns, and chooses within what was asked for', () => {
    fc.assert(
      fc.property(seeds, names, (seed, faults) => {
        const all = first(20, seed, faults);
        expect(all.map(({ number }) => number)).toEqual(all.map((_, i) => i + 1));
        for (const { chance, restMs } of all) {
          expect(chance).toBeGreaterThanOrEqual(0);
          expect(chance).toBeLessThan(1);
          expect(restMs).toBeGreaterThanOrEqual(0);
        }
      }),
    );
  });

  it('of no faults is none', () => {
    expect(() => turns(1, []).next()).toThrow(RangeError);
  });
});

it('what a chance chooses lies between its limits, and in its list', () => {
  fc.assert(
    fc.property(chances, fc.nat(100), fc.nat(100), (chance, low, more) => {
      const value = chosen(chance, low, low + more);
      expect(value).toBeGreaterThanOrEqual(low);
      expect(value).toBeLessThanOrEqual(low + more);
      expect(['x', 'y', 'z']).toContain(oneOf(chance, ['x', 'y', 'z']));
    }),
  );
  expect([chosen(0, 3, 5), chosen(0.999, 3, 5)]).toEqual([3, 5]);
});

describe('the account', () => {
  const rows = fc.dictionary(fc.string({ maxLength: 3 }), fc.constantFrom('1', '2', '3'));
  const digests = (from: Record<string, string>) => new Map(Object.entries(from));

  it('finds nothing wrong with an equal copy, and something with every other one', () => {
    fc.assert(
      fc.property(rows, rows, (a, b) => {
        expect(wrongRows(compareRows(digests(a), digests(a)))).toBe(0);
        const isEqual =
          Object.keys(a).length === Object.keys(b).length &&
          Object.entries(a).every(([key, digest]) => b[key] === digest);
        expect(wrongRows(compareRows(digests(a), digests(b))) === 0).toBe(isEqual);
      }),
    );
  });

  it('tells rows that are missing from those that are there beside, or otherwise', () => {
    const source = digests({ kept: '1', changed: '1', lost: '1' });
    const copy = digests({ kept: '1', changed: '2', more: '1', also: '1' });
    expect(compareRows(source, copy)).toEqual({ missing: 1, extra: 2, different: 1 });
  });
});

it('a summary has every fault once, its longest times, and all rows that stayed wrong', () => {
  const played = (fault: string, more: Partial<PlayedFault>): PlayedFault => ({
    number: 1,
    fault,
    what: '',
    at_s: 0,
    detected_ms: undefined,
    said: undefined,
    flowing_ms: undefined,
    mended_by: 'itself',
    needs_command: false,
    wrong: { missing: 0, extra: 0, different: 0 },
    rows_wrong: 0,
    ...more,
  });
  expect(
    summarize([
      played('b', { flowing_ms: 10, detected_ms: 5 }),
      played('a', { rows_wrong: 3, mended_by: 'cdc apply' }),
      played('b', { flowing_ms: 30, rows_wrong: 1, mended_by: 'cdc up' }),
      played('b', { rows_wrong: 1 }),
    ]),
  ).toEqual([
    {
      fault: 'b',
      times: 3,
      detected_ms: 5,
      flowing_ms: 30,
      rows_wrong: 2,
      mended_by: ['itself', 'cdc up'],
    },
    {
      fault: 'a',
      times: 1,
      detected_ms: undefined,
      flowing_ms: undefined,
      rows_wrong: 3,
      mended_by: ['cdc apply'],
    },
  ]);
});
