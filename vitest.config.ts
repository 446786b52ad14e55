import { defineConfig } from 'vitest/config';

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
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.{stack,embedded,compose}.test.ts'],
          // Laws are tried hundreds of times; a busy machine takes its time.
          testTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          // One stack for all, booted once; tests own their schema in it and run one by one.
          name: 'stack',
          include: ['test/**/*.{stack,embedded}.test.ts'],
          globalSetup: ['test/harness/stack.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
