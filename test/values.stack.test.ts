import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LETTER_REASONS } from '../cli/core/deadLetterReasons.ts';
import { chIdent } from '../cli/lib/sql.ts';
import { cdcJson, eventually, freshSchema, source, target } from './harness/database.ts';

let schema = '';

beforeAll(async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'values')).name;
});
afterAll(async () => {
  await using client = await source();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await cdcJson('apply');
});

test('a NULL stays NULL in a column that has a default', async () => {
  await using client = await source();
  await client.query(
    `CREATE TABLE ${schema}.defaults (id int PRIMARY KEY, n int DEFAULT 5, s text DEFAULT 'x', t time DEFAULT '10:00', a int[] DEFAULT '{1}')`,
  );
  await client.query(
    `INSERT INTO ${schema}.defaults VALUES (1, NULL, NULL, NULL, NULL); INSERT INTO ${schema}.defaults VALUES (2)`,
  );
  await cdcJson('apply');
  await client.query(
    `INSERT INTO ${schema}.defaults VALUES (3, NULL, NULL, NULL, NULL); INSERT INTO ${schema}.defaults VALUES (4)`,
  );
  expect(await cdcJson('verify', `${schema}.defaults`)).toMatchObject({ ok: true, rows: 4 });
});

/** A table whose text is kept out of line, and copied. */
async function makeOutOfLine(name: string): Promise<void> {
  await using client = await source();
  await client.query(`CREATE TABLE ${schema}.${name} (id int PRIMARY KEY, n int, body text)`);
  await client.query(`ALTER TABLE ${schema}.${name} ALTER body SET STORAGE EXTERNAL`);
  await cdcJson('apply');
}

test('a value kept out of line that did not change survives an update of its row', async () => {
  await using client = await source();
  await using clickhouse = target();
  await makeOutOfLine('toast');
  await client.query(
    `INSERT INTO ${schema}.toast SELECT g, 0, repeat(md5(g::text), 1000) FROM generate_series(1, 5) g`,
  );
  await client.query(`UPDATE ${schema}.toast SET n = 1`);
  await client.query(`UPDATE ${schema}.toast SET n = 2 WHERE id = 5`);
  await client.query(`DELETE FROM ${schema}.toast WHERE id = 5`);
  expect(await cdcJson('verify', `${schema}.toast`)).toMatchObject({ ok: true, rows: 4 });
  const found = await clickhouse.rows<{ n: number; size: string }>(
    `SELECT n, length(body) AS size FROM ${chIdent(schema, 'toast')} GROUP BY ALL`,
  );
  expect(found).toEqual([{ n: 1, size: '32000' }]);
});

test('a value kept out of line is looked up on another connection where the one of before was ended', async () => {
  await using client = await source();
  await makeOutOfLine('ended');
  await client.query(`INSERT INTO ${schema}.ended VALUES (1, 0, repeat('v', 5000))`);
  for (const n of [1, 2]) {
    await client.query(`UPDATE ${schema}.ended SET n = ${n}`);
    expect(await cdcJson('verify', `${schema}.ended`)).toMatchObject({ ok: true, rows: 1 });
    // Debezium's own, as a firewall or idle_session_timeout ends them; who streams is told apart.
    await client.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND application_name LIKE 'Debezium%'`,
    );
  }
});

test('a change whose value cannot be looked up is read by its key, not taken for one whose row is gone', async () => {
  await using client = await source();
  await makeOutOfLine('renamed');
  await client.query(`INSERT INTO ${schema}.renamed VALUES (1, 0, repeat('v', 5000))`);
  expect(await cdcJson('verify', `${schema}.renamed`)).toMatchObject({ ok: true, rows: 1 });
  await cdcJson('connector', 'pause');
  await client.query(`UPDATE ${schema}.renamed SET n = 1`);
  await client.query(`ALTER TABLE ${schema}.renamed RENAME body TO text`);
  await cdcJson('connector', 'resume');
  const reasons = async () => {
    const { letters } = await cdcJson('dlq', 'list');
    return (letters as { table: string; reason: string }[])
      .filter(({ table }) => table === `${schema}.renamed`)
      .map(({ reason }) => reason.slice(0, LETTER_REASONS.unread.length));
  };
  await eventually('a dead letter', [LETTER_REASONS.unread], reasons);
  await cdcJson('apply');
  await eventually('its row', [], reasons);
  expect(await cdcJson('verify', `${schema}.renamed`)).toMatchObject({ ok: true, rows: 1 });
});

test('a key that changes moves the row', async () => {
  await using client = await source();
  await client.query(`CREATE TABLE ${schema}.moved (id int PRIMARY KEY, v text)`);
  await cdcJson('apply');
  await client.query(`INSERT INTO ${schema}.moved VALUES (1, 'a'), (2, 'b')`);
  await client.query(`UPDATE ${schema}.moved SET id = 10 WHERE id = 1`);
  expect(await cdcJson('verify', `${schema}.moved`)).toMatchObject({ ok: true, rows: 2 });
});

/** Keys by which a value kept out of line has to be looked up: table, key columns, a key. */
const KEYS: readonly (readonly [table: string, columns: string, key: string])[] = [
  ['quoted', '"Id" int', '1'],
  ['keyword', '"user" text', "'a''b'"],
  ['marks', '"a ""b"" = c" numeric', '1.50'],
  ['enumerated', 'id color', "'red'"],
  ['bits', 'id varbit(9)', "B'0101'"],
  ['bytes', 'id bytea', "'\\x00ff'"],
  ['list', 'id text[]', "ARRAY['a', NULL, '{']"],
  ['several', '"A" uuid, b timestamptz', "gen_random_uuid(), '2024-02-03 04:05:06.789+02'"],
];

describe('a value kept out of line survives an update of a row whose key is', () => {
  beforeAll(async () => {
    await using client = await source();
    await client.query(`SET search_path = ${schema}; CREATE TYPE color AS ENUM ('red')`);
    for (const [table, columns] of KEYS) {
      const names = [...columns.matchAll(/(?:^|, )("(?:[^"]|"")+"|\w+) /g)].map((m) => m[1]);
      await client.query(
        `CREATE TABLE ${table} (${columns}, n int, body text, PRIMARY KEY (${names.join(', ')}));
         ALTER TABLE ${table} ALTER body SET STORAGE EXTERNAL`,
      );
    }
    await cdcJson('apply');
  });

  test.each(KEYS)('%s', async (table, _columns, key) => {
    await using client = await source();
    await client.query(`SET search_path = ${schema}`);
    await client.query(`INSERT INTO ${table} VALUES (${key}, 0, repeat(md5('1'), 1000))`);
    await client.query(`UPDATE ${table} SET n = 1`);
    expect(await cdcJson('verify', `${schema}.${table}`)).toMatchObject({ ok: true, rows: 1 });
  });
});
