import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { ROOT } from './files.mjs';

/** @typedef {{ code: number, output: string }} Ran */

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();
/** @type {NodeJS.Signals | undefined} */
let signalled;
for (const name of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(name, () => {
    signalled = name;
    // The terminal sends SIGINT to the whole group already; a second one would mean "now".
    if (name === 'SIGINT' && process.stdin.isTTY) return;
    for (const child of children) child.kill(name);
  });
}

/** Ends this process when a signal has come. */
export function heed() {
  if (signalled) process.exit(130);
}

/**
 * Runs a program to its end; `output` is empty where the streams are inherited.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ stdio?: import('node:child_process').StdioOptions, env?: Record<string, string> }} [options]
 * @returns {Promise<Ran>}
 */
export async function run(command, args, { stdio = 'pipe', env = {} } = {}) {
  /** @type {Ran} */
  const result = await new Promise((resolve, reject) => {
    let output = '';
    const child = spawn(command, args, { cwd: ROOT, stdio, env: { ...process.env, ...env } });
    children.add(child);
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk) => {
        output += chunk;
      });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      children.delete(child);
      resolve({ code: code ?? 128 + (signal ? constants.signals[signal] : 0), output });
    });
  });
  if (stdio !== 'inherit') heed();
  return result;
}
