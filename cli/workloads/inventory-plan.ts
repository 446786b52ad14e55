import { type Random, seededRandom } from '../core/random.ts';
import { deal } from './lanes.ts';
import { between, pick } from './random.ts';
import type { Written } from './workload.ts';

/** Decides what a batch of the inventory workload holds. The clock is passed in. */

/** New rows get their id from the sequence right before they are written. */
export interface Customer {
  id: number | undefined;
  firstName: string;
  lastName: string;
  /**
   * Mail provider; the rest of the address comes from the name and the id, which makes it unique.
   * Undefined for a customer who keeps the address there is.
   */
  provider: string | undefined;
}

export interface Order {
  id: number | undefined;
  /** `2026-08-31` */
  readonly date: string;
  readonly purchaser: Customer;
  readonly productId: number;
  quantity: number;
}

interface Stock {
  readonly productId: number;
  quantity: number;
}

export interface InventoryBatch {
  readonly newCustomers: Customer[];
  readonly newOrders: Order[];
  /** Each row at most once: one UPDATE changes a row once, however often it is named. */
  readonly changedOrders: ReadonlySet<Order>;
  readonly changedCustomers: ReadonlySet<Customer>;
  readonly changedStock: ReadonlySet<Stock>;
  readonly deletedOrders: readonly Order[];
}

interface InventoryLane {
  readonly random: Random;
  readonly names: Names;
  /** Every product; all lanes sell all of them. */
  readonly productIds: readonly number[];
  /** What only this lane changes, so that lanes never wait for one another. */
  readonly stock: readonly Stock[];
  /** Customers that were there at the start: they change their names and nothing else. */
  readonly known: readonly Customer[];
  /**
   * Customers of this lane, the only ones who order. Changing an address locks the row against new
   * orders that refer to it (it is unique, so a foreign key could point at it), and lanes that sold
   * to each other's customers would deadlock. Also, nobody's own row becomes undeletable.
   */
  readonly customers: Customer[];
  /** Orders of earlier batches, oldest first. The tutorial's own orders are never among them. */
  readonly orders: Order[];
}

interface Names {
  readonly first: readonly string[];
  readonly last: readonly string[];
}

export interface Start {
  readonly productIds: readonly number[];
  readonly stock: readonly Stock[];
  readonly customers: readonly Customer[];
  readonly names: Names;
}

/** Beyond these a lane forgets its oldest orders and customers; their rows simply stay. */
const ORDERS_REMEMBERED = 2000;
const CUSTOMERS_REMEMBERED = 500;

/** Chances per change. What cannot be updated or deleted yet becomes an order. */
const SHARES = [
  ['delete order', 0.12],
  ['update order', 0.18],
  ['update stock', 0.12],
  ['update customer', 0.05],
  ['insert customer', 0.06],
] as const;

const PROVIDERS = ['example.com', 'example.net', 'example.org'] as const;

export function inventoryLanes(lanes: number, start: Start, seed: number): InventoryLane[] {
  const stock = deal(start.stock, lanes);
  return deal(start.customers, lanes).map((known, lane) => ({
    random: seededRandom(seed + lane),
    names: start.names,
    productIds: start.productIds,
    stock: stock[lane] ?? [],
    known,
    customers: [],
    orders: [],
  }));
}

interface Draft extends InventoryBatch {
  readonly changedOrders: Set<Order>;
  readonly changedCustomers: Set<Customer>;
  readonly changedStock: Set<Stock>;
  readonly deletedOrders: Order[];
}

/** Exactly `count` row changes. */
export function planInventory(lane: InventoryLane, count: number, now: Date): InventoryBatch {
  const batch: Draft = {
    newCustomers: [],
    newOrders: [],
    changedOrders: new Set(),
    changedCustomers: new Set(),
    changedStock: new Set(),
    deletedOrders: [],
  };
  const date = now.toISOString().slice(0, 10);
  for (let left = count; left > 0; left -= 1) {
    if (!change(lane, batch)) order(lane, batch, date);
  }
  keep(lane.orders, batch.newOrders, ORDERS_REMEMBERED);
  keep(lane.customers, batch.newCustomers, CUSTOMERS_REMEMBERED);
  return batch;
}

