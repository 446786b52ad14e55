import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ruleFiles } from '../cli/core/rules.ts';
import { packageRoot } from '../cli/lib/packageRoot.ts';
import { dashboardFiles } from '../grafana/src/all.ts';
import { GOLDEN_FILE, goldenText } from './harness/golden.ts';

describe('sql/clickhouse/inventory.sql', () => {
  it('is what the generator makes (npm run generate rewrites it)', async () => {
    await expect(goldenText()).toMatchFileSnapshot(GOLDEN_FILE);
  });

  describe('prometheus/rules/', () => {
    it.each(Object.entries(ruleFiles()))(
      '%s is what cli/core/alerts.ts says (npm run generate rewrites it)',
      async (name, text) => {
        await expect(text).toMatchFileSnapshot(join(packageRoot(), 'prometheus', 'rules', name));
      },
    );
  });
});

describe('grafana/dashboards/', () => {
  it.each(Object.entries(dashboardFiles()))(
    '%s is what grafana/src makes (npm run generate rewrites it)',
    async (name, text) => {
      await expect(text).toMatchFileSnapshot(join(packageRoot(), 'grafana', 'dashboards', name));
    },
  );
});
