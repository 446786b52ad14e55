import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FileLock, tryLock } from './lock.ts';

const LOOPBACK = '127.0.0.1';

/** Whether a server could listen on 127.0.0.1:port now. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: LOOPBACK, exclusive: true }, () =>
      server.close(() => resolve(true)),
    );
  });
}

/** A port that the system says is free. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port: 0, host: LOOPBACK, exclusive: true }, () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address
          ? resolve(address.port)
          : reject(new Error('no port')),
      );
    });
  });
}

/**
 * Takes a free port for this process, or returns undefined. Its server listens only later: without
 * this, two stacks that start at the same moment would both find the port free.
 */
export async function claimPort(port: number): Promise<FileLock | undefined> {
  const folder = join(tmpdir(), `cdc-ports-${process.getuid?.() ?? 'user'}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const lock = tryLock(join(folder, String(port)));
  if ('heldBy' in lock) return undefined;
  if (await isPortFree(port)) return lock;
  lock.release();
  return undefined;
}

/** Who listens on a port, as people say it: `postgres (pid 4711)`; "another program" if unknown. */
export function portOwner(port: number): string {
  const pid = ownerFromProc(port) ?? ownerFromLsof(port);
  if (pid === undefined) return 'another program (of another user)';
  return `${commandOf(pid)} (pid ${pid})`;
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    try {
      return execFileSync('ps', ['-o', 'comm=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    } catch {
      return 'a process';
    }
  }
}

function ownerFromProc(port: number): number | undefined {
  const inodes = new Set<string>();
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    try {
      for (const line of readFileSync(file, 'utf8').split('\n').slice(1)) {
        const cells = line.trim().split(/\s+/);
        const listens = cells[3] === '0A';
        const hex = cells[1]?.split(':')[1];
        if (listens && hex && Number.parseInt(hex, 16) === port && cells[9]) inodes.add(cells[9]);
      }
    } catch {
      // No /proc here.
    }
  }
  if (inodes.size === 0) return undefined;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      for (const fd of readdirSync(`/proc/${name}/fd`)) {
        const match = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${name}/fd/${fd}`));
        if (match?.[1] && inodes.has(match[1])) return Number(name);
      }
    } catch {
      // Another user's process, or gone.
    }
  }
  return undefined;
}

function ownerFromLsof(port: number): number | undefined {
  try {
    const text = execFileSync('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-t'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const pid = Number.parseInt(text, 10);
    return Number.isInteger(pid) ? pid : undefined;
  } catch {
    return undefined;
  }
}
