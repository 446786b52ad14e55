import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  acknowledgedNow,
  LOST,
  movedPast,
  type Place,
  passedBy,
  type QueueLook,
} from '../../cli/core/positions.ts';

const at = (start: number, end: number, committed: number): Place => ({
  start: BigInt(start),
  end: BigInt(end),
  committed: BigInt(committed),
});
const one = (place: Place) => new Map([['t', new Map([[0, place]])]]);
const known = (offset: number) => new Map([['t', new Map([[0, BigInt(offset)]])]]);
const look = (place: Place, isUnread: boolean, read: [string, number][] = []): QueueLook => ({
  group: 'g',
  queue: 'q',
  places: one(place),
  isUnread,
  read: new Map(read.map(([consumer, n]) => [consumer, BigInt(n)])),
});

test('messages that were deleted after they were read are no loss, those before are', () => {
  expect(passedBy(known(50), one(at(50, 80, 50)))).toEqual(new Map());
  expect(passedBy(known(50), one(at(51, 80, 50)))).toEqual(new Map([['t', LOST.expired]]));
  // The consumer has gone on behind the hole meanwhile.
  expect(passedBy(known(50), one(at(60, 80, 80)))).toEqual(new Map([['t', LOST.expired]]));
});

test('a topic that is gone, or ends before what was read, was deleted', () => {
  expect(passedBy(known(50), new Map([['t', new Map()]]))).toEqual(new Map([['t', LOST.deleted]]));
  expect(passedBy(known(50), one(at(0, 3, 50)))).toEqual(new Map([['t', LOST.begins]]));
  expect(passedBy(known(0), new Map([['t', new Map()]]))).toEqual(new Map());
});

test('a topic of which nothing is known yet has lost nothing', () => {
  expect(passedBy(new Map(), one(at(70, 80, -1)))).toEqual(new Map());
});

test('whatever is found once is not found again where nothing else happens', () => {
  const place = fc
    .tuple(fc.nat(50), fc.nat(50), fc.integer({ min: -1, max: 200 }))
    .map(([start, more, committed]) => at(start, start + more, committed));
  fc.assert(
    fc.property(fc.nat(200), place, (offset, now) => {
      const next = acknowledgedNow(known(offset), one(now));
      expect(passedBy(next, one(now))).toEqual(new Map());
    }),
  );
});

test('a consumer that reads on from what it knows loses nothing, however its topic is shortened behind it', () => {
  const step = fc.record({ written: fc.nat(20), read: fc.nat(20), deleted: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      let [start, end, committed] = [0, 0, 0];
      let before = acknowledgedNow(new Map(), one(at(0, 0, 0)));
      for (const { written, read, deleted } of steps) {
        end += written;
        committed = Math.min(end, committed + read);
        // What was deleted was read at a look before: so late are those who look.
        start = Math.max(start, Math.min(Number(before.get('t')?.get(0)), start + deleted));
        const places = one(at(start, end, committed));
        expect(passedBy(before, places)).toEqual(new Map());
        before = acknowledgedNow(before, places);
      }
    }),
  );
});

test('offsets of a group without members that move past what was read are told, others are not', () => {
  const before = look(at(0, 100, 40), true);
  expect(movedPast(before, look(at(0, 100, 90), true))).toEqual(new Map([['t', LOST.moved]]));
  expect(movedPast(before, look(at(0, 120, 110), false, [['c', 20]]))).toEqual(
    new Map([['t', LOST.moved]]),
  );
  expect(movedPast(before, look(at(0, 120, 110), false, [['c', 70]]))).toEqual(new Map());
  expect(movedPast(before, look(at(0, 100, 10), true))).toEqual(new Map());
  expect(movedPast(look(at(0, 100, 40), false, [['c', 1]]), look(at(0, 100, 90), false))).toEqual(
    new Map(),
  );
  expect(movedPast(undefined, look(at(0, 100, 90), true))).toEqual(new Map());
  // Made anew, perhaps twice: who has read meanwhile is gone.
  const anew = { ...look(at(0, 100, 90), false, [['d', 0]]), queue: 'another' };
  expect(movedPast(before, anew)).toEqual(new Map());
});
