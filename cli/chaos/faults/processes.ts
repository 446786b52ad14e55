import { chosen } from '../../core/chaos.ts';
import { formatSeconds } from '../../lib/format.ts';
import { pause } from '../../lib/wait.ts';
import { SERVER_NAMES, type ServerName } from '../../stack/endpoints.ts';
import type { Fault } from '../ground.ts';

/** A server stands for so long; more than a session of Kafka's consumers lasts, at times. */
const FROZEN_MS = [3000, 15_000] as const;

function killed(server: ServerName): Fault {
  return {
    name: `kill-${server}`,
    summary: `SIGKILL of ${server}`,
    servers: [server],
    async play({ runtime }) {
      await runtime.harm(server, 'kill');
      return `SIGKILL of ${server}`;
    },
  };
}

function ended(server: ServerName): Fault {
  return {
    name: `restart-${server}`,
    summary: `${server} ended in order, and started again by who watches it`,
    servers: [server],
    async play({ runtime }) {
      await runtime.harm(server, 'end');
      return `${server} ended in order`;
    },
  };
}

function frozen(server: ServerName | 'agent'): Fault {
  return {
    name: `freeze-${server}`,
    summary: `SIGSTOP of ${server} for a while`,
    servers: server === 'agent' ? [] : [server],
    async play({ runtime, signal }, chance) {
      const ms = chosen(chance, ...FROZEN_MS);
      await runtime.harm(server, 'freeze');
      try {
        await pause(ms, signal);
      } finally {
        await runtime.harm(server, 'thaw');
      }
      return `${server} stopped for ${formatSeconds(ms / 1000)}`;
    },
  };
}

export const PROCESS_FAULTS: readonly Fault[] = [
  ...SERVER_NAMES.map(killed),
  ...([...SERVER_NAMES, 'agent'] as const).map(frozen),
  ...SERVER_NAMES.map(ended),
  {
    name: 'kill-servers',
    summary: 'SIGKILL of all servers at once',
    servers: SERVER_NAMES,
    async play({ runtime }) {
      await Promise.all(SERVER_NAMES.map((server) => runtime.harm(server, 'kill')));
      return 'SIGKILL of all servers at once';
    },
  },
  {
    name: 'kill-agent',
    summary: 'SIGKILL of the agent; the servers go on, and its parent starts another',
    servers: [],
    async play({ runtime }) {
      await runtime.harm('agent', 'kill');
      return 'SIGKILL of the agent';
    },
  },
  {
    name: 'power-cut',
    summary: 'SIGKILL of the agent, of its parent and of all servers at once',
    servers: SERVER_NAMES,
    mend: 'up',
    async play({ runtime }) {
      await runtime.harmAll();
      return 'SIGKILL of the agent and of all servers';
    },
  },
];
