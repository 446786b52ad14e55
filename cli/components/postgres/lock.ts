import { Problem } from '../../core/problems.ts';
import { WaitTimeout, waitFor } from '../../lib/wait.ts';
import type { PostgresEndpoint } from '../../stack/endpoints.ts';
import { connectPostgres } from './client.ts';

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
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  const client = await connectPostgres(endpoint);
  try {
    await waitFor('the lock of the publication', options, async () => {
      const taken = await client.query(
        "SELECT 1 WHERE pg_try_advisory_lock(hashtextextended('cdc ' || $1, 0))",
        [publication],
      );
      return taken.rowCount === 1 ? { ready: true } : { seen: `${publication} is taken` };
    });
    return await work();
  } catch (error) {
    if (!(error instanceof WaitTimeout)) throw error;
    throw new Problem('PIPELINE_BUSY', { publication, detail: error.message });
  } finally {
    await client.end();
  }
}
