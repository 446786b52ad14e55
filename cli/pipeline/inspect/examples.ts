import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { withPostgres } from '../../components/postgres/client.ts';
import { Problem } from '../../core/problems.ts';
import { packageRoot } from '../../lib/packageRoot.ts';
import { WORKLOADS } from '../../workloads/registry.ts';
import type { Workload } from '../../workloads/workload.ts';
import type { Stack } from '../state/stack.ts';

/** The workload of that name, or a problem that lists what there is. */
export function findWorkload(name: string): Workload {
  const found = Object.hasOwn(WORKLOADS, name) ? WORKLOADS[name] : undefined;
  if (found) return found;
  throw new Problem('NAME_UNKNOWN', {
    kind: 'workload',
    name,
    known: Object.keys(WORKLOADS).join(', '),
    suggestion: 'cdc load inventory',
  });
}

/** Makes a workload's tables in the source; a second run changes nothing. */
export async function setupExample(stack: Stack, name: string): Promise<void> {
  const file = join(packageRoot(), 'sql', 'postgres', findWorkload(name).setupFile);
  await withPostgres(stack.endpoints.postgres, (client) =>
    client.query(readFileSync(file, 'utf8')),
  );
}
