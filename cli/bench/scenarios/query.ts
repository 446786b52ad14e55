import type { Measure } from '../../core/bench.ts';
import { percentiles } from '../../core/lag.ts';
import { chIdent } from '../../lib/sql.ts';
import { type BenchGround, SCHEMA } from '../ground.ts';
import type { ScenarioResult } from './scenario.ts';

const TIMES = 15;
const PLAIN = 'orders_plain';

/** What people ask of a copy: each asks for some rows of the bulk load. */
const QUERIES = {
  point: (table: string) => `SELECT * FROM ${table} WHERE id = 4711 FORMAT Null`,
  count: (table: string) => `SELECT count() FROM ${table} FORMAT Null`,
  'group by': (table: string) =>
    `SELECT purchaser, sum(quantity) FROM ${table} GROUP BY purchaser FORMAT Null`,
} as const;

/** The copy as people query it, against a plain table with the same rows. */
export async function query(ground: BenchGround): Promise<ScenarioResult> {
  const { clickhouse, events } = ground;
  const view = chIdent(SCHEMA, 'orders');
  const plain = chIdent(SCHEMA, PLAIN);
  events.phase('querying the copy, and a plain table with its rows');
  await clickhouse.command(
    `CREATE TABLE ${plain} ENGINE = MergeTree ORDER BY id AS SELECT id, order_date, purchaser, quantity, product_id FROM ${view}`,
  );
  const measures: Measure[] = [];
  for (const [name, sql] of Object.entries(QUERIES)) {
    const took = { copy: [] as number[], plain: [] as number[] };
    // In turns: what else the machine does falls on both.
    for (let i = 0; i < TIMES; i += 1) {
      took.copy.push(await timed(ground, sql(view)));
      took.plain.push(await timed(ground, sql(plain)));
    }
    for (const [of, samples] of Object.entries(took))
      measures.push({
        scenario: 'query',
        measure: `${name}, ${of}`,
        value: percentiles(samples)?.p50 ?? 0,
        unit: 'ms',
        better: 'less',
        on: `median of ${TIMES}`,
      });
  }
  return { measures, cpu_us_per_change: {} };
}

async function timed({ clickhouse, signal }: BenchGround, sql: string): Promise<number> {
  signal.throwIfAborted();
  const startedAtMs = performance.now();
  await clickhouse.command(sql);
  return performance.now() - startedAtMs;
}
