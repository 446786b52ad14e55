import type pg from 'pg';
import { postgresPool } from '../../components/postgres/client.ts';
import { histogram, type Measure, percentileMeasures } from '../../core/bench.ts';
import { percentiles } from '../../core/lag.ts';
import { chIdent } from '../../lib/sql.ts';
import { pause, waitFor } from '../../lib/wait.ts';
import { type BenchGround, SCHEMA, TABLES } from '../ground.ts';
import type { ScenarioResult } from './scenario.ts';

/** A poll is a query, and queries take the CPU that is measured: rarer, and the figure is as coarse. */
const PROBE_POLL_MS = 20;
const PROBE_EVERY_MS = 500;
/** Two JVMs compile what they run for the first time; rows of this while are not counted. */
const WARM_UP_SECONDS = 20;
const PAIRS = 40;
/** Between the two of a pair; and between pairs. */
const PAIR_MS = 4;
const SILENCE_MS = 250;

/** What column n of a row tells: its number while latency is measured, or one of these. */
const MARK = { probe: -1, warmUp: -3, pair: -4 } as const;

/**
 * Commit to written in ClickHouse by the servers' clocks, every row; and from the commit's answer to a polling client's
 * sight. Rows are written when they are due, whether or not those before have come back.
 */
export async function latency(
  ground: BenchGround,
  rate: number,
  seconds: number,
): Promise<ScenarioResult> {
  const { events, signal } = ground;
  events.phase(
    `writing ${rate} rows/s into ${TABLES.length} tables for ${WARM_UP_SECONDS} + ${seconds} s`,
  );
  const pool = await postgresPool(ground.stack.endpoints.postgres, 8);
  const probes: number[] = [];
  try {
    await write(pool, rate, WARM_UP_SECONDS, () => MARK.warmUp, signal);
    const writing = write(pool, rate, seconds, (sent) => sent, signal);
    const untilMs = performance.now() + seconds * 1000 - 1000;
    await pause(1000, signal);
    while (performance.now() < untilMs) {
      probes.push(await probe(ground, pool, TABLES[probes.length % TABLES.length] ?? 't0'));
      await pause(PROBE_EVERY_MS, signal);
    }
    await writing;
    await arrived(ground);
    events.phase(`writing ${PAIRS} pairs of rows with silence between`);
    for (let pair = 0; pair < PAIRS; pair += 1) {
      await insert(pool, 't0', MARK.pair, `pair ${pair}`);
      await pause(PAIR_MS, signal);
      await insert(pool, 't0', MARK.pair, `pair ${pair}`);
      await pause(SILENCE_MS, signal);
    }
  } finally {
    await pool.end();
  }
  await arrived(ground);
  const steady = await writtenMs(ground, 'n >= 0');
  const pairs = await writtenMs(ground, `n = ${MARK.pair}`);
  const measures: Measure[] = [
    ...percentileMeasures(
      'latency',
      'written',
      percentiles(steady),
      `${rate}/s, ${TABLES.length} tables, ${steady.length} rows`,
    ),
    ...percentileMeasures('latency', 'visible', percentiles(probes), `${probes.length} probes`),
    ...percentileMeasures(
      'latency',
      'pairs written',
      percentiles(pairs),
      `${PAIR_MS} ms apart, ${SILENCE_MS} ms of silence between, ${pairs.length} rows`,
    ),
  ];
  const histograms = {
    written: histogram(steady),
    visible: histogram(probes),
    'pairs written': histogram(pairs),
  };
  return { measures, cpu_us_per_change: {}, histograms };
}

async function write(
  pool: pg.Pool,
  rate: number,
  seconds: number,
  mark: (sent: number) => number,
  signal: AbortSignal,
): Promise<void> {
  const startedAtMs = performance.now();
  const total = rate * seconds;
  const pending = new Set<Promise<unknown>>();
  for (let sent = 0; sent < total; ) {
    const due = Math.min(total, Math.floor(((performance.now() - startedAtMs) / 1000) * rate));
    for (; sent < due; sent += 1) {
      const table = TABLES[sent % TABLES.length] ?? 't0';
      const written = insert(pool, table, mark(sent), `row ${sent}`).finally(() =>
        pending.delete(written),
      );
      pending.add(written);
    }
    await pause(2, signal);
  }
  await Promise.all(pending);
}

function insert(pool: pg.Pool, table: string, n: number, label: string) {
  return pool.query<{ id: string }>({
    name: `into_${table}`,
    text: `INSERT INTO ${SCHEMA}.${table} (n, label, amount) VALUES ($1, $2, 12.50) RETURNING id`,
    values: [n, label],
  });
}

async function probe(ground: BenchGround, pool: pg.Pool, table: string): Promise<number> {
  const { rows } = await insert(pool, table, MARK.probe, 'probe');
  const committedAtMs = performance.now();
  const id = rows[0]?.id;
  await waitFor(
    `row ${id} of ${table}`,
    { timeoutMs: 30_000, everyMs: PROBE_POLL_MS, signal: ground.signal },
    async () =>
      (await ground.count(table, `id = ${id}`)) > 0 ? { ready: true } : { seen: 'not there' },
  );
  return performance.now() - committedAtMs;
}

async function writtenMs(ground: BenchGround, condition: string): Promise<number[]> {
  const rows = await ground.clickhouse.rows<{ ms: number }>(
    TABLES.map(
      (table) =>
        `SELECT toFloat64(_written_at - _committed_at) * 1000 AS ms FROM ${chIdent(SCHEMA, `${table}_final`)} WHERE ${condition}`,
    ).join(' UNION ALL '),
  );
  return rows.map(({ ms }) => Number(ms));
}

/** All that was written is there. */
async function arrived(ground: BenchGround): Promise<void> {
  const sum = (found: readonly { n: string }[]) =>
    found.reduce((total, { n }) => total + Number(n), 0);
  const all = (of: (table: string) => string) =>
    TABLES.map((table) => `SELECT count(*) AS n FROM ${of(table)}`).join(' UNION ALL ');
  await waitFor('all rows to arrive', { timeoutMs: 60_000, signal: ground.signal }, async () => {
    const source = await ground.sql((client) =>
      client.query<{ n: string }>(all((table) => `${SCHEMA}.${table}`)),
    );
    const target = await ground.clickhouse.rows<{ n: string }>(
      all((table) => chIdent(SCHEMA, table)),
    );
    const [wanted, there] = [sum(source.rows), sum(target)];
    return wanted === there ? { ready: true } : { seen: `${there} of ${wanted}` };
  });
}
