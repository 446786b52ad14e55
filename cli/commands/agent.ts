import { pino } from 'pino';
import { runAgent } from '../agent/agent.ts';
import { loadConfig } from '../config/load.ts';
import type { CommandSpec } from '../kernel/program.ts';

/** Hidden: the process that `cdc up` leaves running. */
export const agent: CommandSpec = {
  usage: 'agent',
  summary: 'supervise the servers of this folder (started by cdc up)',
  examples: ['cdc agent'],
  hidden: true,
  options: [
    { flags: '--runtime <runtime>', description: 'as given to cdc up' },
    { flags: '--profile <profile>', description: 'as given to cdc up' },
  ],
  async run(session, _args, options) {
    const { context } = session;
    const load = () =>
      loadConfig({
        cwd: context.cwd,
        env: context.env,
        file: session.configFile,
        flags: { runtime: options.runtime, profile: options.profile },
      });
    const log = pino(
      { name: 'agent', base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
      context.stdout,
    );
    return runAgent(load, context.env, context.signal, log);
  },
};
