#!/usr/bin/env node
/**
 * Compiles connectors/postgres-text, which needs a JDK and the jars of a stack (cdc up fetches them).
 * The jar is committed, so that only those who change the source need to; a test holds it fresh.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = join(dirname(fileURLToPath(import.meta.url)), '..', 'connectors', 'postgres-text');
const sources = readdirSync(folder, { recursive: true })
  .filter((name) => name.endsWith('.java'))
  .sort()
  .map((name) => join(folder, name));
const cache = process.env.CDC_CACHE ?? join(homedir(), '.cache', 'cdc');
const fetched = (name) => statSync(join(cache, name)).mtimeMs;
const [jars] = readdirSync(cache)
  .filter((name) => /^jars-[0-9a-f]+$/.test(name))
  .sort((a, b) => fetched(b) - fetched(a));
if (!jars) throw new Error(`no jars in ${cache}; run cdc up once`);

const work = mkdtempSync(join(tmpdir(), 'cdc-converter-'));
try {
  const classPath = join(cache, jars, 'plugins', 'debezium', '*');
  execFileSync(
    'javac',
    [
      '--release',
      '17',
      '-Xlint:all,-classfile',
      '-g:none',
      '-cp',
      classPath,
      '-d',
      work,
      ...sources,
    ],
    { stdio: 'inherit' },
  );
  const hash = createHash('sha256');
  for (const source of sources) hash.update(readFileSync(source));
  const digest = hash.digest('hex').slice(0, 32);
  const manifest = join(work, 'manifest');
  writeFileSync(manifest, `Source-Digest: ${digest}\n`);
  const jar = join(folder, 'cdc-postgres-text.jar');
  // Uncompressed and with a fixed date: the same source makes the same bytes.
  execFileSync('jar', [
    '-c',
    '-0',
    '--date=2026-01-01T00:00:00Z',
    '-f',
    jar,
    '-m',
    manifest,
    ...['cdc', 'io'].flatMap((name) => ['-C', work, name]),
  ]);
} finally {
  rmSync(work, { recursive: true, force: true });
}
