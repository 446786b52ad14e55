import { parseArgs } from 'node:util';
import { prepare, setUp, tool } from '../lib/build.mjs';
import { EXIT, Stop } from '../lib/problem.mjs';
import { run } from '../lib/run.mjs';

const FUZZ_OPTIONS = /** @type {const} */ ({
  programs: { type: 'string', default: '200' },
  seed: { type: 'string' },
  only: { type: 'string' },
  shrink: { type: 'string' },
  followed: { type: 'boolean' },
});

/**
 * The differential fuzzer for longer than in `npm test`: docs/testing.md.
 * @param {string[]} args
 */
export async function fuzz(args) {
  const { values } = fuzzOptions(args);
  // Bounded, so that it is short enough to be typed again.
  const seed = values.seed ?? String(Math.floor(Math.random() * 1e6));
  const told = {
    PROGRAMS: values.programs,
    SEED: seed,
    ONLY: values.only,
    SHRINK: values.shrink,
    FOLLOWED: values.followed ? '1' : undefined,
  };
  const env = Object.entries(told).flatMap(([key, value]) =>
    value === undefined ? [] : [[`CDC_FUZZ_${key}`, value]],
  );
  await prepare();
  await setUp();
  const words = [tool('vitest', 'vitest'), 'run', '--project', 'stack', 'test/fuzz.stack.test.ts'];
  const done = await run(process.execPath, [...words, '-t', 'after random programs'], {
    stdio: 'inherit',
    env: Object.fromEntries(env),
  });
  return done.code;
}

/** @param {string[]} args */
function fuzzOptions(args) {
  const example =
    'npm run fuzz -- --programs 1000 --seed 7   # or: --seed 7 --only 123 --shrink 600';
  try {
    const parsed = parseArgs({ args, options: FUZZ_OPTIONS });
    const { followed, ...numbers } = parsed.values;
    for (const [name, value] of Object.entries(numbers)) {
      const form = name === 'only' ? /^\d+(-\d+)?$/ : /^\d+$/;
      if (!form.test(value)) throw new TypeError(`--${name} takes a number, not "${value}".`);
    }
    return parsed;
  } catch (error) {
    throw new Stop(
      EXIT.usage,
      error instanceof Error ? error.message : String(error),
      'It takes --programs, --seed, --only, --shrink, --followed.',
      example,
    );
  }
}
