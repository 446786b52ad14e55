import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { ClickHouse } from '../components/clickhouse/client.ts';
import { loadRecords, recordLoad } from '../components/clickhouse/observe.ts';
import { dropReadingLane, readingLanes, runStatements } from '../components/clickhouse/prepare.ts';
import { Connect } from '../components/connect/client.ts';
import { isAll, isReadingTables, statusOf } from '../components/connect/control.ts';
import { withKafkaAdmin } from '../components/kafka/client.ts';
import { followTopic, Silence } from '../components/kafka/notifications.ts';
import { endOffsets, readThrough, startAt } from '../components/kafka/topics.ts';
import { withPostgres } from '../components/postgres/client.ts';
import { observeSlot } from '../components/postgres/observe.ts';
import { beat } from '../components/postgres/prepare.ts';
import { removeSignal, sendSignal } from '../components/postgres/signal.ts';
import { snapshotView, type TablePlan } from '../core/ddl.ts';
import { fanoutObject, laneView, queueObject } from '../core/lane-ddl.ts';
import type { Lane } from '../core/lanes.ts';
import {
  laneNames,
  notificationTopic,
  snapshotNames,
  tableLabel,
  topicName,
} from '../core/names.ts';
import { Problem } from '../core/problems.ts';
import { hasParameterMark, readingNews, readSignal, stopSignal } from '../core/signals.ts';
import { pause, waitFor } from '../lib/wait.ts';
import type { LoadProgress, LoadResult } from './load.ts';
import { restartReader } from './register.ts';
import type { Stack } from './stack.ts';

/** Debezium stores its offsets every minute at the latest, unless the worker says otherwise. */
const STORED_MS = 180_000;
/** A chunk of some thousand rows takes seconds. */
const SILENCE_MS = 600_000;
/** As long as the lane may need for all the rows. */
const ARRIVAL_MS = 3_600_000;

/** A reading by Debezium as `cdc.loads` keeps it, so that a killed command goes on with it. */
interface Reading {
  readonly id: string;
  /** Notifications of it begin here. */
  readonly offset: string;
  /** Known when all of them have come to the copy. */
  readonly rows?: number;
}

const RECORD = 'debezium';
/** Its state instead of a reading that Debezium gave up. */
const FAILED = 'failed';

/** How often a reading is looked for, and how often in a row it must be missing. */
const WATCH_MS = 5000;
const MISSED = 3;
const ATTEMPTS = 3;

/** Has Debezium read a table, after a restart where it does not know the table yet. */
export async function loadByDebezium(
  stack: Stack,
  plan: TablePlan,
  version: bigint,
  signal: AbortSignal,
  onProgress: (progress: LoadProgress) => void,
): Promise<LoadResult> {
  const read = async (attempt = 1): Promise<LoadResult> => {
    try {
      return await readOnce(stack, plan, version, signal, onProgress);
    } catch (error) {
      if (!(error instanceof Forgotten) || attempt === ATTEMPTS) throw error;
      return read(attempt + 1);
    }
  };
  try {
    return await read().catch(async (error) => {
      if (!(error instanceof UnknownTable)) throw error;
      // It would take up what it has stored of the reading, and cannot read every name back.
      await withPostgres(stack.endpoints.postgres, (source) => endReadings(stack, source, signal));
      await restartReader(stack);
      return read();
    });
  } catch (error) {
    if (!(error instanceof GivenUp)) throw error;
    throw new Problem('LOAD_FAILED', { table: tableLabel(plan), detail: error.message });
  }
}

/**
 * Has Debezium read a table beside the stream, for a ClickHouse that cannot reach the source. Its
 * rows go through the table's topic. A lane of this reading's own takes them from there, from an
 * offset on, and gives them the version; the table's lane gives them the lowest. (The WAL position
 * that Debezium gives them will not do: a transaction that was open when they were read has earlier
 * positions, and they must not outrank its changes.)
 */
