import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { pause } from '../../lib/wait.ts';
import { PEER_NAMES } from '../../stack/brokers.ts';
import type { Layout } from '../../stack/layout.ts';
import { OBSERVER_NAMES } from '../../stack/state.ts';
import type { LogLine } from '../runtime.ts';

/** What writes a log, as `cdc logs` calls it. */
export const LOG_COMPONENTS = [
  'agent',
  'postgres',
  'kafka',
  ...PEER_NAMES,
  'connect',
  'clickhouse',
  'alerts',
  ...OBSERVER_NAMES,
] as const;
export type LogComponent = (typeof LOG_COMPONENTS)[number];

export interface LogFile {
  /** The component; `clickhouse-host` is the process around ClickHouse's library. */
  readonly name: string;
  readonly path: string;
}

const CHUNK_BYTES = 256 * 1024;
/** A longer line is cut here, so that no log can fill the memory. */
const LINE_LIMIT_BYTES = 1024 * 1024;
const FOLLOW_EVERY_MS = 200;

export function logFiles(layout: Layout, components: readonly LogComponent[]): LogFile[] {
  return components.flatMap((name) =>
    name === 'clickhouse'
      ? [
          { name: 'clickhouse-host', path: layout.log('clickhouse') },
          { name: 'clickhouse', path: layout.log('clickhouse-server') },
        ]
      : [{ name, path: layout.log(name) }],
  );
}

/** The last lines of a file, read from its end; none when there is no such file. */
export function lastLines(path: string, count: number): string[] {
  return (
    read(path, (file, size) => {
      let from = size;
      let tail = Buffer.alloc(0);
      let breaks = 0;
      // The break that ends the last line is none between two.
      while (from > 0 && breaks <= count && tail.length < count * LINE_LIMIT_BYTES) {
        const length = Math.min(CHUNK_BYTES, from);
        from -= length;
        const chunk = Buffer.alloc(length);
        readSync(file, chunk, 0, length, from);
        breaks += chunk.filter((byte) => byte === 0x0a).length;
        tail = Buffer.concat([chunk, tail]);
      }
      const lines = tail.toString('utf8').replace(/\n$/, '').split('\n');
      return count === 0 || tail.length === 0 ? [] : lines.slice(-count);
    }) ?? []
  );
}

/** Size of a file now; 0 when there is none. */
export function endOf(path: string): number {
  return read(path, (_file, size) => size) ?? 0;
}

/**
 * Gives each line that is written from now on, until the signal fires. A file that is put aside or
 * recreated is read from its start.
 */
export async function followLogs(
  files: readonly (LogFile & { readonly from: number })[],
  signal: AbortSignal,
  onLine: (line: LogLine) => void,
): Promise<void> {
  const followed = files.map((file) => ({
    name: file.name,
    follower: new Follower(file.path, file.from),
  }));
  while (!signal.aborted) {
    for (const file of followed) {
      for (const text of file.follower.next()) onLine({ component: file.name, text });
    }
    await pause(FOLLOW_EVERY_MS, signal).catch(() => {});
  }
}

class Follower {
  private readonly path: string;
  private at: number;
  private inode: number | undefined;
  private rest = Buffer.alloc(0);

  constructor(path: string, from: number) {
    this.path = path;
    this.at = from;
    this.inode = read(path, (file) => fstatSync(file).ino);
  }

  /** Whole lines since the last look; a line that is not finished waits for its end. */
  next(): string[] {
    const fresh = read(this.path, (file, size) => {
      const { ino } = fstatSync(file);
      if (ino !== this.inode || size < this.at) {
        this.inode = ino;
        this.at = 0;
        this.rest = Buffer.alloc(0);
      }
      const chunk = Buffer.alloc(Math.min(size - this.at, 4 * LINE_LIMIT_BYTES));
      readSync(file, chunk, 0, chunk.length, this.at);
      this.at += chunk.length;
      return chunk;
    });
    if (!fresh || fresh.length === 0) return [];
    const whole = Buffer.concat([this.rest, fresh]);
    const end = whole.lastIndexOf(0x0a);
    const cut = end < 0 && whole.length > LINE_LIMIT_BYTES ? whole.length : end;
    this.rest = whole.subarray(cut + 1);
    return cut < 0 ? [] : whole.subarray(0, cut).toString('utf8').split('\n');
  }
}

/** Undefined when the file is not there or may not be read. */
function read<T>(path: string, work: (file: number, size: number) => T): T | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return undefined;
  }
  try {
    return work(file, fstatSync(file).size);
  } finally {
    closeSync(file);
  }
}
