import type pg from 'pg';
import type { Logger } from 'pino';
import { Connect } from '../components/connect/client.ts';
import { catalogFingerprint } from '../components/postgres/catalog.ts';
import { connectPostgres } from '../components/postgres/client.ts';
import { isUsable, observeSlot } from '../components/postgres/observe.ts';
import type { LeftOut } from '../core/leftOut.ts';
import { errorText, plural } from '../core/problems.ts';
import { describeStep, type Step } from '../core/steps.ts';
import { pause } from '../lib/wait.ts';
import { applyPlan } from '../pipeline/apply/apply.ts';
import { makePlan } from '../pipeline/apply/plan.ts';
import type { Stack } from '../pipeline/state/stack.ts';

const LOOK_MS = 500;
/** A catalog of ten thousand tables is read in seconds; what takes longer is read on another connection. */
const ANSWERS_MS = 60_000;
/** What could not be done is tried again, since what is in the way need not be in the catalog. */
const RETRY_MS = { soon: 1000, trouble: 5000 };
const SOON = 3;

/** What came of a look at a changed catalog. */
interface Outcome {
  /** For `cdc status`. */
  readonly trouble?: string;
  /** What has to end before anything can be applied. */
  readonly waitsFor?: string;
  readonly applied?: string;
  /** There are tables left out: what is wrong with them need not be in the catalog. */
  readonly again?: boolean;
}

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
  private readonly others: () => string;
  private toldLeftOut = '';

  /** @param others a digest of what else `apply` has to look at when it changes. */
  constructor(
    stack: () => Stack,
    log: Logger,
    report: (trouble: string | undefined) => void,
    others: () => string,
  ) {
    this.stack = stack;
    this.log = log;
    this.report = report;
    this.others = others;
  }

  async run(signal: AbortSignal): Promise<void> {
    let client: pg.Client | undefined;
    let done: string | undefined;
    let waitedFor: string | undefined;
    let appliedBefore: string | undefined;
    let failures = 0;
    let retryAtMs = 0;
    while (!signal.aborted) {
      try {
        const stack = this.stack();
        client ??= await connectPostgres(stack.endpoints.postgres, { answersWithinMs: ANSWERS_MS });
        const { include, exclude } = stack.config.source;
        const { publication } = stack.names;
        const catalog = await catalogFingerprint(client, { publication, include, exclude });
        const seen = `${catalog} ${this.others()}`;
        if (seen !== done || performance.now() > retryAtMs) {
          // Not the one after it: what changes meanwhile is looked at again.
          done = seen;
          const { trouble, waitsFor, applied, again } = await this.follow(stack, client, signal);
          this.report(trouble);
          // What was found need not have been there yet when the digest was read, and the catalog
          // can be as it was then, by now. What is refused every time is not tried for ever.
          if (applied && applied !== appliedBefore) done = undefined;
          appliedBefore = applied;
          if (waitsFor !== waitedFor && waitsFor)
            this.log.info({ for: waitsFor }, 'the schema waits');
          waitedFor = waitsFor;
          retryAtMs = retryTime(trouble !== undefined || again === true, waitsFor);
          failures = 0;
        }
      } catch (error) {
        if (!signal.aborted) {
          this.report(errorText(error));
          this.log.warn({ error: errorText(error) }, 'following the schema');
        }
        // What reads a catalog amid DDL may fail once.
        retryAtMs = performance.now() + (failures < SOON ? RETRY_MS.soon : RETRY_MS.trouble);
        failures += 1;
        await client?.end().catch(() => {});
        client = undefined;
      }
      await pause(LOOK_MS, signal).catch(() => {});
    }
    await client?.end().catch(() => {});
  }

  private async follow(stack: Stack, client: pg.Client, signal: AbortSignal): Promise<Outcome> {
    const { slot, connector } = stack.names;
    if (!isUsable(await observeSlot(client, slot))) return { waitsFor: `slot ${slot}` };
    const state = (await new Connect(stack.endpoints.connect).status(connector))?.connector.state;
    if (state !== 'RUNNING') return { waitsFor: `connector ${connector}, ${state ?? 'not there'}` };
    if (stack.config.agent.schema_changes === 'report') {
      const { steps, leftOut } = await makePlan(stack, { tolerant: true });
      const [first, ...others] = steps.map(describeStep);
      const more = others.length > 0 ? ` and ${others.length} more` : '';
      const text = `${plural(steps.length, 'change')} to apply: ${first}${more}; cdc apply makes them`;
      this.tellLeftOut(leftOut);
      return { ...(first ? { trouble: text } : {}), again: leftOut.length > 0 };
    }
    const planned = (steps: readonly Step[]) =>
      this.log.info({ changes: steps.map(describeStep) }, 'the schema changed: applying');
    const events = { step: () => {}, loading: () => {}, planned };
    const applied = await applyPlan(stack, signal, events, { by: 'agent', tolerant: true });
    if (applied.steps.length > 0)
      this.log.info({ changes: applied.steps.length }, 'the schema is applied');
    // Only somebody can repair them, and cdc doctor and cdc plan go on showing them.
    for (const problem of applied.refused)
      this.log.warn({ error: errorText(problem) }, 'making views');
    const made = applied.steps.map(describeStep).join('\n');
    this.tellLeftOut(applied.leftOut);
    const trouble = applied.failed.map((problem) => errorText(problem)).join('; ');
    return {
      ...(trouble === '' ? {} : { trouble }),
      again: applied.leftOut.length > 0,
      applied: made,
    };
  }

  /** `cdc status` looks for itself; the log has it once. */
  private tellLeftOut(leftOut: readonly LeftOut[]): void {
    const text = leftOut.map(({ table, why }) => `${table}: ${why}`).join('; ');
    if (text !== this.toldLeftOut && text !== '') this.log.warn({ tables: text }, 'left out');
    this.toldLeftOut = text;
  }
}

/** On the clock of `performance`. */
function retryTime(trouble: boolean, waitsFor: string | undefined): number {
  if (trouble) return performance.now() + RETRY_MS.trouble;
  return waitsFor ? performance.now() + RETRY_MS.soon : Number.POSITIVE_INFINITY;
}
