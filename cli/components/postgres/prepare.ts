import type pg from 'pg';
import { parseLsn } from '../../core/lsn.ts';
import {
  heartbeatOf,
  ownTablesOf,
  type PipelineNames,
  signalOf,
  type TableId,
} from '../../core/names.ts';
import type { PublishedTable } from '../../core/source.ts';
import { pgIdent, pgLiteral } from '../../lib/sql.ts';
import { waitFor } from '../../lib/wait.ts';
import { endReader, walPosition } from './observe.ts';
import { holderWatch, type OnWait } from './transactions.ts';
import { openProblem, watched } from './watched.ts';

function sqlName({ schema, table }: TableId): string {
  return pgIdent(schema, table);
}

/** Statements that make our own tables; each can be run twice. */
export function ownTableStatements(own: string): string[] {
  return [
    `CREATE SCHEMA IF NOT EXISTS ${pgIdent(own)}`,
    `CREATE TABLE IF NOT EXISTS ${sqlName(heartbeatOf(own))} (id smallint PRIMARY KEY, beat bigint NOT NULL, at timestamptz NOT NULL)`,
    // Debezium prescribes these columns.
    `CREATE TABLE IF NOT EXISTS ${sqlName(signalOf(own))} (id varchar(200) PRIMARY KEY, type varchar(32) NOT NULL, data text)`,
  ];
}

/** Without the tables that inherit from it, each of which is a table of its own here. */
function published(id: TableId): string {
  return `ONLY ${pgIdent(id.schema, id.table)}`;
}

/** With what is published of it. */
function member(id: PublishedTable): string {
  const columns = id.listed ? ` (${id.listed.map((name) => pgIdent(name)).join(', ')})` : '';
  const rows = id.where === undefined ? '' : ` WHERE (${id.where})`;
  return `${published(id)}${columns}${rows}`;
}

export function createPublicationStatement(
  publication: string,
  tables: readonly PublishedTable[],
  generated: boolean,
): string {
  const options = [VIA_ROOT, ...(generated ? [PUBLISH_GENERATED] : [])];
  const list = tables.map(member).join(', ');
  return `CREATE PUBLICATION ${pgIdent(publication)} FOR TABLE ${list} WITH (${options.join(', ')})`;
}

const VIA_ROOT = 'publish_via_partition_root = true';

/** Every kind of change, those of partitions as their table's. */
export function publishAllStatement(publication: string): string {
  return `ALTER PUBLICATION ${pgIdent(publication)} SET (publish = 'insert, update, delete, truncate', ${VIA_ROOT})`;
}

/** PostgreSQL 18 and later. */
const PUBLISH_GENERATED = 'publish_generated_columns = stored';

export function publishGeneratedStatement(publication: string): string {
  return `ALTER PUBLICATION ${pgIdent(publication)} SET (${PUBLISH_GENERATED})`;
}

export function alterPublicationStatement(
  publication: string,
  verb: 'ADD' | 'DROP',
  id: PublishedTable,
): string {
  const table = verb === 'ADD' ? member(id) : published(id);
  return `ALTER PUBLICATION ${pgIdent(publication)} ${verb} TABLE ${table}`;
}

/** What a role needs that does not own our tables. */
export function ownTableGrants(role: string, own: string): string[] {
  const tables = ownTablesOf(own).map(sqlName).join(', ');
  return [
    `GRANT USAGE ON SCHEMA ${pgIdent(own)} TO ${pgIdent(role)}`,
    `GRANT SELECT, INSERT, UPDATE, DELETE ON ${tables} TO ${pgIdent(role)}`,
  ];
}

/** Sent as one, the statements are one transaction: no change passes between them. */
export function filterPublicationStatement(publication: string, id: PublishedTable): string {
  return (['DROP', 'ADD'] as const)
    .map((verb) => alterPublicationStatement(publication, verb, id))
    .join('; ');
}

export function dropSlotStatement(slot: string): string {
  return `SELECT pg_drop_replication_slot(${pgLiteral(slot)})`;
}

/** Whoever reads it is ended: it is dropped for the server's sake. */
export async function dropSlot(client: pg.ClientBase, slot: string): Promise<void> {
  await waitFor('the slot to be dropped', { timeoutMs: 30_000, everyMs: 100 }, async () => {
    await endReader(client, slot);
    const dropped = await client.query(
      'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active',
      [slot],
    );
    if (dropped.rowCount === 1) return { ready: true };
    const left = await client.query('SELECT 1 FROM pg_replication_slots WHERE slot_name = $1', [
      slot,
    ]);
    return left.rowCount === 0 ? { ready: true } : { seen: 'somebody reads it' };
  });
}