/** Row changes in a batch, as they are counted once it is committed. */
export function countInventory(batch: InventoryBatch): Written {
  return {
    inserts: batch.newCustomers.length + batch.newOrders.length,
    updates: batch.changedOrders.size + batch.changedCustomers.size + batch.changedStock.size,
    deletes: batch.deletedOrders.length,
  };
}

/** Null where the address is to stay. */
export function emailOf(customer: Customer): string | null {
  if (customer.provider === undefined) return null;
  const local = `${customer.firstName}.${customer.lastName}`.toLowerCase().replace(/[^a-z.]/g, '');
  return `${local}.${customer.id}@${customer.provider}`;
}

/** Draws one change other than an order; false when an order is due, or nothing could be changed. */
function change(lane: InventoryLane, batch: Draft): boolean {
  let drawn = lane.random();
  const kind = SHARES.find(([, share]) => {
    drawn -= share;
    return drawn < 0;
  })?.[0];
  switch (kind) {
    case 'delete order':
      return deleteOldest(lane, batch);
    case 'update order':
      return once(lane.random, lane.orders, batch.changedOrders, (order) => {
        order.quantity = (order.quantity % 9) + 1;
      });
    case 'update stock':
      return once(lane.random, lane.stock, batch.changedStock, (stock) => {
        const sold = between(lane.random, 1, 5);
        stock.quantity =
          stock.quantity < sold
            ? stock.quantity + between(lane.random, 20, 80)
            : stock.quantity - sold;
      });
    case 'update customer':
      return once(lane.random, someCustomers(lane), batch.changedCustomers, (customer) => {
        customer.lastName = pick(lane.random, lane.names.last);
        if (customer.provider !== undefined) customer.provider = pick(lane.random, PROVIDERS);
      });
    case 'insert customer':
      addCustomer(lane, batch);
      return true;
    case undefined:
      return false;
  }
}

/** Changes one row that this batch has not changed yet; false when the one drawn was changed. */
function once<Row>(
  random: Random,
  rows: readonly Row[],
  changed: Set<Row>,
  edit: (row: Row) => void,
): boolean {
  if (rows.length === 0) return false;
  const row = pick(random, rows);
  if (changed.has(row)) return false;
  edit(row);
  changed.add(row);
  return true;
}

function deleteOldest(lane: InventoryLane, batch: Draft): boolean {
  const oldest = lane.orders[0];
  // A batch changes a row or deletes it, not both: the two would count as two changes, one unseen.
  if (oldest === undefined || batch.changedOrders.has(oldest)) return false;
  lane.orders.shift();
  batch.deletedOrders.push(oldest);
  return true;
}

function someCustomers(lane: InventoryLane): readonly Customer[] {
  return lane.customers.length === 0 || lane.random() < 0.1 ? lane.known : lane.customers;
}

function addCustomer(lane: InventoryLane, batch: Draft): void {
  batch.newCustomers.push({
    id: undefined,
    firstName: pick(lane.random, lane.names.first),
    lastName: pick(lane.random, lane.names.last),
    provider: pick(lane.random, PROVIDERS),
  });
}

/** An order of a customer there is, or the lane's first customer. */
function order(lane: InventoryLane, batch: Draft, date: string): void {
  const buyers = lane.customers.length > 0 ? lane.customers : batch.newCustomers;
  if (buyers.length === 0) {
    addCustomer(lane, batch);
    return;
  }
  batch.newOrders.push({
    id: undefined,
    date,
    purchaser: pick(lane.random, buyers),
    productId: pick(lane.random, lane.productIds),
    quantity: between(lane.random, 1, 9),
  });
}

function keep<Row>(rows: Row[], added: readonly Row[], most: number): void {
  rows.push(...added);
  rows.splice(0, rows.length - most);
}
