import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { ALERT_NAMES, runbookPath } from '../cli/core/alerts.ts';
import { packageRoot } from '../cli/lib/packageRoot.ts';
import { generatedDocs, readDoc, writeDocs } from './harness/docs.ts';

// `npm run docs` rewrites what is generated.
if (process.env.UPDATE_DOCS === '1') writeDocs();

test.each(Object.entries(generatedDocs()))(
  '%s is what the code says (npm run docs rewrites it)',
  (path, text) => {
    expect(readDoc(path)).toBe(text);
  },
);

test('every link and every test that a document names exists', () => {
  for (const file of [
    'README.md',
    'ARCHITECTURE.md',
    'CHANGELOG.md',
    'docs/performance.md',
    'docs/history.md',
    'docs/aggregates.md',
    'docs/alerts.md',
    'docs/database-gui.md',
    'docs/kafka-engine.md',
    'docs/metrics.md',
    'docs/observability.md',
    'docs/setup.md',
    'docs/troubleshooting.md',
    ...ALERT_NAMES.map(runbookPath),
  ]) {
    const text = readFileSync(join(packageRoot(), file), 'utf8');
    const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map((m) =>
      join(dirname(file), m[1] ?? ''),
    );
    const tests = [...text.matchAll(/`(test\/[\w./-]+\.ts)`/g)].map((m) => m[1] ?? '');
    for (const path of [...links, ...tests]) {
      expect(existsSync(join(packageRoot(), path)), `${file} names ${path}`).toBe(true);
    }
  }
});
