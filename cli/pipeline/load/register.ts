import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { firstLines, fixOfTrace } from '../../components/connect/check.ts';
import { Connect } from '../../components/connect/client.ts';
import { withPostgres } from '../../components/postgres/client.ts';
import { slotReader } from '../../components/postgres/observe.ts';
import { connectorSecrets } from '../../core/connector.ts';
import { connectorDiff } from '../../core/plan.ts';
import { Problem } from '../../core/problems.ts';
import { writeFileAtomic, writeFileIfOther } from '../../lib/files.ts';
import { propertiesText } from '../../lib/properties.ts';
import { StopWaiting, WaitTimeout, waitFor } from '../../lib/wait.ts';
import { CONNECT_SECRETS } from '../../stack/layout.ts';
import { secretsPlace } from '../inspect/desired.ts';
import type { Stack } from '../state/stack.ts';

export type RegisterResult = 'created' | 'updated' | 'unchanged';

export interface Registration {
  readonly result: RegisterResult;
  /** Options that differ from what Connect has. */
  readonly different: readonly string[];
}

export interface RegisterOptions extends Waiting {
  readonly dryRun?: boolean;
  /** Told before Connect is given the connector: from then on it may have it, whatever is answered. */
  readonly onSend?: () => void;
}

/** How somebody waits for the connector. */
interface Waiting {
  readonly signal?: AbortSignal;
  readonly onWait?: (text: string) => void;
}

/**
 * Asks Connect's own validator first; then creates, updates, or leaves alone, and waits until it runs.
 */
export async function registerConnector(
  stack: Stack,
  config: Readonly<Record<string, string>>,
  options: RegisterOptions = {},
): Promise<Registration> {
  const connect = new Connect(stack.endpoints.connect);
  const { connector } = stack.names;
  const present = await connect.config(connector);
  const settle = keepSecrets(stack);
  const different = connectorDiff(present, config);
  const result: RegisterResult = !present
    ? 'created'
    : different.length > 0
      ? 'updated'
      : 'unchanged';
  if (result !== 'unchanged' || options.dryRun) {
    const complaints = await connect.validate({ ...config, name: connector });
    if (complaints.length > 0)
      throw new Problem('CONNECTOR_INVALID', { detail: complaints.join('\n') });
  }
  if (options.dryRun) return { result, different };
  if (result === 'unchanged') {
    await waitUntilRunning(connect, connector, options);
    settle();
    return { result, different };
  }
  const send = () => {
    options.onSend?.();
    return connect.put(connector, config);
  };
  await withNewReader(stack, connect, send, options);
  settle();
  return { result, different };
}

/**
 * Adds what the connector shall read to the file of a worker of this machine. That of a container is written before it
 * starts.
 *
 * @returns leaves nothing else in it; for when no task reads by the old configuration any more.
 */
function keepSecrets(stack: Stack): () => void {
  const place = secretsPlace(stack);
  if (place?.file !== CONNECT_SECRETS) return () => {};
  const path = join(stack.layout.root, CONNECT_SECRETS);
  const text = propertiesText(connectorSecrets(stack.endpoints.postgres, place).entries);
  const before = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (!before.includes(text)) writeFileAtomic(path, before + text, 0o600);
  return () => {
    writeFileIfOther(path, text, 0o600);
  };
}

/** Has Debezium read the catalog again, where it knows a table's columns only from its changes. */
export async function restartReader(stack: Stack): Promise<void> {
  const connect = new Connect(stack.endpoints.connect);
  await withNewReader(stack, connect, () => connect.restart(stack.names.connector));
}

/** Does what ends the connector's task, and waits until a new one reads the slot. */
async function withNewReader(
  stack: Stack,
  connect: Connect,
  change: () => Promise<void>,
  waiting: Waiting = {},
): Promise<void> {
  const { connector, slot } = stack.names;
  await withPostgres(stack.endpoints.postgres, async (client) => {
    const before = await slotReader(client, slot);
    await change();
    await waitUntilRunning(connect, connector, waiting, async () => {
      const reader = await slotReader(client, slot);
      return reader !== undefined && reader !== before;
    });
  });
}

/**
 * @param reads whether the task that runs is one with the new configuration. Connect says RUNNING of
 *   the old one for a while, and that one passes over the changes of a table it does not know: what
 *   is read from the source before the new one reads the slot could be outdated for good.
 */
async function waitUntilRunning(
  connect: Connect,
  name: string,
  { signal, onWait }: Waiting,
  reads: () => Promise<boolean> = async () => true,
): Promise<void> {
  try {
    const told = (seen: string) => {
      onWait?.(`waiting for connector ${name}: ${seen}`);
      return { seen };
    };
    await waitFor(`connector ${name}`, { timeoutMs: 60_000, everyMs: 100, signal }, async () => {
      const status = await connect.status(name);
      if (!status) return told('no status yet');
      const failed = [status.connector, ...status.tasks].find((part) => part.state === 'FAILED');
      if (failed) {
        const trace = failed.trace ?? 'no trace';
        const fix = fixOfTrace(trace);
        const detail = firstLines(trace);
        throw new StopWaiting(
          new Problem('CONNECTOR_FAILED', { name, detail }, fix === undefined ? {} : { fix }),
        );
      }
      // Somebody paused or stopped it: that is no failure, and not for a registration to change.
      if (status.connector.state === 'PAUSED' || status.connector.state === 'STOPPED')
        return { ready: true };
      const running =
        status.tasks.length > 0 && status.tasks.every((task) => task.state === 'RUNNING');
      if (running && !(await reads())) return told('the slot has no new reader yet');
      return running
        ? { ready: true }
        : told(
            `${status.connector.state}, tasks ${status.tasks.map((t) => t.state).join(', ') || 'none'}`,
          );
    });
  } catch (error) {
    if (error instanceof WaitTimeout)
      throw new Problem('CONNECTOR_FAILED', { name, detail: error.message });
    throw error;
  }
}
