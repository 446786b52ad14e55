import { randomInt } from 'node:crypto';
import { faker } from '@faker-js/faker/locale/en';
import type pg from 'pg';
import { Problem } from '../core/problems.ts';
import {
  type Customer,
  countInventory,
  emailOf,
  type InventoryBatch,
  inventoryLanes,
  planInventory,
  type Start,
} from './inventory-plan.ts';
import { LANES, laneWriter } from './lanes.ts';
import { inTransaction, overRows } from './transaction.ts';
import type { OpenOptions, Workload, Writer, Written } from './workload.ts';

export const inventory: Workload = {
  name: 'inventory',
  summary:
    "Debezium's tutorial: orders are placed, changed and deleted; customers and stock change",
  schema: 'inventory',
  setupFile: 'inventory.sql',
  tables: ['customers', 'products', 'products_on_hand', 'orders'],
  defaultRate: 10,
  open,
};

/** A user's own tables may be any size; this many of their rows take part. */
const ROWS_READ = 1000;

async function open(pool: pg.Pool, options: OpenOptions): Promise<Writer> {
  const start = await readStart(pool);
  const lanes = inventoryLanes(LANES, start, options.seed ?? randomInt(2 ** 31));
  return laneWriter(lanes, {
    plan: (lane, count) => planInventory(lane, count, options.now()),
    commit: (batch, again, signal) =>
      inTransaction(pool, signal, (client) => commit(client, batch, again)),
  });
}

async function readStart(pool: pg.Pool): Promise<Start> {
  const products = await pool.query<{ id: number }>(
    `SELECT id FROM inventory.products ORDER BY id LIMIT ${ROWS_READ}`,
  );
  const stock = await pool.query<{ productId: number; quantity: number }>(
    `SELECT product_id AS "productId", quantity FROM inventory.products_on_hand
     ORDER BY product_id LIMIT ${ROWS_READ}`,
  );
  const customers = await pool.query<Omit<Customer, 'provider'>>(
    `SELECT id, first_name AS "firstName", last_name AS "lastName"
     FROM inventory.customers ORDER BY id LIMIT ${ROWS_READ}`,
  );
  if (products.rows.length === 0) {
    throw new Problem(
      'SOURCE_NOT_READY',
      {
        count: 'inventory.products is empty',
        detail: 'Orders refer to a product; the example had nine of them at the start.',
      },
      { fix: 'psql -c "DROP SCHEMA inventory CASCADE" && cdc load inventory' },
    );
  }
  const { first_name, last_name } = faker.definitions.person;
  return {
    productIds: products.rows.map((row) => row.id),
    stock: stock.rows,
    customers: customers.rows.map((row) => ({ ...row, provider: undefined })),
    names: { first: first_name.generic ?? [], last: last_name.generic ?? [] },
  };
}

const NEXT_IDS = `SELECT nextval(pg_get_serial_sequence($1, 'id'))::integer AS id
  FROM generate_series(1, $2::integer)`;

const INSERT_CUSTOMERS = {
  name: 'cdc_inventory_insert_customers',
  text: `INSERT INTO inventory.customers (id, first_name, last_name, email)
    SELECT * FROM unnest($1::integer[], $2::text[], $3::text[], $4::text[])
    ON CONFLICT (id) DO NOTHING`,
};

const INSERT_ORDERS = {
  name: 'cdc_inventory_insert_orders',
  text: `INSERT INTO inventory.orders (id, order_date, purchaser, quantity, product_id)
    SELECT * FROM unnest($1::integer[], $2::date[], $3::integer[], $4::integer[], $5::integer[])
    ON CONFLICT (id) DO NOTHING`,
};

const UPDATE_ORDERS = {
  name: 'cdc_inventory_update_orders',
  text: `UPDATE inventory.orders AS old SET quantity = new.quantity
    FROM unnest($1::integer[], $2::integer[]) AS new (id, quantity) WHERE old.id = new.id`,
};

const UPDATE_CUSTOMERS = {
  name: 'cdc_inventory_update_customers',
  text: `UPDATE inventory.customers AS old SET last_name = new.last_name, email = coalesce(new.email, old.email)
    FROM unnest($1::integer[], $2::text[], $3::text[]) AS new (id, last_name, email)
    WHERE old.id = new.id`,
};

const UPDATE_STOCK = {
  name: 'cdc_inventory_update_stock',
  text: `UPDATE inventory.products_on_hand AS old SET quantity = new.quantity
    FROM unnest($1::integer[], $2::integer[]) AS new (product_id, quantity)
    WHERE old.product_id = new.product_id`,
};

const DELETE_ORDERS = {
  name: 'cdc_inventory_delete_orders',
  text: 'DELETE FROM inventory.orders WHERE id = ANY ($1::integer[])',
};

/**
 * Statements in the order of the foreign keys. Rows that several generators share come last and
 * sorted, so that generators wait for one another and never in a circle.
 */
async function commit(
  client: pg.PoolClient,
  batch: InventoryBatch,
  again: boolean,
): Promise<Written> {
  await giveIds(client, 'inventory.customers', batch.newCustomers);
  await giveIds(client, 'inventory.orders', batch.newOrders);
  const inserts =
    (await overRows(
      client,
      INSERT_CUSTOMERS,
      batch.newCustomers.map((row) => [row.id, row.firstName, row.lastName, emailOf(row)]),
    )) +
    (await overRows(
      client,
      INSERT_ORDERS,
      batch.newOrders.map((row) => [
        row.id,
        row.date,
        row.purchaser.id,
        row.quantity,
        row.productId,
      ]),
    ));
  const planned = countInventory(batch);
  // The earlier attempt was committed and only its answer was lost.
  if (again && inserts === 0 && planned.inserts > 0) return planned;

  const deletes = await overRows(
    client,
    DELETE_ORDERS,
    batch.deletedOrders.map((row) => [row.id]),
  );
  const updates =
    (await overRows(
      client,
      UPDATE_ORDERS,
      [...batch.changedOrders].map((row) => [row.id, row.quantity]),
    )) +
    (await overRows(
      client,
      UPDATE_CUSTOMERS,
      [...batch.changedCustomers].sort(byId).map((row) => [row.id, row.lastName, emailOf(row)]),
    )) +
    (await overRows(
      client,
      UPDATE_STOCK,
      [...batch.changedStock]
        .sort((a, b) => a.productId - b.productId)
        .map((row) => [row.productId, row.quantity]),
    ));
  return { inserts, updates, deletes };
}

function byId(a: Customer, b: Customer): number {
  return (a.id ?? 0) - (b.id ?? 0);
}

/** Ids are taken before the rows are written, so that a repeated write is the same write. */
async function giveIds(
  client: pg.PoolClient,
  table: string,
  rows: readonly { id: number | undefined }[],
): Promise<void> {
  const without = rows.filter((row) => row.id === undefined);
  if (without.length === 0) return;
  const { rows: ids } = await client.query<{ id: number }>({
    name: 'cdc_inventory_next_ids',
    text: NEXT_IDS,
    values: [table, without.length],
  });
  without.forEach((row, index) => {
    row.id = ids[index]?.id;
  });
}
