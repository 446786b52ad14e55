import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { ClickHouse } from '../../components/clickhouse/client.ts';
import {
  dropSnapshotQueue,
  runStatements,
  snapshotQueues,
} from '../../components/clickhouse/objects.ts';
import { readLoad, recordReading } from '../../components/clickhouse/records.ts';
import { Connect } from '../../components/connect/client.ts';
import {
  forgetReading,
  isAll,
  isSnapshotRunning,
  statusOf,
} from '../../components/connect/control.ts';
import { withKafkaAdmin } from '../../components/kafka/client.ts';
import { followTopic, IdleTimeoutError } from '../../components/kafka/notifications.ts';
import { endOffsets, setGroupOffsets, waitForGroupLag } from '../../components/kafka/topics.ts';
import { withPostgres } from '../../components/postgres/client.ts';
import { observeSlot } from '../../components/postgres/observe.ts';
import { writeHeartbeat } from '../../components/postgres/prepare.ts';
import { removeSignal, sendSignal } from '../../components/postgres/signal.ts';
import { snapshotView, type TablePlan } from '../../core/ddl.ts';
import {
  notificationTopic,
  sharedQueueNames,
  snapshotNames,
  tableLabel,
  topicName,
} from '../../core/names.ts';
import { Problem } from '../../core/problems.ts';
import { fanoutObject, queueObject, sharedQueueView } from '../../core/queue-ddl.ts';
import type { RecordOf } from '../../core/records.ts';
import type { SharedQueue } from '../../core/sharedQueues.ts';
import { hasParameterMark, snapshotNews, snapshotSignal, stopSignal } from '../../core/signals.ts';
import { pause, WaitTimeout, waitFor } from '../../lib/wait.ts';
import { queueLogin } from '../inspect/desired.ts';
import type { Stack } from '../state/stack.ts';
import type { LoadProgress, LoadResult } from './load.ts';
import { restartReader } from './register.ts';

/** Debezium stores its offsets every minute at the latest, unless the worker says otherwise. */
const STORED_MS = 180_000;
/** A chunk of some thousand rows takes seconds: so soon does it stop, and for so long may it say nothing. */
const STOP_MS = 30_000;
const SILENCE_MS = 600_000;
/** As long as the queue may need for all the rows. */
const ARRIVAL_MS = 3_600_000;

type IncrementalSnapshot = RecordOf<'debezium'>;

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
      if (!(error instanceof SnapshotForgottenError) || attempt === ATTEMPTS) throw error;
      return read(attempt + 1);
    }
  };
  try {
    return await read().catch(async (error) => {
      if (!(error instanceof SnapshotTableUnknownError)) throw error;
      // It would take up what it has stored of the reading, and cannot read every name back.
      await withPostgres(stack.endpoints.postgres, (source) => endSnapshots(stack, source, signal));
      await restartReader(stack);
      return read();
    });
  } catch (error) {
    if (!(error instanceof SnapshotAbortedError)) throw error;
    throw new Problem('LOAD_FAILED', { table: tableLabel(plan), detail: error.message });
  }
}

/**
 * Has Debezium read a table beside the stream, for a ClickHouse that cannot reach the source. Its
 * rows go through the table's topic. A queue of this reading's own takes them from there, from an
 * offset on, and gives them the version; the table's queue gives them the lowest. (The WAL position
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
  try {
    return await withPostgres(stack.endpoints.postgres, async (source) => {
      const known = (await readLoad(clickhouse, plan, version)).reading;
      const found = known && (await alive(clickhouse, plan, known));
      const reading = found ?? (await begin(stack, source, clickhouse, plan, version, signal));
      if (!found) await recordReading(clickhouse, plan, version, reading);
      const sharedQueue = snapshotQueue(stack, plan, reading.id);
      let rows = reading.rows;
      if (rows === undefined) {
        // Also when it is gone on with: the command may have been killed before it was sent.
        await sendSignal(source, stack.names, snapshotSignal(reading.id, plan, where));
        rows = await follow(stack, plan, reading, signal, (done, totalRows) =>
          onProgress({
            table,
            rows: Math.round(done * totalRows),
            estimatedRows: totalRows,
            seconds: seconds(),
            done,
          }),
        ).catch(async (error) => {
          if (error instanceof SnapshotAbortedError)
            await removeSignal(source, stack.names, reading.id);
          throw error;
        });
        await storedInKafka(stack, source, signal);
        await withKafkaAdmin(stack.endpoints.kafka, (admin) =>
          waitForGroupLag(admin, sharedQueue.names.group, sharedQueue.topics, {
            timeoutMs: ARRIVAL_MS,
            signal,
          }),
        );
        await recordReading(clickhouse, plan, version, { ...reading, rows });
      }
      await dropSnapshotQueue(clickhouse, snapshotNames(plan, clickhouse.own).view);
      await withKafkaAdmin(stack.endpoints.kafka, (admin) =>
        admin.deleteGroups([sharedQueue.names.group]).catch(() => {}),
      );
      await removeSignal(source, stack.names, reading.id);
      onProgress({ table, rows, estimatedRows: rows, seconds: seconds(), done: 1 });
      return { table, rows, seconds: seconds(), resumedChunks: found ? 1 : 0 };
    });
  } catch (error) {
    if (error instanceof SnapshotAbortedError)
      await recordReading(clickhouse, plan, version, undefined);
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

/** The reading, unless another table's has ended it. */
async function alive(
  clickhouse: ClickHouse,
  plan: TablePlan,
  reading: IncrementalSnapshot,
): Promise<IncrementalSnapshot | undefined> {
  if (reading.rows !== undefined) return reading;
  const sharedQueues = await snapshotQueues(clickhouse);
  return sharedQueues.includes(snapshotNames(plan, clickhouse.own).view) ? reading : undefined;
}

