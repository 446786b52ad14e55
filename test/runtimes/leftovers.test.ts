import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { findInFolder, isAlive, processTree, programName } from '../../cli/lib/processes.ts';
import { endLeftovers } from '../../cli/runtimes/embedded/leftovers.ts';
import { forgetDeadPostmaster } from '../../cli/runtimes/embedded/servers/postgres.ts';
import { layoutOf } from '../../cli/stack/layout.ts';
import { eventually } from '../harness/database.ts';

/** What an agent that was killed leaves, and what keeps PostgreSQL from starting after it. */

const directory = realpathSync(mkdtempSync(join(tmpdir(), 'cdc-leftovers-')));
const data = layoutOf(directory).data('postgres');
const pidFile = join(data, 'postmaster.pid');
const names = (pid: number) => writeFileSync(pidFile, `${pid}\n${data}\n`);

beforeEach(() => {
  mkdirSync(data, { recursive: true });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A program in the folder, under another name; the kernel calls it so. */
function program(name: string, ...args: string[]) {
  return spawn(
    'bash',
    ['-c', `exec -a ${name} bash -c 'printf ${name} > /proc/$$/comm; ${args}'`],
    {
      cwd: data,
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
}

test('a postmaster that is dead and not reaped yet keeps none from starting', async () => {
  // The program that takes the place of the child's parent never asks how it ended.
  const parent = spawn('bash', ['-c', 'read -r _ <&0 & echo $!; exec sleep 600'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const [line] = await once(createInterface({ input: parent.stdout }), 'line');
  const pid = Number(line);
  await eventually('the parent to be gone', 'sleep', async () => programName(parent.pid ?? 0));
  parent.stdin.end();
  await eventually('the child to be a zombie', false, async () => isAlive(pid));
  expect(() => process.kill(pid, 0)).not.toThrow();
  names(pid);
  forgetDeadPostmaster(data);
  expect(existsSync(pidFile)).toBe(false);
  parent.kill('SIGKILL');
});

test('a pid that another program has now keeps none from starting', () => {
  names(process.pid);
  forgetDeadPostmaster(data);
  expect(existsSync(pidFile)).toBe(false);
});

test('a postmaster that runs keeps its pid file', async () => {
  const postmaster = program('postgres', 'echo up; read -t 600 < <(sleep 600)');
  await once(createInterface({ input: postmaster.stdout }), 'line');
  names(postmaster.pid ?? 0);
  forgetDeadPostmaster(data);
  expect(existsSync(pidFile)).toBe(true);
  for (const pid of processTree(postmaster.pid ?? 0)) process.kill(pid, 'SIGKILL');
});

test('processes of PostgreSQL in the folder of the data are ended, without a mark of the stack', async () => {
  const backend = program('postgres', 'echo up; read -t 600 < <(sleep 600)');
  const editor = program('editor', 'echo up; read -t 600 < <(sleep 600)');
  for (const { stdout } of [backend, editor])
    await once(createInterface({ input: stdout }), 'line');
  expect(findInFolder('postgres', data)).toContain(backend.pid);
  expect(await endLeftovers(layoutOf(directory))).toEqual([backend.pid]);
  expect(editor.exitCode ?? editor.signalCode).toBeNull();
  for (const pid of processTree(editor.pid ?? 0)) process.kill(pid, 'SIGKILL');
});
