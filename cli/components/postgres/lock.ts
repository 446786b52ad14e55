import type pg from 'pg';
import { Problem } from '../../core/problems.ts';
import { WaitTimeout, waitFor } from '../../lib/wait.ts';
import type { PostgresEndpoint } from '../../stack/endpoints.ts';
import { connectPostgres } from './client.ts';
import type { OnWait } from './transactions.ts';

/**
 * Does the work while no other cdc that uses this publication does its own, wherever that runs: an agent
 * in a container and a command on the machine see no lock file of each other's. The lock is a session's,
 * so that it goes with whoever holds it.
 *
 * Throws PIPELINE_BUSY when the other one does not end in time.
 */
export async function withPublicationLock<T>(
  endpoint: PostgresEndpoint,
  publication: string,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal; readonly onWait: OnWait },
  work: () => Promise<T>,
): Promise<T> {
  const client = await connectPostgres(endpoint);
  try {
    await waitFor('the lock of the publication', options, async () => {
      const taken = await client.query(
        "SELECT 1 WHERE pg_try_advisory_lock(hashtextextended('cdc ' || $1, 0))",
        [publication],
      );
      if (taken.rowCount === 1) return { ready: true };
      const whose = await lockHolder(client, publication);
      options.onWait(`waiting for ${whose}`);
      return { seen: whose };
    });
    return await work();
  } catch (error) {
    if (!(error instanceof WaitTimeout)) throw error;
    throw new Problem('PIPELINE_BUSY', { publication, detail: error.message });
  } finally {
    await client.end();
  }
}

/** Whose session holds the lock; its address is of the machine, or the container, that the other cdc runs on. */
async function lockHolder(client: pg.ClientBase, publication: string): Promise<string> {
  const { rows } = await client.query<{ holder: string }>(
    `SELECT 'pid ' || a.pid || ' of ' || coalesce(a.usename, '') || coalesce(' at ' || host(a.client_addr), '') || ', since ' || to_char(a.backend_start, 'HH24:MI:SS') || ' UTC' AS holder
       FROM pg_locks l JOIN pg_stat_activity a USING (pid),
            (SELECT hashtextextended('cdc ' || $1, 0) AS key) AS k
      WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
        AND l.classid::bigint = (k.key >> 32) & 4294967295 AND l.objid::bigint = k.key & 4294967295
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    [publication],
  );
  const holder = rows[0]?.holder;
  return `another cdc that works on publication ${publication}${holder ? ` (${holder})` : ''}`;
}
