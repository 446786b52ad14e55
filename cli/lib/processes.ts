import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Looks at other processes of this machine: /proc where there is one, `ps` elsewhere. */

const HAS_PROC = existsSync('/proc/self/stat');

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  if (!HAS_PROC) return true;
  return procState(pid) !== 'Z';
}

function procState(pid: number): string | undefined {
  return statFields(pid)?.[0];
}

/** What stands in /proc/PID/stat after the command's name; state first. Absent without /proc. */
function statFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/**
 * When a process was started, as a text that no other process of this machine ever has: pids are
 * used again. Absent where it cannot be told.
 */
export function processStart(pid: number): string | undefined {
  try {
    const ticks = statFields(pid)?.[19];
    if (ticks === undefined) return undefined;
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${ticks}`;
  } catch {
    return undefined;
  }
}

/** One that is gone already needs none. */
export function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone already.
  }
}

/** Whether the process that wrote down its pid and start still runs. */
export function isSameProcess(pid: number, start: string | undefined): boolean {
  return isAlive(pid) && (start === undefined || start === processStart(pid));
}

/**
 * Every process that carries `marker` in its environment (Linux) or its command line (elsewhere).
 * Pid files lie after a crash; what runs does not.
 */
export function findMarked(marker: string): number[] {
  const own = new Set([process.pid]);
  if (!HAS_PROC) return findByCommandLine(marker, own);
  const needle = Buffer.from(`\0${marker}\0`);
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || own.has(pid)) continue;
    try {
      const environment = readFileSync(`/proc/${pid}/environ`);
      const wrapped = Buffer.concat([Buffer.from('\0'), environment]);
      if (wrapped.includes(needle) && procState(pid) !== 'Z') found.push(pid);
    } catch {
      // Gone meanwhile, or another user's.
    }
  }
  return found;
}

/**
 * Every process of this program whose working folder is `folder`: PostgreSQL's children write their title over the
 * environment that would mark them. None where there is no /proc.
 */
export function findInFolder(program: string, folder: string): number[] {
  if (!HAS_PROC) return [];
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && isAlive(pid) && programName(pid) === program)
    .filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/cwd`) === folder;
      } catch {
        return false;
      }
    });
}

/** What a process runs, as the kernel names it; absent where it cannot be told. */
export function programName(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** A process and all below it. */
export function processTree(rootPid: number): number[] {
  const table = processTable();
  const found = [rootPid];
  for (const pid of found) found.push(...table.filter((p) => p.ppid === pid).map((p) => p.pid));
  return found;
}

function findByCommandLine(marker: string, own: ReadonlySet<number>): number[] {
  const lines = execFileSync('ps', ['-axEo', 'pid=,command='], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  return lines
    .split('\n')
    .filter((line) => line.includes(marker))
    .map((line) => Number.parseInt(line, 10))
    .filter((pid) => Number.isInteger(pid) && !own.has(pid));
}

/** Resident memory of a process and of all below it, in bytes; absent when it cannot be read. */
export function residentBytes(rootPid: number): number | undefined {
  const resident = new Map(processTable().map((row) => [row.pid, row.rssBytes]));
  if (!resident.has(rootPid)) return undefined;
  const each = processTree(rootPid).map((pid) => privateBytes(pid) ?? resident.get(pid) ?? 0);
  return each.reduce((total, bytes) => total + bytes, 0);
}

/**
 * Proportional set size: PostgreSQL's backends share one buffer pool, which resident size would
 * count once for each of them.
 */
function privateBytes(pid: number): number | undefined {
  if (!HAS_PROC) return undefined;
  try {
    const match = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
    return match ? Number(match[1]) * 1024 : undefined;
  } catch {
    return undefined;
  }
}

/** Of Linux, on every architecture: the unit of /proc's CPU times. */
const TICK_MS = 10;

/**
 * CPU time of a process and, unless it is asked for alone, of all below it, in milliseconds; of those that have ended,
 * too, once they were waited for. Absent where there is no /proc.
 */
export function cpuMs(rootPid: number, isAlone = false): number | undefined {
  if (!HAS_PROC) return undefined;
  const ticks = (pid: number, fields: readonly number[]) => {
    const stat = statFields(pid);
    return fields.reduce((sum, field) => sum + Number(stat?.[field] ?? 0), 0);
  };
  const own = [11, 12];
  const ended = [13, 14];
  const below = isAlone ? [] : processTree(rootPid).slice(1);
  const all = ticks(rootPid, isAlone ? own : [...own, ...ended]);
  return (all + below.reduce((sum, pid) => sum + ticks(pid, own), 0)) * TICK_MS;
}

interface ProcessRow {
  readonly pid: number;
  readonly ppid: number;
  readonly rssBytes: number;
}

function processTable(): ProcessRow[] {
  return HAS_PROC ? tableFromProc() : tableFromPs();
}

/** A slim system has no `ps`. */
function tableFromProc(): ProcessRow[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const status = readFileSync(`/proc/${name}/status`, 'utf8');
      const field = (key: string) =>
        Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
      return [{ pid: Number(name), ppid: field('PPid'), rssBytes: field('VmRSS') * 1024 }];
    } catch {
      return [];
    }
  });
}

function tableFromPs(): ProcessRow[] {
  const text = execFileSync('ps', ['-axo', 'pid=,ppid=,rss='], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [pid = 0, ppid = 0, rss = 0] = line.trim().split(/\s+/).map(Number);
      return { pid, ppid, rssBytes: rss * 1024 };
    });
}
