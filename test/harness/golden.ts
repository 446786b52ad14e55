import { join } from 'node:path';
import { createStatement } from '../../cli/core/plan.ts';
import { packageRoot } from '../../cli/lib/packageRoot.ts';
import { chIdent } from '../../cli/lib/sql.ts';
import { column, desiredFor, table } from './pipeline.ts';

/** The catalog of the inventory example (sql/postgres/inventory.sql), written by hand. */
const serial = column('id', 'int4', { displayType: 'integer', notNull: true });
const integer = (name: string) => column(name, 'int4', { displayType: 'integer', notNull: true });
const varchar = (name: string, length: number, notNull: boolean) =>
  column(name, 'varchar', { displayType: `character varying(${length})`, length, notNull });

export const INVENTORY = [
  table('inventory', 'customers', [
    serial,
    varchar('first_name', 255, true),
    varchar('last_name', 255, true),
    varchar('email', 255, true),
  ]),
  table('inventory', 'orders', [
    serial,
    column('order_date', 'date', { notNull: true }),
    integer('purchaser'),
    integer('quantity'),
    integer('product_id'),
  ]),
  table('inventory', 'products', [
    serial,
    varchar('name', 255, true),
    varchar('description', 512, false),
    column('weight', 'float8', { displayType: 'double precision' }),
  ]),
  table('inventory', 'products_on_hand', [integer('product_id'), integer('quantity')]),
];

export const GOLDEN_FILE = join(packageRoot(), 'sql', 'clickhouse', 'inventory.sql');

/** Everything that `cdc up` makes in ClickHouse for the example, in an order that works. */
export function goldenText(): string {
  const { target } = desiredFor(INVENTORY);
  const objects = [
    ...target.own,
    ...target.tables.flatMap(({ storage, view }) => [storage, view]),
    ...target.sharedQueues.flatMap((sharedQueue) => [
      ...sharedQueue.behind,
      sharedQueue.queue,
      sharedQueue.reader,
    ]),
  ];
  const statements = [
    ...target.databases.map((name) => `CREATE DATABASE IF NOT EXISTS ${chIdent(name)}`),
    ...objects.map(createStatement),
  ];
  return `-- What cdc makes in ClickHouse for the inventory example. Generated: npm run generate.
-- Credentials for Kafka stand in the server's configuration.

${statements.map((statement) => `${statement};\n`).join('\n')}`;
}