/** From this version on a standby can have the slot, too, and go on with it once it is promoted. */
const FAILOVER_SLOTS = 170_000;

export function createSlotStatement(slot: string, version: number): string {
  const failover = version >= FAILOVER_SLOTS ? ', failover => true' : '';
  return `SELECT pg_create_logical_replication_slot(${pgLiteral(slot)}, 'pgoutput'${failover})`;
}

const WAIT_MS = 600_000;

/**
 * Creates the slot. The server waits until transactions that run now have ended: from then on every change
 * that commits is streamed. A second connection looks whose they are.
 *
 * @returns the oldest WAL position that a streamed change can have, exclusive.
 */
export async function createSlot(
  client: pg.ClientBase,
  watcher: pg.ClientBase,
  slot: string,
  signal: AbortSignal,
  onWait: OnWait,
): Promise<bigint> {
  const look = holderWatch(watcher, (holder) => onWait(`the slot waits for ${holder}`));
  const asked = await client.query<{ version: string }>(
    "SELECT current_setting('server_version_num') AS version",
  );
  const statement = createSlotStatement(slot, Number(asked.rows[0]?.version));
  await watched(
    { client, watcher, signal },
    'transactions that run now to end',
    () => look('the slot is being made'),
    () => client.query(statement),
  );
  return slotPosition(client, slot);
}

async function slotPosition(client: pg.ClientBase, slot: string): Promise<bigint> {
  const found = await client.query<{ lsn: string }>(
    'SELECT restart_lsn AS lsn FROM pg_replication_slots WHERE slot_name = $1',
    [slot],
  );
  return parseLsn(found.rows[0]?.lsn ?? '0/0');
}

/**
 * Waits until every transaction that runs now has ended. A change that was made before its table
 * joined the publication is not streamed, and not visible to a load either while its transaction
 * runs: loading must begin after it.
 */
export async function waitForRunningTransactions(
  client: pg.ClientBase,
  signal: AbortSignal,
  onWait: OnWait = () => {},
): Promise<void> {
  const look = holderWatch(client, (holder) => onWait(`waiting for ${holder}`));
  // A number of our own: pg_snapshot_xmax() is not above transactions that are newer than the last
  // one that ended.
  const now = await client.query<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid');
  const limit = BigInt(now.rows[0]?.xid ?? '0');
  await waitFor(
    'transactions that run now to end',
    { timeoutMs: WAIT_MS, everyMs: 100, signal },
    async () => {
      const found = await client.query<{ xid: string }>(
        'SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xid',
      );
      const oldest = BigInt(found.rows[0]?.xid ?? '0');
      return oldest >= limit
        ? { ready: true }
        : { seen: await look(`transaction ${oldest} still runs`) };
    },
  ).catch((error: unknown) => {
    throw openProblem(error);
  });
}

/** Writes a heartbeat and returns its number and a WAL position before it. */
export async function writeHeartbeat(
  client: pg.ClientBase,
  { own }: Pick<PipelineNames, 'own'>,
): Promise<{ beat: bigint; lsn: bigint }> {
  const found = await client.query<{ beat: string; lsn: string }>(
    `INSERT INTO ${sqlName(heartbeatOf(own))} AS h (id, beat, at) VALUES (1, 1, clock_timestamp())
     ON CONFLICT (id) DO UPDATE SET beat = h.beat + 1, at = clock_timestamp()
     RETURNING beat, pg_current_wal_insert_lsn() AS lsn`,
  );
  const row = found.rows[0];
  return { beat: BigInt(row?.beat ?? '0'), lsn: parseLsn(row?.lsn ?? '0/0') };
}

/**
 * A version for rows that are read from now on: above that of every change that such a reading sees,
 * below that of every change that it may not see. A change carries the position where its record
 * starts, and the next record starts where the last one ends: one less is no change's. Transactions
 * that have written by then are waited for; so their changes, whose positions are earlier, are seen.
 */
export async function loadVersion(
  client: pg.ClientBase,
  signal: AbortSignal,
  onWait?: OnWait,
): Promise<bigint> {
  const position = await walPosition(client);
  await waitForRunningTransactions(client, signal, onWait);
  return position - 1n;
}
