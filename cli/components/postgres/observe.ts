import type pg from 'pg';
import { parseLsn } from '../../core/lsn.ts';
import type { Membership } from '../../core/membership.ts';
import { heartbeatOf, ownTablesOf, type PipelineNames } from '../../core/names.ts';
import type { PublishedTable } from '../../core/source.ts';
import { pgIdent } from '../../lib/sql.ts';
import { publishedTables } from './filter.ts';
import { observeMembership } from './membership.ts';
import { type Holder, openTransactions } from './transactions.ts';

/** What stands in the source of what the pipeline needs. */
export interface ObservedSource {
  readonly version: number;
  readonly walLevel: string;
  /** A standby takes no change; `host:port` of its primary, where the role may see it. */
  readonly standby: { readonly primary: string | undefined } | undefined;
  readonly slot: ObservedSlot | undefined;
  readonly slots: Limited<HeldSlot>;
  /** Processes that send WAL, as people know them. */
  readonly senders: Limited<string>;
  /** Transactions that a slot made now would wait for; not looked for where there is one. */
  readonly holders: readonly Holder[];
  readonly publication: readonly PublishedTable[] | undefined;
  /** How it has them; absent while there is none. */
  readonly membership: Membership | undefined;
  /** Whether the publication has stored generated columns (PostgreSQL 18). */
  readonly publishesGenerated: boolean;
  /** The role may add tables to the publication, and change it; absent while there is none. */
  readonly ownsPublication: boolean | undefined;
  /** Every kind of change is published; true while there is no publication. */
  readonly publishesAll: boolean;
  /** Changes of partitions are published as those of their table; true while there is no publication. */
  readonly publishesRoots: boolean;
  /** Our own tables are there. */
  readonly ownTables: boolean;
  /** The role may read and write them; false while they are not there. */
  readonly ownTablesWritable: boolean;
  readonly role: {
    readonly name: string;
    readonly superuser: boolean;
    readonly replication: boolean;
    /** CREATE on the database: for the publication and the schema of our own. */
    readonly create: boolean;
  };
}

/** Of what a server has so many of and no more. */
interface Limited<T> {
  readonly max: number;
  readonly held: readonly T[];
}

/** Any slot of the server, whoever made it. */
export interface HeldSlot {
  readonly name: string;
  readonly active: boolean;
  readonly retainedBytes: number | undefined;
}

export interface ObservedSlot {
  readonly plugin: string;
  readonly database: string;
  readonly active: boolean;
  /**
   * Since its reader said how far it has come; undefined where nobody reads, the server is busy with more than hearing it,
   * or the role may not see it.
   */
  readonly silentMs: number | undefined;
  readonly walStatus: string;
  /** WAL positions; absent for a slot that has lost its WAL. */
  readonly restartLsn: bigint | undefined;
  readonly confirmedFlushLsn: bigint | undefined;
  /** Bytes of WAL that the server keeps because of this slot. */
  readonly retainedBytes: number | undefined;
  /** WAL that can still be written before PostgreSQL invalidates it; undefined where there is no limit. */
  readonly safeBytes: number | undefined;
  /** Why changes have passed it by, though it is there. */
  readonly passedBy?: string | undefined;
}

/** Whether the slot can be gone on with; one that lost its WAL never can again. */
export function isUsable(
  slot: ObservedSlot | undefined,
): slot is ObservedSlot & { readonly passedBy?: undefined } {
  return slot !== undefined && slot.walStatus !== 'lost' && slot.passedBy === undefined;
}

