import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FileLock, tryLock } from '../../cli/lib/lock.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cdc-lock-'));
  path = join(folder, 'lock');
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function take(): FileLock {
  const lock = tryLock(path);
  if ('heldBy' in lock) throw new Error(`held by ${lock.heldBy}`);
  return lock;
}

/** The pid of a process that has ended. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  return child.pid ?? 0;
}

describe('tryLock', () => {
  it('takes a free lock and names its owner in it', () => {
    const lock = take();
    expect(readFileSync(path, 'utf8')).toContain(String(process.pid));
    lock.release();
    expect(existsSync(path)).toBe(false);
  });

  it('names the process that holds it', () => {
    // The parent of this worker lives for as long as the test.
    writeFileSync(path, String(process.ppid));
    expect(tryLock(path)).toEqual({ heldBy: process.ppid });
    expect(readFileSync(path, 'utf8')).toBe(String(process.ppid));
  });

  it('takes over from an owner that is dead', async () => {
    writeFileSync(path, String(await deadPid()));
    take().release();
    expect(existsSync(path)).toBe(false);
  });

  it('takes over from an owner whose pid another process has by now', () => {
    writeFileSync(path, `${process.ppid} another-boot/1`);
    take().release();
  });

  it.each(['', 'no pid', '-1', '1.5'])('takes over a lock that names nobody: %j', (content) => {
    writeFileSync(path, content);
    take().release();
  });

  it('does not release what somebody else took meanwhile', () => {
    const lock = take();
    writeFileSync(path, String(process.ppid));
    lock.release();
    expect(existsSync(path)).toBe(true);
  });

  it('leaves no other file behind', async () => {
    writeFileSync(path, String(await deadPid()));
    take().release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('says that a folder it cannot write is one', () => {
    expect(() => tryLock(join(folder, 'missing', 'lock'))).toThrow(/ENOENT/);
  });
});
