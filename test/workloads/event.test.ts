import { describe, expect, it } from 'vitest';
import { shopEventSchema } from '../../cli/workloads/event.ts';

const product = { id: 'PROD001', name: 'Ball', category: 'Toys', price: '12.50' };
const common = {
  event_id: '5b2d6b3e-8f0a-4c1e-9d2f-3a4b5c6d7e8f',
  timestamp: new Date('2026-03-01T12:00:00Z'),
  user_id: 'USER001',
  session_id: '0f8fad5b-d9cb-469f-a165-70867728950e',
};
const purchase = {
  ...common,
  event_type: 'purchase',
  product,
  quantity: 3,
  total_amount: '37.50',
  payment_method: 'paypal',
};

describe('shopEventSchema', () => {
  it('takes an event of each type', () => {
    const { payment_method: _, ...line } = purchase;
    for (const event of [
      { ...common, event_type: 'search' },
      { ...common, event_type: 'page_view', product },
      { ...line, event_type: 'add_to_cart' },
      { ...line, event_type: 'remove_from_cart' },
      purchase,
    ]) {
      expect(shopEventSchema.parse(event)).toEqual(event);
    }
  });

  it.each([
    ['an unknown type', { ...purchase, event_type: 'refund' }],
    ['a purchase without payment', { ...purchase, payment_method: undefined }],
    ['an unknown payment method', { ...purchase, payment_method: 'barter' }],
    ['a quantity of none', { ...purchase, quantity: 0, total_amount: '0.00' }],
    ['half a piece', { ...purchase, quantity: 1.5 }],
    ['a total that does not add up', { ...purchase, total_amount: '37.51' }],
    ['a negative price', { ...purchase, product: { ...product, price: '-12.50' } }],
    ['a price that is no number', { ...purchase, product: { ...product, price: 'NaN' } }],
    ['no date', { ...purchase, timestamp: new Date(Number.NaN) }],
    ['an id that is no uuid', { ...purchase, event_id: '1' }],
    ['a user without a number', { ...purchase, user_id: "USER'; --" }],
    ['a search with a cart', { ...purchase, event_type: 'search' }],
    ['a field nobody knows', { ...purchase, coupon: 'FREE' }],
  ])('refuses %s', (_, event) => {
    expect(shopEventSchema.safeParse(event).success).toBe(false);
  });
});
