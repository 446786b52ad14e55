import { dirname, join } from 'node:path';
import { buildProblem, prepare, setUp, tool } from '../lib/build.mjs';
import { ROOT } from '../lib/files.mjs';
import { say } from '../lib/problem.mjs';
import { run } from '../lib/run.mjs';
import { sum, vitest } from '../lib/vitest.mjs';

/** @typedef {import('../lib/vitest.mjs').Total} Total */

/** @type {readonly { name: string, tool: [string, string], args: readonly string[] }[]} */
const CHECKS = [
  { name: 'types', tool: ['typescript', 'tsc'], args: ['-p', 'tsconfig.json', '--noEmit'] },
  { name: 'biome', tool: ['@biomejs/biome', 'biome'], args: ['check', '.'] },
  { name: 'knip', tool: ['knip', 'knip'], args: ['--no-progress'] },
];

const ENGINE = join(ROOT, 'test', 'compose', 'engine.sh');

/** What containers alone have, and a run of the whole: what `--containers` plays of the suite that `--all` plays. */
const MOSTLY_CONTAINERS = ['.compose.test.ts', '/up.stack.test.ts'];

/** Files that share a stack, too, and are played on one of their own after the embedded ones: both queues then end together. */
const ASIDE = ['snapshot.stack.test.ts', 'multiset.stack.test.ts'];

/**
 * How much is played beside what every change has to pass.
 * @type {Readonly<Record<string, { containers: readonly string[], long: boolean }>>}
 */
const MORE = {
  '--containers': { containers: MOSTLY_CONTAINERS, long: false },
  '--all': { containers: [], long: true },
};

/**
 * Checks and tests; the last line is the total. A check counts as one test.
 * @param {readonly string[]} args `--containers`: with the compose runtime, as .ci/run has it; `--all`: with what takes
 *   long, too. Else for vitest.
 */
export async function test(args) {
  const more = MORE[args[0] ?? ''];
  if (args.length > 0 && more === undefined) {
    await prepareTests();
    return told(await vitest(args));
  }
  await prepareTests();
  const checked = await check();
  // Most of a test is waiting: what has stacks of its own is played beside what shares one.
  const excluded = ASIDE.flatMap((file) => ['--exclude', `**/${file}`]);
  const lanes = await Promise.all([
    vitest(['--project', 'unit', '--project', 'stack', ...excluded]),
    aside(more),
  ]);
  return told(sum(checked, ...lanes));
}

/** @param {typeof MORE[string] | undefined} more */
async function aside(more) {
  const projects = ['embedded', ...(more?.long ? ['long'] : [])];
  const embedded = await vitest(projects.flatMap((name) => ['--project', name]));
  const shared = await vitest(['--project', 'stack', ...ASIDE]);
  const containers = more === undefined ? [] : [await inContainers(more.containers)];
  return sum(embedded, shared, ...containers);
}

async function prepareTests() {
  // What tsc complains about is counted as the check of types.
  await prepare();
  await setUp(['--observers', '--jdk']);
}

async function check() {
  const total = { passed: 0, failed: 0 };
  for (const { name, tool: of, args } of CHECKS) {
    const done = await run(process.execPath, [tool(...of), ...args]);
    total[done.code === 0 ? 'passed' : 'failed'] += 1;
    say(`${done.code === 0 ? '✔' : '✖'} ${name}`);
    if (done.code !== 0) say(done.output.trim());
  }
  return total;
}

/** @param {readonly string[]} args for vitest */
export async function testCompose(args) {
  const complaints = await prepare();
  if (complaints !== undefined) throw buildProblem(complaints);
  return told(await inContainers(args));
}

/**
 * The suite of the compose runtime, on an engine and images that are made here: docs/testing.md.
 * @param {readonly string[]} args
 * @returns {Promise<Total>}
 */
async function inContainers(args) {
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
 * The last line; the exit code.
 * @param {Total} total
 */
function told({ passed, failed }) {
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}
