import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { Connect } from '../cli/components/connect/client.ts';
import { chIdent } from '../cli/lib/sql.ts';
import {
  cdc,
  cdcJson,
  eventually,
  freshSchema,
  source,
  stack,
  target,
} from './harness/database.ts';
import { kill } from './harness/servers.ts';

/** Tables without a key that PostgreSQL enforces at every moment: each row as often as the source has it. */

let schema = '';

const TABLES = `
CREATE TABLE plain (a int, b text);
CREATE TABLE odd (n numeric, f float8, d date, t timestamptz, tags text[]);
CREATE TABLE emptied (a int, b text);
CREATE TABLE busy (a int, b text);
CREATE TABLE grown (a int, b text);
CREATE TABLE swapped (id int PRIMARY KEY DEFERRABLE, v text);
CREATE TABLE big (a int);
CREATE TABLE counted (id bigserial PRIMARY KEY, a int);
CREATE TABLE wide (a int, b text);
CREATE TABLE parts (a int, b text) PARTITION BY RANGE (a);
CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (100);
ALTER TABLE parts_low REPLICA IDENTITY FULL;
`;
const NAMES = ['plain', 'odd', 'emptied', 'busy', 'grown', 'swapped', 'big', 'wide', 'parts'];

beforeAll(async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'multiset')).name;
  await client.query(`SET search_path = ${schema}; ${TABLES}`);
  for (const name of NAMES)
    await client.query(`ALTER TABLE ${schema}.${name} REPLICA IDENTITY FULL`);
  await client.query(
    `INSERT INTO ${schema}.plain VALUES (1, 'x'), (1, 'x'), (1, 'x'), (2, NULL), (2, NULL);
     INSERT INTO ${schema}.swapped VALUES (1, 'one'), (2, 'two')`,
  );
  await cdcJson('apply');
});
afterAll(async () => {
  await using client = await source();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await cdcJson('apply');
});

async function change(...statements: readonly string[]): Promise<void> {
  await using client = await source();
  await client.query(`SET search_path = ${schema}`);
  for (const statement of statements) await client.query(statement);
}

/** `verify` and counts of our own: what it is based on must not be what it proves. */
async function proveEqual(table: string): Promise<number> {
  const result = await cdcJson('verify', `${schema}.${table}`);
  expect(result.tables[0]).toMatchObject({ missing: 0, extra: 0, different: 0, unsettled: 0 });
  expect(result).toMatchObject({ ok: true, flowing: true });
  await using client = await source();
  await using clickhouse = target();
  const [ours, theirs] = await Promise.all([
    client.query<{ n: string }>(`SELECT count(*) AS n FROM ${schema}.${table}`),
    clickhouse.rows<{ n: string }>(`SELECT count() AS n FROM ${chIdent(schema, table)}`),
  ]);
  expect(Number(theirs[0]?.n)).toBe(Number(ours.rows[0]?.n));
  return Number(ours.rows[0]?.n);
}

test('identical rows of one statement are all there, and go one by one', async () => {
  expect(await proveEqual('plain')).toBe(5);
  await change(
    "INSERT INTO plain SELECT 7, 'same' FROM generate_series(1, 1000)",
    "INSERT INTO plain VALUES (8, 'v'), (8, 'v'), (8, 'w')",
  );
  expect(await proveEqual('plain')).toBe(1008);
  await change(
    "UPDATE plain SET b = 'y' WHERE ctid = (SELECT min(ctid) FROM plain WHERE a = 1)",
    'DELETE FROM plain WHERE ctid IN (SELECT ctid FROM plain WHERE a = 7 LIMIT 400)',
    'DELETE FROM plain WHERE ctid = (SELECT max(ctid) FROM plain WHERE a = 2)',
    "UPDATE plain SET b = 'v' WHERE a = 8",
    'UPDATE plain SET b = b WHERE a = 8',
  );
  expect(await proveEqual('plain')).toBe(607);
});

