import type { Logger } from 'pino';
import { withClickHouse } from '../components/clickhouse/client.ts';
import { Connect } from '../components/connect/client.ts';
import { stopConnector } from '../components/connect/control.ts';
import { withPostgres } from '../components/postgres/client.ts';
import { observeSlot } from '../components/postgres/observe.ts';
import { errorText } from '../core/problems.ts';
import { pause, within } from '../lib/wait.ts';
import { lineageOf, passedBy } from '../pipeline/inspect/lineage.ts';
import { claimPipeline } from '../pipeline/inspect/others.ts';
import type { Stack } from '../pipeline/state/stack.ts';

const LOOK_MS = 4000;
/** One that takes longer is made again: a server, or the way to it, can be gone without a word. */
const ANSWERS_MS = 30_000;

/**
 * Looks whether source and slot are those that the copy was made from. Where they are not, the connector is stopped:
 * what it would bring is no continuation, and the copy would go on with a hole. `cdc apply` mends it.
 */
export class SourceWatch {
  private readonly stack: () => Stack;
  private readonly log: Logger;
  private readonly report: (trouble: string | undefined) => void;
  private trouble: string | undefined;

  constructor(stack: () => Stack, log: Logger, report: (trouble: string | undefined) => void) {
    this.stack = stack;
    this.log = log;
    this.report = report;
  }

  /** Then nothing must be written to it that hides how old it is. */
  get isBroken(): boolean {
    return this.trouble !== undefined;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.look();
      await pause(LOOK_MS, signal).catch(() => {});
    }
  }

  /** Never throws: servers that are gone are said by those who watch them. */
  async look(): Promise<void> {
    try {
      const stack = this.stack();
      const { slot, lineage } = await within(ANSWERS_MS, () => placeOf(stack));
      const why = lineage.broken ?? passedBy(slot, lineage.acknowledged);
      // Then the next look need not ask where the earlier timeline ended.
      if (why === undefined && lineage.isOtherTimeline)
        await withClickHouse(stack.endpoints.clickhouse, (clickhouse) =>
          claimPipeline(stack, clickhouse, lineage),
        );
      if (why !== undefined && this.trouble === undefined)
        this.log.error({ why }, 'the source cannot be gone on with');
      this.trouble = why;
      this.report(why && `${why}; cdc apply makes another slot and loads every table again`);
      if (why !== undefined) await this.stop(stack);
    } catch (error) {
      this.log.debug({ error: errorText(error) }, 'looking at the source');
    }
  }

  private async stop({ endpoints, names }: Stack): Promise<void> {
    const connect = new Connect(endpoints.connect);
    const state = (await connect.status(names.connector))?.connector.state;
    if (state === undefined || state === 'STOPPED') return;
    this.log.warn({ connector: names.connector }, 'stopping the connector');
    await stopConnector(connect, names.connector);
  }
}

async function placeOf(stack: Stack) {
  const slot = await withPostgres(stack.endpoints.postgres, (client) =>
    observeSlot(client, stack.names.slot),
  );
  return { slot, lineage: await lineageOf(stack) };
}