export async function observeSource(
  client: pg.ClientBase,
  names: Pick<PipelineNames, 'slot' | 'publication' | 'own'>,
): Promise<ObservedSource> {
  const settings = await client.query<Record<string, string>>(
    `
    SELECT current_setting('server_version_num') AS version, current_setting('wal_level') AS wal_level,
           pg_is_in_recovery() AS standby, (SELECT sender_host || ':' || sender_port FROM pg_stat_wal_receiver) AS primary,
           current_setting('max_replication_slots') AS slots_max,
           current_setting('max_wal_senders') AS senders_max,
           own.present AS own_tables, own.writable AS own_writable,
           (SELECT pg_has_role(p.pubowner, 'USAGE') FROM pg_publication p WHERE p.pubname = $1) AS owns_publication,
           (SELECT p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate FROM pg_publication p WHERE p.pubname = $1) AS publishes_all,
           (SELECT p.pubviaroot FROM pg_publication p WHERE p.pubname = $1) AS publishes_roots,
           (SELECT to_jsonb(p) ->> 'pubgencols' = 's' FROM pg_publication p WHERE p.pubname = $1) AS generated,
           r.rolname AS role, r.rolsuper AS superuser,
           r.rolreplication OR r.rolsuper OR EXISTS (
             SELECT 1 FROM pg_roles g WHERE g.rolname IN ('rds_replication', 'rds_superuser', 'cloudsqlsuperuser', 'azure_pg_admin')
               AND pg_has_role(r.oid, g.oid, 'member')) AS replication,
           has_database_privilege(current_database(), 'CREATE') AS "create"
      FROM pg_roles r,
           -- to_regclass() is refused where the role may not use the schema.
           (SELECT count(*) = 2 AS present,
                   bool_and(has_schema_privilege(n.oid, 'USAGE')
                            AND has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
                            AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')) AS writable
              FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = $2 AND c.relname IN ($3, $4)) AS own
     WHERE r.rolname = current_user`,
    [names.publication, names.own, ...ownTablesOf(names.own).map(({ table }) => table)],
  );
  const row = settings.rows[0] ?? {};
  const slot = await observeSlot(client, names.slot);
  return {
    version: Number(row.version),
    walLevel: row.wal_level ?? '',
    standby: row.standby === 't' ? { primary: row.primary ?? undefined } : undefined,
    slot,
    slots: { max: Number(row.slots_max), held: await heldSlots(client) },
    senders: { max: Number(row.senders_max), held: await heldSenders(client) },
    holders: slot ? [] : await openTransactions(client),
    publication: await publicationTables(client, names.publication, Number(row.version)),
    membership: await observeMembership(client, names.publication),
    publishesGenerated: row.generated === 't',
    ownsPublication: row.owns_publication ? row.owns_publication === 't' : undefined,
    publishesAll: row.publishes_all !== 'f',
    publishesRoots: row.publishes_roots !== 'f',
    ownTables: row.own_tables === 't',
    ownTablesWritable: row.own_writable === 't',
    role: {
      name: row.role ?? '',
      superuser: row.superuser === 't',
      replication: row.replication === 't',
      create: row.create === 't',
    },
  };
}

const RETAINED =
  'CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) END';

async function heldSlots(client: pg.ClientBase): Promise<HeldSlot[]> {
  const { rows } = await client.query<{ name: string; active: string; retained: string | null }>(
    `SELECT slot_name AS name, active, ${RETAINED} AS retained FROM pg_replication_slots ORDER BY active, 3 DESC NULLS LAST, 1`,
  );
  return rows.map(({ name, active, retained }) => ({
    name,
    active: active === 't',
    retainedBytes: retained === null ? undefined : Number(retained),
  }));
}

async function heldSenders(client: pg.ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ label: string }>(
    `SELECT 'pid ' || pid || coalesce(' of ' || usename, '') || coalesce(' (' || nullif(application_name, '') || ')', '') AS label
       FROM pg_stat_replication ORDER BY pid`,
  );
  return rows.map(({ label }) => label);
}

/** Process of the server that sends a slot's changes to its reader; undefined while nobody reads. */
export async function slotReader(client: pg.ClientBase, name: string): Promise<number | undefined> {
  const found = await client.query<{ pid: string | null }>(
    'SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = $1',
    [name],
  );
  const pid = found.rows[0]?.pid;
  return pid ? Number(pid) : undefined;
}

