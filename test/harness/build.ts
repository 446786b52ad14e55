import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../cli/lib/packageRoot.ts';

/** Tests run the built product, as a user would. */
export async function setup(): Promise<void> {
  await promisify(execFile)(
    process.execPath,
    [join(packageRoot(), 'bin', 'bootstrap.mjs'), 'build'],
    { timeout: 600_000 },
  );
}
