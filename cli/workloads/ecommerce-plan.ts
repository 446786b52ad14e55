import { type Random, seededRandom } from '../core/random.ts';
import type { Product } from './catalogue.ts';
import { type ShopEvent, shopEventSchema } from './event.ts';
import { Shopper, type Step } from './funnel.ts';
import { deal } from './lanes.ts';
import { formatCents } from './money.ts';
import { between, pick, takeAny } from './random.ts';
import type { Written } from './workload.ts';

/** Decides what a batch of the e-commerce workload holds. Clock and identities are passed in. */

interface TransactionRow {
  readonly transactionId: string;
  readonly eventId: string;
  readonly productId: string;
  readonly unitCents: number;
  readonly quantity: number;
  readonly paymentMethod: string | null;
  readonly timestamp: Date;
}

export interface EcommerceBatch {
  readonly events: ShopEvent[];
  readonly transactions: TransactionRow[];
  /** A purchase whose quantity turned out to be another one. */
  readonly corrections: { transactionId: string; quantity: number; totalAmount: string }[];
  /** Purchases that were cancelled. */
  readonly cancellations: string[];
  /**
   * At most one per batch, written last: two generators that change the prices of two products in
   * opposite order would deadlock.
   */
  priceChange: Product | undefined;
}

interface User {
  readonly id: string;
  readonly shopper: Shopper;
  /** Milliseconds since 1970; events of a user carry rising times. */
  lastMs: number;
}

interface EcommerceLane {
  readonly random: Random;
  /** In the shop now, and at home. */
  readonly visitors: User[];
  readonly others: User[];
  /** Shared by all lanes; a lane changes the prices of its own products only. */
  readonly catalogue: Product[];
  readonly ownProducts: readonly number[];
  /** Purchases of earlier batches that may still be corrected or cancelled. */
  readonly purchases: TransactionRow[];
  /** A step that did not fit into the last batch. */
  held: { readonly user: User; readonly step: Step } | undefined;
}

interface Sources {
  readonly now: () => Date;
  readonly newId: () => string;
}

const USERS = 200;
/** Few at a time: at two events a second a visit takes a minute and not a quarter of an hour. */
const VISITORS_PER_LANE = 2;
/** A lane forgets older purchases. */
const PURCHASES_REMEMBERED = 500;

/** Chances per decision; everything else is the next event of some user. */
const PRICE_CHANGE = 0.01;
const CORRECTION = 0.01;
const CANCELLATION = 0.007;

const PRICE_MIN_CENTS = 100;
const PRICE_MAX_CENTS = 999_999;

export function ecommerceLanes(
  lanes: number,
  catalogue: Product[],
  seed: number,
  newId: () => string,
): EcommerceLane[] {
  const names = Array.from({ length: USERS }, (_, i) => `USER${String(i + 1).padStart(3, '0')}`);
  const products = deal([...catalogue.keys()], lanes);
  return deal(names, lanes).map((ids, lane) => {
    const random = seededRandom(seed + lane);
    const users = ids.map((id) => ({
      id,
      shopper: new Shopper(catalogue, random, newId),
      lastMs: 0,
    }));
    return {
      random,
      visitors: users.splice(0, VISITORS_PER_LANE),
      others: users,
      catalogue,
      ownProducts: products[lane] ?? [],
      purchases: [],
      held: undefined,
    };
  });
}

/** At most `count` row changes; less by one when the next event needs two rows and one is left. */
export function planEcommerce(
  lane: EcommerceLane,
  count: number,
  sources: Sources,
): EcommerceBatch | undefined {
  const batch: EcommerceBatch = {
    events: [],
    transactions: [],
    corrections: [],
    cancellations: [],
    priceChange: undefined,
  };
  let left = count;
  while (left > 0) {
    const drawn = lane.random();
    if (drawn < PRICE_CHANGE) {
      left -= changePrice(lane, batch);
    } else if (drawn < PRICE_CHANGE + CORRECTION) {
      left -= correct(lane, batch);
    } else if (drawn < PRICE_CHANGE + CORRECTION + CANCELLATION) {
      left -= cancel(lane, batch);
    } else {
      const { user, step } = lane.held ?? nextStep(lane);
      const rows = 'quantity' in step ? 2 : 1;
      lane.held = rows > left ? { user, step } : undefined;
      if (lane.held) break;
      addEvent(batch, user, step, sources);
      left -= rows;
    }
  }
  const bought = batch.transactions.filter((row) => row.paymentMethod !== null);
  lane.purchases.push(...bought);
  lane.purchases.splice(0, lane.purchases.length - PURCHASES_REMEMBERED);
  return left === count ? undefined : batch;
}

