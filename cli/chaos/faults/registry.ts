import type { Stack } from '../../pipeline/state/stack.ts';
import type { Runtime } from '../../runtimes/runtime.ts';
import { type Fault, notPlayed } from '../ground.ts';
import { CLICKHOUSE_FAULTS } from './clickhouse.ts';
import { COMMAND_FAULTS } from './commands.ts';
import { CONNECT_FAULTS } from './connect.ts';
import { FULL_DISK } from './disk.ts';
import { KAFKA_FAULTS } from './kafka.ts';
import { NETWORK_FAULTS } from './network.ts';
import { PROCESS_FAULTS } from './processes.ts';
import { RESTORE_FAULTS } from './restore.ts';
import { SOURCE_FAULTS } from './source.ts';

/** Every fault, by what it strikes. */
export const FAULTS: readonly Fault[] = [
  ...PROCESS_FAULTS,
  ...SOURCE_FAULTS,
  ...RESTORE_FAULTS,
  ...CONNECT_FAULTS,
  ...KAFKA_FAULTS,
  ...CLICKHOUSE_FAULTS,
  ...COMMAND_FAULTS,
  ...NETWORK_FAULTS,
  FULL_DISK,
  notPlayed(
    'step-clock',
    'the clock of a server is set',
    'the servers share the clock of this machine',
  ),
  notPlayed('promote-standby', 'PostgreSQL fails over to a standby', 'a stack has one PostgreSQL'),
];

/** Why a fault cannot be played on this stack; undefined when it can. */
export function whyNotHere(
  fault: Fault,
  ground: { readonly stack: Stack; readonly runtime: Runtime },
): string | undefined {
  const others = fault.servers.filter((name) => !ground.stack.endpoints[name].managed);
  return others.length > 0
    ? `${others.join(', ')} of this stack ${others.length > 1 ? 'run' : 'runs'} elsewhere`
    : fault.notHere?.(ground);
}
