import { Connect } from '../../components/connect/client.ts';
import { withKafkaAdmin } from '../../components/kafka/client.ts';
import { chosen } from '../../core/chaos.ts';
import { workerGroup } from '../../core/names.ts';
import { formatSeconds } from '../../lib/format.ts';
import { pause, waitFor } from '../../lib/wait.ts';
import type { Fault, Ground } from '../ground.ts';

const HELD_MS = [1000, 12_000] as const;
const BACK_MS = 120_000;

const connectOf = ({ stack }: Ground) => new Connect(stack.endpoints.connect);

/** `PAUSED` keeps the connector's task, `STOPPED` does not. */
function held(how: 'pause' | 'stop'): Fault {
  return {
    name: `${how}-connector`,
    summary: `the connector is ${how === 'pause' ? 'paused' : 'stopped'} for a while`,
    servers: ['connect'],
    async play(ground, chance) {
      const ms = chosen(chance, ...HELD_MS);
      const { connector } = ground.stack.names;
      await connectOf(ground)[how](connector);
      try {
        await pause(ms, ground.signal);
      } finally {
        await connectOf(ground).resume(connector);
      }
      return `the connector stood for ${formatSeconds(ms / 1000)}`;
    },
  };
}

export const CONNECT_FAULTS: readonly Fault[] = [
  held('pause'),
  held('stop'),
  {
    name: 'restart-tasks',
    summary: 'the connector and its tasks are restarted, again and again',
    servers: ['connect'],
    async play(ground, chance) {
      const times = chosen(chance, 2, 6);
      for (let i = 0; i < times; i += 1)
        await connectOf(ground).restart(ground.stack.names.connector);
      return `the connector was restarted ${times} times`;
    },
  },
  {
    name: 'delete-connector',
    summary: 'the connector is deleted',
    servers: ['connect'],
    mend: 'apply',
    async play(ground) {
      await connectOf(ground).delete(ground.stack.names.connector);
      return 'the connector was deleted';
    },
  },
  {
    name: 'lose-connect-topics',
    summary:
      'the topics in which Connect keeps connectors, offsets and states are deleted, and it starts again',
    servers: ['connect', 'kafka'],
    mend: 'apply',
    async play(ground) {
      const { endpoints, names } = ground.stack;
      const group = workerGroup(names, endpoints.kafka.managed);
      const topics = ['configs', 'offsets', 'status'].map((name) => `${group}-${name}`);
      await ground.runtime.harm('connect', 'freeze');
      try {
        await withKafkaAdmin(endpoints.kafka, (admin) => admin.deleteTopics({ topics }));
      } finally {
        await ground.runtime.harm('connect', 'kill');
      }
      await waitFor(
        'Connect to be back',
        { timeoutMs: BACK_MS, everyMs: 200, signal: ground.signal },
        async () => {
          const left = await connectOf(ground).connectors();
          return { ready: left };
        },
      );
      return "Connect's topics were deleted";
    },
  },
];
