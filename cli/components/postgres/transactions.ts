import type pg from 'pg';
import { formatSeconds } from '../../lib/format.ts';
import { pgLiteral } from '../../lib/sql.ts';

/** Told after a second, and then now and then, whose transactions are waited for. */
export type OnWait = (text: string) => void;

export const TELL_AFTER_MS = 1000;
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
    const holder = more.length === 0 ? first.label : `${first.label}, and ${more.length} more`;
    tell(holder);
    return holder;
  };
}

/**
 * For a statement that may wait for a lock: what to say that it sees, at each look. Now and then it is looked whose the
 * lock is, which is told, too.
 */
export function blockerWatch(
  client: pg.ClientBase,
  tell: (blocker: string) => void,
): (pid: number) => Promise<string> {
  let tellAtMs = performance.now() + TELL_AFTER_MS;
  return async (pid) => {
    if (performance.now() < tellAtMs) return 'it runs';
    tellAtMs = performance.now() + TELL_EVERY_MS;
    const { rows } = await client.query<{ label: string; age_ms: string }>(
      `SELECT ${WHOSE} AS label, ${AGE_MS} AS age_ms FROM pg_stat_activity
        WHERE pid = ANY (pg_blocking_pids($1)) ORDER BY xact_start`,
      [pid],
    );
    const [first, ...more] = rows;
    if (!first) return 'it runs';
    const age = first.age_ms ? `, for ${formatSeconds(Number(first.age_ms) / 1000)}` : '';
    const blocker = `a lock of ${first.label}${age}${more.length === 0 ? '' : `, and ${more.length} more`}`;
    tell(blocker);
    return blocker;
  };
}

/** A session as people know it, and since when its transaction is open; of pg_stat_activity. */
const WHOSE =
  "'pid ' || pid || ' of ' || coalesce(usename, '') || coalesce(' (' || nullif(application_name, '') || ')', '')";
const AGE_MS = '(extract(epoch FROM clock_timestamp() - xact_start) * 1000)::bigint';

/** A transaction that has written and has not ended; a prepared one outlives its session. */
export interface Holder {
  /** Whose it is, and since when. */
  readonly label: string;
  readonly ageMs: number;
  /** What ends it. */
  readonly end: string;
}

/** Every open or prepared transaction that has written; the oldest first. */
export async function openTransactions(client: pg.ClientBase): Promise<Holder[]> {
  const { rows } = await client.query<{ label: string; age_ms: string; pid: string; gid: string }>(
    `SELECT ${WHOSE} AS label, ${AGE_MS} AS age_ms, pid, NULL AS gid
       FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
     UNION ALL
     SELECT 'prepared transaction ' || gid || ' of ' || owner || ' in database ' || database,
            (extract(epoch FROM clock_timestamp() - prepared) * 1000)::bigint, NULL, gid FROM pg_prepared_xacts
      ORDER BY age_ms DESC`,
  );
  return rows.map(({ label, age_ms, pid, gid }) => ({
    label: `${label}, for ${formatSeconds(Number(age_ms) / 1000)}`,
    ageMs: Number(age_ms),
    end: pid
      ? `SELECT pg_terminate_backend(${pid});`
      : `ROLLBACK PREPARED ${pgLiteral(gid)};  -- or COMMIT PREPARED, in that database`,
  }));
}
