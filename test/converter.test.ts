import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../cli/lib/packageRoot.ts';

const folder = join(packageRoot(), 'connectors', 'postgres-text');

it('the converter was compiled from the source beside it (npm run converter)', () => {
  const source = readFileSync(join(folder, 'cdc', 'PostgresText.java'));
  const digest = createHash('sha256').update(source).digest('hex').slice(0, 32);
  // The jar is not compressed, so its manifest can be read as it stands.
  const jar = readFileSync(join(folder, 'postgres-text.jar'), 'latin1');
  expect(jar).toContain(`Source-Digest: ${digest}`);
});
