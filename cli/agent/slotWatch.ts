import type { Logger } from 'pino';
import { withClickHouse } from '../components/clickhouse/client.ts';
import { readRecords } from '../components/clickhouse/records.ts';
import { Connect } from '../components/connect/client.ts';
import { stopConnector } from '../components/connect/control.ts';
import { slotAtRisk } from '../components/postgres/checkServer.ts';
import { withPostgres } from '../components/postgres/client.ts';
import { isUsable, type ObservedSlot, observeSlot } from '../components/postgres/observe.ts';
import { dropSlot } from '../components/postgres/prepare.ts';
import { errorText } from '../core/problems.ts';
import { formatBytes, parseBytes } from '../lib/format.ts';
import { pause, within } from '../lib/wait.ts';
import { applyPlan } from '../pipeline/apply/apply.ts';
import { slotBaseline } from '../pipeline/state/baseline.ts';
import type { Stack } from '../pipeline/state/stack.ts';
import { ReaderWatch } from './readerWatch.ts';

const LOOK_MS = 5000;
/** A look that takes longer is made again: the way to the server can be gone without a word. */
const ANSWERS_MS = 15_000;
/** What could not be loaded again is tried once more after so long. */
const RELOAD_MS = 60_000;

/**
 * Looks whether the slot is read, what it makes PostgreSQL keep, and acts as `slot:` in cdc.yaml says: a full disk there
 * ends the source for all, and a slot that is gone costs one more load.
 */
export class SlotWatch {
  private readonly stack: () => Stack;
  private readonly log: Logger;
  private readonly report: (trouble: string | undefined) => void;
  private readonly reader: ReaderWatch;
  private reloadAtMs = 0;

  constructor(
    stack: () => Stack,
    log: Logger,
    report: (about: 'slot' | 'reader', trouble: string | undefined) => void,
  ) {
    this.stack = stack;
    this.log = log;
    this.report = (trouble) => report('slot', trouble);
    this.reader = new ReaderWatch(log, (trouble) => report('reader', trouble));
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.look(signal);
      } catch (error) {
        // Servers that are gone are said by those who watch them.
        if (!signal.aborted) this.log.debug({ error: errorText(error) }, 'looking at the slot');
      }
      await pause(LOOK_MS, signal).catch(() => {});
    }
  }

  private async look(signal: AbortSignal): Promise<void> {
    const stack = this.stack();
    const { slot: name } = stack.names;
    const { max_wal, on_exceed } = stack.config.slot;
    const drops = on_exceed === 'drop_and_reload';
    const slot = await within(ANSWERS_MS, () =>
      withPostgres(stack.endpoints.postgres, (client) => observeSlot(client, name)),
    );
    const limit = max_wal === undefined ? undefined : parseBytes(max_wal);
    const retained = slot?.retainedBytes ?? 0;
    if (slot && drops && limit !== undefined && retained > limit) {
      this.log.warn({ slot: name, retained_bytes: retained, max_wal }, 'dropping the slot');
      await this.drop(stack);
      this.reloadAtMs = 0;
    }
    const trouble = troubleOf(name, slot, limit);
    this.report(trouble);
    await this.reader.look(stack, slot);
    // Without a policy a lost slot is for somebody to decide.
    if (drops && !isUsable(slot)) await this.reload(stack, signal);
  }

  private async drop({ endpoints, names }: Stack): Promise<void> {
    const connect = new Connect(endpoints.connect);
    // It keeps WAL whether or not Connect answers.
    await stopConnector(connect, names.connector).catch((error: unknown) =>
      this.log.warn({ error: errorText(error) }, 'stopping the connector'),
    );
    await withPostgres(endpoints.postgres, (client) => dropSlot(client, names.slot));
  }

  /** As `cdc apply` does it. */
  private async reload(stack: Stack, signal: AbortSignal): Promise<void> {
    if (performance.now() < this.reloadAtMs) return;
    this.reloadAtMs = performance.now() + RELOAD_MS;
    const wasApplied = await withClickHouse(
      stack.endpoints.clickhouse,
      async (clickhouse) =>
        slotBaseline(await readRecords(clickhouse), stack.names.slot) !== undefined,
    );
    if (!wasApplied) return;
    this.log.warn({ slot: stack.names.slot }, 'making the slot again and loading every table');
    const events = { step: () => {}, loading: () => {} };
    await applyPlan(stack, signal, events, { by: 'agent', tolerant: true });
    this.reloadAtMs = 0;
  }
}

function troubleOf(
  name: string,
  slot: ObservedSlot | undefined,
  limit: number | undefined,
): string | undefined {
  if (!slot) return `slot ${name} is not there: cdc apply makes it and loads the tables again`;
  if (slot.walStatus === 'lost')
    return `slot ${name} has lost WAL that it needed: cdc apply makes it anew and loads the tables again`;
  const retained = slot.retainedBytes ?? 0;
  if (limit !== undefined && retained > limit)
    return `slot ${name} keeps ${formatBytes(retained)} of WAL, more than slot.max_wal (${formatBytes(limit)})`;
  const risk = slotAtRisk(slot);
  return risk && `slot ${name} ${risk}`;
}
