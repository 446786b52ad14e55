import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FAULTS } from '../cli/chaos/faults/registry.ts';
import { packageRoot } from '../cli/lib/packageRoot.ts';
import { SERVER_NAMES } from '../cli/stack/endpoints.ts';

const names = FAULTS.map(({ name }) => name);

test('no two faults have the same name, and --faults can carry each', () => {
  expect(new Set(names).size).toBe(names.length);
  expect(names.filter((name) => !/^[a-z]+(-[a-z]+)*$/.test(name))).toEqual([]);
});

test('each server can be killed, frozen and ended in order', () => {
  for (const how of ['kill', 'freeze', 'restart'])
    for (const server of SERVER_NAMES) expect(names).toContain(`${how}-${server}`);
});

test('docs/reliability.md names every fault that any stack can have', () => {
  const text = readFileSync(join(packageRoot(), 'docs/reliability.md'), 'utf8');
  const isOfServer = (name: string) =>
    [...SERVER_NAMES, 'agent'].some((part) => name.endsWith(`-${part}`));
  const played = FAULTS.filter((fault) => fault.notHere === undefined && !isOfServer(fault.name));
  expect(played.filter(({ name }) => !text.includes(`\`${name}\``))).toEqual([]);
});
