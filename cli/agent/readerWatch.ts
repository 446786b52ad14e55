import type { Logger } from 'pino';
import { Connect } from '../components/connect/client.ts';
import { withPostgres } from '../components/postgres/client.ts';
import { endReader, type ObservedSlot } from '../components/postgres/observe.ts';
import { restartAfterMs } from '../core/backoff.ts';
import { formatSeconds } from '../lib/format.ts';
import type { Stack } from '../pipeline/state/stack.ts';

/** Debezium tells the server every 2 s how far it has come, whatever else it does (core/connector.ts). */
const SILENT_MS = 20_000;
/** A task that is started again by anybody reads sooner than that. */
const UNREAD_MS = 30_000;
/** Sooner than that nothing is worth a word: a connector that is changed starts its task anew. */
const TOLD_MS = 10_000;
/** Without trouble for so long, the next one is the first. */
const CALM_MS = 600_000;

/**
 * Whether somebody reads the slot while Connect says that its task runs. A network can drop a connection and tell neither
 * end: Debezium then waits for changes that never come, for two hours where the system's keepalive is as usual, and
 * PostgreSQL for its answer, as long as `wal_sender_timeout` says. The server's end is ended then, so that another
 * connection can have the slot, and the task is started again.
 */
export class ReaderWatch {
  private readonly log: Logger;
  private readonly report: (trouble: string | undefined) => void;
  /** One that nobody has read yet, in the time of this agent, is about to be. */
  private wasRead = false;
  private unreadSinceMs: number | undefined;
  private restarts = 0;
  private restartedAtMs = Number.NEGATIVE_INFINITY;

  constructor(log: Logger, report: (trouble: string | undefined) => void) {
    this.log = log;
    this.report = report;
  }

  /** A slot that is not there is the business of others. */
  async look(stack: Stack, slot: ObservedSlot | undefined): Promise<void> {
    if (slot?.active) {
      this.wasRead = true;
      this.calm();
      if ((slot.silentMs ?? 0) >= SILENT_MS) await this.endSilent(stack, slot);
    } else if (slot && this.wasRead && (await isRunning(stack))) {
      await this.unread(stack);
    } else this.calm();
  }

  private calm(): void {
    this.unreadSinceMs = undefined;
    this.report(undefined);
  }

  private async endSilent({ endpoints, names }: Stack, { silentMs }: ObservedSlot): Promise<void> {
    this.log.warn({ slot: names.slot, silent_ms: silentMs }, 'ending a reader that is silent');
    await withPostgres(endpoints.postgres, (client) => endReader(client, names.slot));
  }

  private async unread({ endpoints, names }: Stack): Promise<void> {
    const nowMs = performance.now();
    this.unreadSinceMs ??= nowMs;
    const unreadMs = nowMs - this.unreadSinceMs;
    if (unreadMs >= TOLD_MS)
      this.report(
        `nobody reads slot ${names.slot} for ${formatSeconds(unreadMs / 1000)}, though Connect says that its task runs`,
      );
    const sinceRestartMs = nowMs - this.restartedAtMs;
    if (sinceRestartMs > CALM_MS) this.restarts = 0;
    if (unreadMs < UNREAD_MS || sinceRestartMs < restartAfterMs(this.restarts)) return;
    this.log.warn(
      { slot: names.slot, unread_ms: unreadMs },
      'restarting a task that reads nothing',
    );
    await new Connect(endpoints.connect).restart(names.connector);
    this.restarts += 1;
    this.restartedAtMs = nowMs;
    this.unreadSinceMs = undefined;
  }
}

async function isRunning({ endpoints, names }: Stack): Promise<boolean> {
  const status = await new Connect(endpoints.connect).status(names.connector);
  const parts = status ? [status.connector, ...status.tasks] : [];
  return parts.length > 1 && parts.every(({ state }) => state === 'RUNNING');
}
