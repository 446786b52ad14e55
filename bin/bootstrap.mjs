#!/usr/bin/env node
/**
 * What `npm start`, `npm test` and `npm run fuzz` run: installs and builds what is missing or stale, then hands
 * over to the product. Plain JavaScript without dependencies, since it runs before there are any.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const DIST = join(ROOT, 'dist');
const MODULES = join(ROOT, 'node_modules');
const NODE_MINIMUM = 20;
/** As in cli/core/problems.ts, which is not built yet. */
const EXIT = { bug: 1, usage: 2, configuration: 3, unreachable: 4 };

/** A problem in the form that cdc prints its own. */
class Stop extends Error {
  constructor(exit, message, cause, fix) {
    super(message);
    Object.assign(this, { exit, causeText: cause, fix });
  }
}

function say(line) {
  process.stderr.write(`${line}\n`);
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function hashOf(texts) {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(text ?? '').update('\0');
  return hash.digest('hex');
}

// --- running programs

const children = new Set();
let signalled;
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(name, () => {
    signalled = name;
    // The terminal sends SIGINT to the whole group already; a second one would mean "now".
    if (name === 'SIGINT' && process.stdin.isTTY) return;
    for (const child of children) child.kill(name);
  });
}

/** Runs a program to its end; `output` is empty where the streams are inherited. */
function run(command, args, { stdio = 'pipe', env = {} } = {}) {
  return new Promise((resolve, reject) => {
    let output = '';
    const child = spawn(command, args, { cwd: ROOT, stdio, env: { ...process.env, ...env } });
    children.add(child);
    child.stdout?.on('data', (chunk) => {
      output += chunk;
    });
    child.stderr?.on('data', (chunk) => {
      output += chunk;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      children.delete(child);
      resolve({ code: code ?? 128 + (constants.signals[signal] ?? 0), output });
    });
  }).then((result) => {
    if (signalled && stdio !== 'inherit') process.exit(130);
    return result;
  });
}

// --- one at a time

/**
 * Holds a lock while `work` runs. The folder comes into being with its owner's pid in it, by a
 * rename; a dead owner's lock is taken over.
 */
