import { randomInt } from 'node:crypto';
import { EXIT, Problem, plural } from '../core/problems.ts';
import type { Printer } from '../kernel/printer.ts';
import {
  type CommandSpec,
  type Options,
  percentOption,
  type Session,
  UsageError,
  wholeNumber,
} from '../kernel/program.ts';
import { formatCount, formatSeconds, parsePercent } from '../lib/format.ts';
import { attach, type Stack } from '../pipeline/state/stack.ts';
import {
  verify as compare,
  isProven,
  type Verification,
  type VerifyOptions,
} from '../pipeline/verify/verify.ts';
import { leftOutProblem, STRICT } from './left-out.ts';
import { differingTables, verificationJson, verificationText } from './verify-text.ts';
import { watchVerify } from './verify-watch.ts';

/** Rows whose values are shown, by default. */
const ROWS = 10;
const BUDGET = 0.1;

export const verify: CommandSpec = {
  usage: 'verify [tables...]',
  summary:
    'prove that source and copy are equal, value by value; exit 6 on a difference, and when a table is not in the proof',
  options: [
    STRICT,
    {
      flags: '--repair',
      description: 'read the rows that differ again from the source, and only those',
    },
    {
      flags: '--rows <n>',
      description: `show the values of so many differing rows of a table (default: ${ROWS}); all are counted. In JSON: tables[].rows[] with key, how (missing, extra, different) and columns[] with name, source, copy`,
      parse: wholeNumber,
    },
    {
      flags: '--sample <percent>',
      description: 'compare only a random part of each table, such as 1%',
      parse: percentOption(parsePercent),
    },
    {
      flags: '--seed <n>',
      description: 'choose the same part as the run that printed this number',
      parse: wholeNumber,
    },
    {
      flags: '--watch',
      description:
        'go on comparing, round after round, until interrupted; one line a round, with --json too',
    },
    {
      flags: '--budget <percent>',
      description: `with --watch: part of the time spent working, by one process on either side (default: ${BUDGET * 100}%)`,
      parse: percentOption(parsePercent),
    },
    {
      flags: '--rounds <n>',
      description: 'with --watch: end after so many rounds',
      parse: wholeNumber,
    },
  ],
  examples: [
    'cdc verify',
    'cdc verify --repair',
    "cdc verify inventory.orders 'ecommerce.*' --json",
    'cdc verify --sample 1%',
    'cdc verify --watch --budget 5%',
  ],
  async run(session, [tables], options) {
    refuseContradictions(options);
    const stack = attach(session.context, { file: session.configFile, mayLackAgent: true });
    const patterns = (tables as string[] | undefined) ?? [];
    const fraction = options.sample as number | undefined;
    const sampleOf = () =>
      fraction === undefined
        ? undefined
        : { fraction, seed: (options.seed as number | undefined) ?? randomInt(1_000_000) };
    const rows = (options.rows as number | undefined) ?? ROWS;
    if (options.watch === true) {
      return watchVerify(session, stack, patterns, {
        rows,
        strict: options.strict === true,
        sampleOf,
        budget: (options.budget as number | undefined) ?? BUDGET,
        rounds: (options.rounds as number | undefined) ?? Number.POSITIVE_INFINITY,
      });
    }
    const repair = options.repair === true;
    const check = { repair, rows, sample: sampleOf(), strict: options.strict === true };
    const result = await verifyWithProgress(session, stack, patterns, check);
    session.printer.result(verificationJson(result), () =>
      verificationText(session.printer, result),
    );
    return explainVerification(session.printer, result);
  },
};

/** Says what is wrong, if anything is. @returns the exit code. */
export function explainVerification(printer: Printer, result: Verification): number | undefined {
  if (differingTables(result).length > 0) printer.explain(differenceProblem(result));
  if (result.left_out.length > 0) printer.explain(leftOutProblem(result.left_out));
  return isProven(result) ? undefined : EXIT.found;
}

function refuseContradictions(options: Options): void {
  const needs = (option: string, other: string) => {
    if (options[option] !== undefined && options[other] === undefined)
      throw new UsageError(`--${option} goes with --${other}`);
  };
  needs('seed', 'sample');
  needs('budget', 'watch');
  needs('rounds', 'watch');
  if (options.watch === true && options.repair === true)
    throw new UsageError('--watch only looks: run cdc verify --repair when it finds something');
}

export async function verifyWithProgress(
  session: Session,
  stack: Stack,
  patterns: readonly string[],
  check: Omit<VerifyOptions, 'signal'> = { repair: false, rows: ROWS, sample: undefined },
): Promise<Verification> {
  const progress = session.printer.progress('comparing source and copy');
  let prefix = '';
  try {
    const result = await compare(
      stack,
      patterns,
      { ...check, signal: session.context.signal },
      {
        table: (label, index, of) => {
          prefix = `comparing ${label} (${index + 1} of ${of})`;
          progress.update(prefix);
        },
        phase: (text) => progress.update(`${prefix}: ${text}`),
      },
    );
    const text = `compared ${formatCount(result.rows)} rows in ${formatSeconds(result.seconds)}`;
    if (isProven(result)) progress.done(text);
    else progress.fail(text);
    return result;
  } catch (error) {
    progress.fail('the comparison stopped');
    throw error;
  }
}

/** What to make of a difference, for somebody tired. */
function differenceProblem(result: Verification): Problem {
  const tables = differingTables(result).map((t) => t.table);
  const cause = result.flowing
    ? 'The pipeline flows and these rows stayed different: they were changed in ClickHouse, or were lost.'
    : 'No heartbeat crossed the pipeline while the rows were compared: they may only be late.';
  return new Problem('COPY_DIFFERS', {
    count: plural(tables.length, 'table'),
    detail: `${tables.join(', ')}. ${cause}`,
  });
}
