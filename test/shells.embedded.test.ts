import { spawn } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cleanEnvironment, MAIN } from './harness/cli.ts';

/** The built program, in a folder and from a shell that people have. */

/** Each of these has stopped a server or a client. */
const SHELL = {
  PGSSLMODE: 'require',
  PGOPTIONS: '-c statement_timeout=1',
  PGCLIENT_ENCODING: 'LATIN1',
  PGHOST: '192.0.2.1',
  LC_ALL: 'C',
  LANG: 'tr_TR.UTF-8',
  TZ: 'Asia/Kathmandu',
  JAVA_TOOL_OPTIONS: '-Duser.language=tr -Duser.country=TR',
  HTTP_PROXY: 'http://192.0.2.1:9',
  http_proxy: 'http://192.0.2.1:9',
};
let parent = '';
let cwd = '';

beforeAll(() => {
  parent = mkdtempSync(join(tmpdir(), 'cdc-shells-'));
  cwd = join(parent, "Mein Büro – 日本 it's");
  mkdirSync(cwd);
  // As Windows' editor saves it.
  const lines = ['ports: auto', 'observability: off', 'agent: { schema_changes: report }', ''];
  writeFileSync(join(cwd, 'cdc.yaml'), `\u{feff}${lines.join('\r\n')}`);
});
afterAll(async () => {
  await cdc('down', '--delete-data');
  rmSync(parent, { recursive: true, force: true });
});

function run(command: string, args: readonly string[]) {
  return new Promise<{ code: number; output: string }>((resolve) => {
    const env = { ...cleanEnvironment(), ...SHELL };
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk) => {
        output += chunk;
      });
    child.once('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

const cdc = (...args: string[]) => run(process.execPath, [MAIN, ...args]);

test('a stack starts, flows and is proved, and leaves nothing beside its folder', async () => {
  const up = await cdc('up');
  expect(up.code, up.output).toBe(0);
  const verified = await cdc('verify', '--json');
  expect(verified.code, verified.output).toBe(0);
  const status = await cdc('status', '--json');
  expect(status.code, status.output).toBe(0);
  expect(readdirSync(parent)).toEqual(["Mein Büro – 日本 it's"]);
});

test('a reader that goes away is no success', async () => {
  // More than a pipe takes without a reader.
  appendFileSync(join(cwd, '.cdc', 'logs', 'agent.log'), `${'x'.repeat(500)}\n`.repeat(1000));
  const script = `"$0" "$1" logs -n 1000 | head -1 >/dev/null; echo "code \${PIPESTATUS[0]}"`;
  const { output } = await run('bash', ['-c', script, process.execPath, MAIN]);
  expect(output).toContain('code 141');
});

const stateFile = () => join(cwd, '.cdc', 'state.json');
const state = () => JSON.parse(readFileSync(stateFile(), 'utf8'));

test('an agent of a newer cdc is left alone, by every command', async () => {
  const { pid, release } = state();
  // It does not write its own state while the file says another's.
  process.kill(pid, 'SIGSTOP');
  writeFileSync(stateFile(), JSON.stringify({ ...state(), release: release + 1 }));
  try {
    for (const command of ['up', 'apply', 'verify']) {
      const ran = await cdc(command);
      expect(ran.code, ran.output).toBe(5);
      expect(ran.output, command).toContain('[STACK_NEWER]');
    }
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  expect(state().pid).toBe(pid);
});

test('it ends with all that it made', async () => {
  const down = await cdc('down', '--delete-data');
  expect(down.code, down.output).toBe(0);
  expect(existsSync(join(cwd, '.cdc'))).toBe(false);
  expect(readdirSync(parent)).toHaveLength(1);
});
