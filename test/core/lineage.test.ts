import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  brokenBy,
  type CopyPlace,
  positionIn,
  type SourcePlace,
  timelineEnd,
  versionAt,
} from '../../cli/core/lineage.ts';

const position = fc.bigInt({ min: 0n, max: 2n ** 54n - 1n });

test('versions of a later epoch are higher than all of an earlier one, and keep their positions', () => {
  fc.assert(
    fc.property(fc.nat(1022), position, position, (epoch, before, after) => {
      expect(versionAt(epoch + 1, after) > versionAt(epoch, before)).toBe(true);
      expect(positionIn(versionAt(epoch, before))).toBe(before);
    }),
  );
});

test('in the first epoch a version is the position', () => {
  expect(versionAt(0, 12345n)).toBe(12345n);
});

describe('a source', () => {
  const source: SourcePlace = { source: '7/shop', timeline: 1, position: 1000n, beat: 50n };
  const copy: CopyPlace = {
    source: '7/shop',
    timeline: 1,
    arrived: { position: 900n, beat: 45n },
    acknowledged: 950n,
  };

  test('that went on is gone on with', () => {
    expect(brokenBy(source, copy, undefined)).toBeUndefined();
    expect(brokenBy({ ...source, beat: undefined }, copy, undefined)).toBeUndefined();
    expect(
      brokenBy(source, { ...copy, arrived: undefined, acknowledged: undefined }, undefined),
    ).toBeUndefined();
  });

  test('that is another one, or whose WAL or heartbeat went back, is not', () => {
    expect(brokenBy({ ...source, source: '8/shop' }, copy, undefined)).toMatch(/another server/);
    expect(brokenBy({ ...source, position: 940n }, copy, undefined)).toMatch(/WAL ends at/);
    expect(brokenBy({ ...source, beat: 44n }, copy, undefined)).toMatch(/number 44/);
  });

  test('that was promoted is gone on with where the copy has nothing beyond', () => {
    const promoted = { ...source, timeline: 2 };
    expect(brokenBy(promoted, copy, 950n)).toBeUndefined();
    expect(brokenBy(promoted, copy, 949n)).toMatch(/from timeline 1 to 2 at 0\/3B5/);
    expect(brokenBy(promoted, copy, undefined)).toMatch(/where is not known/);
    expect(brokenBy(promoted, { ...copy, timeline: undefined }, undefined)).toBeUndefined();
  });
});

test('the history of a timeline says where an earlier one ended', () => {
  const history = '1\t0/3000158\tno recovery target specified\n\n2\t0/5000000\tbefore 2026\n';
  expect(timelineEnd(history, 1)).toBe('0/3000158');
  expect(timelineEnd(history, 2)).toBe('0/5000000');
  expect(timelineEnd(history, 3)).toBeUndefined();
});
