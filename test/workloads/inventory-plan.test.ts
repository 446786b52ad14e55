import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Customer,
  countInventory,
  emailOf,
  type InventoryBatch,
  inventoryLanes,
  type Order,
  planInventory,
  type Start,
} from '../../cli/workloads/inventory-plan.ts';
import { totalOf } from '../../cli/workloads/workload.ts';

const LANES = 3;
const now = new Date('2026-03-01T12:00:00Z');

function tutorial(): Start {
  return {
    productIds: [101, 102, 103, 104],
    stock: [101, 102, 103, 104].map((productId) => ({ productId, quantity: 5 })),
    customers: [1001, 1002, 1003, 1004].map((id) => ({
      id,
      firstName: 'Sally',
      lastName: 'Thomas',
      provider: undefined,
    })),
    names: { first: ['Ana', 'Bo'], last: ["O'Hara", 'Li', 'Vu'] },
  };
}

/** Plans batches in turn over the lanes and gives ids as the database would. */
function run(seed: number, counts: readonly number[]): InventoryBatch[][] {
  const lanes = inventoryLanes(LANES, tutorial(), seed);
  const batches: InventoryBatch[][] = lanes.map(() => []);
  let id = 20_000;
  counts.forEach((count, at) => {
    const lane = lanes[at % LANES];
    if (!lane) return;
    const batch = planInventory(lane, count, now);
    for (const row of [...batch.newCustomers, ...batch.newOrders]) {
      id += 1;
      row.id = id;
    }
    batches[at % LANES]?.push(batch);
  });
  return batches;
}

const counts = fc.array(fc.integer({ min: 1, max: 150 }), { minLength: 1, maxLength: 60 });

describe('planInventory', () => {
  it('plans exactly as many row changes as asked for', () => {
    fc.assert(
      fc.property(fc.integer(), counts, (seed, sizes) => {
        const lanes = inventoryLanes(LANES, tutorial(), seed);
        sizes.forEach((size, at) => {
          const lane = lanes[at % LANES];
          if (lane) expect(totalOf(countInventory(planInventory(lane, size, now)))).toBe(size);
        });
      }),
    );
  });

  it('refers only to customers who are there and to products that are there', () => {
    fc.assert(
      fc.property(fc.integer(), counts, (seed, sizes) => {
        for (const lane of run(seed, sizes)) {
          const there = new Set<Customer>();
          for (const batch of lane) {
            for (const customer of batch.newCustomers) there.add(customer);
            for (const order of batch.newOrders) {
              expect(there.has(order.purchaser)).toBe(true);
              expect(tutorial().productIds).toContain(order.productId);
            }
          }
        }
      }),
    );
  });

  it('changes and deletes only orders that it wrote in an earlier batch and did not delete', () => {
    fc.assert(
      fc.property(fc.integer(), counts, (seed, sizes) => {
        for (const lane of run(seed, sizes)) {
          const there = new Set<Order>();
          for (const batch of lane) {
            for (const order of batch.changedOrders) expect(there.has(order)).toBe(true);
            for (const order of batch.deletedOrders) expect(there.delete(order)).toBe(true);
            for (const order of batch.newOrders) there.add(order);
          }
        }
      }),
    );
  });

  it('works when nobody is a customer yet', () => {
    const lane = inventoryLanes(1, { ...tutorial(), customers: [], stock: [] }, 9)[0]!;
    const batch = planInventory(lane, 500, now);
    expect(totalOf(countInventory(batch))).toBe(500);
    expect(batch.newCustomers.length).toBeGreaterThan(0);
    expect(batch.changedStock.size).toBe(0);
  });

  it('mixes in about a tenth of deletes and a quarter of updates', () => {
    const totals = { inserts: 0, updates: 0, deletes: 0 };
    for (const batch of run(4, Array(300).fill(40)).flat()) {
      const planned = countInventory(batch);
      totals.inserts += planned.inserts;
      totals.updates += planned.updates;
      totals.deletes += planned.deletes;
    }
    const all = totalOf(totals);
    expect(totals.deletes / all).toBeGreaterThan(0.08);
    expect(totals.deletes / all).toBeLessThan(0.13);
    expect(totals.updates / all).toBeGreaterThan(0.2);
  });

  it('never lets two lanes change the same row, nor stock fall below nothing', () => {
    const lanes = run(6, Array(600).fill(20));
    const owner = new Map<object, number>();
    lanes.forEach((batches, lane) => {
      for (const batch of batches) {
        for (const row of [...batch.changedStock, ...batch.changedCustomers]) {
          expect(owner.get(row) ?? lane).toBe(lane);
          owner.set(row, lane);
        }
        for (const stock of batch.changedStock) expect(stock.quantity).toBeGreaterThanOrEqual(0);
      }
    });
    expect(owner.size).toBeGreaterThan(8);
  });
});

describe('emailOf', () => {
  it('is unique by the id and plain ASCII', () => {
    const customer = { id: 1005, firstName: 'Zoë', lastName: "O'Hara", provider: 'example.com' };
    expect(emailOf(customer)).toBe('zo.ohara.1005@example.com');
  });

  it('is none for a customer who keeps the address there is', () => {
    expect(emailOf({ ...tutorial().customers[0]!, lastName: 'Li' })).toBeNull();
  });
});
