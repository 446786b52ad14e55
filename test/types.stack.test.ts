import { afterAll, beforeAll, expect, test } from 'vitest';
import { chIdent } from '../cli/lib/sql.ts';
import { cdcJson, eventually, freshSchema, source, target } from './harness/database.ts';
import { type TypeCase, typeCases } from './harness/types.ts';

let schema = '';
let cases: readonly TypeCase[] = [];

beforeAll(async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'types')).name;
  await client.query(
    ['citext', 'hstore', 'ltree', 'cube']
      .map((e) => `CREATE EXTENSION IF NOT EXISTS ${e};`)
      .join(' '),
  );
  await client.query(`
    CREATE TYPE ${schema}.mood AS ENUM ('sad', 'it''s ok', '');
    CREATE TYPE ${schema}."Pair" AS (a int, b text, c timestamptz[]);
    CREATE TYPE ${schema}.spans AS RANGE (subtype = float8);
    CREATE DOMAIN ${schema}.cents AS numeric(10, 2) CHECK (value >= 0);
    CREATE DOMAIN ${schema}.moods AS ${schema}.mood[];
    CREATE DOMAIN ${schema}.required AS text NOT NULL;
  `);
  cases = typeCases(schema);
});
afterAll(async () => {
  await using client = await source();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await cdcJson('apply');
});

test('every type keeps every value, loaded and streamed, also as NULL and in arrays', async () => {
  await using client = await source();
  await using clickhouse = target();
  const columns = cases.flatMap(({ type }, i) => [`c${i} ${type}`, `a${i} ${type}[]`]);
  await client.query(`CREATE TABLE ${schema}.every (id int PRIMARY KEY, ${columns.join(', ')})`);
  const most = Math.max(...cases.map((c) => c.values.length));
  const names = cases.flatMap((_, i) => [`c${i}`, `a${i}`]).join(', ');
  const insert = async (offset: number) => {
    for (let n = 0; n <= most; n += 1) {
      const row = cases.flatMap(({ type, values }) => {
        const value = n === most ? 'NULL' : `(${values[n % values.length]})`;
        const array = [`ARRAY[${value}, NULL]`, `'{}'`, 'NULL', `ARRAY[${value}]`][n % 4];
        return [`${value}::${type}`, `${array}::${type}[]`];
      });
      await client.query(
        `INSERT INTO ${schema}.every (id, ${names}) VALUES (${offset + n}, ${row.join(', ')})`,
      );
    }
  };
  await insert(0);
  await cdcJson('apply');
  await insert(1000);
  await client.query(`UPDATE ${schema}.every SET c0 = 1 WHERE id IN (1, 1001)`);
  await client.query(`DELETE FROM ${schema}.every WHERE id IN (2, 1002)`);
  const result = await cdcJson('verify', `${schema}.every`);
  expect(result.tables[0]).toMatchObject({
    source_rows: 2 * most,
    missing: 0,
    extra: 0,
    different: 0,
  });

  // A proof by checksum is only as good as its texts: what is stored is the same both ways, too.
  const stored = await clickhouse.rows<{ n: string }>(
    `SELECT count() AS n FROM (SELECT toString(tuple(* EXCEPT id)) AS row, id % 1000 AS n FROM ${chIdent(schema, 'every')}) GROUP BY row, n HAVING count() != 2`,
  );
  expect(stored).toEqual([]);
});

test('what is stored as text is what PostgreSQL prints', async () => {
  await using client = await source();
  await using clickhouse = target();
  const printed = cases.filter((c) => c.printed !== undefined);
  await client.query(
    `CREATE TABLE ${schema}.printed (id int PRIMARY KEY, ${printed.map((c, i) => `c${i} ${c.type}`).join(', ')})`,
  );
  const row = printed.map((c) => `(${c.values[0]})::${c.type}`).join(', ');
  await client.query(`INSERT INTO ${schema}.printed VALUES (1, ${row})`);
  await cdcJson('apply');
  await client.query(`INSERT INTO ${schema}.printed VALUES (2, ${row})`);
  const found = async () =>
    (
      await clickhouse.rows<Record<string, unknown>>(
        `SELECT * EXCEPT id FROM ${chIdent(schema, 'printed')} ORDER BY id`,
      )
    ).map((values) => Object.values(values));
  const wanted = printed.map((c) => c.printed);
  await eventually('both rows', [wanted, wanted], found);
});
