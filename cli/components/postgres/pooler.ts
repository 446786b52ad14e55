import type pg from 'pg';
import { Problem } from '../../core/problems.ts';
import type { PostgresEndpoint } from '../../stack/endpoints.ts';
import { connectPostgres, driverError, endpointLabel } from './client.ts';

/** Refusals that are the server's own, of a role, of pg_hba.conf or for want of room: they tell of no pooler. */
const OF_THE_SERVER = new Set(['28000', '28P01', '42501', '53300', '55000']);

/**
 * A server tells every session the number of its process at the start. One that is told another does not speak with
 * the server itself. Then it is looked at what such a session cannot do; what only hands connections on, and what
 * numbers them anew, does all of it.
 *
 * Throws SOURCE_POOLER.
 */
export async function refusePooler(
  client: pg.ClientBase,
  endpoint: PostgresEndpoint,
): Promise<void> {
  const { rows } = await client.query<{ pid: string; server: string | null }>(
    "SELECT pg_backend_pid() AS pid, host(inet_server_addr()) || ':' || inet_server_port() AS server",
  );
  const pid = Number(rows[0]?.pid);
  if (pid === (client as { processID?: number | null }).processID) return;
  const said = (await replicationRefusal(endpoint)) ?? (await sharedSession(client, endpoint));
  if (said === undefined) return;
  const server = rows[0]?.server;
  const fix = server && {
    fix: `In cdc.yaml: source.url: postgres://${endpoint.user}@${server}/${endpoint.database}   # as the pooler reaches it`,
  };
  throw new Problem(
    'SOURCE_POOLER',
    { endpoint: endpointLabel(endpoint), detail: said },
    fix || {},
  );
}

/** What a connection that is to replicate is told; undefined when it can. */
async function replicationRefusal(endpoint: PostgresEndpoint): Promise<string | undefined> {
  try {
    const client = await connectPostgres(endpoint, { replication: 'database' });
    try {
      await client.query('IDENTIFY_SYSTEM');
    } finally {
      await client.end();
    }
    return undefined;
  } catch (error) {
    const { code, message } = driverError(error);
    if (code === undefined || OF_THE_SERVER.has(code)) return undefined;
    return `Of a connection that is to replicate it says: ${message}.`;
  }
}

/** Two connections that are open at once, and one process of the server for both. */
async function sharedSession(
  client: pg.ClientBase,
  endpoint: PostgresEndpoint,
): Promise<string | undefined> {
  const before = await processOf(client);
  const other = await connectPostgres(endpoint);
  try {
    await other.query('BEGIN');
    const theirs = await processOf(other);
    const now = await processOf(client);
    await other.query('ROLLBACK');
    return theirs === before || now !== before
      ? 'Connections that are open at once share a process of the server.'
      : undefined;
  } finally {
    await other.end();
  }
}

async function processOf(client: pg.ClientBase): Promise<string | undefined> {
  const { rows } = await client.query<{ pid: string }>('SELECT pg_backend_pid() AS pid');
  return rows[0]?.pid;
}
