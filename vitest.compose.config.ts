import { defineConfig } from 'vitest/config';

/** `npm run test:compose`: needs a Docker engine, which test/compose/engine.sh starts. */
export default defineConfig({
  test: {
    reporters: ['default', './test/harness/reporter.ts'],
    silent: 'passed-only',
    retry: 0,
    include: ['test/**/*.compose.test.ts'],
    testTimeout: 240_000,
    hookTimeout: 400_000,
    maxWorkers: 1,
    fileParallelism: false,
  },
});