async function withLock(work) {
  mkdirSync(DIST, { recursive: true });
  const lock = join(DIST, '.bootstrap.lock');
  const own = mkdtempSync(`${lock}.`);
  writeFileSync(join(own, 'pid'), String(process.pid));
  const deadline = Date.now() + 15 * 60_000;
  try {
    for (let told = false; !take(own, lock); told = true) {
      const owner = Number(read(join(lock, 'pid')));
      if (owner && !isAlive(owner)) takeAway(lock, owner);
      else {
        if (!told) say(`waiting for another run (pid ${owner || 'unknown'})…`);
        if (Date.now() > deadline) {
          throw new Stop(
            EXIT.configuration,
            'Another run of cdc installs or builds for more than 15 minutes.',
            `Process ${owner} holds ${lock}.`,
            `kill ${owner}   # then run the same command again`,
          );
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
      if (signalled) process.exit(130);
    }
    const release = () => {
      if (read(join(lock, 'pid')) === String(process.pid))
        rmSync(lock, { recursive: true, force: true });
    };
    process.once('exit', release);
    await work();
    process.off('exit', release);
    release();
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}

function take(own, lock) {
  try {
    renameSync(own, lock);
    return true;
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST'].includes(error.code)) return false;
    throw error;
  }
}

/** Of several who saw the same dead owner one moves it away; what turns out alive is put back. */
function takeAway(lock, owner) {
  const aside = `${lock}.stale.${process.pid}`;
  try {
    renameSync(lock, aside);
    if (Number(read(join(aside, 'pid'))) !== owner) renameSync(aside, lock);
  } catch {
    // Somebody else was faster.
  }
  rmSync(aside, { recursive: true, force: true });
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

// --- npm packages

const PACKAGES_STAMP = join(MODULES, '.cdc-stamp');

/** Scripts in package.json change often and install nothing. */
function packagesHash() {
  const own = JSON.parse(read(join(ROOT, 'package.json')) ?? '{}');
  return hashOf([
    read(join(ROOT, 'package-lock.json')),
    JSON.stringify(SECTIONS.map((s) => own[s])),
  ]);
}

const SECTIONS = ['dependencies', 'optionalDependencies', 'devDependencies'];

function lockedPackages() {
  return JSON.parse(read(join(ROOT, 'package-lock.json')) ?? '{}').packages ?? {};
}

function lockIsInSync() {
  const locked = lockedPackages()[''] ?? {};
  const own = JSON.parse(read(join(ROOT, 'package.json')) ?? '{}');
  return SECTIONS.every((s) => JSON.stringify(locked[s] ?? {}) === JSON.stringify(own[s] ?? {}));
}

/** Whether what somebody installed by hand is what the lock file says; optional packages may be left out. */
function installedByHand({ withoutOptional = false } = {}) {
  if (!lockIsInSync()) return false;
  const wanted = lockedPackages();
  const present = JSON.parse(read(join(MODULES, '.package-lock.json')) ?? '{}').packages ?? {};
  const here = (list, value) => !list || list.includes(value);
  const isMusl = process.report?.getReport?.().header?.glibcVersionRuntime === undefined;
  const libc = process.platform !== 'linux' ? undefined : isMusl ? 'musl' : 'glibc';
  return Object.entries(wanted).every(
    ([path, entry]) =>
      path === '' ||
      !here(entry.os, process.platform) ||
      !here(entry.cpu, process.arch) ||
      !here(entry.libc, libc) ||
      present[path]?.version === entry.version ||
      ((withoutOptional || entry.peer) && entry.optional && !present[path]),
  );
}

async function ensurePackages({ withoutOptional = false } = {}) {
  const hash = packagesHash();
  if (read(PACKAGES_STAMP) === hash) return;
  // Not stamped: npm start needs the rest.
  if (withoutOptional && installedByHand({ withoutOptional })) return;
  if (installedByHand()) {
    writeFileSync(PACKAGES_STAMP, hash);
    return;
  }
  say('installing npm packages…');
  rmSync(PACKAGES_STAMP, { force: true });
  let done = await npm('ci');
  // A lock file that was made where the registry lacks the builds for other platforms fails there
  // although it says everything that is needed here.
  if (/EUSAGE/.test(done.output) && lockIsInSync()) done = await npm('install', '--no-save');
  if (done.code !== 0) throw npmProblem(done);
  writeFileSync(PACKAGES_STAMP, hash);
}

function npm(...verb) {
  const args = [
    ...verb,
    '--no-audit',
    '--no-fund',
    '--prefer-offline',
    '--loglevel=error',
    '--fetch-retries=1',
    '--fetch-retry-mintimeout=200',
  ];
  const cli = process.env.npm_execpath;
  const usable = cli !== undefined && /npm-cli\.c?js$/.test(cli) && existsSync(cli);
  return (usable ? run(process.execPath, [cli, ...args]) : run('npm', args)).catch((error) => {
    throw new Stop(
      EXIT.configuration,
      'npm cannot be run.',
      error.message,
      'Install npm; it comes with Node.js: https://nodejs.org',
    );
  });
}

function npmProblem({ code, output }) {
  const lines = output
    .split('\n')
    .map((line) => line.replace(/^npm (error|ERR!) ?/, '').trim())
    .filter((line) => line !== '' && !/complete log of this run|_logs\//.test(line));
  const cause = lines.slice(0, 4).join('\n') || `npm ci ended with code ${code}`;
  if (/ENOSPC|EDQUOT/.test(output)) {
    return new Stop(
      EXIT.configuration,
      'There is no room left for the npm packages (about 1 GB).',
      cause,
      `df -h ${ROOT}   # make room, then run the same command again`,
    );
  }
  if (/EACCES|EPERM|EROFS/.test(output)) {
    return new Stop(
      EXIT.configuration,
      'The npm packages cannot be written.',
      cause,
      `ls -ld ${ROOT} ~/.npm   # give this user the right to write there`,
    );
  }
  if (/EUSAGE/.test(output)) {
    return new Stop(
      EXIT.configuration,
      'package.json and package-lock.json do not match.',
      cause,
      'npm install',
    );
  }
  return new Stop(
    EXIT.unreachable,
    'The npm packages could not be fetched.',
    cause,
    'npm ping   # is the registry reachable (npm config get registry)? then run the same command again',
  );
}

// --- build

const BUILD_STAMP = join(DIST, '.stamp');

function files(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

function sourceHash() {
  const list = [
    ...files(join(ROOT, 'cli')),
    join(ROOT, 'tsconfig.json'),
    join(ROOT, 'tsconfig.build.json'),
    join(MODULES, 'typescript', 'package.json'),
  ];
  return hashOf(list.flatMap((path) => [path.slice(ROOT.length), read(path)]));
}

/** @returns what tsc complains about; undefined when all is well. */
async function ensureBuilt() {
  const hash = sourceHash();
  if (read(BUILD_STAMP) === hash) return undefined;
  say('building…');
  rmSync(BUILD_STAMP, { force: true });
  const done = await run(process.execPath, [
    tool('typescript', 'tsc', await compilerFolder()),
    '-p',
    'tsconfig.build.json',
  ]);
  // What was deleted in cli/ must not live on.
  for (const path of files(DIST)) {
    const source = path.replace(DIST, join(ROOT, 'cli')).replace(/\.js(\.map)?$/, '.ts');
    if (/\.js(\.map)?$/.test(path) && !existsSync(source)) rmSync(path);
  }
  if (done.code !== 0) return done.output.trim();
  writeFileSync(BUILD_STAMP, hash);
  return undefined;
}

/**
 * Where TypeScript is whole. Its program for this platform is an optional package too: where those
 * are left out, it is fetched into a folder of its own.
 */
async function compilerFolder() {
  const platform = `@typescript/typescript-${process.platform}-${process.arch}`;
  const own = join(MODULES, '.cdc-compiler');
  const whole = [MODULES, join(own, 'node_modules')].find((at) => existsSync(join(at, platform)));
  if (whole !== undefined) return whole;
  const { version } = JSON.parse(read(join(MODULES, 'typescript', 'package.json')) ?? '{}');
  mkdirSync(own, { recursive: true });
  const options = ['--prefix', own, '--no-save', '--no-package-lock', '--include=optional'];
  const done = await npm('install', ...options, `typescript@${version}`);
  if (done.code !== 0) throw npmProblem(done);
  return join(own, 'node_modules');
}

/** The script of a package's command. */
function tool(name, command, modules = MODULES) {
  const { bin } = JSON.parse(read(join(modules, name, 'package.json')) ?? '{}');
  const path = typeof bin === 'string' ? bin : bin?.[command];
  if (path === undefined) {
    throw new Stop(
      EXIT.configuration,
      `The npm package ${name} is not installed.`,
      `${modules} is incomplete.`,
      'rm -rf node_modules && npm ci',
    );
  }
  return join(modules, name, path);
}

async function prepare(packages = {}) {
  let complaints;
  await withLock(async () => {
    await ensurePackages(packages);
    complaints = await ensureBuilt();
  });
  return complaints;
}

function buildProblem(complaints) {
  const shown = complaints.split('\n').slice(0, 5).join('\n');
  return new Stop(
    EXIT.bug,
    'cdc could not be built.',
    shown,
    'npm run check   # shows every complaint',
  );
}

/** Java and the jars, and what else tests need; the product prints its own problems. */
async function setUp(options = []) {
  const done = await run(process.execPath, [join(DIST, 'main.js'), 'setup', ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (done.code !== 0) process.exit(done.code);
  return done.output;
}

// --- verbs

async function start(args) {
  const complaints = await prepare();
  if (complaints !== undefined) throw buildProblem(complaints);
  await setUp();
  // What was just set up, also where Docker is there; a cdc.yaml may say otherwise.
  const asked = process.env.CDC_RUNTIME ?? (existsSync(join(ROOT, 'cdc.yaml')) ? '' : 'embedded');
  const done = await run(process.execPath, [join(DIST, 'main.js'), 'demo', ...args], {
    stdio: 'inherit',
    env: { CDC_RUNTIME: asked },
  });
  return done.code;
}

async function build() {
  const complaints = await prepare({ withoutOptional: true });
  if (complaints !== undefined) throw buildProblem(complaints);
  return 0;
}

const CHECKS = [
  { name: 'types', tool: ['typescript', 'tsc'], args: ['-p', 'tsconfig.json', '--noEmit'] },
  { name: 'biome', tool: ['@biomejs/biome', 'biome'], args: ['check', '.'] },
  { name: 'knip', tool: ['knip', 'knip'], args: ['--no-progress'] },
];

/** Checks and tests; the last line is the total. A check counts as one test. */
async function test(args) {
  // What tsc complains about is counted below, as the check of types.
  await prepare();
  await setUp(['--observers']);
  const total = { passed: 0, failed: 0 };
  for (const check of args.length === 0 ? CHECKS : []) {
    const done = await run(process.execPath, [tool(...check.tool), ...check.args]);
    total[done.code === 0 ? 'passed' : 'failed'] += 1;
    say(`${done.code === 0 ? '✔' : '✖'} ${check.name}`);
    if (done.code !== 0) say(done.output.trim());
  }
  if (args.length > 0) return sum(total, await vitest(args));
  // Most of a test is waiting, so those with stacks of their own are played beside those that share one.
  const counted = await Promise.all([
    vitest(['--project', 'unit', '--project', 'stack']),
    vitest(['--project', 'embedded']),
  ]);
  return counted.reduce(sum, total);
}

/** Vitest's own counts. */
async function vitest(args, env = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'cdc-test-'));
  const summary = join(folder, 'summary.json');
  try {
    const done = await run(process.execPath, [tool('vitest', 'vitest'), 'run', ...args], {
      stdio: 'inherit',
      env: { ...env, CDC_TEST_SUMMARY: summary },
    });
    const { passed, failed } = JSON.parse(read(summary) ?? '{"passed":0,"failed":0}');
    // Vitest can fail without a failed test: a set-up, a tear-down, no tests at all.
    return { passed, failed: failed === 0 && done.code !== 0 ? 1 : failed };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function sum(one, other) {
  return { passed: one.passed + other.passed, failed: one.failed + other.failed };
}

const ENGINE = join(ROOT, 'test', 'compose', 'engine.sh');

/** The suite of the compose runtime, on an engine and images that are made here: docs/testing.md. */
async function testCompose(args) {
  const complaints = await prepare();
  if (complaints !== undefined) throw buildProblem(complaints);
  const { jars } = JSON.parse((await setUp(['--json'])) || '{}');
  const engine = await run('bash', [ENGINE], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (engine.code !== 0) return { passed: 0, failed: 1 };
  const env = Object.fromEntries(
    engine.output
      .trim()
      .split('\n')
      .map((line) => line.split('=', 2)),
  );
  try {
    const script = join(ROOT, 'test', 'compose', 'stand-ins.sh');
    const images = await run('bash', [script, dirname(jars.kafka)], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env,
    });
    if (images.code !== 0) return { passed: 0, failed: 1 };
    const words = ['--config', 'vitest.compose.config.ts', ...args];
    return await vitest(words, { ...env, CDC_TEST_RUNTIME: 'compose' });
  } finally {
    if (process.env.CDC_TEST_DOCKER_HOST === undefined) await run('bash', [ENGINE, 'stop']);
  }
}

/**
 * What .ci/run plays in containers: what addresses, the agent's place, signals and kills make differ there.
 * The other files ask the same of the same servers; `npm run test:compose` plays all.
 */
const OTHER_IN_CONTAINERS = [
  '.compose.test.ts',
  ...['up', 'load', 'snapshot', 'slot', 'history', 'multiset'].map(
    (name) => `/${name}.stack.test.ts`,
  ),
];

/** With the compose runtime, as .ci/run has it: one total. */
async function testAll() {
  return sum(await test([]), await testCompose(OTHER_IN_CONTAINERS));
}

/** The last line; the exit code. */
async function told(counting) {
  const { passed, failed } = await counting;
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

const FUZZ_OPTIONS = {
  programs: { type: 'string', default: '200' },
  seed: { type: 'string' },
  only: { type: 'string' },
  shrink: { type: 'string' },
  followed: { type: 'boolean' },
};

/** The differential fuzzer for longer than in `npm test`: docs/testing.md. */
async function fuzz(args) {
  const { values } = fuzzOptions(args);
  // Bounded, so that it is short enough to be typed again.
  const seed = values.seed ?? String(Math.floor(Math.random() * 1e6));
  const told = {
    PROGRAMS: values.programs,
    SEED: seed,
    ONLY: values.only,
    SHRINK: values.shrink,
    FOLLOWED: values.followed ? '1' : undefined,
  };
  const env = Object.entries(told).flatMap(([key, value]) =>
    value === undefined ? [] : [[`CDC_FUZZ_${key}`, value]],
  );
  await prepare();
  await setUp();
  const words = [tool('vitest', 'vitest'), 'run', '--project', 'stack', 'test/fuzz.stack.test.ts'];
  const done = await run(process.execPath, [...words, '-t', 'after random programs'], {
    stdio: 'inherit',
    env: Object.fromEntries(env),
  });
  return done.code;
}

function fuzzOptions(args) {
  const example =
    'npm run fuzz -- --programs 1000 --seed 7   # or: --seed 7 --only 123 --shrink 600';
  try {
    const parsed = parseArgs({ args, options: FUZZ_OPTIONS });
    const { followed, ...numbers } = parsed.values;
    for (const [name, value] of Object.entries(numbers)) {
      const form = name === 'only' ? /^\d+(-\d+)?$/ : /^\d+$/;
      if (!form.test(value)) throw new TypeError(`--${name} takes a number, not "${value}".`);
    }
    return parsed;
  } catch (error) {
    throw new Stop(
      EXIT.usage,
      error.message,
      'It takes --programs, --seed, --only, --shrink, --followed.',
      example,
    );
  }
}

const VERBS = {
  start,
  test: (args) => told(args[0] === '--all' ? testAll() : test(args)),
  'test-compose': (args) => told(testCompose(args)),
  fuzz,
  build,
};

async function main() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < NODE_MINIMUM) {
    throw new Stop(
      EXIT.configuration,
      `Node.js ${NODE_MINIMUM} or newer is needed; this is ${process.versions.node}.`,
      'The PATH finds an older one.',
      'nvm install 22   # or from https://nodejs.org',
    );
  }
  const [verb = '', ...args] = process.argv.slice(2);
  if (!Object.hasOwn(VERBS, verb)) {
    throw new Stop(
      EXIT.usage,
      `There is no "${verb}" here.`,
      `It is one of ${Object.keys(VERBS).join(', ')}.`,
      'npm start',
    );
  }
  return VERBS[verb](args);
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof Stop)) throw error;
  const block = (label, text) =>
    text.split('\n').map((line, i) => `  ${i === 0 ? `${label}:`.padEnd(6) : '      '} ${line}`);
  say(
    [`✖ ${error.message}`, ...block('cause', error.causeText), ...block('fix', error.fix)].join(
      '\n',
    ),
  );
  process.exitCode = error.exit;
}
