import type { Random } from '../core/random.ts';
import type { Product } from './catalogue.ts';
import { between, pick } from './random.ts';

/** What one visitor of the shop does, step by step. No clock and no I/O. */

export const PAYMENT_METHODS = ['credit_card', 'debit_card', 'paypal', 'apple_pay'] as const;
type PaymentMethod = (typeof PAYMENT_METHODS)[number];

interface Of<Type extends string> {
  readonly type: Type;
  readonly sessionId: string;
}
interface OnProduct {
  readonly product: Product;
}
interface OnCart extends OnProduct {
  readonly quantity: number;
}

export type Step =
  | Of<'search'>
  | (Of<'page_view'> & OnProduct)
  | (Of<'add_to_cart' | 'remove_from_cart'> & OnCart)
  | (Of<'purchase'> & OnCart & { readonly paymentMethod: PaymentMethod });

/** Lines of a cart. A product stays at the price at which it was put in. */
const CART_LINES = 5;
const QUANTITY_PER_ADD = 3;

/** Chance of each move from a product's page; what is left over is another page view. */
const WITH_EMPTY_CART = { search: 0.22, add: 0.16, remove: 0, buy: 0 };
const WITH_CART = { search: 0.15, add: 0.14, remove: 0.1, buy: 0.15 };
/** Chance to be gone after any step but the last of a purchase. */
const LEAVE = 0.14;
/** The others come by a link to a product. */
const ARRIVE_SEARCHING = 0.6;

interface Session {
  readonly id: string;
  page: 'entrance' | 'results' | Product;
  readonly cart: Map<string, { readonly product: Product; quantity: number }>;
  /** Set once the visitor pays: from then on the cart is only emptied, line by line. */
  payment: PaymentMethod | undefined;
}

export class Shopper {
  readonly #catalogue: readonly Product[];
  readonly #random: Random;
  readonly #newId: () => string;
  #session: Session | undefined;

  /** `catalogue` may change under the shopper (prices do) but never be empty. */
  constructor(catalogue: readonly Product[], random: Random, newId: () => string) {
    this.#catalogue = catalogue;
    this.#random = random;
    this.#newId = newId;
  }

  /** Between two sessions: the next step begins a new one. */
  get away(): boolean {
    return this.#session === undefined;
  }

  next(): Step {
    this.#session ??= {
      id: this.#newId(),
      page: 'entrance',
      cart: new Map(),
      payment: undefined,
    };
    const session = this.#session;
    const step = this.#move(session);
    const leaves = session.payment ? session.cart.size === 0 : this.#random() < LEAVE;
    if (leaves) this.#session = undefined;
    return step;
  }

  #move(session: Session): Step {
    if (session.payment !== undefined) return this.#buyLine(session, session.payment);
    if (session.page === 'results') return this.#view(session);
    let drawn = this.#random();
    const falls = (share: number) => {
      drawn -= share;
      return drawn < 0;
    };
    if (session.page === 'entrance') {
      return falls(ARRIVE_SEARCHING) ? this.#search(session) : this.#view(session);
    }
    const chance = session.cart.size > 0 ? WITH_CART : WITH_EMPTY_CART;
    if (falls(chance.search)) return this.#search(session);
    if (falls(chance.buy)) return this.#buyLine(session, pick(this.#random, PAYMENT_METHODS));
    if (falls(chance.remove)) return this.#remove(session);
    if (falls(chance.add) && session.cart.size < CART_LINES) {
      return this.#add(session, session.page);
    }
    return this.#view(session);
  }

  #search(session: Session): Step {
    session.page = 'results';
    return { type: 'search', sessionId: session.id };
  }

  /** Squaring makes the first products of the catalogue the popular ones. */
  #view(session: Session): Step {
    const at = Math.floor(this.#random() ** 2 * this.#catalogue.length);
    const product = this.#catalogue[at] ?? pick(this.#random, this.#catalogue);
    session.page = product;
    return { type: 'page_view', sessionId: session.id, product };
  }

  #add(session: Session, viewed: Product): Step {
    const line = session.cart.get(viewed.id) ?? { product: viewed, quantity: 0 };
    // Mostly one piece.
    const quantity = Math.ceil(this.#random() ** 2 * QUANTITY_PER_ADD) || 1;
    line.quantity += quantity;
    session.cart.set(viewed.id, line);
    return { type: 'add_to_cart', sessionId: session.id, product: line.product, quantity };
  }

  #remove(session: Session): Step {
    const line = pick(this.#random, [...session.cart.values()]);
    const quantity = between(this.#random, 1, line.quantity);
    line.quantity -= quantity;
    if (line.quantity === 0) session.cart.delete(line.product.id);
    return { type: 'remove_from_cart', sessionId: session.id, product: line.product, quantity };
  }

  /** One purchase per line of the cart. */
  #buyLine(session: Session, paymentMethod: PaymentMethod): Step {
    const line = pick(this.#random, [...session.cart.values()]);
    session.payment = paymentMethod;
    session.cart.delete(line.product.id);
    return {
      type: 'purchase',
      sessionId: session.id,
      product: line.product,
      quantity: line.quantity,
      paymentMethod,
    };
  }
}
