import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../cli/core/random.ts';
import { newCatalogue, type Product } from '../../cli/workloads/catalogue.ts';
import { Shopper, type Step } from '../../cli/workloads/funnel.ts';

function steps(seed: number, count: number, catalogue: Product[] = newCatalogue()): Step[] {
  let ids = 0;
  const shopper = new Shopper(catalogue, seededRandom(seed), () => {
    ids += 1;
    return `session-${ids}`;
  });
  return Array.from({ length: count }, () => shopper.next());
}

function bySession(all: readonly Step[]): Step[][] {
  const sessions = new Map<string, Step[]>();
  for (const step of all) {
    sessions.set(step.sessionId, [...(sessions.get(step.sessionId) ?? []), step]);
  }
  return [...sessions.values()];
}

const seeds = fc.integer();

describe('Shopper', () => {
  it('never removes what is not in the cart and never buys anything else than the cart', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        for (const session of bySession(steps(seed, 400))) {
          const cart = new Map<string, number>();
          for (const step of session) {
            if (!('quantity' in step)) continue;
            const had = cart.get(step.product.id) ?? 0;
            expect(step.quantity).toBeGreaterThan(0);
            if (step.type === 'add_to_cart') cart.set(step.product.id, had + step.quantity);
            if (step.type === 'remove_from_cart') {
              expect(had).toBeGreaterThanOrEqual(step.quantity);
              cart.set(step.product.id, had - step.quantity);
            }
            if (step.type === 'purchase') {
              expect(had).toBe(step.quantity);
              cart.delete(step.product.id);
            }
          }
        }
      }),
    );
  });

  it('buys the whole cart, with one payment method, and nothing comes after', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const sessions = bySession(steps(seed, 400)).slice(0, -1);
        for (const session of sessions) {
          const first = session.findIndex((step) => step.type === 'purchase');
          if (first < 0) continue;
          const rest = session.slice(first);
          expect(rest.every((step) => step.type === 'purchase')).toBe(true);
          expect(new Set(rest.map((s) => s.type === 'purchase' && s.paymentMethod)).size).toBe(1);
          const change = { add_to_cart: 1, remove_from_cart: -1, purchase: -1 };
          const left = session.reduce(
            (sum, step) => ('quantity' in step ? sum + change[step.type] * step.quantity : sum),
            0,
          );
          expect(left).toBe(0);
        }
      }),
    );
  });

  it('puts only what it looks at into the cart, and finishes one session before the next', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const all = steps(seed, 400);
        let seen: string | undefined;
        all.forEach((step, at) => {
          if (all[at - 1]?.sessionId !== step.sessionId) {
            expect(['search', 'page_view']).toContain(step.type);
            expect(all.slice(0, at).some((s) => s.sessionId === step.sessionId)).toBe(false);
          }
          if (step.type === 'page_view') seen = step.product.id;
          if (step.type === 'add_to_cart') expect(step.product.id).toBe(seen);
        });
      }),
      { numRuns: 20 },
    );
  });

  it('keeps the price at which a product was put into the cart', () => {
    const catalogue: Product[] = [{ id: 'PROD001', name: 'a', category: 'b', priceCents: 100 }];
    const shopper = new Shopper(catalogue, seededRandom(1), () => 'session');
    let inCart: number | undefined;
    for (let n = 1; n < 3000; n += 1) {
      const step = shopper.next();
      if (step.type === 'add_to_cart') inCart ??= step.product.priceCents;
      if (step.type === 'purchase') {
        expect(step.product.priceCents).toBe(inCart);
        return;
      }
      if (shopper.away || step.type === 'remove_from_cart') inCart = undefined;
      catalogue[0] = { id: 'PROD001', name: 'a', category: 'b', priceCents: 100 + n };
    }
    expect.unreachable('nothing was bought');
  });

  it('does the same for the same seed', () => {
    expect(steps(7, 500)).toEqual(steps(7, 500));
    expect(steps(7, 500)).not.toEqual(steps(8, 500));
  });

  it('looks like a shop: views outnumber carts, carts outnumber purchases', () => {
    const all = steps(1, 50_000);
    const count = (type: Step['type']) => all.filter((step) => step.type === type).length;
    expect(count('page_view')).toBeGreaterThan(2 * count('search'));
    expect(count('search')).toBeGreaterThan(count('add_to_cart'));
    expect(count('add_to_cart')).toBeGreaterThan(2 * count('purchase'));
    expect(count('purchase')).toBeGreaterThan(count('remove_from_cart'));
    const sessions = bySession(all);
    const buyers = sessions.filter((session) => session.some((step) => step.type === 'purchase'));
    expect(buyers.length / sessions.length).toBeGreaterThan(0.1);
    expect(buyers.length / sessions.length).toBeLessThan(0.25);
  });
});

describe('newCatalogue', () => {
  it('is the same in every generator', () => {
    expect(newCatalogue()).toEqual(newCatalogue());
    expect(newCatalogue().map((product) => product.id)).toEqual(
      Array.from({ length: 50 }, (_, n) => `PROD${String(n + 1).padStart(3, '0')}`),
    );
  });
});
