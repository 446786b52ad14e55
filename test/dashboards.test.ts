import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ALERT_NAMES, ALERTS, type AlertName } from '../cli/core/alerts.ts';
import { packageRoot } from '../cli/lib/packageRoot.ts';
import { mayBeEmpty } from '../grafana/src/all.ts';
import { asAlert, CLICKHOUSE, PROMETHEUS } from '../grafana/src/model.ts';
import { asSent, dashboards, panelsOf, queriesOf } from './harness/dashboards.ts';
import { unknownSeries } from './harness/promql.ts';

const all = dashboards().map((dashboard) => [dashboard.title, dashboard] as const);

it('there are four dashboards, each with an address of its own', () => {
  expect(all.map(([title]) => title).sort()).toEqual([
    'Alert Management',
    'Business Analytics',
    'CDC Pipeline Status',
    'Infrastructure Health',
  ]);
  expect(new Set(all.map(([, { uid }]) => uid)).size).toBe(4);
});

describe.each(all)('%s', (_title, dashboard) => {
  const shown = panelsOf(dashboard).filter((panel) => panel.type !== 'row');

  it('answers "is it healthy" in its first row', () => {
    const [first, next] = panelsOf(dashboard);
    expect([first?.type, first?.title]).toEqual(['row', 'Is it healthy']);
    expect(next?.type).toBe('stat');
    expect(next?.gridPos?.y).toBeLessThan(8);
  });

  it('says what each panel shows, and asks something', () => {
    for (const panel of shown.filter((one) => one.type !== 'text')) {
      expect(panel.description, panel.title).toMatch(/\.$/);
      const targets = panel.targets ?? [];
      expect(targets.length, panel.title).toBeGreaterThan(0);
      const letters = targets.map((_, i) => 'ABCDEF'[i]);
      expect(
        targets.map(({ refId }) => refId),
        panel.title,
      ).toEqual(letters);
      // Grafana asks the panel's data source, whatever its queries name.
      for (const target of targets) expect(target.datasource).toEqual(panel.datasource);
    }
  });

  it('numbers its panels', () => {
    const ids = panelsOf(dashboard).map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).not.toContain(undefined);
  });

  it('has panels that do not overlap, within 24 columns', () => {
    const cells = new Set<string>();
    for (const { gridPos, title } of panelsOf(dashboard)) {
      if (!gridPos) throw new Error(`${title} has no place`);
      const { x, y, w, h } = gridPos;
      expect(x + w, title).toBeLessThanOrEqual(24);
      for (let column = x; column < x + w; column += 1) {
        for (let line = y; line < y + h; line += 1) {
          expect(cells.has(`${column},${line}`), title).toBe(false);
          cells.add(`${column},${line}`);
        }
      }
    }
  });

  it('names only series of ours that exist, and variables that it has', () => {
    const known = dashboard.templating.list.map(({ name }) => name);
    for (const query of queriesOf(dashboard)) {
      expect(unknownSeries(query.text), query.where).toEqual([]);
      const variables = [...query.text.matchAll(/\$(?!__)\{?(\w+)/g)].map((match) => match[1]);
      for (const variable of variables) expect(known, query.where).toContain(variable);
      expect(asSent(query), query.where).not.toContain('$');
    }
  });

  it('links to runbooks of alerts that exist', () => {
    const links = shown.flatMap((panel) => panel.links ?? []);
    expect(links.length).toBeGreaterThan(0);
    for (const { url } of links) {
      const name = /^\$runbooks\/(\w+)$/.exec(url)?.[1];
      expect(ALERT_NAMES, url).toContain(name);
    }
  });
});

describe('together', () => {
  it('they link to the runbook of every alert', () => {
    const text = JSON.stringify(all);
    const missing = ALERT_NAMES.filter((name) => !text.includes(`$runbooks/${name}`));
    expect(missing).toEqual([]);
  });

  it('their thresholds are the alerts’', () => {
    const compared = ALERT_NAMES.filter((name) => ALERTS[name].threshold !== undefined);
    const shown = JSON.stringify(all.flatMap(([, dashboard]) => panelsOf(dashboard)));
    // Alerts about the pace of something that a panel shows as it is.
    const without: AlertName[] = ['CdcConsumerStuck'];
    for (const name of compared.filter((one) => !without.includes(one))) {
      const steps = asAlert(name).map(({ from, colour }) => ({ value: from, color: colour }));
      expect(shown.includes(JSON.stringify(steps)), name).toBe(true);
    }
  });

  it('what may be empty is asked somewhere', () => {
    const asked = new Set(all.flatMap(([, dashboard]) => queriesOf(dashboard)).map((q) => q.text));
    const declared = [...mayBeEmpty().keys()];
    expect(declared.length).toBeGreaterThan(0);
    expect(declared.filter((text) => !asked.has(text))).toEqual([]);
  });

  it('they ask the data sources that are provisioned', () => {
    const file = join(packageRoot(), 'grafana', 'provisioning', 'datasources', 'cdc.yml');
    const { datasources } = parse(readFileSync(file, 'utf8')) as {
      datasources: { uid: string; type: string }[];
    };
    expect(datasources.map(({ uid, type }) => ({ type, uid }))).toEqual([PROMETHEUS, CLICKHOUSE]);
  });
});
