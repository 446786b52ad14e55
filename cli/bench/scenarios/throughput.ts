import { queueOf, whileDetached } from '../../components/clickhouse/queues.ts';
import { withKafkaAdmin } from '../../components/kafka/client.ts';
import { endOffsets } from '../../components/kafka/topics.ts';
import { cpuBetween, type Measure, perChange } from '../../core/bench.ts';
import { topicName } from '../../core/names.ts';
import { formatCount } from '../../lib/format.ts';
import { waitFor } from '../../lib/wait.ts';
import { type BenchGround, SCHEMA } from '../ground.ts';
import type { ScenarioResult } from './scenario.ts';

/** What column n of the rows of a backlog says. */
const BACKLOG = -2;
const POLL_MS = 250;
const DRAIN_MS = 600_000;
const PER_TRANSACTION = 1000;

/** Changes that pile up behind a connector that stands still. */
interface Backlog {
  readonly table: string;
  /** By which they are told from other rows of the table's storage. */
  readonly arrived: string;
  readonly perTransaction: number;
  /** A statement that makes one change for each id from one to another. */
  readonly write: (from: number, to: number) => string;
}

export function inserts(table: string, perTransaction = PER_TRANSACTION): Backlog {
  return {
    table,
    arrived: `n = ${BACKLOG} AND _deleted = 0`,
    perTransaction,
    write: (from, to) =>
      `INSERT INTO ${SCHEMA}.${table} (id, n, label, amount) SELECT g, ${BACKLOG}, 'backlog ' || g, g FROM generate_series(${from}, ${to}) g`,
  };
}

/** Updates and deletes are of the rows that were inserted before. */
const KINDS = {
  inserts: inserts('t0'),
  updates: {
    table: 't0',
    arrived: `n = ${BACKLOG} AND endsWith(label, '!') AND _deleted = 0`,
    perTransaction: PER_TRANSACTION,
    write: (from, to) =>
      `UPDATE ${SCHEMA}.t0 SET label = label || '!' WHERE id BETWEEN ${from} AND ${to}`,
  },
  deletes: {
    table: 't0',
    arrived: '_deleted = 1',
    perTransaction: PER_TRANSACTION,
    write: (from, to) => `DELETE FROM ${SCHEMA}.t0 WHERE id BETWEEN ${from} AND ${to}`,
  },
  'wide inserts': {
    table: 'wide',
    arrived: `n = ${BACKLOG}`,
    perTransaction: PER_TRANSACTION,
    write: (from, to) => {
      const columns = Array.from({ length: 18 }, (_, i) => (i % 2 ? `g % 1000` : `'text ' || g`));
      return `INSERT INTO ${SCHEMA}.wide SELECT g, ${BACKLOG}, ${columns.join(', ')} FROM generate_series(${from}, ${to}) g`;
    },
  },
  'small transactions': inserts('t1', 1),
  'one transaction': inserts('t2', Number.POSITIVE_INFINITY),
} as const satisfies Readonly<Record<string, Backlog>>;
type Kind = keyof typeof KINDS;

/** Small transactions take the source as long as everything else together. */
const SHARE: Readonly<Partial<Record<Kind, number>>> = { 'small transactions': 0.1 };
/** Rows of the example's own would not be told from those. */
export const FIRST_ID = 1_000_000_000;

/** Each kind's backlog in turn; one is drained before, since two JVMs compile what they run for the first time. */
export async function throughput(ground: BenchGround, rows: number): Promise<ScenarioResult> {
  await drain(ground, 'inserts', Math.round(rows / 4), FIRST_ID - rows);
  const all = [];
  for (const kind of Object.keys(KINDS) as Kind[])
    all.push(await drain(ground, kind, Math.round(rows * (SHARE[kind] ?? 1)), FIRST_ID));
  return resultOf(all);
}

async function drain(ground: BenchGround, kind: Kind, rows: number, firstId: number) {
  const backlog = KINDS[kind];
  const { table, arrived } = backlog;
  const before = await ground.count(table, arrived);
  ground.events.phase(`writing ${formatCount(rows)} ${kind}`);
  await pileUp(ground, backlog, rows, firstId);
  ground.events.phase(`draining ${formatCount(rows)} ${kind}`);
  return timed(ground, 'throughput', kind, rows, {
    begin: () => ground.resume(),
    // Versions that were merged away would not be counted; none of these has two.
    there: async () => (await ground.count(table, arrived)) - before,
  });
}

export async function pileUp(
  ground: BenchGround,
  backlog: Backlog,
  rows: number,
  firstId: number,
): Promise<void> {
  const { perTransaction, write } = backlog;
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

/** Changes a second, from the first that is there to the last, and what each of them took of every part. */
async function timed(
  ground: BenchGround,
  scenario: string,
  name: string,
  rows: number,
  { begin, there }: { begin: () => Promise<void>; there: () => Promise<number> },
) {
  const cpuBefore = ground.cpu();
  await begin();
  const { seconds, measured } = await untilThere(ground, name, rows, there);
  const measure: Measure = {
    scenario,
    measure: name,
    value: Math.round(measured / seconds),
    unit: 'changes/s',
    better: 'more',
    on: `${formatCount(rows)} changes, from the first that is there to the last`,
  };
  return { measure, cpu_us: perChange(cpuBetween(cpuBefore, ground.cpu()), rows) };
}

/** How long it takes from the first that is there to the last, and of how many. */
export async function untilThere(
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
  const { clickhouse, events, stack } = ground;
  const backlog = inserts('t3');
  const topic = topicName(stack.names.topicPrefix, { schema: SCHEMA, table: backlog.table });
  const end = () =>
    withKafkaAdmin(stack.endpoints.kafka, async (admin) =>
      Number((await endOffsets(admin, [topic])).get(topic)?.get(0) ?? 0n),
    );
  const before = await end();
  events.phase(`writing ${formatCount(rows)} inserts for each stage alone`);
  await pileUp(ground, backlog, rows, FIRST_ID);
  const kafka = await whileDetached(clickhouse, await queueOf(clickhouse, topic), () => {
    events.phase('the connector into Kafka, nobody reads');
    return timed(ground, 'stages', 'Debezium into Kafka', rows, {
      begin: () => ground.resume(),
      there: async () => (await end()) - before,
    });
  });
  events.phase('ClickHouse from a full topic');
  const target = await timed(ground, 'stages', 'ClickHouse from a full topic', rows, {
    begin: async () => {},
    there: () => ground.count(backlog.table, backlog.arrived),
  });
  return resultOf([kafka, target]);
}

function resultOf(all: readonly Awaited<ReturnType<typeof timed>>[]): ScenarioResult {
  return {
    measures: all.map(({ measure }) => measure),
    cpu_us_per_change: Object.fromEntries(
      all.map(({ measure, cpu_us }) => [`${measure.scenario}, ${measure.measure}`, cpu_us]),
    ),
  };
}
