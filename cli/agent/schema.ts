import type pg from 'pg';
import type { Logger } from 'pino';
import { Connect } from '../components/connect/client.ts';
import { catalogFingerprint } from '../components/postgres/catalog.ts';
import { connectPostgres } from '../components/postgres/client.ts';
import { isUsable, observeSlot } from '../components/postgres/observe.ts';
import { describeChange } from '../core/plan.ts';
import { Problem, plural } from '../core/problems.ts';
import { pause } from '../lib/wait.ts';
import { applyPlan } from '../pipeline/apply.ts';
import { makePlan } from '../pipeline/plan.ts';
import type { Stack } from '../pipeline/stack.ts';

const LOOK_MS = 500;
/** What could not be done is tried again, since what is in the way need not be in the catalog. */
const RETRY_MS = 5000;

/** What came of a look at a changed catalog. */
interface Outcome {
  /** For `cdc status`. */
  readonly trouble: string | undefined;
  readonly again: boolean;
}

const DONE: Outcome = { trouble: undefined, again: false };
const LATER: Outcome = { trouble: undefined, again: true };

/**
 * Follows changes of the source's tables: a digest of the catalog is read twice a second, and when it
 * is another one, what `cdc plan` would show is applied, or only reported. It leaves alone what was
 * never applied, and a lost slot: those are for somebody to decide.
 */
export class SchemaWatch {
  /** As cdc.yaml says at that moment: an edited file must not be undone. */
  private readonly stack: () => Stack;
  private readonly log: Logger;
  private readonly report: (trouble: string | undefined) => void;

  constructor(stack: () => Stack, log: Logger, report: (trouble: string | undefined) => void) {
    this.stack = stack;
    this.log = log;
    this.report = report;
  }

  async run(signal: AbortSignal): Promise<void> {
    let client: pg.Client | undefined;
    let done: string | undefined;
    let retryAtMs = 0;
    while (!signal.aborted) {
      try {
        const stack = this.stack();
        client ??= await connectPostgres(stack.endpoints.postgres);
        const { include, exclude } = stack.config.source;
        const { publication } = stack.names;
        const seen = await catalogFingerprint(client, { publication, include, exclude });
        if (seen !== done || performance.now() > retryAtMs) {
          // Not the one after it: what changes meanwhile is looked at again.
          done = seen;
          retryAtMs = performance.now() + RETRY_MS;
          const { trouble, again } = await this.follow(stack, client, signal);
          this.report(trouble);
          retryAtMs = again ? performance.now() + RETRY_MS : Number.POSITIVE_INFINITY;
        }
      } catch (error) {
        if (!signal.aborted) {
          this.report(textOf(error));
          this.log.warn({ error: textOf(error) }, 'following the schema');
        }
        await client?.end().catch(() => {});
        client = undefined;
      }
      await pause(LOOK_MS, signal).catch(() => {});
    }
    await client?.end().catch(() => {});
  }

  private async follow(stack: Stack, client: pg.Client, signal: AbortSignal): Promise<Outcome> {
    if (!isUsable(await observeSlot(client, stack.names.slot))) return LATER;
    const connector = await new Connect(stack.endpoints.connect).status(stack.names.connector);
    if (connector?.connector.state !== 'RUNNING') return LATER;
    const plan = await makePlan(stack, { leaveOut: true });
    const leftOut = (plan.source.leftOut ?? []).map(
      ({ subject, message, id }) => `${subject} is left out: ${message} [${id}]`,
    );
    const outcome = (text: string[]): Outcome =>
      text.length === 0 ? DONE : { trouble: text.join('; '), again: true };
    if (plan.changes.length === 0) return outcome(leftOut);
    const found = plan.changes.map(describeChange);
    if (stack.config.agent.schema_changes === 'report') {
      const more = found.length > 1 ? ` and ${found.length - 1} more` : '';
      const text = `${plural(found.length, 'change')} to apply: ${found[0]}${more}; cdc apply makes them`;
      return outcome([text, ...leftOut]);
    }
    this.log.info({ changes: found }, 'the schema changed: applying');
    const silent = { step: () => {}, loading: () => {} };
    const applied = await applyPlan(stack, signal, silent, { by: 'agent', leaveOut: true });
    this.log.info({ changes: applied.changes.length }, 'the schema is applied');
    // Only somebody can mend them, and cdc doctor and cdc plan go on showing them.
    for (const problem of applied.refused)
      this.log.warn({ error: textOf(problem) }, 'making views');
    return outcome(leftOut);
  }
}

function textOf(error: unknown): string {
  if (error instanceof Problem) return `${error.message} ${error.causeText} [${error.code}]`;
  return error instanceof Error ? error.message : String(error);
}
