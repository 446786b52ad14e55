import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { chIdent } from '../cli/lib/sql.ts';
import { runCommand } from './harness/cli.ts';
import { cdc, cdcJson, eventually, freshSchema, source, target } from './harness/database.ts';
import { writing } from './harness/writing.ts';

let schema = '';
const final = (table: string) => chIdent(schema, `${table}_final`);

beforeAll(async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'watch')).name;
  await client.query(`SET search_path = ${schema};
    CREATE TABLE many (id bigint PRIMARY KEY, v text);
    INSERT INTO many SELECT g * 3, 'v' || g FROM generate_series(1, 60000) g;
    CREATE TABLE words (w text PRIMARY KEY, n int);
    INSERT INTO words SELECT md5(g::text), g FROM generate_series(1, 60000) g;
    CREATE TABLE parts (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
    CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (10000);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (10000) TO (100000);
    INSERT INTO parts SELECT g, 'v' || g FROM generate_series(1, 30000) g;
    CREATE TABLE few (id int PRIMARY KEY, n int); INSERT INTO few SELECT g, 0 FROM generate_series(1, 5) g;
    ANALYZE`);
  await cdcJson('apply');
});

afterAll(async () => {
  await using client = await source();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await cdcJson('apply');
});

interface Sampled {
  table: string;
  sampled: number;
  source_rows: number;
}

test('a sample compares the part that was asked for, says so, and claims no more', async () => {
  const seen = await cdcJson('verify', `${schema}.*`, '--sample', '10%', '--seed', '7');
  expect(seen).toMatchObject({ ok: true, sampled: 0.1, seed: 7 });
  const tables = new Map(seen.tables.map((t: Sampled) => [t.table.split('.')[1], t]));
  for (const [name, rows] of Object.entries({ many: 60_000, words: 60_000, parts: 30_000 })) {
    const { sampled, source_rows } = tables.get(name) as Sampled;
    expect(sampled).toBeGreaterThan(0.09);
    expect(sampled).toBeLessThan(0.11);
    expect(source_rows).toBeGreaterThan(rows * 0.07);
    expect(source_rows).toBeLessThan(rows * 0.13);
  }
  // What is read in one go is compared as a whole.
  expect(tables.get('few')).toMatchObject({ sampled: 1, source_rows: 5 });
  const text = await cdc('verify', `${schema}.many`, '--sample', '10%');
  expect(text.stdout).toMatch(/no difference in a sample of 10 %: [\d,]+ rows in 1 table/);
  expect(text.stdout).toMatch(/the rest was not compared; this sample again: --seed \d+/);
  expect(text.stdout).not.toMatch(/equal: |every value/);
});

test('the same seed compares the same rows, and another seed others', async () => {
  const rows = async (seed: string) => {
    const args = [`${schema}.words`, `${schema}.many`, '--sample', '5%', '--seed', seed];
    const seen = await cdcJson('verify', ...args);
    return seen.tables.map((t: Sampled) => t.source_rows);
  };
  expect(await rows('1')).toEqual(await rows('1'));
  expect(await rows('1')).not.toEqual(await rows('2'));
});

test('a sample finds rows of its part that differ, and only those', async () => {
  await using clickhouse = target();
  await clickhouse.command(
    `INSERT INTO ${final('many')} (id, v, _version) SELECT number * 3, 'other', 18446744073709551615 FROM numbers(1, 12000)`,
  );
  const ran = await cdc('verify', `${schema}.many`, '--sample', '5%', '--seed', '3', '--json');
  expect(ran.exit).toBe(6);
  const [table] = ran.json().tables;
  expect(table.different).toBeGreaterThan(0);
  expect(table.different).toBeLessThan(table.source_rows);
  const mended = await cdcJson('verify', `${schema}.many`, '--repair');
  expect(mended.tables[0]).toMatchObject({ repaired: 12_000, different: 0 });
});

test('--watch says equal in every round while rows are written, one JSON line each', async () => {
  const writer = writing((client, i) =>
    client.query(
      `UPDATE ${schema}.few SET n = n + 1; INSERT INTO ${schema}.many VALUES (${1_000_000 + i}, 'new'); DELETE FROM ${schema}.many WHERE id = ${i * 3}; SELECT pg_sleep(0.02)`,
    ),
  );
  try {
    await writer.passes(10);
    const args = [`${schema}.many`, `${schema}.few`, '--watch', '--rounds', '2'];
    const ran = await cdc('verify', ...args, '--budget', '50%', '--json');
    const lines = ran.stdout.trim().split('\n');
    const rounds = lines.map((line) => JSON.parse(line));
    expect(rounds).toMatchObject([
      { round: 1, ok: true, flowing: true },
      { round: 2, ok: true, flowing: true },
    ]);
    expect(ran.exit).toBe(0);
  } finally {
    await writer.stop();
  }
});

test('--watch tells a difference, takes its time, and ends at an interrupt with 130', async () => {
  await using clickhouse = target();
  await clickhouse.command(`INSERT INTO ${final('few')} (id, n, _version) VALUES (77, 1, 1)`);
  const interrupt = new AbortController();
  let printed = '';
  const ran = runCommand(['verify', `${schema}.few`, '--watch', '--budget', '20%'], {
    cwd: inject('stackDirectory'),
    signal: interrupt.signal,
    onOutput: (text) => {
      printed += text;
    },
  });
  await eventually('a round that found it', true, async () => printed.includes('round 1'));
  interrupt.abort();
  expect((await ran).exit).toBe(130);
  expect(printed).toMatch(
    /id 77: extra: only in the copy\n\d\d:\d\d:\d\d {2}round 1 {2}✖ not equal/,
  );
  await cdcJson('verify', `${schema}.few`, '--repair');
});

test('options that contradict each other are refused with the right one', async () => {
  for (const [args, says] of [
    [['--seed', '1'], '--seed goes with --sample'],
    [['--budget', '5%'], '--budget goes with --watch'],
    [['--watch', '--repair'], '--watch only looks'],
    [['--sample', '0%'], '0% is not a percentage'],
    [['--rows', '-1'], '-1 is not a whole number'],
  ] as const) {
    const ran = await cdc('verify', ...args);
    expect(ran.exit).toBe(2);
    expect(ran.stderr).toContain(says);
  }
});

test('status tells when and how the copy was compared last', async () => {
  await cdcJson('verify', `${schema}.few`);
  const seen = await cdc('status', '--json');
  expect(seen.json().last_verified).toMatchObject({
    ok: true,
    flowing: true,
    rows: 5,
    tables: 1,
    sampled: 1,
  });
  expect(seen.json().last_verified.age_ms).toBeLessThan(60_000);
  const text = await cdc('status');
  expect(text.stdout).toMatch(/last verified .* ago: equal \(5 rows in 1 of \d+ tables\)/);
});