test('values that no type holds, NULL, NaN and infinity count like others', async () => {
  await change(
    `INSERT INTO odd VALUES (NULL, NULL, NULL, NULL, NULL), (NULL, NULL, NULL, NULL, NULL), ('NaN', 'NaN', 'infinity', '-infinity', '{}'),
       ('NaN', 'NaN', 'infinity', '-infinity', '{}'), (1e50, 'infinity', '4000-01-01', '0044-03-15 BC', '{a,NULL}'), (0, '-0', '1800-01-01', now(), '{{a},{b}}')`,
    "UPDATE odd SET n = 'infinity' WHERE ctid = (SELECT min(ctid) FROM odd WHERE n = 'NaN')",
    'DELETE FROM odd WHERE ctid = (SELECT min(ctid) FROM odd WHERE n IS NULL)',
  );
  expect(await proveEqual('odd')).toBe(5);
  await cdcJson('snapshot', `${schema}.odd`);
  expect(await proveEqual('odd')).toBe(5);
  await change('DELETE FROM odd WHERE n IS NULL', "DELETE FROM odd WHERE f = 'NaN'");
  expect(await proveEqual('odd')).toBe(2);
});

test('a truncate takes what was there, also amid a transaction and after a load', async () => {
  await change(
    "INSERT INTO emptied SELECT 1, 'a' FROM generate_series(1, 50)",
    "BEGIN; INSERT INTO emptied VALUES (2, 'b'); TRUNCATE emptied; INSERT INTO emptied VALUES (3, 'c'), (3, 'c'); COMMIT",
  );
  expect(await proveEqual('emptied')).toBe(2);
  await cdcJson('snapshot', `${schema}.emptied`);
  expect(await proveEqual('emptied')).toBe(2);
  await change('TRUNCATE emptied', "INSERT INTO emptied VALUES (4, 'd')");
  expect(await proveEqual('emptied')).toBe(1);
});

test('a load while four writers go on is exact, and the table is never empty', async () => {
  await change("INSERT INTO busy SELECT g % 100, 'x' FROM generate_series(1, 20000) g");
  await proveEqual('busy');
  let writing = true;
  let least = Number.POSITIVE_INFINITY;
  const writers = [1, 2, 3, 4].map(async (n) => {
    await using client = await source();
    for (let i = 0; writing; i += 1) {
      await client.query('BEGIN');
      await client.query(
        `INSERT INTO ${schema}.busy SELECT ${(i * n) % 100}, 'x' FROM generate_series(1, 3)`,
      );
      await client.query(
        `UPDATE ${schema}.busy SET b = 'y${n}' WHERE ctid IN (SELECT ctid FROM ${schema}.busy WHERE a = ${n} LIMIT 1 FOR UPDATE SKIP LOCKED)`,
      );
      await client.query(
        `DELETE FROM ${schema}.busy WHERE ctid IN (SELECT ctid FROM ${schema}.busy WHERE a = ${n + 10} LIMIT 2 FOR UPDATE SKIP LOCKED)`,
      );
      await client.query(i % 7 === 0 ? 'ROLLBACK' : 'COMMIT');
    }
  });
  const watcher = (async () => {
    await using clickhouse = target();
    while (writing) {
      const [row] = await clickhouse.rows<{ n: string }>(
        `SELECT count() AS n FROM ${chIdent(schema, 'busy')}`,
      );
      least = Math.min(least, Number(row?.n));
    }
  })();
  try {
    await cdcJson('snapshot', `${schema}.busy`);
    await cdcJson('snapshot', `${schema}.busy`);
  } finally {
    writing = false;
  }
  await Promise.all([...writers, watcher]);
  await proveEqual('busy');
  expect(least).toBeGreaterThan(10_000);
});

test('a column with a default is added', async () => {
  await change("INSERT INTO grown VALUES (1, 'a'), (1, 'a'), (2, 'b')");
  await proveEqual('grown');
  await change("ALTER TABLE grown ADD COLUMN c text NOT NULL DEFAULT 'z'");
  await cdcJson('apply');
  expect(await proveEqual('grown')).toBe(3);
  await change('DELETE FROM grown WHERE a = 1', 'INSERT INTO grown (a) VALUES (9), (9)');
  expect(await proveEqual('grown')).toBe(3);
});

