import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../cli/lib/packageRoot.ts';

const folder = join(packageRoot(), 'connectors', 'postgres-text');

describe('what stands beside Debezium', () => {
  it('was compiled from the sources beside it (npm run converter)', () => {
    const hash = createHash('sha256');
    const source = join(folder, 'src', 'main');
    const entries = readdirSync(source, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    for (const path of files.map((entry) => join(entry.parentPath, entry.name)).sort())
      hash.update(readFileSync(path));
    const digest = hash.digest('hex').slice(0, 32);
    // The jar is not compressed, so its manifest can be read as it stands.
    const jar = readFileSync(join(folder, 'cdc-postgres-text.jar'), 'latin1');
    expect(jar).toContain(`Source-Digest: ${digest}`);
  });

  it('passes its own tests, and compiles to the classes of the committed jar', async () => {
    const script = join(packageRoot(), 'bin', 'build-converter.mjs');
    // What it prints when it fails is part of the error.
    const { stdout } = await promisify(execFile)(process.execPath, [script, '--check']).catch(
      ({ stdout, stderr }) => expect.fail(`${stdout}${stderr}`),
    );
    expect(stdout).toMatch(/^\[INFO\] Tests run: \d{3,}, Failures: 0, Errors: 0, Skipped: 0$/m);
    // Of another javac than the jar's they are not compared (docs/testing.md).
    expect(stdout).toMatch(/the same: \d+ files|not compared: /);
    // Maven fetches its plugins and JUnit when it runs for the first time.
  }, 300_000);
});
