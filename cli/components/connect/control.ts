import { highest } from '../../core/lineage.ts';
import { Problem } from '../../core/problems.ts';
import { StopWaiting, WaitTimeout, waitFor } from '../../lib/wait.ts';
import { firstLines } from './check.ts';
import type { Connect, ConnectorStatus } from './client.ts';

const TIMEOUT_MS = 60_000;
const EVERY_MS = 50;
/** A restart is accepted before it begins; it is begun when a state other than the old one shows. */
const RESTART_BEGINS_MS = 3000;

/** The status, or CONNECTOR_MISSING. */
export async function statusOf(connect: Connect, name: string): Promise<ConnectorStatus> {
  const status = await connect.status(name);
  if (!status) throw await connect.missing(name);
  return status;
}

type State = 'RUNNING' | 'PAUSED' | 'STOPPED';

/** Whether the connector and every task of it are in this state; a running one has a task. */
export function isAll(status: ConnectorStatus, state: State): boolean {
  if (status.connector.state !== state || status.tasks.some((task) => task.state !== state))
    return false;
  return state !== 'RUNNING' || status.tasks.length > 0;
}

/** The state in which it stays when it is started again. */
function stateToKeep({ connector }: ConnectorStatus): State {
  return connector.state === 'PAUSED' || connector.state === 'STOPPED'
    ? connector.state
    : 'RUNNING';
}

/**
 * Ends its task, which Connect calls stopping: one that Connect has only paused keeps its connection, and PostgreSQL goes
 * on decoding WAL for it until its queue is full.
 */
export async function pauseConnector(
  connect: Connect,
  name: string,
): Promise<'paused' | 'unchanged'> {
  if (isAll(await statusOf(connect, name), 'STOPPED')) return 'unchanged';
  await stopConnector(connect, name);
  return 'paused';
}

export async function resumeConnector(
  connect: Connect,
  name: string,
): Promise<'resumed' | 'unchanged'> {
  const before = await statusOf(connect, name);
  if (isAll(before, 'RUNNING')) return 'unchanged';
  await connect.resume(name);
  await reach(connect, name, 'RUNNING');
  // It was on its way already, or had failed and was restarted by the agent.
  return before.connector.state === 'RUNNING' ? 'unchanged' : 'resumed';
}

/** Restarts the connector and its tasks; a paused one stays paused. */
export async function restartConnector(connect: Connect, name: string): Promise<'restarted'> {
  const before = await statusOf(connect, name);
  await connect.restart(name);
  const old = stateLine(before);
  await waitFor(
    'the restart to begin',
    { timeoutMs: RESTART_BEGINS_MS, everyMs: EVERY_MS },
    async () => {
      const line = stateLine(await statusOf(connect, name));
      return line === old ? { seen: line } : { ready: true };
    },
  ).catch((error: unknown) => {
    // Quicker than the eye, or nothing to do.
    if (!(error instanceof WaitTimeout)) throw error;
  });
  await reach(connect, name, stateToKeep(before));
  return 'restarted';
}

export async function deleteConnector(
  connect: Connect,
  name: string,
): Promise<'deleted' | 'unchanged'> {
  if (!(await connect.config(name))) return 'unchanged';
  await connect.delete(name);
  await waitForState(name, async () =>
    (await connect.config(name)) ? { seen: 'it is still there' } : { ready: true },
  );
  return 'deleted';
}

/** Ends its tasks: only then can its offsets be changed. */
export async function stopConnector(connect: Connect, name: string): Promise<void> {
  await connect.stop(name);
  await waitForState(name, async () => {
    const status = await statusOf(connect, name);
    return status.connector.state === 'STOPPED' && status.tasks.length === 0
      ? { ready: true }
      : { seen: stateLine(status) };
  });
}

const OF_READING = 'incremental_snapshot_';

/** The WAL position up to which it has read, as of the last offsets that it stored; undefined where it has none. */
export async function acknowledgedPosition(
  connect: Connect,
  name: string,
): Promise<bigint | undefined> {
  if (!(await connect.config(name))) return undefined;
  const positions = (await connect.offsets(name)).flatMap(({ offset }) =>
    ['lsn', 'lsn_proc', 'lsn_commit'].flatMap((key) => {
      const position = offset?.[key];
      return typeof position === 'number' ? [BigInt(position)] : [];
    }),
  );
  return highest(positions);
}

/** Whether Debezium reads tables beside the stream, as of the last offsets that it stored. */
export async function isSnapshotRunning(connect: Connect, name: string): Promise<boolean> {
  return (await connect.offsets(name)).some(({ offset }) => {
    const tables = offset?.[`${OF_READING}collections`];
    return typeof tables === 'string' && tables !== '' && tables !== '[]';
  });
}

/**
 * Lets Debezium forget the tables that it reads beside the stream, and nothing else. It stores them
 * in a form in which it cannot read back every name and key, and then fails at every start.
 */
export async function forgetReading(connect: Connect, name: string): Promise<void> {
  // What a running task has sent is in its offsets when it has ended; earlier ones would have it read changes, and
  // signals to read tables, once more.
  await stopConnector(connect, name);
  const offsets = (await connect.offsets(name)).map(({ partition, offset }) => {
    const kept = Object.entries(offset ?? {}).filter(([key]) => !key.startsWith(OF_READING));
    return { partition, offset: Object.fromEntries(kept) };
  });
  await connect.setOffsets(name, offsets);
  await connect.resume(name);
}

async function reach(connect: Connect, name: string, state: State): Promise<void> {
  await waitForState(name, async () => {
    const status = await statusOf(connect, name);
    const failed = [status.connector, ...status.tasks].find((part) => part.state === 'FAILED');
    if (failed && state === 'RUNNING') {
      throw new StopWaiting(
        new Problem('CONNECTOR_FAILED', { name, detail: firstLines(failed.trace ?? 'no trace') }),
      );
    }
    return isAll(status, state) ? { ready: true } : { seen: stateLine(status) };
  });
}

async function waitForState(
  name: string,
  look: () => Promise<{ ready: true } | { seen: string }>,
): Promise<void> {
  try {
    await waitFor(`connector ${name}`, { timeoutMs: TIMEOUT_MS, everyMs: EVERY_MS }, look);
  } catch (error) {
    if (error instanceof WaitTimeout)
      throw new Problem('CONNECTOR_FAILED', { name, detail: error.message });
    throw error;
  }
}

function stateLine(status: ConnectorStatus): string {
  return `${status.connector.state}, tasks ${status.tasks.map((task) => task.state).join(', ') || 'none'}`;
}
