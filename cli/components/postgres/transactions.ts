import type pg from 'pg';
import { formatSeconds } from '../../lib/format.ts';

/** Told after a second, and then now and then, whose transactions are waited for. */
export type OnWait = (text: string) => void;

const TELL_AFTER_MS = 1000;
const TELL_EVERY_MS = 10_000;

/**
 * For what waits until transactions that have written have ended: what to say that it sees, at each look. Now and then
 * it is whose they are, which is told, too.
 */
export function holderWatch(
  client: pg.ClientBase,
  tell: (holder: string) => void,
): (otherwise: string) => Promise<string> {
  let tellAtMs = performance.now() + TELL_AFTER_MS;
  return async (otherwise) => {
    if (performance.now() < tellAtMs) return otherwise;
    tellAtMs = performance.now() + TELL_EVERY_MS;
    const [first, ...more] = await openTransactions(client);
    if (first === undefined) return otherwise;
    const holder = more.length === 0 ? first : `${first}, and ${more.length} more`;
    tell(holder);
    return holder;
  };
}

/** Whose each open or prepared transaction is that has written, and since when; the oldest first. */
async function openTransactions(client: pg.ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ label: string; age_ms: string }>(
    `SELECT 'pid ' || pid || ' of ' || coalesce(usename, '') || coalesce(' (' || nullif(application_name, '') || ')', '') AS label,
            (extract(epoch FROM clock_timestamp() - xact_start) * 1000)::bigint AS age_ms
       FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
     UNION ALL
     SELECT 'prepared transaction ' || gid || ' of ' || owner,
            (extract(epoch FROM clock_timestamp() - prepared) * 1000)::bigint FROM pg_prepared_xacts
      ORDER BY age_ms DESC`,
  );
  return rows.map(({ label, age_ms }) => `${label}, for ${formatSeconds(Number(age_ms) / 1000)}`);
}
