import { afterAll, beforeAll, expect, test } from 'vitest';
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

/** Every type that is carried now, with values that have broken somebody's copy. */
const VALUES: readonly (readonly [type: string, ...literals: string[]])[] = [
  ['smallint', '-32768', '32767', 'NULL'],
  ['integer', '-2147483648', '2147483647', '0', 'NULL'],
  ['bigint', '-9223372036854775808', '9223372036854775807', 'NULL'],
  ['real', "'NaN'", "'-Infinity'", '0', "'-0'", '1.1754944e-38', '3.4028235e38', '0.1', 'NULL'],
  [
    'double precision',
    "'NaN'",
    "'Infinity'",
    "'-0'",
    '5e-324',
    '1.7976931348623157e308',
    '0.1',
    'NULL',
  ],
  ['numeric(12,2)', '0', '-0.01', '9999999999.99', '1.5', 'NULL'],
  ['numeric(38,10)', '-1234567890123456789012345678.0123456789', '0', 'NULL'],
  ['numeric(76,20)', '1e55', '-0.00000000000000000001', 'NULL'],
  [
    'numeric',
    '0',
    '1.50',
    '1e-7',
    '-1e40',
    "'NaN'",
    '12345678901234567890.123456789012345678901234567890',
    'NULL',
  ],
  [
    'text',
    "''",
    "' a '",
    "E'\\t\\n\\r\\\\ \"quoted\" '' \\x01 ~'",
    "'é ß 漢字 🐘'",
    "repeat('long ', 50000)",
    'NULL',
  ],
  ['varchar(20)', "'abc'", "'trailing  '", 'NULL'],
  ['char(6)', "'ab'", "''", 'NULL'],
  ['boolean', 'true', 'false', 'NULL'],
  ['date', "'1900-01-01'", "'2299-12-31'", "'2024-02-29'", 'NULL'],
  ['time', "'00:00:00'", "'23:59:59.999999'", "'10:20:30.5'", 'NULL'],
  [
    'timestamp',
    "'1970-01-01 00:00:00'",
    "'2024-02-29 23:59:59.999999'",
    "'2026-01-01 10:00:00.5'",
    'NULL',
  ],
  ['timestamptz', "'2024-06-01 12:00:00.123456+05:30'", "'1999-12-31 23:59:59-08'", 'NULL'],
  [
    'uuid',
    "'00000000-0000-0000-0000-000000000000'",
    "'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'",
    'NULL',
  ],
  ['json', `'{"a": [1, 2,  {"b": null}]}'`, "'null'", '\'"x"\'', 'NULL'],
  ['jsonb', `'{"b": 1.50, "a": "é\\u00e9"}'`, "'[]'", 'NULL'],
  ['bytea', "'\\x'", "'\\x00'", "'\\x00ff10e9'", 'NULL'],
  ['integer[]', "'{}'", "'{1,NULL,-3}'", 'NULL'],
  ['bigint[]', "'{9223372036854775807,NULL}'", 'NULL'],
  ['text[]', `'{}'`, `'{"a,b","\\"q\\"",NULL,"NULL","","é🐘","{}"}'`, 'NULL'],
  ['numeric(8,3)[]', "'{1.5,NULL,-0.001}'", 'NULL'],
  ['double precision[]', "'{NaN,-Infinity,0.1,NULL}'", 'NULL'],
  ['boolean[]', "'{true,NULL,false}'", 'NULL'],
  ['date[]', "'{2024-02-29,NULL}'", 'NULL'],
  ['timestamptz[]', "'{2024-06-01 12:00:00.5+00,NULL}'", 'NULL'],
  ['uuid[]', "'{f81d4fae-7dec-11d0-a765-00a0c91e6bf6,NULL}'", 'NULL'],
  ['bytea[]', `'{"\\\\x00ff",NULL}'`, 'NULL'],
];