/** Row changes in a batch, as they are counted once it is committed. */
export function countEcommerce(batch: EcommerceBatch): Written {
  return {
    inserts: batch.events.length + batch.transactions.length,
    updates: batch.corrections.length + (batch.priceChange ? 1 : 0),
    deletes: batch.cancellations.length,
  };
}

function nextStep(lane: EcommerceLane): { user: User; step: Step } {
  const at = Math.floor(lane.random() * lane.visitors.length);
  const user = lane.visitors[at];
  if (user === undefined) throw new RangeError('a lane without visitors');
  const step = user.shopper.next();
  if (user.shopper.away) {
    const arriving = takeAny(lane.random, lane.others) ?? user;
    if (arriving !== user) lane.others.push(user);
    lane.visitors[at] = arriving;
  }
  return { user, step };
}

function addEvent(batch: EcommerceBatch, user: User, step: Step, sources: Sources): void {
  // Two events of a user in one millisecond, or a clock that was set back, must not change places.
  user.lastMs = Math.max(sources.now().getTime(), user.lastMs + 1);
  const event = toEvent(user, step, new Date(user.lastMs), sources.newId());
  batch.events.push(event);
  if (!('quantity' in step)) return;
  batch.transactions.push({
    transactionId: sources.newId(),
    eventId: event.event_id,
    productId: step.product.id,
    unitCents: step.product.priceCents,
    quantity: step.quantity,
    paymentMethod: step.type === 'purchase' ? step.paymentMethod : null,
    timestamp: event.timestamp,
  });
}

function toEvent(user: User, step: Step, timestamp: Date, eventId: string): ShopEvent {
  return shopEventSchema.parse({
    event_id: eventId,
    event_type: step.type,
    timestamp,
    user_id: user.id,
    session_id: step.sessionId,
    ...('product' in step && {
      product: {
        id: step.product.id,
        name: step.product.name,
        category: step.product.category,
        price: formatCents(step.product.priceCents),
      },
    }),
    ...('quantity' in step && {
      quantity: step.quantity,
      total_amount: formatCents(step.product.priceCents * step.quantity),
    }),
    ...(step.type === 'purchase' && { payment_method: step.paymentMethod }),
  });
}

/** Moves a price by up to a tenth. Returns the number of row changes it made, as the next two do. */
function changePrice(lane: EcommerceLane, batch: EcommerceBatch): number {
  if (batch.priceChange || lane.ownProducts.length === 0) return 0;
  const index = pick(lane.random, lane.ownProducts);
  const old = lane.catalogue[index];
  if (old === undefined) return 0;
  const moved = Math.round(old.priceCents * (0.9 + 0.2 * lane.random()));
  const priceCents = Math.min(Math.max(moved, PRICE_MIN_CENTS), PRICE_MAX_CENTS);
  batch.priceChange = { ...old, priceCents };
  lane.catalogue[index] = batch.priceChange;
  return 1;
}

/** A purchase is taken out of the list, so it is corrected or cancelled once and never both. */
function correct(lane: EcommerceLane, batch: EcommerceBatch): number {
  const row = takeAny(lane.random, lane.purchases);
  if (row === undefined) return 0;
  const quantity = row.quantity > 1 ? row.quantity - 1 : row.quantity + between(lane.random, 1, 2);
  const totalAmount = formatCents(row.unitCents * quantity);
  batch.corrections.push({ transactionId: row.transactionId, quantity, totalAmount });
  return 1;
}

function cancel(lane: EcommerceLane, batch: EcommerceBatch): number {
  const row = takeAny(lane.random, lane.purchases);
  if (row === undefined) return 0;
  batch.cancellations.push(row.transactionId);
  return 1;
}
