import { queuesOf } from '../../components/clickhouse/queues.ts';
import { withKafkaAdmin } from '../../components/kafka/client.ts';
import { endOffsets } from '../../components/kafka/topics.ts';
import { cpuBetween, type Measure, perChange } from '../../core/bench.ts';
import { topicName } from '../../core/names.ts';
import { formatCount } from '../../lib/format.ts';
import { chIdent } from '../../lib/sql.ts';
import { waitFor } from '../../lib/wait.ts';
import { type BenchGround, SCHEMA } from '../ground.ts';
import type { ScenarioResult } from './scenario.ts';

/** What column n of the rows of a backlog says. */
const BACKLOG = -2;
const POLL_MS = 250;
const DRAIN_MS = 600_000;
const PER_TRANSACTION = 1000;

/** Changes that pile up behind a connector that stands still, and how each kind is written. */
const KINDS = {
  inserts: {
    table: 't0',
    arrived: `n = ${BACKLOG} AND _deleted = 0`,
    perTransaction: PER_TRANSACTION,
    write: (from: number, to: number) =>
      `INSERT INTO ${SCHEMA}.t0 (id, n, label, amount) SELECT g, ${BACKLOG}, 'backlog ' || g, g FROM generate_series(${from}, ${to}) g`,
  },
  updates: {
    table: 't0',
    arrived: `n = ${BACKLOG} AND endsWith(label, '!') AND _deleted = 0`,
    perTransaction: PER_TRANSACTION,
    write: (from: number, to: number) =>
      `UPDATE ${SCHEMA}.t0 SET label = label || '!' WHERE id BETWEEN ${from} AND ${to}`,
  },
  deletes: {
    table: 't0',
    arrived: '_deleted = 1',
    perTransaction: PER_TRANSACTION,
    write: (from: number, to: number) =>
      `DELETE FROM ${SCHEMA}.t0 WHERE id BETWEEN ${from} AND ${to}`,
  },
  'wide inserts': {
    table: 'wide',
    arrived: `n = ${BACKLOG}`,
    perTransaction: PER_TRANSACTION,
    write: (from: number, to: number) => {
      const columns = Array.from({ length: 18 }, (_, i) => (i % 2 ? `g % 1000` : `'text ' || g`));
      return `INSERT INTO ${SCHEMA}.wide SELECT g, ${BACKLOG}, ${columns.join(', ')} FROM generate_series(${from}, ${to}) g`;
    },
  },
  'small transactions': {
    table: 't1',
    arrived: `n = ${BACKLOG}`,
    perTransaction: 1,
    write: (from: number, to: number) =>
      `INSERT INTO ${SCHEMA}.t1 (id, n, label, amount) SELECT g, ${BACKLOG}, 'small', 1 FROM generate_series(${from}, ${to}) g`,
  },
  'one transaction': {
    table: 't2',
    arrived: `n = ${BACKLOG}`,
    perTransaction: Number.POSITIVE_INFINITY,
    write: (from: number, to: number) =>
      `INSERT INTO ${SCHEMA}.t2 (id, n, label, amount) SELECT g, ${BACKLOG}, 'large', 1 FROM generate_series(${from}, ${to}) g`,
  },
} as const;
type Kind = keyof typeof KINDS;

/** Small transactions take the source as long as everything else together. */
const SHARE: Readonly<Partial<Record<Kind, number>>> = { 'small transactions': 0.1 };
/** Rows of the example's own would not be told from those. */
const FIRST_ID = 1_000_000_000;

/** Each kind's backlog in turn; one is drained before, since two JVMs compile what they run for the first time. */
export async function throughput(ground: BenchGround, rows: number): Promise<ScenarioResult> {
  await drain(ground, 'inserts', Math.round(rows / 4), FIRST_ID - rows);
  const measures: Measure[] = [];
  const cpu: Record<string, Record<string, number>> = {};
  for (const kind of Object.keys(KINDS) as Kind[]) {
    const found = await drain(ground, kind, Math.round(rows * (SHARE[kind] ?? 1)), FIRST_ID);
    measures.push(found.measure);
    cpu[`throughput, ${kind}`] = found.cpu_us;
  }
  return { measures, cpu_us_per_change: cpu };
}

