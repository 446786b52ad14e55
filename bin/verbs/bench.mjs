import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildProblem, prepare, setUp } from '../lib/build.mjs';
import { DIST, ROOT } from '../lib/files.mjs';
import { EXIT, Stop, say } from '../lib/problem.mjs';
import { run } from '../lib/run.mjs';

const RESULTS = join(ROOT, 'bench', 'results');
const SCENARIOS = 'idle,latency,throughput,stages,load,query,limits';
const SIZES = {
  quick: ['--backlog', '100000', '--rows', '1000000', '--seconds', '10'],
  full: ['--backlog', '400000', '--rows', '3000000', '--seconds', '30'],
};

/**
 * `cdc bench` on a stack of its own, which is gone afterwards; its figures stay in `bench/results`, by date, and the
 * pictures in docs/performance.md are drawn from them (`npm run generate`).
 * @param {string[]} args
 */
export async function bench(args) {
  const size = sizeIn(args);
  const complaints = await prepare();
  if (complaints !== undefined) throw buildProblem(complaints);
  await setUp();
  const folder = mkdtempSync(join(tmpdir(), 'cdc-bench-'));
  const config = join(folder, 'cdc.yaml');
  writeFileSync(config, 'ports: auto\nobservability: off\n');
  mkdirSync(RESULTS, { recursive: true });
  const day = new Date().toISOString().slice(0, 10);
  const file = join(RESULTS, `${day}-${size}.json`);
  try {
    const up = await cdc(['up', '--config', config], 'inherit');
    if (up !== 0) return up;
    const output = openSync(file, 'w');
    const options = ['--json', '--scenarios', SCENARIOS, ...SIZES[size]];
    const code = await cdc(
      ['bench', '--config', config, ...options],
      ['ignore', output, 'inherit'],
    );
    closeSync(output);
    if (code !== 0) {
      say(readFileSync(file, 'utf8'));
      rmSync(file);
      return code;
    }
    const head = await run('git', ['rev-parse', '--short', 'HEAD']);
    const commit = head.code === 0 ? head.output.trim() : undefined;
    const report = { commit, ...JSON.parse(readFileSync(file, 'utf8')) };
    report.measures.push(await startup(config));
    writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`);
    say(`wrote ${file}`);
    return 0;
  } finally {
    await cdc(['down', '--delete-data', '--config', config], 'ignore');
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * What nothing on a stack that runs can measure: how long it takes to be one.
 * @param {string} config
 */
async function startup(config) {
  await cdc(['down', '--config', config], 'ignore');
  const startedAtMs = performance.now();
  const code = await cdc(['up', '--config', config], 'ignore');
  if (code !== 0) throw new Error(`cdc up ended with ${code}`);
  return {
    scenario: 'startup',
    measure: 'up',
    value: Math.round((performance.now() - startedAtMs) / 100) / 10,
    unit: 's',
    better: 'less',
    on: 'a stack with data, until a heartbeat row has crossed',
  };
}

/**
 * @param {readonly string[]} args
 * @param {import('node:child_process').StdioOptions} stdio
 */
async function cdc(args, stdio) {
  return (await run(process.execPath, [join(DIST, 'main.js'), ...args], { stdio })).code;
}

/** @param {string[]} args */
function sizeIn(args) {
  try {
    const { values } = parseArgs({ args, options: { quick: { type: 'boolean' } } });
    return values.quick ? 'quick' : 'full';
  } catch (error) {
    throw new Stop(
      EXIT.usage,
      error instanceof Error ? error.message : String(error),
      'It takes --quick, for less than five minutes, or nothing.',
      'npm run bench -- --quick',
    );
  }
}
