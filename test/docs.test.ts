import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { ALERT_NAMES, runbookPath } from '../cli/core/alerts.ts';
import { packageRoot } from '../cli/lib/packageRoot.ts';
import { generatedDocs, readDoc, writeDocs } from './harness/docs.ts';

// `npm run generate` rewrites what is generated.
if (process.env.UPDATE_DOCS === '1') writeDocs();

test.each(Object.entries(generatedDocs()))(
  '%s is what the code says (npm run generate rewrites it)',
  (path, text) => {
    expect(readDoc(path)).toBe(text);
  },
);

const root = packageRoot();
const tracked = (folder: string, ends: RegExp) =>
  readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && ends.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
const FOLDERS = [
  '.ci',
  '.github',
  'bin',
  'cli',
  'connectors',
  'docs',
  'grafana',
  'prometheus',
  'sql',
  'test',
];
const files = [...readdirSync(root), ...FOLDERS.flatMap((folder) => tracked(folder, /./))];
const documents = files.filter((path) => path.endsWith('.md'));
const textOf = (path: string) => readFileSync(join(root, path), 'utf8');
/** What users have, and no file of the project is. */
const THEIRS = /^(cdc\.yaml|docker-compose\.override\.yml|\.cdc\/.*)$/;

const isNamed = (name: string) => {
  const pattern = name.split('*').map((part) => part.replaceAll(/[.\\+?^$()[\]{}|]/g, '\\$&'));
  const ends = new RegExp(`(^|/)${pattern.join('[^/]*')}$`);
  return files.filter((path) => ends.test(path));
};

test.each(documents)('%s names files, links and symbols that exist', (file) => {
  const text = textOf(file);
  const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map((m) => join(dirname(file), m[1] ?? ''));
  expect(links.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  const names = [
    ...text.matchAll(/`([\w@./*-]*[\w*]\.(?:ts|mjs|java|sh|ya?ml|json|md|xml|sql|jar))`/g),
  ]
    .map((m) => m[1] ?? '')
    .filter((name) => !THEIRS.test(name));
  expect(names.filter((name) => isNamed(name).length === 0)).toEqual([]);
  const symbols = [...text.matchAll(/`(\w+)` in `([\w./-]+\.(?:ts|java))`/g)];
  const absent = symbols.filter(
    ([, symbol = '', name = '']) =>
      !isNamed(name).some((path) => new RegExp(`\\b${symbol}\\b`).test(textOf(path))),
  );
  expect(absent.map(([whole]) => whole)).toEqual([]);
});

test('every alert has its runbook', () => {
  expect(ALERT_NAMES.map(runbookPath).filter((path) => !files.includes(path))).toEqual([]);
});