async function readOnce(
  stack: Stack,
  plan: TablePlan,
  version: bigint,
  signal: AbortSignal,
  onProgress: (progress: LoadProgress) => void,
): Promise<LoadResult> {
  const startedAtMs = performance.now();
  const seconds = () => (performance.now() - startedAtMs) / 1000;
  const table = tableLabel(plan);
  const { where } = plan.source;
  refuseUnreadable(plan);
  const clickhouse = new ClickHouse(stack.endpoints.clickhouse);
  const store = (reading: Reading) =>
    recordLoad(clickhouse, plan, version, {
      chunk: RECORD,
      state: JSON.stringify(reading),
      rows: reading.rows ?? 0,
    });
  try {
    return await withPostgres(stack.endpoints.postgres, async (source) => {
      const record = (await loadRecords(clickhouse, plan, version)).get(RECORD);
      const found = record && (await alive(clickhouse, plan, record.state));
      const reading = found ?? (await begin(stack, source, clickhouse, plan, version, signal));
      if (!found) await store(reading);
      const lane = readingLane(stack, plan, reading.id);
      let rows = reading.rows;
      if (rows === undefined) {
        // Also when it is gone on with: the command may have been killed before it was sent.
        await sendSignal(source, readSignal(reading.id, plan, where));
        rows = await follow(stack, plan, reading, signal, (done, totalRows) =>
          onProgress({
            table,
            rows: Math.round(done * totalRows),
            estimatedRows: totalRows,
            seconds: seconds(),
            done,
          }),
        ).catch(async (error) => {
          if (error instanceof GivenUp) await removeSignal(source, reading.id);
          throw error;
        });
        await storedInKafka(stack, source, signal);
        await withKafkaAdmin(stack.endpoints.kafka, (admin) =>
          readThrough(admin, lane.names.group, lane.topics, { timeoutMs: ARRIVAL_MS, signal }),
        );
        await store({ ...reading, rows });
      }
      await dropReadingLane(clickhouse, snapshotNames(plan).view);
      await withKafkaAdmin(stack.endpoints.kafka, (admin) =>
        admin.deleteGroups([lane.names.group]).catch(() => {}),
      );
      await removeSignal(source, reading.id);
      onProgress({ table, rows, estimatedRows: rows, seconds: seconds(), done: 1 });
      return { table, rows, seconds: seconds(), resumedChunks: found ? 1 : 0 };
    });
  } catch (error) {
    if (error instanceof GivenUp)
      await recordLoad(clickhouse, plan, version, { chunk: RECORD, state: FAILED, rows: 0 });
    throw error;
  } finally {
    await clickhouse.close();
  }
}

/** What Debezium's driver would fail on, with less clear words. */
function refuseUnreadable(plan: TablePlan): void {
  const refuse = (detail: string) => {
    throw new Problem('LOAD_FAILED', { table: tableLabel(plan), detail });
  };
  // Once it has been asked, its connector fails at every start: the reading is in its offsets.
  const array = plan.key.find((column) => column.source.array);
  if (array) throw new Problem('KEY_NOT_READABLE', { table: tableLabel(plan), column: array.name });
  const { where, columns } = plan.source;
  if (where !== undefined && hasParameterMark(where))
    refuse(`Debezium takes the ? of its filter for a parameter; jsonb_exists() says the same`);
  const cursor = columns.find((column) => column.type === 'refcursor' && !column.array);
  if (cursor)
    refuse(
      `Debezium cannot read its column ${cursor.name}: JDBC would open the cursor that a refcursor names; exclude it, or let ClickHouse reach the source`,
    );
}

/** The reading of a record, unless it failed, or another table's reading has ended it. */
async function alive(
  clickhouse: ClickHouse,
  plan: TablePlan,
  state: string,
): Promise<Reading | undefined> {
  if (state === FAILED) return undefined;
  const reading = JSON.parse(state) as Reading;
  if (reading.rows !== undefined) return reading;
  const lanes = await readingLanes(clickhouse);
  return lanes.includes(snapshotNames(plan).view) ? reading : undefined;
}

/** Its group must not count among the lanes' groups: lanes begin where one of those has come to. */
function readingLane(stack: Stack, plan: TablePlan, id: string): Lane {
  const names = laneNames(`${stack.names.group}-snapshot`, snapshotNames(plan), 0);
  return {
    names: { ...names, group: `${names.group}.${id}` },
    topics: [topicName(stack.names.topicPrefix, plan)],
    tables: [plan],
  };
}

async function begin(
  stack: Stack,
  source: pg.ClientBase,
  clickhouse: ClickHouse,
  plan: TablePlan,
  version: bigint,
  signal: AbortSignal,
): Promise<Reading> {
  await endReadings(stack, source, signal);
  const id = randomUUID();
  const lane = readingLane(stack, plan, id);
  const { kafka, clickhouse: target } = stack.endpoints;
  const topic = notificationTopic(stack.names.topicPrefix);
  const offset = await withKafkaAdmin(kafka, async (admin) => {
    // What is in the topic by now is an earlier reading's, at most.
    await startAt(kafka, lane.names.group, await endOffsets(admin, lane.topics));
    return (await endOffsets(admin, [topic])).get(topic)?.get(0) ?? 0n;
  });
  // Of readings that nobody went on with, too: there are none any more.
  for (const stem of await readingLanes(clickhouse)) await dropReadingLane(clickhouse, stem);
  const queue = queueObject(lane, {
    brokers: kafka.innerBrokers.join(','),
    profile: stack.profile,
    // The embedded ClickHouse has the credentials in its own configuration.
    sasl: target.managed ? undefined : kafka.sasl,
  });
  const { toastPlaceholder } = stack.secrets;
  const parts = [
    fanoutObject(lane),
    snapshotView(plan, lane, version),
    queue,
    laneView(lane, toastPlaceholder),
  ];
  // Without the comment that marks what `apply` takes care of.
  await runStatements(
    clickhouse,
    parts.map((part) => part.create),
  );
  return { id, offset: offset.toString() };
}

