import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tool } from './build.mjs';
import { readJson } from './files.mjs';
import { run } from './run.mjs';

/** @typedef {{ passed: number, failed: number }} Total */

/** @type {(...totals: readonly Total[]) => Total} */
export function sum(...totals) {
  return {
    passed: totals.reduce((all, { passed }) => all + passed, 0),
    failed: totals.reduce((all, { failed }) => all + failed, 0),
  };
}

/**
 * Vitest's own counts.
 * @param {readonly string[]} args
 * @param {Record<string, string>} [env]
 * @returns {Promise<Total>}
 */
export async function vitest(args, env = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'cdc-test-'));
  const summary = join(folder, 'summary.json');
  try {
    const done = await run(process.execPath, [tool('vitest', 'vitest'), 'run', ...args], {
      stdio: 'inherit',
      env: { ...env, CDC_TEST_SUMMARY: summary },
    });
    const { passed = 0, failed = 0 } = readJson(summary);
    // Vitest can fail without a failed test: a set-up, a tear-down, no tests at all.
    return { passed, failed: failed === 0 && done.code !== 0 ? 1 : failed };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
