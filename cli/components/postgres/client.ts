import pg from 'pg';
import { Problem } from '../../core/problems.ts';
import { tlsFault, tlsWanted } from '../../core/tlsProblems.ts';
import { tlsOptions } from '../../lib/tls.ts';
import type { PostgresEndpoint } from '../../stack/endpoints.ts';

const { Client, Pool } = pg;

/** Values stay the text that PostgreSQL sends: exact, and equal for every client. */
const AS_TEXT: pg.CustomTypesConfig = { getTypeParser: () => (value: unknown) => value } as never;

/** Session settings under which every text that PostgreSQL prints has one form, and nothing is ended. */
const SESSION = [
  "SET DateStyle = 'ISO, MDY'",
  "SET IntervalStyle = 'postgres'",
  "SET TimeZone = 'UTC'",
  'SET extra_float_digits = 1',
  "SET bytea_output = 'hex'",
  // What is set for the application's role or database must not end work of ours; older servers know fewer.
  `SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings
    WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')`,
].join('; ');

type Tls = pg.ClientConfig['ssl'];

function options(endpoint: PostgresEndpoint, ssl: Tls): pg.ClientConfig {
  return {
    host: endpoint.host,
    port: endpoint.port,
    user: endpoint.user,
    password: endpoint.password,
    database: endpoint.database,
    application_name: 'cdc',
    connectionTimeoutMillis: 10_000,
    // A network that drops a connection without a word is noticed by 10 probes a second apart, where nothing is on its way.
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
    ssl,
  };
}

/** What is tried for a connection, in libpq's order: https://www.postgresql.org/docs/current/libpq-ssl.html */
function tlsAttempts({ sslmode, tls, managed }: PostgresEndpoint): readonly Tls[] {
  if (managed || sslmode === 'disable') return [false];
  const unverified = tlsOptions(tls, 'none');
  switch (sslmode) {
    case 'allow':
      return [false, unverified];
    case 'require':
      // As libpq does where there is a CA to ask.
      return [tls.ca === undefined ? unverified : tlsOptions(tls, 'ca')];
    case 'verify-ca':
      return [tlsOptions(tls, 'ca')];
    case 'verify-full':
      return [tlsOptions(tls, 'full')];
    default:
      return [unverified, false];
  }
}

/** Which attempt a server took, so that each later connection to it is one. */
const taken = new Map<string, number>();

/** Whether a server may take a connection that is encrypted otherwise. */
function isAboutTls(error: unknown): boolean {
  const { code, message = '' } = error as { code?: string; message?: string };
  return code === '28000' || /SSL|TLS|wrong version number/i.test(message);
}

async function connected(
  endpoint: PostgresEndpoint,
  more: pg.ClientConfig,
  prepare: (client: pg.Client) => Promise<unknown>,
): Promise<pg.Client> {
  const attempts = tlsAttempts(endpoint);
  const label = endpointLabel(endpoint);
  let first: unknown;
  for (let i = taken.get(label) ?? 0; ; i++) {
    const client = new Client({ ...options(endpoint, attempts[i]), ...more });
    // Without a listener a connection that breaks while idle would end the process.
    client.on('error', () => {});
    try {
      await client.connect();
      await prepare(client);
      taken.set(label, i);
      return client;
    } catch (error) {
      await client.end().catch(() => {});
      // Of two that fail, the one that says more.
      const said =
        first === undefined || /does not support SSL/.test(String(first)) ? error : first;
      first ??= error;
      if (i + 1 >= attempts.length || !isAboutTls(error)) {
        taken.delete(label);
        throw postgresProblem(endpoint, said);
      }
    }
  }
}

/**
 * One connection, with the session settings made. The caller ends it.
 *
 * @param more.replication one on which the commands of replication can be given, too.
 * @param more.answersWithinMs a statement that takes longer fails: the server, or the way to it, can be gone.
 */
export async function connectPostgres(
  endpoint: PostgresEndpoint,
  {
    answersWithinMs,
    ...more
  }: { readonly replication?: 'database'; readonly answersWithinMs?: number } = {},
): Promise<pg.Client> {
  return connected(
    endpoint,
    { ...more, types: AS_TEXT, ...(answersWithinMs && { query_timeout: answersWithinMs }) },
    (client) => client.query(SESSION),
  );
}

export async function withPostgres<T>(
  endpoint: PostgresEndpoint,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = await connectPostgres(endpoint);
  try {
    return await work(client);
  } catch (error) {
    throw postgresProblem(endpoint, error);
  } finally {
    await client.end().catch(() => {});
  }
}

/** A pool for workloads; parsed types, since they compute with what they read. */
export async function postgresPool(endpoint: PostgresEndpoint, max: number): Promise<pg.Pool> {
  // A pool makes its connections in one way.
  await withPostgres(endpoint, async () => {});
  const tls = tlsAttempts(endpoint)[taken.get(endpointLabel(endpoint)) ?? 0];
  const pool = new Pool({ ...options(endpoint, tls), max });
  pool.on('error', () => {});
  return pool;
}

export function endpointLabel(endpoint: PostgresEndpoint): string {
  return `${endpoint.host}:${endpoint.port}`;
}

const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ECONNRESET',
  'EAI_AGAIN',
  'EPIPE',
]);

/** The driver's error behind an entry of the catalogue. */
export function driverError(error: unknown): { readonly code?: string; readonly message: string } {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause as { code?: string; message: string };
}

/** What the driver throws, as an entry of the catalogue. */
export function postgresProblem(endpoint: PostgresEndpoint, error: unknown): unknown {
  if (error instanceof Problem) return error;
  const { code, message = String(error) } = error as { code?: string; message?: string };
  const detail = message || String(code);
  const shared = {
    endpoint: endpointLabel(endpoint),
    user: endpoint.user,
    database: endpoint.database,
  };
  const fault = endpoint.managed ? undefined : tlsFault('source', shared.endpoint, error);
  if (fault) return new Problem(fault.code, fault.params, { cause: error });
  if (/no encryption|SSL off/.test(detail) && code === '28000') {
    const wanted = tlsWanted('source', shared.endpoint);
    return new Problem(wanted.code, wanted.params, { cause: error });
  }
  if (
    code === '28P01' ||
    code === '28000' ||
    /password must be a string|SASL: SCRAM/.test(detail)
  ) {
    return new Problem('SOURCE_AUTH', { ...shared, detail }, { cause: error });
  }
  if (code === '3D000')
    return new Problem('SOURCE_DATABASE', { ...shared, detail }, { cause: error });
  if (code === '53100')
    return new Problem('DISK_FULL', { path: 'the PostgreSQL server', detail }, { cause: error });
  const lost =
    (code !== undefined && UNREACHABLE.has(code)) ||
    /Connection terminated|timeout expired|server closed the connection/i.test(detail);
  if (lost || code === '57P01' || code === '57P03') {
    return new Problem(
      'SOURCE_UNREACHABLE',
      {
        ...shared,
        detail,
        url: `postgres://${endpoint.user}@${endpointLabel(endpoint)}/${endpoint.database}`,
      },
      { cause: error },
    );
  }
  if (code !== undefined && /^[0-9A-Z]{5}$/.test(code)) {
    return new Problem(
      'SOURCE_REFUSED',
      { detail, statement: `SQLSTATE ${code}` },
      { cause: error },
    );
  }
  return error;
}