/** Whoever reads a slot is cut off; it may connect again. */
export async function endReader(client: pg.ClientBase, name: string): Promise<void> {
  await client.query(
    'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active',
    [name],
  );
}

export async function observeSlot(
  client: pg.ClientBase,
  name: string,
): Promise<ObservedSlot | undefined> {
  const found = await client.query<Record<string, string | null>>(
    `SELECT plugin, database, active, wal_status, restart_lsn, confirmed_flush_lsn,
            safe_wal_size AS safe, ${RETAINED} AS retained,
            -- One that decodes a long transaction looks for answers as it waits for something, and not before.
            (SELECT extract(epoch FROM clock_timestamp() - r.reply_time) * 1000
               FROM pg_stat_replication r JOIN pg_stat_activity a USING (pid)
              WHERE pid = active_pid AND a.wait_event LIKE 'WalSender%') AS silent_ms
       FROM pg_replication_slots WHERE slot_name = $1`,
    [name],
  );
  const row = found.rows[0];
  if (!row) return undefined;
  const lsn = (text: string | null | undefined) => (text ? parseLsn(text) : undefined);
  return {
    plugin: row.plugin ?? '',
    database: row.database ?? '',
    active: row.active === 't',
    silentMs: row.silent_ms ? Number(row.silent_ms) : undefined,
    walStatus: row.wal_status ?? 'unknown',
    restartLsn: lsn(row.restart_lsn),
    confirmedFlushLsn: lsn(row.confirmed_flush_lsn),
    retainedBytes: row.retained ? Number(row.retained) : undefined,
    safeBytes: row.safe ? Number(row.safe) : undefined,
  };
}

/** The end of the WAL: every later change has a higher position. */
export async function walPosition(client: pg.ClientBase): Promise<bigint> {
  const found = await client.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn() AS lsn');
  return parseLsn(found.rows[0]?.lsn ?? '0/0');
}

/** PostgreSQL's clock, in microseconds since 1970. */
export async function clockUs(client: pg.ClientBase): Promise<number> {
  const found = await client.query<{ now: string }>(
    'SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now',
  );
  return Number(found.rows[0]?.now);
}

/** PostgreSQL's clock, and the number of the heartbeat that was written last. */
export async function heartbeatNow(
  client: pg.ClientBase,
  own: string,
): Promise<{ nowUs: number; writtenBeat: bigint }> {
  const { schema, table } = heartbeatOf(own);
  const found = await client.query<{ beat: string | null }>(
    `SELECT max(beat) AS beat FROM ${pgIdent(schema, table)}`,
  );
  return { nowUs: await clockUs(client), writtenBeat: BigInt(found.rows[0]?.beat ?? '0') };
}

/** Undefined when there is no such publication. */
async function publicationTables(
  client: pg.ClientBase,
  name: string,
  version: number,
): Promise<PublishedTable[] | undefined> {
  const found = await client.query('SELECT 1 FROM pg_publication WHERE pubname = $1', [name]);
  return found.rowCount === 0 ? undefined : publishedTables(client, name, version);
}

/** What the connected role may do with a table. */
export interface TableRights {
  readonly oid: number;
  readonly select: boolean;
  readonly owner: boolean;
}

export async function tableRights(
  client: pg.ClientBase,
  oids: readonly number[],
): Promise<Map<number, TableRights>> {
  const found = await client.query<{ oid: string; select: string; owner: string }>(
    `SELECT c.oid::int8 AS oid, has_table_privilege(c.oid, 'SELECT') AS "select",
            pg_has_role(c.relowner, 'USAGE') AS owner
       FROM pg_class c WHERE c.oid = ANY ($1::oid[])`,
    [oids],
  );
  return new Map(
    found.rows.map((r) => [
      Number(r.oid),
      { oid: Number(r.oid), select: r.select === 't', owner: r.owner === 't' },
    ]),
  );
}
