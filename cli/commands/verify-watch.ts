import { EXIT, Problem } from '../core/problems.ts';
import type { Session } from '../kernel/program.ts';
import { pause } from '../lib/wait.ts';
import type { Stack } from '../pipeline/state/stack.ts';
import { type CheckOptions, isEqual } from '../pipeline/verify/tableVerifier.ts';
import { verify as compare, isProven, type Verification } from '../pipeline/verify/verify.ts';
import { notFlowing, tableLines, verdictLine, verificationJson } from './verify-text.ts';

/** A round begins this long after the one before it, at the earliest. */
const ROUND_MS = 5000;

export interface WatchOptions {
  readonly rows: number;
  readonly strict: boolean;
  /** Asked for each round: every round looks at another part. */
  sampleOf(): CheckOptions['sample'];
  /** Part of the time that may be spent working. */
  readonly budget: number;
  readonly rounds: number;
}

/**
 * Compares again and again. A round that fails, such as one during which a table was dropped or a
 * server was restarted, is reported and does not end the watch.
 *
 * @returns the exit code of the worst round.
 */
export async function watchVerify(
  session: Session,
  stack: Stack,
  patterns: readonly string[],
  options: WatchOptions,
): Promise<number | undefined> {
  const { signal } = session.context;
  let worst = 0;
  for (let round = 1; round <= options.rounds; round += 1) {
    const startedAtMs = performance.now();
    worst = Math.max(worst, await oneRound(session, stack, patterns, options, round));
    if (round === options.rounds) break;
    await pause(Math.max(0, ROUND_MS - (performance.now() - startedAtMs)), signal);
  }
  return worst === 0 ? undefined : worst;
}

async function oneRound(
  session: Session,
  stack: Stack,
  patterns: readonly string[],
  options: WatchOptions,
  round: number,
): Promise<number> {
  const { context, printer } = session;
  const { signal } = context;
  const at = context.now().toISOString();
  const line = (text: string) => printer.line(`${at.slice(11, 19)}  round ${round}  ${text}`);
  try {
    const { budget, rows, strict } = options;
    const check = { repair: false, rows, strict, sample: options.sampleOf(), budget, signal };
    const result = await compare(stack, patterns, check, {
      table: () => {},
      phase: () => {},
      verdict: (table, flowing) => {
        if (printer.json || isEqual(table)) return;
        for (const text of tableLines(printer, table)) printer.line(text);
        if (!flowing) printer.line(notFlowing(printer));
      },
    });
    if (printer.json) printer.line(JSON.stringify(roundJson(result, round, at)));
    else line(verdictLine(printer, result));
    return isProven(result) ? 0 : EXIT.found;
  } catch (error) {
    if (signal.aborted || !(error instanceof Problem)) throw error;
    if (printer.json) printer.line(JSON.stringify({ round, at, error: error.render() }));
    printer.explain(error);
    return error.exit;
  }
}

function roundJson(result: Verification, round: number, at: string): Record<string, unknown> {
  return { round, at, ...verificationJson(result) };
}
