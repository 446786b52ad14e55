#!/usr/bin/env node
/**
 * What `npm start`, `npm test`, `npm run fuzz` and `npm run bench` run: installs and builds what is missing or stale, then hands
 * over to the product. Plain JavaScript without dependencies, since it runs before there are any; tsc checks it.
 */
import { EXIT, explain, Stop } from './lib/problem.mjs';
import { bench } from './verbs/bench.mjs';
import { fuzz } from './verbs/fuzz.mjs';
import { build, start } from './verbs/start.mjs';
import { test, testCompose } from './verbs/test.mjs';

const NODE_MINIMUM = 20;

/** @type {Record<string, (args: string[]) => Promise<number>>} */
const VERBS = { start, test, 'test-compose': testCompose, fuzz, bench, build };

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
  const named = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
  if (named === undefined) {
    throw new Stop(
      EXIT.usage,
      `There is no "${verb}" here.`,
      `It is one of ${Object.keys(VERBS).join(', ')}.`,
      'npm start',
    );
  }
  return named(args);
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof Stop)) throw error;
  explain(error);
  process.exitCode = error.exit;
}
