import { pino } from 'pino';
import { runAgent } from '../agent/agent.ts';
import { loadConfig } from '../config/load.ts';
import type { CommandSpec } from '../kernel/program.ts';
import { givenPasswords } from '../runtimes/compose/write.ts';

const LOG_HELD_BYTES = 1024 * 1024;

/** Hidden: the process that `cdc up` leaves running. */
export const agent: CommandSpec = {
  usage: 'agent',
  endsItself: true,
  summary: 'supervise the servers of this folder (started by cdc up)',
  examples: ['cdc agent'],
  hidden: true,
  options: [
    { flags: '--runtime <runtime>', description: 'as given to cdc up' },
    { flags: '--profile <profile>', description: 'as given to cdc up' },
    { flags: '--inside', description: 'in a container of docker-compose.yml' },
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
    // What the log has no room for is lost, or written later: a full disk must not end who watches the servers.
    const destination = pino.destination({ dest: 1, sync: true, maxLength: LOG_HELD_BYTES });
    destination.on('error', () => {});
    const log = pino(
      { name: 'agent', base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
      destination,
    );
    if (options.inside !== true) return runAgent(load, context.env, context.signal, log);
    const env = { ...context.env, ...givenPasswords(load().directory) };
    return runAgent(load, env, context.signal, log, 'container');
  },
};
