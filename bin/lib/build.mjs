import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DIST, filesIn, hashOf, MODULES, ROOT, read, readJson } from './files.mjs';
import { withLock } from './lock.mjs';
import { ensurePackages, npm, npmProblem } from './packages.mjs';
import { EXIT, Stop, say } from './problem.mjs';
import { run } from './run.mjs';

const BUILD_STAMP = join(DIST, '.stamp');

function sourceHash() {
  const list = [
    ...filesIn(join(ROOT, 'cli')),
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
  for (const path of filesIn(DIST)) {
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
  const { version } = readJson(join(MODULES, 'typescript', 'package.json'));
  mkdirSync(own, { recursive: true });
  const options = ['--prefix', own, '--no-save', '--no-package-lock', '--include=optional'];
  const done = await npm('install', ...options, `typescript@${version}`);
  if (done.code !== 0) throw npmProblem(done);
  return join(own, 'node_modules');
}

/**
 * The script of a package's command.
 * @type {(name: string, command: string, modules?: string) => string}
 */
export function tool(name, command, modules = MODULES) {
  const { bin } = readJson(join(modules, name, 'package.json'));
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

export async function prepare(packages = {}) {
  let complaints;
  await withLock(async () => {
    await ensurePackages(packages);
    complaints = await ensureBuilt();
  });
  return complaints;
}

/** @param {string} complaints */
export function buildProblem(complaints) {
  const shown = complaints.split('\n').slice(0, 5).join('\n');
  return new Stop(
    EXIT.bug,
    'cdc could not be built.',
    shown,
    'npm run check   # shows every complaint',
  );
}

/**
 * Java and the jars, and what else tests need; the product prints its own problems.
 * @param {readonly string[]} options
 */
export async function setUp(options = []) {
  const done = await run(process.execPath, [join(DIST, 'main.js'), 'setup', ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (done.code !== 0) process.exit(done.code);
  return done.output;
}
