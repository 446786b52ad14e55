import { closeSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { chosen } from '../../core/chaos.ts';
import { formatSeconds } from '../../lib/format.ts';
import { pause } from '../../lib/wait.ts';
import { SERVER_NAMES } from '../../stack/endpoints.ts';
import type { Fault } from '../ground.ts';

/** A file system that is larger is nobody's for this. */
const MOST_BYTES = 16 * 1024 ** 3;
const FULL_MS = [5000, 20_000] as const;
const CHUNK = Buffer.alloc(4 * 1024 ** 2);
const SMALL = Buffer.alloc(4096);

/** Writes until nothing fits any more. */
async function fill(file: number, signal: AbortSignal): Promise<void> {
  for (const chunk of [CHUNK, SMALL]) {
    try {
      while (!signal.aborted) {
        writeSync(file, chunk);
        await pause(0);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
}

/** All that the stack keeps is on the file system that is filled; nothing of anybody else is. */
export const FULL_DISK: Fault = {
  name: 'fill-disk',
  summary: 'the file system of the stack is full for a while',
  servers: SERVER_NAMES,
  notHere: ({ stack, runtime }) => {
    if (runtime.kind === 'compose') return 'the data are in volumes of the engine';
    const { root } = stack.layout;
    const { dev } = statSync(root);
    const isShared = ['/', tmpdir(), homedir()].some((path) => isOn(path, dev));
    const { blocks, bsize } = statfsSync(root);
    return isShared || blocks * bsize > MOST_BYTES
      ? 'the stack is not on a small file system of its own (mount -t tmpfs -o size=4G tmpfs FOLDER)'
      : undefined;
  },
  async play({ stack, signal }, chance) {
    const ms = chosen(chance, ...FULL_MS);
    const path = join(stack.layout.root, 'chaos-fills-the-disk');
    const file = openSync(path, 'w', 0o600);
    try {
      await fill(file, signal);
      // What a server deletes meanwhile makes no room.
      const until = performance.now() + ms;
      while (performance.now() < until) {
        await pause(100, signal);
        await fill(file, signal);
      }
    } finally {
      closeSync(file);
      rmSync(path);
    }
    return `the disk was full for ${formatSeconds(ms / 1000)}`;
  },
};

function isOn(path: string, dev: number): boolean {
  try {
    return statSync(path).dev === dev;
  } catch {
    return false;
  }
}
