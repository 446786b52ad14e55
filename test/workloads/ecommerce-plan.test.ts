import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newCatalogue } from '../../cli/workloads/catalogue.ts';
import {
  countEcommerce,
  type EcommerceBatch,
  ecommerceLanes,
  planEcommerce,
} from '../../cli/workloads/ecommerce-plan.ts';
import { formatCents, parseCents } from '../../cli/workloads/money.ts';
import { totalOf } from '../../cli/workloads/workload.ts';

const LANES = 4;

/** Identities in the form of a uuid, so that the schema takes them. */
function counterIds(): () => string {
  let next = 0;
  return () => {
    next += 1;
    return `00000000-0000-4000-8000-${next.toString(16).padStart(12, '0')}`;
  };
}

function run(seed: number, counts: readonly number[], clock: () => Date): EcommerceBatch[][] {
  const newId = counterIds();
  const lanes = ecommerceLanes(LANES, newCatalogue(), seed, newId);
  const batches: EcommerceBatch[][] = lanes.map(() => []);
  counts.forEach((count, at) => {
    const lane = lanes[at % LANES];
    const batch = lane && planEcommerce(lane, count, { now: clock, newId });
    if (batch) batches[at % LANES]?.push(batch);
  });
  return batches;
}

const counts = fc.array(fc.integer({ min: 1, max: 120 }), { minLength: 1, maxLength: 60 });
const noon = () => new Date('2026-03-01T12:00:00Z');

describe('planEcommerce', () => {
  it('fills a batch up to the count, short by one row at most', () => {
    const newId = counterIds();
    const lane = ecommerceLanes(1, newCatalogue(), 3, newId)[0]!;
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), (count) => {
        const batch = planEcommerce(lane, count, { now: noon, newId });
        const planned = batch ? totalOf(countEcommerce(batch)) : 0;
        expect([count, count - 1]).toContain(planned);
        expect(batch === undefined).toBe(planned === 0);
      }),
    );
  });

  it('orders the events of a user in time, whatever the clock does', () => {
    fc.assert(
      fc.property(fc.integer(), counts, fc.array(fc.nat(5000)), (seed, sizes, jumps) => {
        let at = 0;
        const clock = () => {
          at += 1;
          return new Date(noon().getTime() + (jumps[at % jumps.length] ?? 0));
        };
        for (const lane of run(seed, sizes, clock)) {
          const last = new Map<string, number>();
          for (const event of lane.flatMap((batch) => batch.events)) {
            const ms = event.timestamp.getTime();
            expect(ms).toBeGreaterThan(last.get(event.user_id) ?? 0);
            last.set(event.user_id, ms);
          }
        }
      }),
      { numRuns: 25 },
    );
  });

  it('keeps every user in one lane', () => {
    const lanes = run(1, Array(400).fill(50), noon).map(
      (batches) => new Set(batches.flatMap((batch) => batch.events.map((e) => e.user_id))),
    );
    const users = lanes.flatMap((lane) => [...lane]);
    expect(new Set(users).size).toBe(users.length);
    expect(users.length).toBe(200);
  });

  it('writes one transaction for each cart and purchase event, and for no other', () => {
    for (const batch of run(5, Array(100).fill(40), noon).flat()) {
      const expected = batch.events.filter((event) => 'quantity' in event);
      expect(batch.transactions.map((row) => row.eventId)).toEqual(expected.map((e) => e.event_id));
      batch.transactions.forEach((row, at) => {
        const event = expected[at]!;
        expect(row.paymentMethod === null).toBe(event.event_type !== 'purchase');
        expect(formatCents(row.unitCents * row.quantity)).toBe(
          'total_amount' in event && event.total_amount,
        );
      });
    }
  });

  it('corrects or cancels a purchase of an earlier batch, once', () => {
    fc.assert(
      fc.property(fc.integer(), counts, (seed, sizes) => {
        for (const lane of run(seed, [...sizes, ...Array(80).fill(100)], noon)) {
          const open = new Map<string, number>();
          for (const batch of lane) {
            for (const row of batch.corrections) {
              expect(row.quantity).not.toBe(open.get(row.transactionId));
              expect(open.delete(row.transactionId)).toBe(true);
            }
            for (const id of batch.cancellations) expect(open.delete(id)).toBe(true);
            for (const row of batch.transactions) {
              if (row.paymentMethod !== null) open.set(row.transactionId, row.quantity);
            }
          }
        }
      }),
      { numRuns: 10 },
    );
  });

  it('exercises every kind of change, mostly inserts', () => {
    const totals = { inserts: 0, updates: 0, deletes: 0 };
    for (const batch of run(11, Array(800).fill(50), noon).flat()) {
      const planned = countEcommerce(batch);
      totals.inserts += planned.inserts;
      totals.updates += planned.updates;
      totals.deletes += planned.deletes;
    }
    const all = totalOf(totals);
    expect(totals.updates / all).toBeGreaterThan(0.01);
    expect(totals.deletes / all).toBeGreaterThan(0.003);
    expect(totals.inserts / all).toBeGreaterThan(0.94);
  });

  it('changes the prices of a lane only within that lane, and keeps them in bounds', () => {
    const owners = new Map<string, number>();
    run(2, Array(2000).fill(60), noon).forEach((batches, lane) => {
      for (const { priceChange } of batches) {
        if (!priceChange) continue;
        expect(owners.get(priceChange.id) ?? lane).toBe(lane);
        owners.set(priceChange.id, lane);
        expect(priceChange.priceCents).toBeGreaterThanOrEqual(100);
        expect(priceChange.priceCents).toBeLessThanOrEqual(999_999);
      }
    });
    expect(owners.size).toBeGreaterThan(40);
  });
});

describe('cents', () => {
  it('come back from their text unchanged', () => {
    fc.assert(
      fc.property(fc.nat({ max: 99_999_999 }), (cents) => {
        expect(parseCents(formatCents(cents))).toBe(cents);
      }),
    );
  });

  it('are read from shorter texts, and from nothing that is no amount', () => {
    expect(['3', '3.5', '3.05'].map(parseCents)).toEqual([300, 350, 305]);
    for (const text of ['', '-1.00', 'NaN', '1.234', '1,50', 'Infinity']) {
      expect(parseCents(text)).toBeNaN();
    }
  });
});
