import { once } from 'node:events';
import { withClickHouse } from '../../components/clickhouse/client.ts';
import { chosen } from '../../core/chaos.ts';
import { chIdent } from '../../lib/sql.ts';
import { pause } from '../../lib/wait.ts';
import type { Fault, Ground } from '../ground.ts';
import { SCHEMA } from '../tables.ts';

/** `kill -9` of a command after a while, if it has not ended before. */
async function killed(ground: Ground, ms: number, ...args: string[]): Promise<string> {
  const child = ground.start(...args);
  const ended = once(child, 'exit');
  await Promise.race([ended, pause(ms)]);
  child.kill('SIGKILL');
  await ended;
  return `cdc ${args[0]} was killed after ${ms} ms`;
}

export const COMMAND_FAULTS: readonly Fault[] = [
  {
    name: 'kill-up',
    summary: 'all is killed, and the `cdc up` that mends it, too',
    servers: [],
    mend: 'up',
    async play(ground, chance) {
      await ground.runtime.harmAll();
      return killed(ground, chosen(chance, 200, 15_000), 'up');
    },
  },
  {
    name: 'kill-apply',
    summary: '`cdc apply` is killed while it makes a copy that was dropped',
    servers: ['clickhouse'],
    mend: 'apply',
    async play(ground, chance) {
      const [first] = ground.tables;
      if (!first) throw new RangeError('there are no tables');
      const { database, final } = first.names;
      await withClickHouse(ground.stack.endpoints.clickhouse, (client) =>
        client.command(`DROP TABLE ${chIdent(database, final)} SYNC`),
      );
      return killed(ground, chosen(chance, 500, 6000), 'apply');
    },
  },
  {
    name: 'kill-snapshot',
    summary: '`cdc snapshot` is killed while it loads tables',
    servers: [],
    mend: 'apply',
    async play(ground, chance) {
      return killed(ground, chosen(chance, 500, 6000), 'snapshot', `${SCHEMA}.*`);
    },
  },
];