/** Debezium goes on with what a killed command told it; its rows must not be taken for new ones. */
async function endReadings(
  stack: Stack,
  source: pg.ClientBase,
  signal: AbortSignal,
): Promise<void> {
  const connect = new Connect(stack.endpoints.connect);
  const { connector } = stack.names;
  await storedInKafka(stack, source, signal);
  if (!(await isReadingTables(connect, connector))) return;
  const id = randomUUID();
  await sendSignal(source, stopSignal(id));
  await storedInKafka(stack, source, signal);
  await waitFor('Debezium to stop reading', { timeoutMs: STORED_MS, signal }, async () =>
    (await isReadingTables(connect, connector)) ? { seen: 'it reads' } : { ready: true },
  );
  await removeSignal(source, id);
}

/**
 * Waits until Kafka has everything that Debezium sent up to now: only then does it tell the slot
 * so. (That a later message of another topic has arrived says nothing.)
 */
async function storedInKafka(
  stack: Stack,
  source: pg.ClientBase,
  signal: AbortSignal,
): Promise<void> {
  const { lsn } = await beat(source);
  const options = { timeoutMs: STORED_MS, everyMs: 100, signal };
  await waitFor('Debezium to store how far it is', options, async () => {
    const confirmed = (await observeSlot(source, stack.names.slot))?.confirmedFlushLsn ?? 0n;
    return confirmed >= lsn ? { ready: true } : { seen: `position ${confirmed} of ${lsn}` };
  });
}

/** Debezium has ended a reading without its rows; the next attempt is another reading. */
class GivenUp extends Error {}
class UnknownTable extends GivenUp {}
/** A connector that failed has lost it, or the agent has let it forget what it could not take up. */
class Forgotten extends GivenUp {}

async function follow(
  stack: Stack,
  plan: TablePlan,
  reading: Reading,
  signal: AbortSignal,
  onProgress: (done: number, totalRows: number) => void,
): Promise<number> {
  let rows = 0;
  const ending = new AbortController();
  const options = {
    topic: notificationTopic(stack.names.topicPrefix),
    from: BigInt(reading.offset),
    group: `${stack.names.group}-snapshot.${reading.id}`,
    idleMs: SILENCE_MS,
    signal: AbortSignal.any([signal, ending.signal]),
  };
  missing(stack, options.signal).then(
    (detail) => ending.abort(new Forgotten(detail)),
    () => {},
  );
  try {
    await followTopic(stack.endpoints.kafka, options, (message) => {
      const news = readingNews(message, plan);
      if (news?.kind === 'progress') onProgress(news.done, news.totalRows);
      if (news?.kind === 'unknown') throw new UnknownTable(news.detail);
      if (news?.kind === 'failed') throw new GivenUp(news.detail);
      if (news?.kind === 'done') rows = news.rows;
      return news?.kind === 'done';
    });
  } catch (error) {
    if (!(error instanceof Silence)) throw error;
    const { connector } = stack.names;
    const status = await statusOf(new Connect(stack.endpoints.connect), connector);
    const detail = `Debezium says ${error.message}; connector ${status.connector.state}`;
    throw new Problem('LOAD_FAILED', { table: tableLabel(plan), detail });
  } finally {
    ending.abort();
  }
  return rows;
}

/** Ends when a connector that runs does not read tables any more; otherwise by the signal. */
async function missing(stack: Stack, signal: AbortSignal): Promise<string> {
  const connect = new Connect(stack.endpoints.connect);
  const { connector } = stack.names;
  for (let missed = 0; missed < MISSED; ) {
    await pause(WATCH_MS, signal);
    const state = await Promise.all([
      connect.status(connector),
      isReadingTables(connect, connector),
    ]).catch(() => undefined);
    const [status, reads] = state ?? [];
    // While nothing was read of it, nothing is known.
    if (status && isAll(status, 'RUNNING')) missed = reads ? 0 : missed + 1;
  }
  return 'it runs, and does not read the table any more';
}
