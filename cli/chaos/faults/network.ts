import { Connect } from '../../components/connect/client.ts';
import { chosen } from '../../core/chaos.ts';
import { formatSeconds } from '../../lib/format.ts';
import { pause, waitFor } from '../../lib/wait.ts';
import { waitForFlow } from '../flow.ts';
import type { Fault, Ground } from '../ground.ts';
import { TcpProxy } from '../tcpProxy.ts';

const JOINED_MS = 120_000;
const FLOWS_MS = 300_000;
const LAST_MS = [3000, 20_000] as const;

type Harmed = (proxy: TcpProxy, ground: Ground, chance: number) => Promise<string>;

/**
 * The connector reads the source through a proxy, which is made as bad as the fault says. It is in its place until
 * changes flow again: where they flow only without it, nothing was mended.
 */
function between(name: string, summary: string, harm: Harmed): Fault {
  return {
    name,
    summary,
    servers: ['postgres', 'connect'],
    notHere: ({ runtime }) =>
      runtime.kind === 'compose'
        ? 'the proxy would have to be within the network of the engine'
        : undefined,
    async play(ground, chance) {
      const { endpoints, names } = ground.stack;
      const connect = new Connect(endpoints.connect);
      const config = await connect.config(names.connector);
      const [host, port] = [config?.['database.hostname'], Number(config?.['database.port'])];
      if (!config || !host) return 'not played: there was no connector';
      await using proxy = await TcpProxy.open({ host, port });
      const through = { 'database.hostname': '127.0.0.1', 'database.port': String(proxy.port) };
      await connect.put(names.connector, { ...config, ...through });
      try {
        await waitFor(
          'the connector to read through the proxy',
          { timeoutMs: JOINED_MS, everyMs: 50, signal: ground.signal },
          () => (proxy.connections > 0 ? { ready: true } : { seen: 'no connection' }),
        );
        await waitForFlow(ground, FLOWS_MS);
        const what = await harm(proxy, ground, chance);
        const flowingMs = await waitForFlow(ground, FLOWS_MS);
        return `${what}; flowing through it ${formatSeconds(flowingMs / 1000)} after that`;
      } finally {
        await connect.put(names.connector, config);
      }
    },
  };
}

/** For a while, and then as it should be. */
function forAWhile(
  make: (proxy: TcpProxy, chance: number) => string,
  unmake: (proxy: TcpProxy) => void,
): Harmed {
  return async (proxy, { signal }, chance) => {
    const ms = chosen(chance, ...LAST_MS);
    const what = make(proxy, chance);
    await pause(ms, signal);
    unmake(proxy);
    return `${what} for ${formatSeconds(ms / 1000)}`;
  };
}

export const NETWORK_FAULTS: readonly Fault[] = [
  between(
    'cut-connection',
    'the connections of Debezium to PostgreSQL are reset, again and again',
    async (proxy, { signal }, chance) => {
      const times = chosen(chance, 1, 4);
      for (let i = 0; i < times; i += 1) {
        proxy.cut();
        await pause(1000, signal);
      }
      return `connections were reset ${times} times`;
    },
  ),
  between(
    'delay-connection',
    'what Debezium and PostgreSQL say to one another comes late for a while',
    forAWhile(
      (proxy, chance) => {
        proxy.delayMs = chosen(chance, 50, 1000);
        return `${proxy.delayMs} ms later each way`;
      },
      (proxy) => {
        proxy.delayMs = 0;
      },
    ),
  ),
  between(
    'throttle-connection',
    'what Debezium and PostgreSQL say to one another is throttled for a while',
    forAWhile(
      (proxy, chance) => {
        const kilobytes = chosen(chance, 5, 50);
        proxy.bytesPerSecond = kilobytes * 1000;
        return `${kilobytes} kB/s each way`;
      },
      (proxy) => {
        proxy.bytesPerSecond = undefined;
      },
    ),
  ),
  between(
    'half-open-connection',
    'the connections of Debezium to PostgreSQL carry nothing any more, and neither end is told',
    async (proxy) => {
      const count = proxy.connections;
      proxy.silence();
      return `${count} connections went silent`;
    },
  ),
];