test('keys that are deferrable may be swapped', async () => {
  await change('UPDATE swapped SET id = 3 - id', "UPDATE swapped SET v = 'uno' WHERE id = 2");
  expect(await proveEqual('swapped')).toBe(2);
  await using clickhouse = target();
  const rows = await clickhouse.rows(`SELECT id, v FROM ${chIdent(schema, 'swapped')} ORDER BY id`);
  expect(rows).toEqual([
    { id: 1, v: 'two' },
    { id: 2, v: 'uno' },
  ]);
});

test('long values that an update leaves as they are, and partitions', async () => {
  await change(
    "INSERT INTO wide SELECT g, (SELECT string_agg(md5(g::text || i::text), '') FROM generate_series(1, 400) i) FROM generate_series(1, 3) g",
    'UPDATE wide SET a = a + 1',
    'DELETE FROM wide WHERE a = 2',
    "INSERT INTO parts VALUES (1, 'a'), (1, 'a')",
    'DELETE FROM parts WHERE ctid = (SELECT min(ctid) FROM parts)',
  );
  expect(await proveEqual('wide')).toBe(2);
  expect(await proveEqual('parts')).toBe(1);
});

test('verify names rows that the copy has too often or not often enough, and mends them', async () => {
  await using clickhouse = target();
  const final = chIdent(schema, 'plain_final');
  await clickhouse.command(
    `INSERT INTO ${final} (a, b, _row_hash, _version, _ordinal, _sign, _txid) SELECT a, b, _row_hash, 18446744073709551615, number, if(a = 7, -1, 1), 0 FROM (SELECT * FROM ${final} WHERE a IN (7, 8) AND b IN ('same', 'v') AND _sign = 1 LIMIT 1 BY a) ARRAY JOIN range(3) AS number`,
  );
  const ran = await cdc('verify', `${schema}.plain`, '--rows', '5', '--json');
  expect(ran.exit).not.toBe(0);
  const [table] = ran.json().tables;
  expect(table).toMatchObject({ missing: 3, extra: 3, different: 0 });
  expect(table.rows).toHaveLength(2);
  expect(table.rows).toContainEqual(
    expect.objectContaining({
      how: 'missing',
      key: { a: '7', b: 'same' },
    }),
  );
  await cdcJson('verify', `${schema}.plain`, '--repair');
  expect(await proveEqual('plain')).toBe(607);
});

/**
 * Rows of one COPY share WAL positions, a hundred and more each. (INSERT … SELECT writes them one by one.)
 * The connector or a server ends while they are on their way.
 */
async function copyWhile(disturb: () => Promise<void>): Promise<void> {
  await using client = await source();
  await using clickhouse = target();
  const stored = async () => {
    const [row] = await clickhouse.rows<{ n: string }>(
      `SELECT count() AS n FROM ${chIdent(schema, 'counted_final')}`,
    );
    return Number(row?.n);
  };
  const before = await stored();
  const { rows: counts } = await client.query<{ n: string }>(
    `SELECT count(*) AS n FROM ${schema}.counted`,
  );
  await client.query(`BEGIN; COPY ${schema}.big FROM PROGRAM 'yes 1 | head -n 40000'`);
  await client.query(`COPY ${schema}.counted (a) FROM PROGRAM 'yes 1 | head -n 40000'; COMMIT`);
  // The second half of the transaction has begun to arrive, and has not ended.
  await eventually('some of it', true, async () => (await stored()) > before);
  await disturb();
  // Connect takes its time to try again: no proof can be asked of what does not flow yet.
  const whole = async () => {
    const [row] = await clickhouse.rows<{ n: string }>(
      `SELECT count() AS n FROM ${chIdent(schema, 'counted')}`,
    );
    return Number(row?.n);
  };
  await eventually('all of it', Number(counts[0]?.n) + 40_000, whole);
  const rows = await proveEqual('big');
  expect(await proveEqual('counted')).toBe(rows);
}

