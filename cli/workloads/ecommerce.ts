import { randomInt, randomUUID } from 'node:crypto';
import type pg from 'pg';
import { newCatalogue, type Product } from './catalogue.ts';
import {
  countEcommerce,
  type EcommerceBatch,
  ecommerceLanes,
  planEcommerce,
} from './ecommerce-plan.ts';
import { LANES, laneWriter } from './lanes.ts';
import { formatCents, parseCents } from './money.ts';
import { inTransaction, overRows } from './transaction.ts';
import type { OpenOptions, Workload, Writer, Written } from './workload.ts';

export const ecommerce: Workload = {
  name: 'ecommerce',
  summary: 'a shop: visitors search, view, fill carts and buy; prices and purchases change',
  schema: 'ecommerce',
  setupFile: 'ecommerce.sql',
  tables: ['events', 'products', 'transactions'],
  defaultRate: 2,
  open,
};

/** A user's own table may be any size; this many of its products are sold, and none at a silly price. */
const PRODUCTS_READ = 1000;

async function open(pool: pg.Pool, options: OpenOptions): Promise<Writer> {
  const catalogue = await readOrSeedCatalogue(pool);
  const sources = { now: options.now, newId: randomUUID };
  const seed = options.seed ?? randomInt(2 ** 31);
  return laneWriter(ecommerceLanes(LANES, catalogue, seed, sources.newId), {
    plan: (lane, count) => planEcommerce(lane, count, sources),
    commit: (batch, again, signal) =>
      inTransaction(pool, signal, (client) => commit(client, batch, again)),
  });
}

async function readOrSeedCatalogue(pool: pg.Pool): Promise<Product[]> {
  const found = await readCatalogue(pool);
  if (found.length > 0) return found;
  const products = newCatalogue();
  await pool.query(
    `INSERT INTO ecommerce.products (product_id, product_name, category, price)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::numeric[])
     ON CONFLICT (product_id) DO NOTHING`,
    [
      products.map((product) => product.id),
      products.map((product) => product.name),
      products.map((product) => product.category),
      products.map((product) => formatCents(product.priceCents)),
    ],
  );
  // Another generator may have been first, and may have changed prices since.
  return readCatalogue(pool);
}

async function readCatalogue(pool: pg.Pool): Promise<Product[]> {
  const { rows } = await pool.query<{ id: string; name: string; category: string; price: string }>(
    `SELECT product_id AS id, product_name AS name, category, price::text AS price
     FROM ecommerce.products WHERE price < 1000000 ORDER BY id LIMIT ${PRODUCTS_READ}`,
  );
  return rows.map(({ price, ...product }) => ({ ...product, priceCents: parseCents(price) }));
}

const INSERT_EVENTS = {
  name: 'cdc_ecommerce_insert_events',
  text: `INSERT INTO ecommerce.events (event_id, event_type, "timestamp", user_id, session_id)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[], $5::uuid[])
    ON CONFLICT (event_id) DO NOTHING`,
};

const INSERT_TRANSACTIONS = {
  name: 'cdc_ecommerce_insert_transactions',
  text: `INSERT INTO ecommerce.transactions
      (transaction_id, event_id, product_id, quantity, total_amount, payment_method, "timestamp")
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::integer[], $5::numeric[],
      $6::text[], $7::timestamptz[])`,
};

const CORRECT_TRANSACTIONS = {
  name: 'cdc_ecommerce_correct_transactions',
  text: `UPDATE ecommerce.transactions AS old
    SET quantity = new.quantity, total_amount = new.total_amount
    FROM unnest($1::uuid[], $2::integer[], $3::numeric[])
      AS new (transaction_id, quantity, total_amount)
    WHERE old.transaction_id = new.transaction_id`,
};

const DELETE_TRANSACTIONS = {
  name: 'cdc_ecommerce_delete_transactions',
  text: 'DELETE FROM ecommerce.transactions WHERE transaction_id = ANY ($1::uuid[])',
};

const CHANGE_PRICE = {
  name: 'cdc_ecommerce_change_price',
  text: 'UPDATE ecommerce.products SET price = $2 WHERE product_id = $1',
};

async function commit(
  client: pg.PoolClient,
  batch: EcommerceBatch,
  again: boolean,
): Promise<Written> {
  const events = await overRows(
    client,
    INSERT_EVENTS,
    batch.events.map((e) => [e.event_id, e.event_type, e.timestamp, e.user_id, e.session_id]),
  );
  // The earlier attempt was committed and only its answer was lost.
  if (again && events === 0 && batch.events.length > 0) return countEcommerce(batch);

  const transactions = await overRows(
    client,
    INSERT_TRANSACTIONS,
    batch.transactions.map((row) => [
      row.transactionId,
      row.eventId,
      row.productId,
      row.quantity,
      formatCents(row.unitCents * row.quantity),
      row.paymentMethod,
      row.timestamp,
    ]),
  );
  const corrected = await overRows(
    client,
    CORRECT_TRANSACTIONS,
    batch.corrections.map((row) => [row.transactionId, row.quantity, row.totalAmount]),
  );
  const deletes = await overRows(
    client,
    DELETE_TRANSACTIONS,
    batch.cancellations.map((transactionId) => [transactionId]),
  );
  const { priceChange } = batch;
  const repriced = priceChange
    ? await client.query({
        ...CHANGE_PRICE,
        values: [priceChange.id, formatCents(priceChange.priceCents)],
      })
    : undefined;
  return {
    inserts: events + transactions,
    updates: corrected + (repriced?.rowCount ?? 0),
    deletes,
  };
}
