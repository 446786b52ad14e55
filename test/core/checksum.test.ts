import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Bucketing,
  bucketAt,
  bucketCount,
  chooseBucketing,
  rangesOf,
  sourceChecksums,
  targetChecksums,
} from '../../cli/core/checksum.ts';
import { planTable, type TablePlan } from '../../cli/core/ddl.ts';
import {
  bucketsOf,
  chooseSlices,
  differingCells,
  differingKeys,
  listable,
  sumsOf,
} from '../../cli/core/differences.ts';
import { targetNames } from '../../cli/core/names.ts';
import { sample } from '../../cli/core/sample.ts';
import { column, table } from '../harness/pipeline.ts';

function planOf(key: readonly string[]): TablePlan {
  const columns = key.map((type, i) => column(`k${i}`, type, { notNull: true }));
  const source = table('s', 't', columns, { key: columns.map((c) => c.name) });
  const names = targetNames([source], undefined).values().next().value;
  if (!names) throw new RangeError('no names');
  return planTable(source, names, 'cdc');
}

const int8 = fc.oneof(
  fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, 0n),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -1000n, max: 1000n }),
);

const byValue = (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0);

function rangesFor(a: bigint, b: bigint, rows: number): Bucketing & { kind: 'range' } {
  const [minKey, maxKey] = a < b ? [a, b] : [b, a];
  const found = chooseBucketing(planOf(['int8']), { rows, minKey, maxKey });
  if (found.kind !== 'range') throw new RangeError('not by range');
  return found;
}

describe('buckets', () => {
  it('of a key that begins with an integer are ranges, of any other by hash', () => {
    const kindOf = (key: string[], minKey = 1n, maxKey = 1_000_000n) =>
      chooseBucketing(planOf(key), { rows: 1e6, minKey, maxKey }).kind;
    expect(kindOf(['int4'])).toBe('range');
    expect(kindOf(['int8', 'text'])).toBe('range');
    expect(kindOf(['text', 'int8'])).toBe('hash');
    expect(kindOf(['uuid'])).toBe('hash');
    // Five tenants would be five buckets of 200,000 rows.
    expect(kindOf(['int4', 'int8'], 1n, 5n)).toBe('hash');
  });

  it('that are ranges cover every key exactly once, also beyond the source when ends are open', () => {
    fc.assert(
      fc.property(int8, int8, int8, fc.integer({ min: 1, max: 1e7 }), (a, b, key, rows) => {
        const bucketing = rangesFor(a, b, rows);
        const holds = (withEnds: boolean, bucket: bigint) =>
          rangesOf(bucketing, [bucket], withEnds).filter(
            ({ from, to }) => (from ?? key) <= key && key <= (to ?? key),
          ).length;
        expect(bucketing.width).toBeLessThan(2n ** 63n);
        const own = key / bucketing.width;
        expect(holds(false, own)).toBe(1);
        const isBigint = (n: bigint) => n >= -(2n ** 63n) && n < 2n ** 63n;
        for (const other of [own - 1n, own + 1n].filter((n) => isBigint(n * bucketing.width)))
          expect(holds(false, other)).toBe(0);
        const [home] = [bucketing.first, own, bucketing.last].sort(byValue).slice(1);
        expect(holds(true, home ?? own)).toBe(1);
      }),
    );
  });

  it('beside each other are read as one range', () => {
    const bucketing = rangesFor(0n, 99_999n, 100_000);
    const [one, ...more] = rangesOf(bucketing, [2n, 3n, 4n], false);
    expect(more).toEqual([]);
    expect(one?.from).toBe(2n * bucketing.width);
    expect(rangesOf(bucketing, [2n, 4n], false)).toHaveLength(2);
  });

  it('that are too many to be ranges are named, and what lies beyond them is not lost', () => {
    const plan = planOf(['int8']);
    const bucketing = rangesFor(0n, 9_999_999n, 10_000_000);
    const buckets = Array.from({ length: 400 }, (_, i) => bucketAt(bucketing, i * 2));
    const sql = sourceChecksums(plan, bucketing, { buckets, withEnds: true });
    expect(sql).toContain(' IN (0, 2, 4');
    expect(sql).toMatch(/OR s\."k0" < '-?\d+'::bigint OR s\."k0" > '\d+'::bigint/);
    expect(targetChecksums(plan, bucketing, { buckets, withEnds: true })).toContain('IN (0, 2, 4');
  });
});

