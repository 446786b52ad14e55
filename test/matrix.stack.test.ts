import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { chIdent, chLiteral } from '../cli/lib/sql.ts';
import { runCommand } from './harness/cli.ts';
import { cdc, cdcJson, freshSchema, source, target, withTables } from './harness/database.ts';
import { typeCases, vectorCases, vectorsSql } from './harness/types.ts';

/**
 * Every type with its edge values, by every way into the copy: pulled, streamed, read by Debezium's
 * incremental snapshot as a first load and as another one. Its classic snapshot is no way of ours:
 * snapshot.mode is always no_data. Values are compared with PostgreSQL's own text here, and not by
 * what `verify` compares.
 */

interface MatrixTable {
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** SQL of the values of each row. */
  readonly rows: readonly (readonly string[])[];
  /** Carried as text, whatever their types. */
  readonly asText?: boolean;
}

let schema = '';
let drop: () => Promise<void>;
let tables: readonly MatrixTable[] = [];
let config = '';
const STREAMED = 1000;

beforeAll(async () => {
  await using client = await source();
  ({ name: schema, drop } = await freshSchema(client, 'matrix'));
  for (const extension of ['citext', 'hstore', 'ltree', 'cube'])
    await client.query(`CREATE EXTENSION IF NOT EXISTS ${extension}`);
  await client.query(`
    CREATE TYPE ${schema}.mood AS ENUM ('sad', 'it''s ok', '', '🐘');
    CREATE TYPE ${schema}."Pair" AS (a int, b text, c timestamptz[]);
    CREATE TYPE ${schema}.spans AS RANGE (subtype = float8);
    CREATE DOMAIN ${schema}.cents AS numeric(10, 2) CHECK (value >= 0);
    CREATE DOMAIN ${schema}.moods AS ${schema}.mood[];
    ${vectorsSql(schema)}
  `);
  tables = [everyType(), largeValues(), specialValues()];
  const special = tables.filter((table) => table.asText);
  config = withTables(
    Object.fromEntries(
      special.map(({ name, columns }) => {
        const rules = Object.fromEntries(columns.map((column) => [column.name, 'text']));
        return [`${schema}.${name}*`, { columns: rules }];
      }),
    ),
  );
  await createTables('');
});
afterAll(async () => {
  await drop();
  await cdcJson('apply');
});

/** Each type's values one after the other, alone and in arrays; the last row has NULL only. */
function everyType(): MatrixTable {
  // A refcursor is pulled and streamed, but Debezium cannot read it: see below.
  const built = typeCases(schema).filter(({ type }) => type !== 'refcursor');
  const cases = [...built, ...vectorCases(schema)];
  const most = Math.max(...cases.map((c) => c.values.length));
  return {
    name: 'every',
    columns: cases.flatMap(({ type }, i) => [
      { name: `c${i}`, type },
      { name: `a${i}`, type: `${type}[]` },
    ]),
    rows: Array.from({ length: most + 1 }, (_, n) =>
      cases.flatMap(({ type, values }) => {
        const value = n === most ? 'NULL' : `(${values[n % values.length]})`;
        const array = [`ARRAY[${value}, NULL]`, `'{}'`, 'NULL', `ARRAY[${value}]`][n % 4];
        return [`${value}::${type}`, `${array}::${type}[]`];
      }),
    ),
  };
}

/** A megabyte and more in one value. */
function largeValues(): MatrixTable {
  const large: readonly (readonly [type: string, value: string])[] = [
    ['text', `repeat('é漢🐘\\" ', 90000)`],
    ['varchar', `repeat(E'\\n\\t\\\\', 350000)`],
    ['bytea', `decode(repeat('00ff10e9', 262144), 'hex')`],
    ['json', `('["' || repeat('é\\u00e9', 150000) || '"]')::json`],
    ['jsonb', `to_jsonb(repeat('"x" ', 262144))`],
    ['xml', `('<a>' || repeat('é', 524288) || '</a>')::xml`],
    ['hstore', `hstore(repeat('k', 1000), repeat('é"', 400000))`],
    ['varbit', `repeat('01', 524288)::varbit`],
    ['text[]', `ARRAY[repeat('a,"b"', 200000), NULL, '']`],
    ['int[]', '(SELECT array_agg(g) FROM generate_series(1, 150000) g)'],
    ['numeric', `('-' || repeat('9', 100000) || '.' || repeat('9', 16000))::numeric`],
  ];
  return {
    name: 'large',
    columns: large.map(([type], i) => ({ name: `c${i}`, type })),
    rows: large.map((_, n) => large.map(([, value], i) => (i === n ? value : 'NULL'))),
  };
}