test('every carried type keeps its value, loaded and streamed, also in arrays and as NULL', async () => {
  await using client = await source();
  const columns = VALUES.map(([type], i) => `c${i} ${type}`).join(', ');
  await client.query(`CREATE TABLE ${schema}.types (id int PRIMARY KEY, ${columns})`);
  const most = Math.max(...VALUES.map((v) => v.length - 1));
  const insert = async (offset: number) => {
    for (let n = 0; n < most; n += 1) {
      const row = VALUES.map(([type, ...values]) => `(${values[n % values.length]})::${type}`);
      await client.query(`INSERT INTO ${schema}.types VALUES (${offset + n}, ${row.join(', ')})`);
    }
  };
  await insert(0);
  await cdcJson('apply');
  await insert(1000);
  await client.query(`UPDATE ${schema}.types SET c1 = 42, c14 = '01:02:03' WHERE id IN (1, 1001)`);
  await client.query(`DELETE FROM ${schema}.types WHERE id IN (2, 1002)`);
  const result = await cdcJson('verify', `${schema}.types`);
  expect(result.tables[0]).toMatchObject({
    source_rows: 2 * most - 2,
    missing: 0,
    extra: 0,
    different: 0,
  });

  // A proof by checksum is only as good as its texts: some values are looked at as they stand.
  await using clickhouse = target();
  const [row] = await clickhouse.rows<Record<string, unknown>>(
    `SELECT c0, c2, c9, c11, c14, c16, c21 FROM ${chIdent(schema, 'types')} WHERE id = 1000`,
  );
  expect(row).toEqual({
    c0: -32768,
    c2: '-9223372036854775808',
    c9: '',
    c11: 'ab    ',
    c14: '00:00:00',
    c16: '2024-06-01 06:30:00.123456',
    c21: [],
  });
});

test('a value that its column cannot hold goes to the dead letters, loaded or streamed, and stops nothing', async () => {
  await using client = await source();
  await using clickhouse = target();
  await client.query(`CREATE TABLE ${schema}.odd (id int PRIMARY KEY, d date, n numeric(6,2))`);
  await client.query(
    `INSERT INTO ${schema}.odd VALUES (1, '2024-01-01', 1), (2, 'infinity', 1), (3, '2024-01-01', 'NaN')`,
  );
  await cdcJson('apply');
  await client.query(
    `INSERT INTO ${schema}.odd VALUES (11, '2024-01-01', 1), (12, '-infinity', 1), (13, '12024-01-01', 1), (14, '2024-01-01', 2)`,
  );
  await eventually('the rows that fit', ['1', '11', '14'], async () =>
    (
      await clickhouse.rows<{ id: number }>(`SELECT id FROM ${chIdent(schema, 'odd')} ORDER BY id`)
    ).map((r) => String(r.id)),
  );
  await eventually('a dead letter for each other row', '4', async () => {
    const found = await clickhouse.rows<{ n: string }>(
      `SELECT count() AS n FROM cdc.dead_letters FINAL WHERE schema_name = '${schema}' AND table_name = 'odd'`,
    );
    return String(found[0]?.n);
  });
});

test('a value kept out of line that did not change survives an update of its row', async () => {
  await using client = await source();
  await using clickhouse = target();
  await client.query(`CREATE TABLE ${schema}.toast (id int PRIMARY KEY, n int, body text)`);
  await client.query(`ALTER TABLE ${schema}.toast ALTER body SET STORAGE EXTERNAL`);
  await cdcJson('apply');
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

test('a key that changes moves the row', async () => {
  await using client = await source();
  await client.query(`CREATE TABLE ${schema}.moved (id int PRIMARY KEY, v text)`);
  await cdcJson('apply');
  await client.query(`INSERT INTO ${schema}.moved VALUES (1, 'a'), (2, 'b')`);
  await client.query(`UPDATE ${schema}.moved SET id = 10 WHERE id = 1`);
  expect(await cdcJson('verify', `${schema}.moved`)).toMatchObject({ ok: true, rows: 2 });
});