describe('differences', () => {
  const row = (cell: string, rows: number, sum: bigint) => ({
    __cdc_cell: cell,
    __cdc_rows: `${rows}`,
    __cdc_sum: `${sum}`,
  });

  it('are seen in counts and in sums, and sums are compared modulo 2^64', () => {
    const source = sumsOf([row('1', 2, 2n ** 64n + 5n), row('2', 1, 7n), row('10', 1, 1n)]);
    const target = sumsOf([row('1', 2, 5n), row('2', 1, 8n), row('-3', 4, 0n)]);
    expect(differingCells(source, target)).toEqual([
      { cell: '-3', rows: 4 },
      { cell: '2', rows: 1 },
      { cell: '10', rows: 1 },
    ]);
  });

  it('of rows are named by what they are', () => {
    const source = new Map([
      ['1', 'a'],
      ['2', 'b'],
      ['3', 'c'],
    ]);
    const target = new Map([
      ['2', 'b'],
      ['3', 'x'],
      ['4', 'd'],
    ]);
    expect([...differingKeys(source, target)]).toEqual([
      ['1', 'missing'],
      ['3', 'different'],
      ['4', 'extra'],
    ]);
  });

  it('are listed in groups that no more than one cell makes too large', () => {
    const cell = fc.record({ cell: fc.integer().map(String), rows: fc.nat(5000) });
    const limits = { rows: 10_000, cells: 20 };
    fc.assert(
      fc.property(fc.array(cell), (cells) => {
        const groups = listable(cells, limits);
        expect(groups.flat()).toEqual(cells);
        for (const group of groups) {
          expect(group.length).toBeLessThanOrEqual(limits.cells);
          if (group.length > 1)
            expect(group.reduce((sum, c) => sum + c.rows, 0)).toBeLessThanOrEqual(limits.rows);
        }
      }),
    );
  });

  it('cut a bucket into slices of few rows, and never into more than can be summed', () => {
    expect(chooseSlices([{ cell: '1', rows: 10_000 }])).toBe(100);
    expect(chooseSlices([{ cell: '1', rows: 3 }])).toBe(1);
    const many = Array.from({ length: 100_000 }, (_, i) => ({ cell: `${i}`, rows: 1e6 }));
    expect(chooseSlices(many)).toBe(2);
    expect(chooseSlices([...many, ...many, ...many])).toBe(1);
  });

  it('of slices belong to their buckets, each named once', () => {
    const cells = ['-1/5', '-1/7', '0/1'].map((cell) => ({ cell, rows: 1 }));
    expect(bucketsOf(cells)).toEqual([-1n, 0n]);
  });
});

describe('a sample', () => {
  it('is as large as was asked for, without repetition, in order, and the same for its seed', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5000 }),
        fc.double({ min: 0.0001, max: 1, noNaN: true }),
        fc.nat(),
        (count, fraction, seed) => {
          const chosen = sample(count, fraction, seed, 's.t');
          expect(chosen).toHaveLength(Math.min(count, Math.max(1, Math.round(count * fraction))));
          expect(new Set(chosen).size).toBe(chosen.length);
          expect(chosen).toEqual([...chosen].sort((a, b) => a - b));
          expect(chosen.every((n) => n >= 0 && n < count)).toBe(true);
          expect(sample(count, fraction, seed, 's.t')).toEqual(chosen);
        },
      ),
    );
  });

  it('is another for another seed or table, and reaches every part', () => {
    expect(sample(10_000, 0.01, 1, 'a')).not.toEqual(sample(10_000, 0.01, 2, 'a'));
    expect(sample(10_000, 0.01, 1, 'a')).not.toEqual(sample(10_000, 0.01, 1, 'b'));
    const reached = new Set(
      Array.from({ length: 500 }, (_, seed) => sample(20, 0.1, seed, 'a')).flat(),
    );
    expect(reached.size).toBe(20);
  });

  it('counts as many buckets as there are', () => {
    expect(bucketCount(rangesFor(0n, 99n, 1))).toBe(1);
    expect(bucketCount({ kind: 'hash', buckets: 7 })).toBe(7);
  });
});
