import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Reporter, SerializedError, TestModule, Vitest } from 'vitest/node';

/**
 * Counts for the last line of `npm test`. bin/bootstrap.mjs prints it, because it also counts the
 * checks and what fails after the last test; run by hand, the line comes from here.
 */
class TotalReporter implements Reporter {
  private filtered = false;

  onInit(vitest: Vitest): void {
    this.filtered = vitest.config.testNamePattern !== undefined;
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    let passed = 0;
    let failed = errors.length;
    for (const module of modules) {
      // A file that does not load has no tests; its error counts as one.
      failed += module.errors().length;
      for (const suite of module.children.allSuites()) failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') passed += 1;
        // Nothing skips here: a test that did not run did not pass.
        else if (!(this.filtered && state === 'skipped')) failed += 1;
      }
    }
    const file = process.env.CDC_TEST_SUMMARY;
    if (file) {
      writeFileSync(file, JSON.stringify({ passed, failed }));
      writeDurations(modules);
    } else process.stdout.write(`${passed} passed, ${failed} failed\n`);
    if (failed > 0) process.exitCode = 1;
  }
}

/** How long each file took, the longest first: test-results/durations/, by the projects that were played. */
function writeDurations(modules: readonly TestModule[]): void {
  const folder = join('test-results', 'durations');
  const projects = [...new Set(modules.map(({ project }) => project.name))].sort();
  const lines = modules
    .map((module) => ({
      file: module.relativeModuleId,
      ms: Math.round(module.diagnostic().duration),
    }))
    .sort((a, b) => b.ms - a.ms)
    .map(({ file, ms }) => `${ms}\t${file}\n`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${projects.join('+')}.tsv`), `duration_ms\tfile\n${lines.join('')}`);
}

// biome-ignore lint/style/noDefaultExport: vitest loads reporters by their default export
export default TotalReporter;
