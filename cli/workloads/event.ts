import { z } from 'zod';
import { PAYMENT_METHODS } from './funnel.ts';
import { parseCents } from './money.ts';

/** An event of the shop as it goes over the wire; nothing is written that this refuses. */

const amount = z.string().regex(/^\d{1,10}\.\d{2}$/);
const quantity = z.int().min(1).max(10_000);

const common = {
  event_id: z.uuid(),
  timestamp: z.date(),
  user_id: z.string().regex(/^USER\d{3,}$/),
  session_id: z.uuid(),
};
const product = z.strictObject({
  id: z.string().min(1),
  name: z.string().min(1),
  category: z.string().min(1),
  price: amount,
});
const line = { ...common, product, quantity, total_amount: amount };

export const shopEventSchema = z
  .discriminatedUnion('event_type', [
    z.strictObject({ event_type: z.literal('search'), ...common }),
    z.strictObject({ event_type: z.literal('page_view'), ...common, product }),
    z.strictObject({ event_type: z.literal(['add_to_cart', 'remove_from_cart']), ...line }),
    z.strictObject({
      event_type: z.literal('purchase'),
      ...line,
      payment_method: z.enum(PAYMENT_METHODS),
    }),
  ])
  .refine(
    (event) =>
      !('quantity' in event) ||
      parseCents(event.total_amount) === parseCents(event.product.price) * event.quantity,
    { path: ['total_amount'], error: 'is not price × quantity' },
  );

export type ShopEvent = z.infer<typeof shopEventSchema>;
