import { withClickHouse } from '../components/clickhouse/client.ts';
import { type Change, describeChange } from '../core/plan.ts';
import { plural } from '../core/problems.ts';
import type { CommandSpec } from '../kernel/program.ts';
import { formatSeconds } from '../lib/format.ts';
import type { WaitingView } from '../pipeline/aggregates.ts';
import { type HistoryEntry, readHistory } from '../pipeline/history.ts';
import { makePlan } from '../pipeline/plan.ts';
import { attach } from '../pipeline/stack.ts';
import { explainLeftOut, leftOutLines, STRICT } from './left-out.ts';
import { applyWithProgress } from './progress.ts';

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
    const made = await makePlan(stack, { strict: options.strict === true });
    const result = {
      result: made.changes.length === 0 ? 'unchanged' : 'changes',
      changes: made.changes,
      waiting: made.views.waiting,
      left_out: made.leftOut,
    };
    printer.result(result, () => {
      const waiting = [...waitingLines(made.views.waiting), ...leftOutLines(printer, made.leftOut)];
      if (made.changes.length === 0) return ['unchanged', ...waiting].join('\n');
      const lines = made.changes.map((change) => changeLines(change, options.sql === true));
      const sum = `${plural(made.changes.length, 'change')}; cdc apply makes them`;
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

function changeLines(change: Change, withSql: boolean): string {
  return [`+ ${describeChange(change)}`, ...(withSql ? sqlLines(change.sql) : [])].join('\n');
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
  options: [STRICT],
  async run(session, _args, options) {
    const { context, printer } = session;
    const stack = attach(context, { file: session.configFile });
    const applied = await applyWithProgress(session, stack, {
      strict: options.strict === true,
    });
    const result = {
      result: applied.changes.length === 0 ? 'unchanged' : 'applied',
      changes: applied.changes.map(({ component, action, object }) => ({
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
      const lines = applied.changes.map((c) => `+ ${describeChange(c)}`);
      return [
        ...(lines.length === 0 ? ['unchanged'] : lines),
        ...waitingLines(applied.waiting),
        ...leftOutLines(printer, applied.leftOut),
      ].join('\n');
    });
    return explainLeftOut(printer, applied);
  },
};
