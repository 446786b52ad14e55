import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../cli/lib/packageRoot.ts';

const folder = join(packageRoot(), 'connectors', 'postgres-text');

it('what stands beside Debezium was compiled from the sources beside it (npm run converter)', () => {
  const hash = createHash('sha256');
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  for (const name of names.filter((n) => n.endsWith('.java')).sort())
    hash.update(readFileSync(join(folder, name)));
  const digest = hash.digest('hex').slice(0, 32);
  // The jar is not compressed, so its manifest can be read as it stands.
  const jar = readFileSync(join(folder, 'cdc-postgres-text.jar'), 'latin1');
  expect(jar).toContain(`Source-Digest: ${digest}`);
});