/** Its group must not count among the queues' groups: queues begin where one of those has come to. */
function snapshotQueue(stack: Stack, plan: TablePlan, id: string): SharedQueue {
  const { own, group } = stack.names;
  const names = sharedQueueNames({ own, group: `${group}-snapshot` }, snapshotNames(plan, own), 0);
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
): Promise<IncrementalSnapshot> {
  await endSnapshots(stack, source, signal);
  const id = randomUUID();
  const sharedQueue = snapshotQueue(stack, plan, id);
  const { kafka } = stack.endpoints;
  const topic = notificationTopic(stack.names.topicPrefix);
  const offset = await withKafkaAdmin(kafka, async (admin) => {
    // What is in the topic by now is an earlier reading's, at most.
    await setGroupOffsets(
      kafka,
      sharedQueue.names.group,
      await endOffsets(admin, sharedQueue.topics),
    );
    return (await endOffsets(admin, [topic])).get(topic)?.get(0) ?? 0n;
  });
  // Of readings that nobody went on with, too: there are none any more.
  for (const stem of await snapshotQueues(clickhouse)) await dropSnapshotQueue(clickhouse, stem);
  const queue = queueObject(sharedQueue, {
    brokers: kafka.internalBrokers.join(','),
    profile: stack.profile,
    login: queueLogin(stack.endpoints),
  });
  const { toastPlaceholder } = stack.secrets;
  const parts = [
    fanoutObject(sharedQueue),
    snapshotView(plan, sharedQueue, version),
    queue,
    sharedQueueView(sharedQueue, toastPlaceholder),
  ];
  // Without the comment that marks what `apply` takes care of.
  await runStatements(
    clickhouse,
    parts.map((part) => part.create),
  );
  return { id, offset };
}

/** Debezium goes on with what a killed command told it; its rows must not be taken for new ones. */
async function endSnapshots(
  stack: Stack,
  source: pg.ClientBase,
  signal: AbortSignal,
): Promise<void> {
  const connect = new Connect(stack.endpoints.connect);
  const { connector } = stack.names;
  await storedInKafka(stack, source, signal);
  if (!(await isSnapshotRunning(connect, connector))) return;
  const id = randomUUID();
  await sendSignal(source, stack.names, stopSignal(id));
  await storedInKafka(stack, source, signal);
  const stopped = waitFor('Debezium to stop reading', { timeoutMs: STOP_MS, signal }, async () =>
    (await isSnapshotRunning(connect, connector)) ? { seen: 'it reads' } : { ready: true },
  );
  await stopped.catch(async (error: unknown) => {
    if (!(error instanceof WaitTimeout)) throw error;
    // It looks for a stop before each chunk, and one whose end it missed is the last.
    await forgetReading(connect, connector);
  });
  await removeSignal(source, stack.names, id);
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
  const { lsn } = await writeHeartbeat(source, stack.names);
  const options = { timeoutMs: STORED_MS, everyMs: 100, signal };
  await waitFor('Debezium to store how far it is', options, async () => {
    const confirmed = (await observeSlot(source, stack.names.slot))?.confirmedFlushLsn ?? 0n;
    return confirmed >= lsn ? { ready: true } : { seen: `position ${confirmed} of ${lsn}` };
  });
}

/** Debezium has ended a reading without its rows; the next attempt is another reading. */
class SnapshotAbortedError extends Error {}
class SnapshotTableUnknownError extends SnapshotAbortedError {}
/** A connector that failed has lost it, or the agent has let it forget what it could not take up. */
class SnapshotForgottenError extends SnapshotAbortedError {}

async function follow(
  stack: Stack,
  plan: TablePlan,
  reading: IncrementalSnapshot,
  signal: AbortSignal,
  onProgress: (done: number, totalRows: number) => void,
): Promise<number> {
  let rows = 0;
  const ending = new AbortController();
  const options = {
    topic: notificationTopic(stack.names.topicPrefix),
    from: reading.offset,
    group: `${stack.names.group}-snapshot.${reading.id}`,
    idleMs: SILENCE_MS,
    signal: AbortSignal.any([signal, ending.signal]),
  };
  missing(stack, options.signal).then(
    (detail) => ending.abort(new SnapshotForgottenError(detail)),
    () => {},
  );
  try {
    await followTopic(stack.endpoints.kafka, options, (message) => {
      const news = snapshotNews(message, plan);
      if (news?.kind === 'progress') onProgress(news.done, news.totalRows);
      if (news?.kind === 'unknown') throw new SnapshotTableUnknownError(news.detail);
      if (news?.kind === 'failed') throw new SnapshotAbortedError(news.detail);
      if (news?.kind === 'done') rows = news.rows;
      return news?.kind === 'done';
    });
  } catch (error) {
    if (!(error instanceof IdleTimeoutError)) throw error;
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
      isSnapshotRunning(connect, connector),
    ]).catch(() => undefined);
    const [status, reads] = state ?? [];
    // While nothing was read of it, nothing is known.
    if (status && isAll(status, 'RUNNING')) missed = reads ? 0 : missed + 1;
  }
  return 'it runs, and does not read the table any more';
}
