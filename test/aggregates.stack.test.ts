import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { packageRoot } from '../cli/lib/packageRoot.ts';
import { setupExample } from '../cli/pipeline/inspect/examples.ts';
import {
  cdc,
  cdcJson,
  eventually,
  freshSchema,
  source,
  stack,
  target,
} from './harness/database.ts';

/** Runs a query on both sides; every value as text. */
async function both(copy: string, original: string): Promise<[string[][], string[][]]> {
  await using clickhouse = target();
  await using client = await source();
  const texts = (rows: Record<string, unknown>[]) =>
    rows.map((row) => Object.values(row).map((value) => String(value ?? '0')));
  const found = await clickhouse.rows<Record<string, unknown>>(
    copy,
    {},
    { output_format_json_quote_decimals: 1, output_format_decimal_trailing_zeros: 1 },
  );
  return [texts(found), texts((await client.query(original)).rows)];
}

async function refresh(...views: string[]): Promise<void> {
  await using clickhouse = target();
  for (const view of views) await clickhouse.command(`SYSTEM REFRESH VIEW ${view}`);
  for (const view of views) await clickhouse.command(`SYSTEM WAIT VIEW ${view}`);
}

const VIEWS = ['sales_by_category', 'top_products', 'daily_metrics'].map((v) => `ecommerce.${v}`);

/** What the views that come with cdc must hold, asked of the source. */
const TRUTHS: readonly [string, string][] = [
  [
    'SELECT category, purchases, units, revenue FROM ecommerce.sales_by_category ORDER BY category',
    `SELECT category, count(*) AS purchases, sum(quantity) AS units, sum(total_amount) AS revenue
       FROM ecommerce.transactions JOIN ecommerce.products USING (product_id)
      WHERE payment_method IS NOT NULL GROUP BY category ORDER BY category COLLATE "C"`,
  ],
  [
    'SELECT rank, product_id, product_name, category, units, revenue FROM ecommerce.top_products ORDER BY rank',
    `SELECT row_number() OVER (ORDER BY sum(total_amount) DESC, p.product_id COLLATE "C") AS rank, p.product_id,
            product_name, category, sum(quantity) AS units, sum(total_amount) AS revenue
       FROM ecommerce.transactions t JOIN ecommerce.products p ON p.product_id = t.product_id
      WHERE payment_method IS NOT NULL GROUP BY p.product_id, product_name, category ORDER BY rank`,
  ],
  [
    'SELECT toString(day), events, page_views, searches, carts, purchases, users, sessions, units, revenue FROM ecommerce.daily_metrics ORDER BY day',
    `SELECT e.day::text, events, page_views, searches, carts, purchases, users, sessions, coalesce(units, 0) AS units, coalesce(revenue, 0.00) AS revenue
       FROM (SELECT (timestamp AT TIME ZONE 'UTC')::date AS day, count(*) AS events,
                    count(*) FILTER (WHERE event_type = 'page_view') AS page_views,
                    count(*) FILTER (WHERE event_type = 'search') AS searches,
                    count(*) FILTER (WHERE event_type = 'add_to_cart') AS carts,
                    count(*) FILTER (WHERE event_type = 'purchase') AS purchases,
                    count(DISTINCT user_id) AS users, count(DISTINCT session_id) AS sessions
               FROM ecommerce.events GROUP BY 1) e
       LEFT JOIN (SELECT (timestamp AT TIME ZONE 'UTC')::date AS day, sum(quantity) AS units, sum(total_amount) AS revenue
               FROM ecommerce.transactions WHERE payment_method IS NOT NULL GROUP BY 1) t ON t.day = e.day
      ORDER BY e.day`,
  ],
];

async function proveViews(): Promise<void> {
  expect(await cdcJson('verify', 'ecommerce.*')).toMatchObject({ ok: true });
  await refresh(...VIEWS);
  for (const [copy, original] of TRUTHS) {
    const [found, wanted] = await both(copy, original);
    expect(found).toEqual(wanted);
  }
}