/** What ClickHouse's types do not hold, carried as text. */
function specialValues(): MatrixTable {
  const dates = ["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'4713-01-01 BC'"];
  const special: readonly (readonly [type: string, ...values: string[]])[] = [
    ['date', ...dates, "'5874897-12-31'", "'0001-01-01'"],
    ['timestamp', ...dates, "'294276-12-31 23:59:59.999999'", "'0001-01-01'"],
    ['timestamptz', ...dates, "'294276-12-31 23:59:59.999999+00'", "'1000-01-01 00:00+00'"],
    ['numeric(6,2)', "'NaN'", '-9999.99', '0.01', '0', '9999.99', 'NULL'],
    ['real', '1e6', '123456', '1234567', '1e-5', '16777216', "'-Infinity'"],
    ['float8', '1e15', '1e14', '2 ^ -44', '9007199254740993', '0.1 + 0.2', "'NaN'"],
    ['int[]', "'{{1,2},{3,4}}'", "'[0:1]={1,2}'", "'{}'", 'NULL', "'{NULL}'", "'{5}'"],
    ['regclass', "'pg_class'", "'pg_type'", 'NULL', '0', "'pg_class'", 'NULL'],
  ];
  return {
    name: 'special',
    columns: special.map(([type], i) => ({ name: `c${i}`, type })),
    rows: Array.from({ length: 6 }, (_, n) => special.map(([, ...values]) => values[n] ?? 'NULL')),
    asText: true,
  };
}

async function createTables(suffix: string): Promise<void> {
  await using client = await source();
  for (const { name, columns } of tables) {
    const list = columns.map((column) => `${column.name} ${column.type}`).join(', ');
    await client.query(`CREATE TABLE ${schema}.${name}${suffix} (id int PRIMARY KEY, ${list})`);
  }
}

async function insert(suffix: string, offset: number): Promise<void> {
  await using client = await source();
  // One transaction, so that a view of 200 columns is prepared for few blocks.
  await client.query('BEGIN');
  for (const { name, columns, rows } of tables) {
    for (const [n, row] of rows.entries()) {
      const values = row.map((value, i) => `(${value})::${columns[i]?.type}`);
      await client.query(
        `INSERT INTO ${schema}.${name}${suffix} VALUES (${offset + n}, ${values.join(', ')})`,
      );
    }
  }
  await client.query('COMMIT');
}

type Value = string | null | readonly (string | null)[];
type Rows = Map<string, Readonly<Record<string, Value>>>;

/** What PostgreSQL prints, by id and column; of an array, also its elements. */
async function printed(table: string, columns: MatrixTable['columns']): Promise<Rows> {
  await using client = await source();
  const list = columns.flatMap(({ name, type }) => [
    name,
    ...(/(\[\]|\.moods)$/.test(type)
      ? [
          `(SELECT json_agg(CASE WHEN e IS NOT DISTINCT FROM NULL THEN NULL ELSE format('%s', e) END ORDER BY n) FROM (SELECT unnest(${name}) AS e, generate_subscripts(${name}, 1) AS n) u) AS ${name}_elements`,
        ]
      : []),
  ]);
  const found = await client.query<Record<string, string | null>>(
    `SELECT id, ${list.join(', ')} FROM ${schema}.${table}`,
  );
  return new Map(
    found.rows.map(({ id, ...row }) => [
      id ?? '',
      Object.fromEntries(
        Object.entries(row).map(([name, text]) => [
          name,
          name.endsWith('_elements') && text ? (JSON.parse(text) as (string | null)[]) : text,
        ]),
      ),
    ]),
  );
}

