import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hasNoJournal } from '../cli/runtimes/embedded/ext4Placement.ts';
import { eventually, stack } from './harness/database.ts';

test('parts are spread over the disk where the file system keeps no journal, and nowhere else', async () => {
  const store = join(stack().layout.data('clickhouse'), 'store');
  const spread = hasNoJournal(store);
  const unmarked = async () => {
    const folders = readdirSync(store).flatMap((prefix) =>
      readdirSync(join(store, prefix)).map((uuid) => join(store, prefix, uuid)),
    );
    // Where attributes are not known, lsattr says so and prints none.
    const { stdout } = spawnSync('lsattr', ['-d', ...folders], { encoding: 'utf8' });
    const marked = stdout.split('\n').filter((line) => line.split(' ')[0]?.includes('T'));
    return spread ? folders.length - marked.length : marked.length;
  };
  expect(readdirSync(store).length).toBeGreaterThan(5);
  await eventually('folders that are not as they should be', 0, unmarked);
});