test('rows of one COPY are there once each, though the connector is restarted amid them', () =>
  copyWhile(async () => {
    const { connector } = stack().names;
    const connect = new Connect(stack().endpoints.connect);
    for (let i = 0; i < 5; i += 1) {
      await connect.stop(connector);
      await connect.resume(connector);
    }
  }));

test.each(['connect', 'clickhouse', 'kafka', 'postgres'] as const)(
  'rows of one COPY are there once each, though %s is killed amid them',
  (name) =>
    copyWhile(async () => {
      const again = await kill(name);
      await again();
    }),
);

test('without a full replica identity it is left out, with the statement that mends it', async () => {
  await change('CREATE TABLE unready (a int)');
  const { findings } = (await cdc('doctor', '--json')).json();
  expect(findings).toContainEqual(
    expect.objectContaining({
      id: 'identity-not-full',
      subject: `${schema}.unready`,
      fix: expect.stringContaining('REPLICA IDENTITY FULL;'),
    }),
  );
});

test('only ever appended to, it is copied without one, and PostgreSQL refuses other changes', async () => {
  await change(
    'CREATE TABLE appended (c0 text, s int, __cdc_row int)',
    "INSERT INTO appended VALUES ('x', 1, 2), ('x', 1, 2)",
  );
  const file = join(inject('stackDirectory'), 'cdc.yaml');
  const before = readFileSync(file, 'utf8');
  writeFileSync(file, `${before}tables:\n  ${schema}.appended: { mode: append }\n`);
  try {
    const { findings } = (await cdc('doctor', '--json')).json();
    expect(findings).toContainEqual(
      expect.objectContaining({ id: 'append-only', subject: `${schema}.appended` }),
    );
    await cdcJson('apply');
    await change("INSERT INTO appended VALUES ('x', 1, 2), ('y', NULL, 3)");
    expect(await proveEqual('appended')).toBe(4);
    await expect(change('UPDATE appended SET s = 5')).rejects.toThrow('replica identity');
    await change('TRUNCATE appended', "INSERT INTO appended VALUES ('z', 7, 8)");
    expect(await proveEqual('appended')).toBe(1);
    await cdcJson('snapshot', `${schema}.appended`);
    expect(await proveEqual('appended')).toBe(1);
    await change('DROP TABLE appended');
  } finally {
    writeFileSync(file, before);
    await cdcJson('apply');
  }
});

test.each([
  [
    'is dropped and comes again',
    `ALTER TABLE back REPLICA IDENTITY FULL; ALTER TABLE back DROP CONSTRAINT back_pkey;
     INSERT INTO back VALUES (1, 7); DELETE FROM back WHERE a = 1 AND b = 7`,
  ],
  [
    'is deferrable for a while',
    `ALTER TABLE back REPLICA IDENTITY FULL; ALTER TABLE back DROP CONSTRAINT back_pkey, ADD PRIMARY KEY (a) DEFERRABLE;
     UPDATE back SET a = 5 - a; ALTER TABLE back DROP CONSTRAINT back_pkey`,
  ],
  [
    'is of other columns for a while',
    `ALTER TABLE back DROP CONSTRAINT back_pkey, ADD PRIMARY KEY (b);
     UPDATE back SET a = 9 WHERE b = 2; INSERT INTO back VALUES (1, 7); DELETE FROM back WHERE b = 7;
     ALTER TABLE back DROP CONSTRAINT back_pkey`,
  ],
])('a key that %s between two looks at it makes the rows right again', async (_, statements) => {
  await change(
    'CREATE TABLE back (a int PRIMARY KEY, b int NOT NULL)',
    'INSERT INTO back SELECT g, g FROM generate_series(1, 4) g',
  );
  await cdcJson('apply');
  await change(...statements.split(';'), 'ALTER TABLE back ADD PRIMARY KEY (a)');
  await cdcJson('apply');
  expect(await proveEqual('back')).toBe(4);
  // The index is another one then, and the key is not.
  await change('REINDEX TABLE CONCURRENTLY back');
  const { changes } = (await cdc('plan', '--json')).json();
  expect(JSON.stringify(changes)).not.toContain(`${schema}.back`);
  await change('DROP TABLE back');
});
