import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readlinkSync, statfsSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { pause } from '../../lib/wait.ts';

const EXT_MAGIC = 0xef53;
const LOOK_EVERY_MS = 1000;

/**
 * ext4 without a journal gives a new file no inode that was deleted in the last minutes, and tries
 * all of a block group's before it takes one from elsewhere: 0.9 ms a file where thousands were
 * deleted, 10 ms for one of ClickHouse's parts. ClickHouse makes and deletes parts all the time, and
 * ext4 puts them all beside their table's folder, into one group. A folder with the attribute T
 * (chattr(1)) spreads its sub-folders over all groups: 0.6 ms a part (docs/performance.md).
 *
 * Virtual machines and build machines often have such a file system; elsewhere this does nothing.
 */
export async function placeParts(dataFolder: string, signal: AbortSignal): Promise<void> {
  const done = new Set<string>();
  while (!signal.aborted) {
    const folders = hasNoJournal(dataFolder) ? tableFolders(dataFolder) : [];
    const fresh = folders.filter((folder) => !done.has(folder));
    if (fresh.length > 0) {
      // A folder that went away meanwhile, or no chattr at all: only slower.
      await promisify(execFile)('chattr', ['-f', '+T', ...fresh]).catch(() => {});
      for (const folder of fresh) done.add(folder);
    }
    await pause(LOOK_EVERY_MS, signal).catch(() => {});
  }
}

/** Whether a folder is on ext4 that keeps no journal. */
export function hasNoJournal(folder: string): boolean {
  try {
    if (statfsSync(folder).type !== EXT_MAGIC) return false;
    const { dev } = statSync(folder);
    // As the C library splits a device number.
    const major = (dev >>> 8) & 0xfff;
    const minor = (dev & 0xff) | ((dev >>> 12) & 0xfff00);
    const device = basename(readlinkSync(`/sys/dev/block/${major}:${minor}`));
    const journals = existsSync('/proc/fs/jbd2') ? readdirSync('/proc/fs/jbd2') : [];
    return !journals.some((journal) => journal.startsWith(`${device}-`));
  } catch {
    return false;
  }
}

/** ClickHouse keeps a table's parts in `store/<3 digits>/<uuid>/`. */
function tableFolders(dataFolder: string): string[] {
  const inside = (folder: string) => {
    try {
      return readdirSync(folder).map((name) => join(folder, name));
    } catch {
      // Not there yet, or dropped just now.
      return [];
    }
  };
  return inside(join(dataFolder, 'store')).flatMap(inside);
}
