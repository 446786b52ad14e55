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
  120_000 + run.programs * 20_000 + run.shrinkMs,
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
}, 240_000);

test('a difference planted in the copy is found, by the oracle and by cdc verify', async () => {
  await using client = await source();
  await using clickhouse = target();
  const schema = await freshSchema(client, 'planted');
  try {
    const columns = 'id int PRIMARY KEY, v text, f float8, a int[], d numeric(9,2)';
    await client.query(`CREATE TABLE ${schema.name}.t (${columns})`);
    await client.query(
      `INSERT INTO ${schema.name}.t SELECT g, 'v' || g, g / 7.0, ARRAY[g, NULL], g / 7.0 FROM generate_series(1, 9) g`,
    );
    await cdcJson('apply');
    const look = async () =>
      (await compareTable(client, clickhouse, schema.name, 't')).differences.map(
        ({ key, how }) => `${key} ${how}`,
      );
    expect(await look()).toEqual([]);
    // Each row is as in the source but for one value; -0 and an empty array are easily overlooked.
    const rows = [
      `2, 'V2', 2 / 7, [2, NULL], [], 0.29, 0`,
      `3, 'v3', 3 / 7 + 1e-16, [3, NULL], [], 0.43, 0`,
      `4, 'v4', 4 / 7, [NULL, 4], [], 0.57, 0`,
      `5, 'v5', 5 / 7, [5, NULL], [], 0.7, 0`,
      `6, 'v6', 6 / 7, [], ['a'], 0.86, 0`,
      `7, '', 0, [], [], 0, 1`,
      `10, 'v10', 0, [], [], 0, 0`,
    ];
    const last = '18446744073709551615';
    await clickhouse.command(
      `INSERT INTO ${chIdent(schema.name, 't_final')} (id, v, f, a, _nulls, d, _deleted, _version) SELECT *, ${last} FROM values('id Int32, v String, f Float64, a Array(Nullable(Int32)), n Array(String), d Decimal(9,2), x UInt8', ${rows.map((row) => `(${row})`).join(', ')})`,
    );
    const planted = [2, 3, 4, 5, 6].map((id) => `["${id}"] different`);
    expect(await look()).toEqual([...planted, '["7"] missing', '["10"] extra']);
    const verified = (await cdc('verify', `${schema.name}.t`, '--json')).json();
    expect(verified.tables[0]).toMatchObject({ different: 5, missing: 1, extra: 1 });
  } finally {
    await schema.drop();
  }
});
