import { afterAll, expect, test } from 'vitest';
import { chIdent } from '../cli/lib/sql.ts';
import { sweep } from './fuzz/batch.ts';
import { compareTable } from './fuzz/compare.ts';
import { playRun, runOf, shrunk, summary, toldOf } from './fuzz/run.ts';
import { cdc, cdcJson, freshSchema, source, target } from './harness/database.ts';

const run = runOf(process.env);
const say = (line: string) => process.stderr.write(`${line}\n`);

afterAll(sweep);

test(
  'after random programs on random tables, source and copy are equal, value for value',
  async () => {
    if (run.shrinkMs > 0) {
      const failure = await shrunk(run);
      const played = { batch: run.from, followed: run.followed };
      expect(failure === undefined ? '' : toldOf(run.seed, failure, played)).toBe('');
      return;
    }
    const { totals, failures } = await playRun(run, say);
    expect(
      failures.map(({ index, what }) => `program ${index ?? 'any'} of seed ${run.seed}: ${what}`),
      summary(totals, failures),
    ).toEqual([]);
    expect(totals.programs).toBe(run.programs);
    expect(totals.rows).toBeGreaterThan(0);
  },
  900_000 + run.programs * 20_000 + run.shrinkMs,
);

test('also while the agent carries changes of form over amid the writes', async () => {
  const { totals, failures } = await playRun(
    { ...run, from: 100, programs: 6, followed: true },
    say,
  );
  expect(
    failures.map((failure) => failure.what),
    summary(totals, failures),
  ).toEqual([]);
  expect(totals.followed).toBe(6);
});

test('a difference planted in the copy is found, by the oracle and by cdc verify', async () => {
  await using client = await source();
  await using clickhouse = target();
  const schema = await freshSchema(client, 'planted');
  try {
    const columns = 'id int PRIMARY KEY, v text, f float8, a int[], d numeric(9,2), t date';
    await client.query(`CREATE TABLE ${schema.name}.t (${columns})`);
    await client.query(
      `INSERT INTO ${schema.name}.t SELECT g, 'v' || g, g / 7.0, ARRAY[g, NULL], g / 7.0, CASE WHEN g >= 8 THEN 'infinity' END::date FROM generate_series(1, 9) g`,
    );
    await cdcJson('apply');
    const look = async () =>
      (await compareTable(client, clickhouse, schema.name, 't')).differences.map(
        ({ key, how }) => `${key} ${how}`,
      );
    expect(await look()).toEqual([]);
    // Each row is as in the source but for one value; -0, an empty array and the text beside a value are
    // easily overlooked.
    const rows = [
      `2, 'V2', 2 / 7, [2, NULL], map(), 0.29, NULL, 0`,
      `3, 'v3', 3 / 7 + 1e-16, [3, NULL], map(), 0.43, NULL, 0`,
      `4, 'v4', 4 / 7, [NULL, 4], map(), 0.57, NULL, 0`,
      `5, 'v5', 5 / 7, [5, NULL], map(), 0.7, NULL, 0`,
      `6, 'v6', 6 / 7, [], map('a', NULL), 0.86, NULL, 0`,
      `7, '', 0, [], map(), 0, NULL, 1`,
      `8, 'v8', 8 / 7, [8, NULL], map(), 1.14, '2299-12-31', 0`,
      `9, 'v9', 9 / 7, [9, NULL], map('t', '2300-01-01'), 1.29, '2299-12-31', 0`,
      `10, 'v10', 0, [], map(), 0, NULL, 0`,
    ];
    const last = '18446744073709551615';
    for (const row of rows)
      await clickhouse.command(
        `INSERT INTO ${chIdent(schema.name, 't_final')} (id, v, f, a, _exact, d, t, _deleted, _version) VALUES (${row}, ${last})`,
      );
    const planted = [2, 3, 4, 5, 6, 8, 9].map((id) => `["${id}"] different`);
    expect((await look()).sort()).toEqual(['["10"] extra', ...planted, '["7"] missing'].sort());
    const verified = (await cdc('verify', `${schema.name}.t`, '--json')).json();
    expect(verified.tables[0]).toMatchObject({ different: 7, missing: 1, extra: 1 });
  } finally {
    await schema.drop();
  }
});

test('also in the copy of a table without a key, where a row is too often there, or not often enough', async () => {
  await using client = await source();
  await using clickhouse = target();
  const schema = await freshSchema(client, 'planted');
  try {
    await client.query(
      `CREATE TABLE ${schema.name}.t (v text, d date);
       ALTER TABLE ${schema.name}.t REPLICA IDENTITY FULL;
       INSERT INTO ${schema.name}.t SELECT v, d::date FROM (VALUES ('a', 'infinity'), ('b', NULL), ('c', '2024-01-01')) AS t (v, d), generate_series(1, 3)`,
    );
    await cdcJson('apply');
    const look = async () =>
      (await compareTable(client, clickhouse, schema.name, 't')).differences.map(
        ({ key, how }) => `${key} ${how}`,
      );
    expect(await look()).toEqual([]);
    const final = chIdent(schema.name, 't_final');
    const plant = (v: string, sign: number, hash = '_row_hash', exact = '_exact') =>
      clickhouse.command(
        `INSERT INTO ${final} (v, d, _exact, _row_hash, _generation, _version, _ordinal, _sign, _txid)
         SELECT v, d, ${exact}, ${hash}, _generation, 18446744073709551615, number, ${sign}, 0
           FROM (SELECT * FROM ${final} WHERE v = '${v}' AND _sign = 1 LIMIT 1) ARRAY JOIN range(2) AS number`,
      );
    await plant('a', -1);
    // It shows the same as two that go, and is another value.
    await plant('a', 1, 'sipHash128(1)', 'map()');
    await plant('b', 1);
    const planted = [
      '[{"shown":"a"},{"shown":"2299-12-31","exact":"infinity"}] missing',
      '[{"shown":"a"},{"shown":"2299-12-31"}] extra',
      '[{"shown":"b"},{"shown":null}] extra',
    ];
    expect((await look()).sort()).toEqual(planted.flatMap((row) => [row, row]).sort());
    const verified = (await cdc('verify', `${schema.name}.t`, '--json')).json();
    expect(verified.tables[0]).toMatchObject({ different: 0, missing: 2, extra: 4 });
  } finally {
    await schema.drop();
  }
});