/** What the copy holds, as ClickHouse prints it; bytes in hexadecimal; the exact text of what does not fit. */
async function held(
  table: string,
  columns: MatrixTable['columns'],
): Promise<{ rows: Rows; types: ReadonlyMap<string, string> }> {
  await using clickhouse = target();
  const view = chIdent(schema, table);
  const described = await clickhouse.rows<{ name: string; type: string }>(`DESCRIBE TABLE ${view}`);
  const types = new Map(described.map(({ name, type }) => [name, type]));
  const list = columns.map(({ name, type }) => {
    const print = (value: string) =>
      type.startsWith('bytea') ? `concat('\\\\x', lower(hex(${value})))` : `toString(${value})`;
    const value = types.get(name)?.startsWith('Array(')
      ? `arrayMap(x -> ${print('x')}, ${name})`
      : print(name);
    const key = chLiteral(name);
    return `${value} AS v_${name}, mapContains(_exact, ${key}) AS k_${name}, _exact[${key}] AS e_${name}`;
  });
  const found = await clickhouse.rows<Record<string, unknown>>(
    `SELECT id, ${list.join(', ')} FROM ${view} SETTINGS output_format_json_quote_64bit_integers = 0`,
  );
  const rows = new Map(
    found.map((row) => [
      String(row.id),
      Object.fromEntries(
        columns.map(({ name }) => [name, row[`${row[`k_${name}`] ? 'e' : 'v'}_${name}`] as Value]),
      ),
    ]),
  );
  return { rows, types };
}

/** One form of the texts in which two databases print the same value, by ClickHouse's type. */
function normal(type: string, text: string): string {
  if (type === 'Point')
    return text
      .slice(1, -1)
      .split(',')
      .map((axis) => normal('Float64', axis))
      .join();
  const inner = /^(?:Nullable|LowCardinality|Array)\((.*)\)$/.exec(type)?.[1];
  if (inner !== undefined) return normal(inner, text);
  if (type.startsWith('Float')) {
    const value = Number(text.replace('inf', 'Infinity').replace('Infinityinity', 'Infinity'));
    const exact = type === 'Float32' ? Math.fround(value) : value;
    return Object.is(exact, -0) ? '-0' : String(exact);
  }
  if (type.startsWith('Decimal')) {
    const plain = text.replaceAll(/[$,]/g, '');
    return plain.includes('.') ? plain.replace(/\.?0+$/, '') : plain;
  }
  if (type.startsWith('DateTime64') || type.startsWith('Time64'))
    return text
      .replace(/\+00$/, '')
      .replace(/(\.\d*?)0+$/, '$1')
      .replace(/\.$/, '');
  if (type === 'Bool') return text === 't' ? 'true' : text === 'f' ? 'false' : text;
  return text;
}

function normalValue(type: string, value: Value): Value {
  if (value === null) return null;
  if (typeof value === 'string') return normal(type, value);
  return value.map((item) => (item === null ? null : normal(type, item)));
}

/** That each row of the copy holds what PostgreSQL prints for it. */
async function expectPrinted(suffix: string, way: string): Promise<void> {
  for (const { name, columns } of tables) {
    const table = `${name}${suffix}`;
    const wanted = await printed(table, columns);
    const { rows: copy, types } = await held(table, columns);
    expect([...copy.keys()].sort(), `${way}: rows of ${table}`).toEqual([...wanted.keys()].sort());
    for (const [id, row] of wanted) {
      for (const column of columns) {
        const type = types.get(column.name) ?? '';
        const text = row[column.name] ?? null;
        const isArray = type.startsWith('Array(') && text !== null;
        const seen = copy.get(id)?.[column.name] ?? null;
        // An array that does not fit is kept as the text that it is.
        const isWhole = typeof seen === 'string';
        const isVector = /\.(vector|halfvec)$/.test(column.type);
        const elements = isVector
          ? String(text).slice(1, -1).split(',')
          : (row[`${column.name}_elements`] ?? []);
        const value = isArray && !isWhole ? elements : text;
        const same =
          JSON.stringify(normalValue(type, seen)) === JSON.stringify(normalValue(type, value));
        // Not by matchers: a megabyte's difference takes them minutes.
        if (!same) {
          const [a, b] = [seen, value].map((v) => JSON.stringify(v)?.slice(0, 300));
          throw new Error(`${way}: ${table} ${id} ${column.type}: ${a}, PostgreSQL has ${b}`);
        }
      }
    }
  }
}

