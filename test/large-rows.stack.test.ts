import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  cdc,
  cdcJson,
  countRows,
  eventually,
  freshSchema,
  source,
  target,
} from './harness/database.ts';

/** A row that no message can hold (64 MiB) stops nothing, and is in the copy. */

const MIB = 1024 * 1024;
let schema = '';

beforeAll(async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'large')).name;
  await client.query(`CREATE TABLE ${schema}.large (id int PRIMARY KEY, body text, n int)`);
  await client.query(`CREATE TABLE ${schema}.beside (id int PRIMARY KEY)`);
  await cdcJson('apply');
});
afterAll(async () => {
  await using client = await source();
  await client.query(`DROP SCHEMA ${schema} CASCADE`);
  await cdcJson('apply');
});

/** Length of a row's text in the copy, and its number. */
async function inCopy(id: number): Promise<string> {
  await using clickhouse = target();
  const [row] = await clickhouse.rows<{ seen: string }>(
    `SELECT concat(toString(length(body)), ' ', toString(n)) AS seen FROM ${schema}.large WHERE id = ${id}`,
  );
  return row?.seen ?? 'absent';
}

async function letters(): Promise<{ table: string; reason: string }[]> {
  const { letters: all } = (await cdcJson('dlq', 'list')) as {
    letters: { table: string; reason: string }[];
  };
  return all.filter(({ table }) => table === `${schema}.large`);
}

test('inserted, changed and deleted, while the others go on', async () => {
  await using client = await source();
  await client.query(`INSERT INTO ${schema}.large VALUES (1, 'small', 0)`);
  await client.query(`INSERT INTO ${schema}.large VALUES (2, repeat('x', ${70 * MIB}), 1)`);
  await client.query(`INSERT INTO ${schema}.beside VALUES (1)`);
  await eventually('the table beside', 1, () => countRows(schema, 'beside'));
  await eventually('what was inserted', `${70 * MIB} 1`, () => inCopy(2));
  expect(await inCopy(1)).toBe('5 0');

  await client.query(
    `UPDATE ${schema}.large SET body = repeat('y', ${65 * MIB}), n = 2 WHERE id = 1`,
  );
  await eventually('what was changed', `${65 * MIB} 2`, () => inCopy(1));
  await client.query(`UPDATE ${schema}.large SET body = 'small again', n = 3 WHERE id = 2`);
  await eventually('what is small again', '11 3', () => inCopy(2));
  await client.query(`DELETE FROM ${schema}.large WHERE id = 1`);
  await eventually('what was deleted', 'absent', () => inCopy(1));
  await eventually('no dead letter is left', [], letters);
  expect(await cdcJson('verify', `${schema}.large`)).toMatchObject({ ok: true, rows: 1 });
});

test('with values as they were (REPLICA IDENTITY FULL), and in a table without a key', async () => {
  await using client = await source();
  await client.query(`CREATE TABLE ${schema}.bag (body text, n int)`);
  await client.query(`ALTER TABLE ${schema}.bag REPLICA IDENTITY FULL`);
  await cdcJson('apply');
  await client.query(
    `INSERT INTO ${schema}.bag VALUES (repeat('x', ${70 * MIB}), 1), ('small', 2)`,
  );
  await client.query(`INSERT INTO ${schema}.beside VALUES (2)`);
  await eventually('the table beside', 2, () => countRows(schema, 'beside'));
  await eventually('both rows', 2, () => countRows(schema, 'bag'));
  await client.query(`DELETE FROM ${schema}.bag WHERE n = 1`);
  await eventually('one of them', 1, () => countRows(schema, 'bag'));
  expect((await cdc('verify', `${schema}.bag`)).exit).toBe(0);
});
