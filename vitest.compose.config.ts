import { defineConfig } from 'vitest/config';

/** `npm run test:compose`: needs a Docker engine, which test/compose/engine.sh starts. */
export default defineConfig({
  test: {
    reporters: ['default', './test/harness/reporter.ts'],
    silent: 'passed-only',
    retry: 0,
    projects: [
      {
        test: {
          // What only containers have.
          name: 'compose',
          include: ['test/**/*.compose.test.ts'],
          testTimeout: 900_000,
          hookTimeout: 600_000,
          maxWorkers: 1,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          // The suite of the embedded runtime, on a stack in containers: CDC_TEST_RUNTIME says so.
          name: 'stack',
          include: ['test/**/*.stack.test.ts'],
          globalSetup: ['test/harness/stack.ts'],
          testTimeout: 900_000,
          hookTimeout: 600_000,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
