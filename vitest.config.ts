import { defineConfig } from 'vitest/config';

/** What it looks at is the stack that all share. */
const PARTS = 'test/parts.embedded.test.ts';

export default defineConfig({
  test: {
    reporters: ['default', './test/harness/reporter.ts'],
    // Tests that pass have nothing to say.
    silent: 'passed-only',
    retry: 0,
    projects: [
      {
        test: {
          name: 'unit',
          isolate: false,
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.{stack,embedded,long,compose}.test.ts'],
          // Laws are tried hundreds of times; a busy machine takes its time.
          testTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          // One stack for all, booted once; tests own their schema in it and run one by one. A wait fails by its own
          // deadline and says what it saw; that of a test is for what hangs.
          name: 'stack',
          isolate: false,
          include: ['test/**/*.stack.test.ts', PARTS],
          globalSetup: ['test/harness/stack.ts'],
          testTimeout: 900_000,
          hookTimeout: 600_000,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          // Each file has a stack of its own; `npm test` plays them beside the others.
          name: 'embedded',
          isolate: false,
          include: ['test/**/*.embedded.test.ts'],
          exclude: [PARTS],
          globalSetup: ['test/harness/build.ts'],
          testTimeout: 900_000,
          hookTimeout: 600_000,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          // Stacks of their own, for more minutes than every change can wait: `npm test -- --all` has them.
          name: 'long',
          isolate: false,
          include: ['test/**/*.long.test.ts'],
          globalSetup: ['test/harness/build.ts'],
          testTimeout: 900_000,
          hookTimeout: 600_000,
          maxWorkers: 1,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