async function drain(ground: BenchGround, kind: Kind, rows: number, firstId: number) {
  const { table, arrived } = KINDS[kind];
  const before = await ground.count(table, arrived);
  await pileUp(ground, kind, rows, firstId);
  ground.events.phase(`draining ${formatCount(rows)} ${kind}`);
  const cpuBefore = ground.cpu();
  await ground.resume();
  const { seconds, measured } = await untilThere(ground, kind, rows, () =>
    // Versions that were merged away would not be counted; none of these has two.
    ground.count(table, arrived).then((count) => count - before),
  );
  const measure: Measure = {
    scenario: 'throughput',
    measure: kind,
    value: Math.round(measured / seconds),
    unit: 'changes/s',
    better: 'more',
    on: `${formatCount(rows)} changes, from the first that is visible to the last`,
  };
  return { measure, cpu_us: perChange(cpuBetween(cpuBefore, ground.cpu()), rows) };
}

async function pileUp(ground: BenchGround, kind: Kind, rows: number, firstId: number) {
  const { perTransaction, write } = KINDS[kind];
  ground.events.phase(`writing ${formatCount(rows)} ${kind}`);
  await ground.whileStopped(() =>
    ground.sql(async (client) => {
      for (let written = 0; written < rows; ) {
        ground.signal.throwIfAborted();
        const n = Math.min(perTransaction, rows - written);
        await client.query(write(firstId + written, firstId + written + n - 1));
        written += n;
      }
    }),
  );
}

/** How long it takes from the first that is there to the last, and of how many. */
async function untilThere(
  ground: BenchGround,
  what: string,
  rows: number,
  count: () => Promise<number>,
): Promise<{ seconds: number; measured: number }> {
  let first: { atMs: number; rows: number } | undefined;
  await waitFor(
    `${rows} ${what}`,
    { timeoutMs: DRAIN_MS, everyMs: POLL_MS, signal: ground.signal },
    async () => {
      const there = await count();
      if (there > 0) first ??= { atMs: performance.now(), rows: there };
      return there >= rows ? { ready: true } : { seen: `${there} of ${rows}` };
    },
  );
  const seconds = (performance.now() - (first?.atMs ?? 0)) / 1000;
  // All that was there at the first look came before the clock started.
  return first === undefined || first.rows >= rows
    ? { seconds: POLL_MS / 1000, measured: rows }
    : { seconds, measured: rows - first.rows };
}

/** What each half of the way does alone: the connector into Kafka while nobody reads, then ClickHouse from a full topic. */
export async function stages(ground: BenchGround, rows: number): Promise<ScenarioResult> {
  const topic = topicName(ground.stack.names.topicPrefix, { schema: SCHEMA, table: 't3' });
  const queue = (await queuesOf(ground.clickhouse)).find(({ topics }) => topics.includes(topic));
  if (!queue) throw new RangeError(`no queue reads ${topic}`);
  const name = chIdent(...(queue.name.split('.') as [string, string]));
  const end = () =>
    withKafkaAdmin(ground.stack.endpoints.kafka, async (admin) =>
      Number((await endOffsets(admin, [topic])).get(topic)?.get(0) ?? 0n),
    );
  const measures: Measure[] = [];
  const cpu: Record<string, Record<string, number>> = {};
  const stage = async (
    measure: string,
    begin: () => Promise<void>,
    count: () => Promise<number>,
  ) => {
    const cpuBefore = ground.cpu();
    await begin();
    const { seconds, measured } = await untilThere(ground, measure, rows, count);
    const value = Math.round(measured / seconds);
    const on = `${formatCount(rows)} inserts`;
    measures.push({ scenario: 'stages', measure, value, unit: 'changes/s', better: 'more', on });
    cpu[`stages, ${measure}`] = perChange(cpuBetween(cpuBefore, ground.cpu()), rows);
  };
  ground.events.phase(`writing ${formatCount(rows)} inserts for each stage alone`);
  const before = await end();
  await ground.whileStopped(() =>
    ground.sql(async (client) => {
      for (let written = 0; written < rows; written += PER_TRANSACTION)
        await client.query(
          `INSERT INTO ${SCHEMA}.t3 (n, label, amount) SELECT ${BACKLOG}, 'stage ' || g, g FROM generate_series(1, ${Math.min(PER_TRANSACTION, rows - written)}) g`,
        );
    }),
  );
  await ground.clickhouse.command(`DETACH TABLE ${name}`);
  try {
    ground.events.phase('the connector into Kafka, nobody reads');
    await stage(
      'Debezium into Kafka',
      () => ground.resume(),
      async () => (await end()) - before,
    );
  } finally {
    await ground.clickhouse.command(`ATTACH TABLE ${name}`);
  }
  ground.events.phase('ClickHouse from a full topic');
  await stage(
    'ClickHouse from a full topic',
    async () => {},
    () => ground.count('t3', `n = ${BACKLOG}`),
  );
  return { measures, cpu_us_per_change: cpu };
}
