import { expect, test } from 'vitest';
import { restartAfterMs } from '../../cli/core/backoff.ts';

test('a failed task is started again soon at first, then after n² + n minutes, and every 20 at least', () => {
  const waits = Array.from({ length: 10 }, (_, starts) => restartAfterMs(starts) / 1000);
  expect(waits).toEqual([0, 5, 15, 30, 60, 120, 360, 720, 1200, 1200]);
});
