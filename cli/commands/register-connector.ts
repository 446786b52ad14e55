import { isUsable } from '../components/postgres/observe.ts';
import { maskedConfig } from '../core/connector.ts';
import { Problem } from '../core/problems.ts';
import type { CommandSpec } from '../kernel/program.ts';
import { makePlan } from '../pipeline/apply/plan.ts';
import { registerConnector } from '../pipeline/load/register.ts';
import { withApplyLock } from '../pipeline/state/applyLock.ts';
import { attach } from '../pipeline/state/stack.ts';

export const registerConnectorCommand: CommandSpec = {
  usage: 'register-connector',
  summary: "create or update the Debezium connector, after Connect's own validator agreed",
  examples: ['cdc register-connector', 'cdc register-connector --dry-run'],
  options: [
    { flags: '--dry-run', description: 'validate and show the configuration; change nothing' },
  ],
  async run(session, _args, options) {
    const { context, printer } = session;
    const dryRun = options.dryRun === true;
    const stack = attach(context, { file: session.configFile });
    const { connector } = stack.names;
    const progress = printer.progress(`connector ${connector}: comparing`);
    const work = async () => {
      const plan = await makePlan(stack);
      if (!dryRun && !isUsable(plan.source.observed.slot)) {
        // Debezium would make one whose position no load knows.
        throw new Problem(
          'SLOT_LOST',
          { slot: stack.names.slot, detail: 'there is none that can be read' },
          { fix: 'cdc apply   # makes the slot, loads the tables and registers the connector' },
        );
      }
      const config = plan.desired.connector;
      return {
        ...(await registerConnector(stack, config, {
          dryRun,
          signal: context.signal,
          onWait: (text) => progress.update(text),
        })),
        config: maskedConfig(config),
      };
    };
    const registered = await (dryRun
      ? work()
      : withApplyLock(stack, context.signal, (text) => progress.update(text), work)
    ).catch((error: unknown) => {
      progress.fail(`connector ${connector} was not registered`);
      throw error;
    });
    const { result, different, config } = registered;
    progress.done(
      dryRun ? `Connect's validator has no complaints` : `connector ${connector}: ${result}`,
    );
    const answer = { result, connector, different, ...(dryRun ? { dry_run: true, config } : {}) };
    printer.result(answer, () => {
      const list = result === 'updated' ? ` (${different.join(', ')})` : '';
      if (!dryRun) return `${result}${list}`;
      const lines = Object.entries(config).map(([key, value]) => `${key}=${value}`);
      return `${lines.join('\n')}\nwould be ${result}${list}`;
    });
    return undefined;
  },
};
