import type pg from 'pg';

/** How long a transaction may go on after the signal before its connection is cut. */
const GRACE_MS = 1000;

/** Rows per statement. */
const STATEMENT_ROWS = 100;

/**
 * The tables start empty and grow fast, and PostgreSQL keeps the plan it made for a prepared
 * statement, or for the check of a foreign key, when they were small: a sequential scan that gets
 * slower with every row until the next ANALYZE. Every statement here finds its rows by a key, so
 * the plans that do not are ruled out. All of it is one round trip.
 */
const BEGIN = [
  'BEGIN',
  'SET LOCAL enable_seqscan = off',
  'SET LOCAL enable_hashjoin = off',
  'SET LOCAL enable_mergejoin = off',
].join('; ');

/** Runs `work` in a transaction; any exception rolls back. */
export async function inTransaction<T>(
  pool: pg.Pool,
  signal: AbortSignal,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await connect(pool, signal);
  let state: 'held' | 'broken' | 'released' = 'held';
  const release = () => {
    if (state === 'released') return;
    // The listener stays on a broken connection, which may report more than once.
    if (state === 'held') client.off('error', onError);
    client.release(state === 'broken');
    state = 'released';
  };
  // A connection that breaks also rejects the query under way, which is where it is handled;
  // without a listener the event would end the process.
  const onError = () => {
    if (state === 'held') state = 'broken';
  };
  let cut: NodeJS.Timeout | undefined;
  const onAbort = () => {
    cut = setTimeout(() => {
      onError();
      release();
    }, GRACE_MS);
  };
  client.on('error', onError);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await client.query(BEGIN);
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    if (state === 'held') await client.query('ROLLBACK').catch(onError);
    throw error;
  } finally {
    clearTimeout(cut);
    signal.removeEventListener('abort', onAbort);
    release();
  }
}

/** A connection, or the signal's reason as soon as it fires; a late connection goes back. */
async function connect(pool: pg.Pool, signal: AbortSignal): Promise<pg.PoolClient> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    pool.connect().then(
      (client) => {
        signal.removeEventListener('abort', onAbort);
        if (signal.aborted) client.release();
        else resolve(client);
      },
      (error: unknown) => {
        signal.removeEventListener('abort', onAbort);
        reject(error);
      },
    );
  });
}

/**
 * One named statement over arrays, prepared once per connection whatever the number of rows, in
 * portions of STATEMENT_ROWS. Each row is a tuple of the statement's parameters in order. Returns
 * how many rows the server changed.
 */
export async function overRows(
  client: pg.PoolClient,
  statement: { readonly name: string; readonly text: string },
  rows: readonly (readonly unknown[])[],
): Promise<number> {
  let changed = 0;
  for (let from = 0; from < rows.length; from += STATEMENT_ROWS) {
    const portion = rows.slice(from, from + STATEMENT_ROWS);
    const columns = (portion[0] ?? []).map((_, column) => portion.map((row) => row[column]));
    const result = await client.query({ ...statement, values: columns });
    changed += result.rowCount ?? 0;
  }
  return changed;
}
