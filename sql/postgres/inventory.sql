-- The inventory example: the tables and rows of Debezium's tutorial, without addresses and geom.
--
-- Safe to run any number of times and by several programs at once: one block, one lock, and a
-- table gets its rows only in the moment it is made. A second run therefore brings back nothing
-- that was deleted and moves no sequence.
DO $inventory$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('cdc/sql/postgres/inventory.sql', 0));

  -- Asked first, because CREATE SCHEMA IF NOT EXISTS wants the right to create even when it is there.
  IF to_regnamespace('inventory') IS NULL THEN
    CREATE SCHEMA inventory;
  END IF;

  IF to_regclass('inventory.products') IS NULL THEN
    CREATE TABLE inventory.products (
      id serial PRIMARY KEY,
      name varchar(255) NOT NULL,
      description varchar(512),
      weight double precision
    );
    INSERT INTO inventory.products (id, name, description, weight) VALUES
      (101, 'scooter', 'Small 2-wheel scooter', 3.14),
      (102, 'car battery', '12V car battery', 8.1),
      (103, '12-pack drill bits', '12-pack of drill bits with sizes ranging from #40 to #3', 0.8),
      (104, 'hammer', '12oz carpenter''s hammer', 0.75),
      (105, 'hammer', '14oz carpenter''s hammer', 0.875),
      (106, 'hammer', '16oz carpenter''s hammer', 1.0),
      (107, 'rocks', 'box of assorted rocks', 5.3),
      (108, 'jacket', 'water resistent black wind breaker', 0.1),
      (109, 'spare tire', '24 inch spare tire', 22.2);
    ALTER SEQUENCE inventory.products_id_seq RESTART WITH 110;
  END IF;

  IF to_regclass('inventory.products_on_hand') IS NULL THEN
    CREATE TABLE inventory.products_on_hand (
      product_id integer PRIMARY KEY REFERENCES inventory.products (id),
      quantity integer NOT NULL
    );
    -- A join, because products may be older than this table and lack some of the tutorial's rows.
    INSERT INTO inventory.products_on_hand (product_id, quantity)
    SELECT stock.product_id, stock.quantity
    FROM (VALUES (101, 3), (102, 8), (103, 18), (104, 4), (105, 5), (106, 0), (107, 44), (108, 2),
                 (109, 5)) AS stock (product_id, quantity)
    JOIN inventory.products ON products.id = stock.product_id
    ORDER BY stock.product_id;
  END IF;

  IF to_regclass('inventory.customers') IS NULL THEN
    CREATE TABLE inventory.customers (
      id serial PRIMARY KEY,
      first_name varchar(255) NOT NULL,
      last_name varchar(255) NOT NULL,
      email varchar(255) NOT NULL UNIQUE
    );
    INSERT INTO inventory.customers (id, first_name, last_name, email) VALUES
      (1001, 'Sally', 'Thomas', 'sally.thomas@acme.com'),
      (1002, 'George', 'Bailey', 'gbailey@foobar.com'),
      (1003, 'Edward', 'Walker', 'ed@walker.com'),
      (1004, 'Anne', 'Kretchmar', 'annek@noanswer.org');
    ALTER SEQUENCE inventory.customers_id_seq RESTART WITH 1005;
  END IF;

  IF to_regclass('inventory.orders') IS NULL THEN
    CREATE TABLE inventory.orders (
      id serial PRIMARY KEY,
      order_date date NOT NULL,
      purchaser integer NOT NULL REFERENCES inventory.customers (id),
      quantity integer NOT NULL,
      product_id integer NOT NULL REFERENCES inventory.products (id)
    );
    INSERT INTO inventory.orders (id, order_date, purchaser, quantity, product_id)
    SELECT seed.*
    FROM (VALUES (10001, date '2016-01-16', 1001, 1, 102),
                 (10002, date '2016-01-17', 1002, 2, 105),
                 (10003, date '2016-02-19', 1002, 2, 106),
                 (10004, date '2016-02-21', 1003, 1, 107))
         AS seed (id, order_date, purchaser, quantity, product_id)
    JOIN inventory.customers ON customers.id = seed.purchaser
    JOIN inventory.products ON products.id = seed.product_id
    ORDER BY seed.id;
    ALTER SEQUENCE inventory.orders_id_seq RESTART WITH 10005;
  END IF;
END
$inventory$;
