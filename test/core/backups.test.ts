import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  backupId,
  chainOf,
  type Manifest,
  manifestSchema,
  newestBefore,
  prunable,
  segmentName,
  segmentNumber,
  segmentOf,
  whyFull,
} from '../../cli/core/backups.ts';

const HOUR_MS = 3_600_000;
const BEGIN = Date.UTC(2026, 0, 1);

/** One an hour: full ones where it says so, else on the one before. */
function backups(fulls: readonly boolean[]): Manifest[] {
  const made: Manifest[] = [];
  for (const [hour, isFull] of fulls.entries()) {
    const at = new Date(BEGIN + hour * HOUR_MS);
    const id = backupId(at);
    const base = isFull ? undefined : made.at(-1);
    made.push({
      v: 1,
      id,
      kind: base ? 'incremental' : 'full',
      full: base?.full ?? id,
      ...(base ? { base: base.id } : {}),
      started_at: at.toISOString(),
      finished_at: at.toISOString(),
      versions: { cdc: '1', postgres: '18', clickhouse: '26' },
      pipeline: 'cdc',
      source: '1/shop',
      timeline: 1,
      positions: { copied: '0/1', end: '0/2', topics: {} },
      clickhouse: { databases: ['cdc'] },
      secrets: 'left out',
      files: [],
      wal: [],
      bytes: 1,
    });
  }
  return made;
}

const history = fc.array(fc.boolean(), { maxLength: 30 }).map(backups);

describe('pruning', () => {
  it('keeps whatever can be restored of what it keeps, and the newest in any case', () => {
    fc.assert(
      fc.property(history, fc.nat(10), fc.option(fc.nat(40)), (all, newest, hours) => {
        const since = hours === null ? undefined : new Date(BEGIN + hours * HOUR_MS);
        const removed = prunable(all, { newest, ...(since ? { since } : {}) });
        const left = all.filter((one) => !removed.includes(one));
        for (const one of left) expect(chainOf(left, one)).toEqual(chainOf(all, one));
        expect(left.at(-1)).toEqual(all.at(-1));
        for (const one of all.slice(Math.max(0, all.length - newest))) expect(left).toContain(one);
        for (const one of removed) if (since) expect(new Date(one.finished_at) < since).toBe(true);
      }),
    );
  });

  it('removes each before what it is on, so that one that is interrupted leaves whole ones', () => {
    fc.assert(
      fc.property(history, fc.nat(5), fc.nat(30), (all, newest, interruptedAfter) => {
        const removed = prunable(all, { newest }).slice(0, interruptedAfter);
        const left = all.filter((one) => !removed.includes(one));
        for (const one of left) expect(chainOf(left, one)).toBeDefined();
      }),
    );
  });

  it('keeps the newest that can be restored, where the newest one lost what it is on', () => {
    const [first, , third] = backups([true, false, false]) as [Manifest, Manifest, Manifest];
    expect(prunable([first, third], { newest: 0 })).toEqual([third]);
  });
});

describe('a chain', () => {
  it('begins with a full one, and is none where a link is missing', () => {
    const all = backups([true, false, false, true, false]);
    const last = all[4] as Manifest;
    expect(chainOf(all, last)).toEqual([all[3], all[4]]);
    expect(
      chainOf(
        all.filter((one) => one !== all[3]),
        last,
      ),
    ).toBeUndefined();
  });

  it('that leads back to itself is none', () => {
    const [full, one] = backups([true, false]) as [Manifest, Manifest];
    expect(chainOf([full, { ...one, base: one.id }], { ...one, base: one.id })).toBeUndefined();
  });

  it('ends where the source is another one or was put back, and where its full one is old', () => {
    const all = backups([true, false]);
    const here = { source: '1/shop', timeline: 1, pipeline: 'cdc' };
    const soon = { now: new Date(BEGIN + 2 * HOUR_MS), fullEveryMs: 24 * HOUR_MS };
    expect(whyFull(all, here, soon)).toBeUndefined();
    expect(whyFull([], here, soon)).toMatch(/none/);
    expect(whyFull(all, { ...here, timeline: 2 }, soon)).toMatch(/put back/);
    expect(whyFull(all, { ...here, source: '2/shop' }, soon)).toMatch(/another one/);
    expect(whyFull(all, here, { ...soon, fullEveryMs: 2 * HOUR_MS })).toMatch(/old enough/);
  });
});

it('the newest before a time is the one that had ended', () => {
  const all = backups([true, false, false]);
  expect(newestBefore(all)).toEqual(all[2]);
  expect(newestBefore(all, new Date(BEGIN + 1.5 * HOUR_MS))).toEqual(all[1]);
  expect(newestBefore(all, new Date(BEGIN - 1))).toBeUndefined();
});

describe('a manifest', () => {
  const [full] = backups([true]) as [Manifest];
  const file = { bytes: 1, sha256: 'a'.repeat(64) };

  it('is what the schema says', () => {
    expect(manifestSchema.parse(JSON.parse(JSON.stringify(full)))).toEqual(full);
  });

  it.each(['/etc/passwd', '../other', 'a/../../b'])('names no file elsewhere: %s', (path) => {
    expect(manifestSchema.safeParse({ ...full, files: [{ ...file, path }] }).success).toBe(false);
  });

  it.each(['../20260101T000000Z', '2026', ''])('has an id that is no path: %j', (id) => {
    expect(manifestSchema.safeParse({ ...full, id }).success).toBe(false);
  });
});

describe("a segment's name", () => {
  it("is PostgreSQL's", () => {
    const size = 16 * 1024 ** 2;
    expect(segmentName(1, segmentOf(0x2_0100_0028n, size), size)).toBe('000000010000000200000001');
    expect(segmentNumber('000000010000000200000001', size)).toEqual({ timeline: 1, segment: 513n });
    expect(segmentNumber('00000001.history', size)).toBeUndefined();
  });

  it('tells the timeline and the number, whatever size segments have', () => {
    const size = fc.integer({ min: 20, max: 30 }).map((power) => 2 ** power);
    const lsn = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
    const timeline = fc.integer({ min: 1, max: 0xffff_ffff });
    fc.assert(
      fc.property(size, lsn, timeline, (bytes, at, line) => {
        const segment = segmentOf(at, bytes);
        const name = segmentName(line, segment, bytes);
        expect(segmentNumber(name, bytes)).toEqual({ timeline: line, segment });
      }),
    );
  });
});
