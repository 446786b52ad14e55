import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { findMarked } from '../../cli/lib/processes.ts';
import { stack } from './database.ts';

/** What /proc says about the processes of the stack. */

export function stackPids(): number[] {
  return findMarked(`CDC_STACK=${stack().layout.root}`);
}

/** `0100007F:1F90` as the kernel prints a socket's address. */
export interface Listener {
  readonly pid: number;
  readonly address: string;
  readonly port: number;
}

const LOOPBACK = new Set([
  '0100007F',
  // ::1 and ::ffff:127.0.0.1, in words of the machine's byte order.
  '00000000000000000000000001000000',
  '0000000000000000FFFF00000100007F',
]);

export function isLoopback(listener: Listener): boolean {
  return LOOPBACK.has(listener.address);
}

/** Every TCP socket on which one of the processes listens. */
export function listeners(pids: readonly number[]): Listener[] {
  const owner = new Map<string, number>();
  for (const pid of pids) {
    for (const inode of socketsOf(pid)) owner.set(inode, pid);
  }
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .slice(1)
      .flatMap((line) => {
        const cells = line.trim().split(/\s+/);
        const pid = owner.get(cells[9] ?? '');
        const [address = '', port = ''] = (cells[1] ?? '').split(':');
        return cells[3] === '0A' && pid !== undefined
          ? [{ pid, address, port: Number.parseInt(port, 16) }]
          : [];
      }),
  );
}

function socketsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        const match = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`));
        return match?.[1] ? [match[1]] : [];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}

/** Command lines of all processes of this machine that can be read. */
export function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      try {
        return [readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ')];
      } catch {
        return [];
      }
    });
}
