import { type Change, describeChange } from '../core/plan.ts';
import { plural } from '../core/problems.ts';
import type { CommandSpec } from '../kernel/program.ts';
import { applyPlan } from '../pipeline/apply.ts';
import { makePlan } from '../pipeline/plan.ts';
import { attach } from '../pipeline/stack.ts';
import { applyEvents } from './progress.ts';

export const plan: CommandSpec = {
  usage: 'plan',
  summary: 'show what apply would change in source, Kafka, ClickHouse and Connect',
  examples: ['cdc plan', 'cdc plan --sql'],
  options: [{ flags: '--sql', description: 'print the statements too' }],
  async run(session, _args, options) {
    const { printer } = session;
    const made = await makePlan(attach(session.context, { file: session.configFile }));
    const result = {
      result: made.changes.length === 0 ? 'unchanged' : 'changes',
      changes: made.changes,
    };
    printer.result(result, () => {
      if (made.changes.length === 0) return 'unchanged';
      const lines = made.changes.map((change) => changeLines(change, options.sql === true));
      return `${lines.join('\n')}\n${plural(made.changes.length, 'change')}; cdc apply makes them`;
    });
    return undefined;
  },
};

function changeLines(change: Change, withSql: boolean): string {
  const head = `+ ${describeChange(change)}`;
  if (!withSql || change.sql.length === 0) return head;
  return [head, ...change.sql.map((statement) => `${statement};`.replaceAll(/^/gm, '    '))].join(
    '\n',
  );
}

export const apply: CommandSpec = {
  usage: 'apply',
  summary: 'make what plan shows; existing rows of new tables are loaded',
  examples: ['cdc apply'],
  async run(session) {
    const { context, printer } = session;
    const stack = attach(context, { file: session.configFile });
    const events = applyEvents(printer);
    const applied = await applyPlan(stack, context.signal, events).catch((error: unknown) => {
      events.fail();
      throw error;
    });
    events.done(applied);
    const result = {
      result: applied.changes.length === 0 ? 'unchanged' : 'applied',
      changes: applied.changes.map(({ component, action, object }) => ({
        component,
        action,
        object,
      })),
      connector: applied.connector,
      loads: applied.loads,
    };
    printer.result(result, () =>
      applied.changes.length === 0
        ? 'unchanged'
        : applied.changes.map((c) => `+ ${describeChange(c)}`).join('\n'),
    );
    return undefined;
  },
};