describe('the views of the e-commerce example', () => {
  beforeAll(async () => {
    await setupExample(stack(), 'ecommerce');
    await cdcJson('load', 'ecommerce', '--rate', '200', '--duration', '3s');
  });

  afterAll(async () => {
    await using client = await source();
    await client.query('DROP SCHEMA IF EXISTS ecommerce CASCADE');
    await cdcJson('apply');
    await using clickhouse = target();
    expect(
      await clickhouse.rows(`SELECT name FROM system.tables WHERE comment LIKE 'cdc aggregate %'`),
    ).toEqual([]);
  });

  test('are made when its tables are copied, and a second run finds them there', async () => {
    await using clickhouse = target();
    const made = await clickhouse.rows<{ label: string }>(
      `SELECT concat(database, '.', view) AS label FROM system.view_refreshes WHERE database = 'ecommerce'`,
    );
    expect(made.map(({ label }) => label).sort()).toEqual([...VIEWS].sort());
    expect(await cdcJson('apply')).toMatchObject({ result: 'unchanged' });
    await proveViews();
  });

  test('equal the source’s after rows were updated, deleted, put in again, and truncated', async () => {
    await using client = await source();
    const paid = 'payment_method IS NOT NULL';
    for (const sql of [
      `UPDATE ecommerce.products SET category = 'Moved' WHERE product_id < 'PROD010'`,
      `UPDATE ecommerce.transactions SET quantity = quantity + 1, total_amount = total_amount * 2 WHERE ${paid} AND id % 2 = 0`,
      `DELETE FROM ecommerce.transactions WHERE id % 3 = 0`,
      `WITH gone AS (DELETE FROM ecommerce.transactions WHERE id % 5 = 0 RETURNING *) SELECT count(*) FROM gone`,
      `UPDATE ecommerce.transactions SET payment_method = NULL WHERE ${paid} AND id % 7 = 0`,
      `UPDATE ecommerce.events SET timestamp = timestamp - interval '1 day' WHERE id % 4 = 0`,
      `UPDATE ecommerce.transactions SET id = -id, timestamp = timestamp - interval '1 day' WHERE id % 11 = 0`,
    ])
      await client.query(sql);
    await proveViews();
    await client.query('TRUNCATE ecommerce.transactions');
    await proveViews();
    await using clickhouse = target();
    expect(await clickhouse.rows('SELECT * FROM ecommerce.sales_by_category')).toEqual([]);
  });

  test('are refreshed by themselves', async () => {
    await using client = await source();
    await client.query(`UPDATE ecommerce.events SET event_type = 'search'`);
    await using clickhouse = target();
    await eventually('the view to follow', 0, async () => {
      const [found] = await clickhouse.rows<{ n: string }>(
        'SELECT sum(page_views) AS n FROM ecommerce.daily_metrics',
      );
      return Number(found?.n);
    });
    const { components } = (await cdc('status', '--json')).json();
    expect(components).toContainEqual(expect.objectContaining({ name: 'views', state: 'ready' }));
  });
});

