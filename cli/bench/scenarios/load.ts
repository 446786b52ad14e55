import { formatCount } from '../../lib/format.ts';
import { applyPlan } from '../../pipeline/apply/apply.ts';
import { snapshotTables } from '../../pipeline/apply/snapshot.ts';
import { type BenchGround, SCHEMA } from '../ground.ts';
import type { ScenarioResult } from './scenario.ts';

/** The example's order rows, many of them, loaded before anything of theirs streams. */
export async function load(ground: BenchGround, rows: number): Promise<ScenarioResult> {
  const { stack, signal, events } = ground;
  events.phase(`writing ${formatCount(rows)} order rows for the bulk load`);
  await ground.sql(async (client) => {
    await client.query(
      `CREATE TABLE ${SCHEMA}.orders (id integer PRIMARY KEY, order_date date NOT NULL, purchaser integer NOT NULL, quantity integer NOT NULL, product_id integer NOT NULL)`,
    );
    await client.query(
      `INSERT INTO ${SCHEMA}.orders SELECT g, '2020-01-01'::date + g % 2000, 1001 + g % 4, 1 + g % 9, 101 + g % 9 FROM generate_series(1, ${rows}) g`,
    );
    await client.query(`ANALYZE ${SCHEMA}.orders`);
  });
  const table = `${SCHEMA}.orders`;
  const applied = await applyPlan(stack, signal, events);
  // The agent may have come first: then it is loaded once more.
  const loaded =
    applied.loads.find((one) => one.table === table) ??
    (await snapshotTables(stack, [table], 'pull', signal, events)).tables[0];
  if (!loaded) throw new RangeError('the benchmark table was not loaded');
  return {
    measures: [
      {
        scenario: 'load',
        measure: 'rows',
        value: Math.round(loaded.rows / loaded.seconds),
        unit: 'rows/s',
        better: 'more',
        on: `${formatCount(loaded.rows)} rows`,
      },
    ],
    cpu_us_per_change: {},
  };
}
