import { withClickHouse } from '../components/clickhouse/client.ts';
import { plural } from '../core/problems.ts';
import { describeStep, type Step, shownSql, shownStep } from '../core/steps.ts';
import type { CommandSpec } from '../kernel/program.ts';
import { formatSeconds } from '../lib/format.ts';
import type { WaitingView } from '../pipeline/apply/aggregates.ts';
import { makePlan } from '../pipeline/apply/plan.ts';
import { type HistoryEntry, readHistory } from '../pipeline/state/applyLog.ts';
import { attach } from '../pipeline/state/stack.ts';
import { explainLeftOut, leftOutLines, STRICT } from './left-out.ts';
import { applyWithProgress } from './progress.ts';

const COMPARING =
  'comparing cdc.yaml with what stands in PostgreSQL, Kafka, ClickHouse and Kafka Connect';

export const plan: CommandSpec = {
  usage: 'plan',
  summary: 'show what apply would change in source, Kafka, ClickHouse and Connect',
  examples: ['cdc plan', 'cdc plan --sql', 'cdc plan --history'],
  options: [
    { flags: '--sql', description: 'print the statements too' },
    STRICT,
    {
      flags: '--history',
      description: 'print what was changed before, by a command or by the agent, the latest first',
    },
  ],
  async run(session, _args, options) {
    const { printer } = session;
    const stack = attach(session.context, { file: session.configFile });
    if (options.history === true) {
      const history = await withClickHouse(stack.endpoints.clickhouse, readHistory);
      printer.result({ history }, () =>
        history.length === 0
          ? 'nothing was changed yet'
          : history.map((entry) => historyLines(entry, options.sql === true)).join('\n'),
      );
      return undefined;
    }
    const made = await printer.during(COMPARING, () =>
      makePlan(stack, { strict: options.strict === true }),
    );
    const result = {
      result: made.steps.length === 0 ? 'unchanged' : 'changes',
      changes: made.steps.map(shownStep),
      waiting: made.views.waiting,
      left_out: made.leftOut,
    };
    printer.result(result, () => {
      const waiting = [...waitingLines(made.views.waiting), ...leftOutLines(printer, made.leftOut)];
      if (made.steps.length === 0) return ['unchanged', ...waiting].join('\n');
      const lines = made.steps.map((step) => stepLines(step, options.sql === true));
      const sum = `${plural(made.steps.length, 'change')}; cdc apply makes them`;
      return [...lines, ...waiting, sum].join('\n');
    });
    return explainLeftOut(printer, { leftOut: made.leftOut, failed: [] });
  },
};

function waitingLines(waiting: readonly WaitingView[]): string[] {
  return waiting.map(
    ({ view, file, missing }) =>
      `· view ${view} of ${file} waits for ${missing.join(', ')}, which ${missing.length > 1 ? 'are' : 'is'} not copied`,
  );
}

function stepLines(step: Step, withSql: boolean): string {
  const { consequence } = step;
  // That a queue goes says the one that comes.
  const reason = step.kind === 'drop' ? undefined : step.reason;
  const why = [...(reason ? [reason] : []), ...(consequence ? [`→ ${consequence}`] : [])].join(' ');
  return [
    `+ ${describeStep(step)}`,
    ...(why === '' ? [] : [`    ${why}`]),
    ...(withSql ? sqlLines(shownSql(step)) : []),
  ].join('\n');
}

function sqlLines(statements: readonly string[]): string[] {
  return statements.map((statement) => `${statement};`.replaceAll(/^/gm, '    '));
}

function historyLines(entry: HistoryEntry, withSql: boolean): string {
  return [
    `${entry.at} ${entry.by}: ${entry.result}, ${formatSeconds(entry.seconds)}`,
    ...entry.changes.map((change) => `  + ${change}`),
    ...(withSql ? sqlLines(entry.statements) : []),
  ].join('\n');
}

export const apply: CommandSpec = {
  usage: 'apply',
  summary: 'make what plan shows; existing rows of new tables are loaded',
  examples: ['cdc apply', 'cdc apply --strict'],
  options: [
    STRICT,
    {
      flags: '--new-source',
      description:
        'the source is another server or database than before: load every table again, deletes included',
    },
  ],
  async run(session, _args, options) {
    const { context, printer } = session;
    const stack = attach(context, { file: session.configFile });
    const applied = await applyWithProgress(session, stack, {
      strict: options.strict === true,
      newSource: options.newSource === true,
    });
    const result = {
      result: applied.steps.length === 0 ? 'unchanged' : 'applied',
      changes: applied.steps.map(({ component, action, object }) => ({
        component,
        action,
        object,
      })),
      connector: applied.connector,
      loads: applied.loads,
      kept_values: applied.kept,
      waiting: applied.waiting,
      left_out: applied.leftOut,
    };
    printer.result(result, () => {
      const lines = applied.steps.map((step) => `+ ${describeStep(step)}`);
      return [
        ...(lines.length === 0 ? ['unchanged'] : lines),
        ...waitingLines(applied.waiting),
        ...leftOutLines(printer, applied.leftOut),
      ].join('\n');
    });
    return explainLeftOut(printer, applied);
  },
};