test('pulled and streamed, every value of every type is what PostgreSQL prints, up to a megabyte', async () => {
  await insert('', 0);
  const { loads } = await cdcJson('apply', '--config', config);
  expect(loads).toHaveLength(tables.length);
  for (const load of loads) expect(load).toMatchObject({ method: 'pull' });
  await expectPrinted('', 'pulled');
  await insert('', STREAMED);
  const names = tables.map(({ name }) => `${schema}.${name}`);
  expect(await cdcJson('verify', ...names, '--config', config)).toMatchObject({ ok: true });
  await expectPrinted('', 'streamed');
  await using client = await source();
  await client.query(`UPDATE ${schema}.every SET c0 = 1 WHERE id IN (1, ${STREAMED + 1})`);
  await client.query(`UPDATE ${schema}.large SET c10 = 1 WHERE id < ${STREAMED}`);
  await client.query(`DELETE FROM ${schema}.every WHERE id IN (2, ${STREAMED + 2})`);
  expect(await cdcJson('verify', ...names, '--config', config)).toMatchObject({ ok: true });
  await expectPrinted('', 'changed');
});

test("so it is after Debezium's incremental snapshot has loaded the same rows again", async () => {
  const names = tables.map(({ name }) => `${schema}.${name}`);
  await using clickhouse = target();
  // What is there must come from this reading: it has a version of its own.
  const before = await clickhouse.rows<{ v: string }>(
    `SELECT max(_version) AS v FROM ${chIdent(schema, 'every_final')}`,
  );
  const again = await cdcJson('snapshot', ...names, '--method', 'debezium', '--config', config);
  for (const { table, rows, method, removed } of again.tables) {
    const of = tables.find(({ name }) => table === `${schema}.${name}`)?.rows.length ?? 0;
    const deleted = table === `${schema}.every` ? 2 : 0;
    const wanted = { rows: 2 * of - deleted, method: 'debezium', removed: 0 };
    expect({ rows, method, removed }).toEqual(wanted);
  }
  const [oldest] = await clickhouse.rows<{ v: string }>(
    `SELECT min(_version) AS v FROM ${chIdent(schema, 'every_final')} FINAL WHERE _deleted = 0`,
  );
  expect(BigInt(oldest?.v ?? 0)).toBeGreaterThan(BigInt(before[0]?.v ?? 0));
  await expectPrinted('', 'incremental snapshot');
  expect(await cdcJson('verify', ...names, '--config', config)).toMatchObject({ ok: true });
});

test('so it is where Debezium loads the rows first, since ClickHouse cannot reach the source', async () => {
  await createTables('_first');
  await insert('_first', 0);
  const ran = await runCommand(['apply', '--config', config, '--json'], {
    cwd: inject('stackDirectory'),
    env: { CDC_CLICKHOUSE_SOURCE_ADDRESS: '127.0.0.1:1' },
  });
  expect(ran.exit, ran.stderr).toBe(0);
  for (const load of ran.json().loads) expect(load).toMatchObject({ method: 'debezium' });
  await expectPrinted('_first', 'first load by Debezium');
});

test('what Debezium cannot read at all is a problem that says what to do', async () => {
  await using client = await source();
  await client.query(`CREATE TABLE ${schema}.cursors (id int PRIMARY KEY, c refcursor)`);
  await cdcJson('apply', '--config', config);
  const argv = ['snapshot', `${schema}.cursors`, '--method', 'debezium', '--config', config];
  const ran = await cdc(...argv);
  expect(ran.exit).toBe(5);
  expect(ran.stderr).toContain('let ClickHouse reach the source');
});
