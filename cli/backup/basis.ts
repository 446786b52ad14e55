import { join } from 'node:path';
import { withPostgres } from '../components/postgres/client.ts';
import { observeOwnership } from '../components/postgres/identity.ts';
import { type Manifest, newestBefore } from '../core/backups.ts';
import { parseLsn } from '../core/lsn.ts';
import { heartbeatOf } from '../core/names.ts';
import type { Stack } from '../pipeline/state/stack.ts';
import { withArchive } from './archive.ts';
import { archiveAndRelease, archiveSlot } from './postgres.ts';
import { requireChain, WAL } from './store.ts';
import { walSource } from './wal.ts';

/** The source that a backup is of. */
export interface Here {
  readonly pipeline: string;
  readonly source: string;
  readonly timeline: number | undefined;
  readonly version: string;
}

export async function sourceOf({ endpoints, names, config }: Stack): Promise<Here> {
  const { postgres } = endpoints;
  return withPostgres(postgres, async (client) => {
    const { source } = await observeOwnership(client, names, heartbeatOf(names.own).table);
    const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
    return {
      pipeline: config.name,
      source,
      timeline: postgres.managed ? (await walSource(client)).timeline : undefined,
      version: rows[0]?.server_version ?? '',
    };
  });
}

/** Brings the archive of the last chain up to date; says why that cannot be. */
export async function whyArchiveEnds(
  stack: Stack,
  target: string,
  all: readonly Manifest[],
): Promise<string | undefined> {
  const last = newestBefore(all);
  const full = last && requireChain(all, last)[0];
  if (!full?.postgres) return undefined;
  const { start } = full.postgres;
  try {
    await withArchive(target, () =>
      withPostgres(stack.endpoints.postgres, (client) =>
        archiveAndRelease(
          client,
          archiveSlot(stack.names),
          join(target, full.id, WAL),
          parseLsn(start),
        ),
      ),
    );
    return undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return 'PostgreSQL has WAL no more that the archive lacks';
  }
}