describe('views that a user declares', () => {
  let schema: string;
  let folder: string;
  let drop: () => Promise<void>;

  const declare = (file: string, sql: string) =>
    writeFileSync(join(folder, file), sql.replaceAll('shop.', `${schema}.`));

  beforeAll(async () => {
    const root = join(inject('stackDirectory'), 'sql');
    folder = join(root, 'clickhouse', 'views');
    mkdirSync(folder, { recursive: true });
    await using client = await source();
    const fresh = await freshSchema(client, 'aggregates');
    schema = fresh.name;
    drop = async () => {
      await fresh.drop();
      rmSync(root, { recursive: true });
    };
    await client.query(
      `CREATE TABLE ${schema}.orders (id int PRIMARY KEY, customer text NOT NULL, total int)`,
    );
    await client.query(
      `INSERT INTO ${schema}.orders SELECT g, 'c' || g % 10, 1 FROM generate_series(1, 1000) g`,
    );
  });

  afterEach(async () => {
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    await cdcJson('apply');
  });

  afterAll(async () => {
    await drop();
    await cdcJson('apply');
  });

  /** The example of docs/aggregates.md, refreshed by the tests only. */
  const text = readFileSync(join(packageRoot(), 'docs', 'aggregates.md'), 'utf8');
  const example = /```sql\n(.*?)\n```/s.exec(text)?.[1] ?? '';
  const BY_CUSTOMER = example.replace('10 SECOND', '1 HOUR');

  test('are made, replaced when their file changes, and dropped with it', async () => {
    declare('customers.sql', BY_CUSTOMER);
    const objects = async (...argv: string[]) =>
      (await cdcJson(...argv)).changes
        .map((c: { action: string; object: string }) => `${c.action} ${c.object}`)
        .filter((text: string) => text.includes('aggregate'));
    expect(await objects('plan')).toEqual(await objects('apply'));
    expect(await cdcJson('apply')).toMatchObject({ result: 'unchanged' });
    await using clickhouse = target();
    const total = async () =>
      (await clickhouse.rows<{ n: string }>(`SELECT sum(total) AS n FROM ${schema}.by_customer`))[0]
        ?.n;
    expect(await total()).toBe('1000');
    declare('customers.sql', BY_CUSTOMER.replace('sum(total)', 'sum(total) * 2'));
    expect(await objects('apply')).toEqual([`replace aggregate ${schema}.by_customer`]);
    expect(await total()).toBe('2000');
    rmSync(join(folder, 'customers.sql'));
    expect((await objects('apply')).sort()).toEqual(
      ['best', 'by_customer'].map((name) => `drop aggregate ${schema}.${name}`),
    );
  });

  test('are never seen half made', async () => {
    declare(
      'customers.sql',
      BY_CUSTOMER.replace('sum(total)', 'sum(total) + 0 * sum(sleepEachRow(0.0002))'),
    );
    await cdcJson('apply');
    await using clickhouse = target();
    const seen = new Set<string>();
    let running = true;
    const reading = (async () => {
      while (running) {
        const sums = await clickhouse.rows<{ n: string }>(
          `SELECT sum(total) AS n FROM ${schema}.by_customer`,
        );
        seen.add(sums[0]?.n ?? '');
      }
    })();
    for (let i = 0; i < 5; i += 1) await refresh(`${schema}.by_customer`);
    running = false;
    await reading;
    expect([...seen]).toEqual(['1000']);
  });

  test('wait for tables that are not copied, which is no error', async () => {
    declare('later.sql', 'CREATE VIEW shop.later AS SELECT count() AS n FROM shop.guests;');
    const waiting = [
      {
        view: `${schema}.later`,
        file: 'sql/clickhouse/views/later.sql',
        missing: [`${schema}.guests`],
      },
    ];
    expect(await cdcJson('plan')).toMatchObject({ waiting });
    expect((await cdc('apply')).stdout).toContain(`waits for ${schema}.guests`);
    await using client = await source();
    await client.query(`CREATE TABLE ${schema}.guests (id int PRIMARY KEY)`);
    expect(await cdcJson('apply')).toMatchObject({ waiting: [] });
    await using clickhouse = target();
    expect(await clickhouse.rows(`SELECT n FROM ${schema}.later`)).toEqual([{ n: '0' }]);
  });

  test.each([
    ['no SQL', 'CREATE VIEW shop.x AS SELEC 1;', 'Syntax error'],
    ['a table’s name', 'CREATE VIEW shop.orders_final AS SELECT 1;', 'something else'],
    ['a sum of changes', 'CREATE MATERIALIZED VIEW shop.x AS SELECT 1;', 'no REFRESH'],
  ])('are refused before anything is changed: %s', async (_, sql, detail) => {
    declare('bad.sql', sql);
    for (const verb of ['plan', 'apply']) {
      const ran = await cdc(verb, '--json');
      expect(ran.exit).toBe(3);
      expect(ran.json().error.code).toBe('VIEW_INVALID');
      expect(ran.json().error.message).toContain('sql/clickhouse/views/bad.sql');
      expect(ran.json().error.message).toContain(detail);
    }
  });

  test('that ClickHouse refuses are named with its sentence, and keep nothing else from being applied', async () => {
    declare('a.sql', 'CREATE VIEW shop.wrong AS SELECT nothing FROM shop.orders;');
    declare('b.sql', BY_CUSTOMER);
    const ran = await cdc('apply', '--json');
    expect(ran.exit).toBe(5);
    const { error } = ran.json();
    expect(error).toMatchObject({ code: 'VIEW_REFUSED', fix: expect.stringContaining('a.sql') });
    expect(error.message).toMatch(/wrong of sql\/clickhouse\/views\/a\.sql: .*nothing/);
    const left = (await cdcJson('plan')).changes.map((c: { object: string }) => c.object);
    expect(left).toEqual([`aggregate ${schema}.wrong`]);
  });

  test('that cannot be refreshed keep their rows, and status and doctor say so', async () => {
    declare(
      'fails.sql',
      `CREATE MATERIALIZED VIEW shop.fails REFRESH EVERY 1 HOUR ENGINE = MergeTree ORDER BY n
       AS SELECT count() AS n FROM shop.orders WHERE throwIf(total > 100, 'too much') = 0;`,
    );
    await cdcJson('apply');
    await using client = await source();
    await client.query(`UPDATE ${schema}.orders SET total = 101 WHERE id = 1`);
    await cdcJson('verify', `${schema}.orders`);
    await expect(refresh(`${schema}.fails`)).rejects.toThrow('too much');
    await using clickhouse = target();
    expect(await clickhouse.rows(`SELECT n FROM ${schema}.fails`)).toEqual([{ n: '1000' }]);
    const { components, healthy } = (await cdc('status', '--json')).json();
    expect(healthy).toBe(false);
    const views = components.find((part: { name: string }) => part.name === 'views');
    expect(views).toMatchObject({ state: 'failing', detail: expect.stringContaining('too much') });
    const { findings } = (await cdc('doctor', '--json')).json();
    const subject = `${schema}.fails`;
    expect(findings).toContainEqual(expect.objectContaining({ id: 'view-not-refreshed', subject }));
    await client.query(`UPDATE ${schema}.orders SET total = 1`);
  });
});
