import { describe, expect, it } from 'vitest';
import { GOLDEN_FILE, goldenText } from './harness/golden.ts';

describe('sql/clickhouse/inventory.sql', () => {
  it('is what the generator makes (npm run golden rewrites it)', async () => {
    await expect(goldenText()).toMatchFileSnapshot(GOLDEN_FILE);
  });
});
