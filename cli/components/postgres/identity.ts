import type pg from 'pg';
import { type SourcePlace, timelineEnd } from '../../core/lineage.ts';
import { parseLsn } from '../../core/lsn.ts';
import { type PipelineNames, type TableId, tableLabel } from '../../core/names.ts';
import { pgIdent } from '../../lib/sql.ts';
import type { PostgresEndpoint } from '../../stack/endpoints.ts';
import { connectPostgres } from './client.ts';
import { observeSlot } from './observe.ts';

/** What tells a source from every other one, and who uses what a pipeline calls its own there. */
export interface SourceOwnership {
  /** The server's own number, which its standbys have, too, and the database: `7413…/shop`. */
  readonly source: string;
  /** Of the slot of this name: the database that it is of, and whether somebody reads it. */
  readonly slot: { readonly database: string; readonly active: boolean } | undefined;
  /** Schemas of pipelines whose heartbeats the publication of this name has. */
  readonly published: readonly string[];
}

export async function observeOwnership(
  client: pg.ClientBase,
  names: Pick<PipelineNames, 'slot' | 'publication'>,
  heartbeat: TableId['table'],
): Promise<SourceOwnership> {
  const published = await client.query<{ schema: string }>(
    'SELECT schemaname AS schema FROM pg_publication_tables WHERE pubname = $1 AND tablename = $2',
    [names.publication, heartbeat],
  );
  return {
    source: await sourceOf(client),
    slot: await observeSlot(client, names.slot),
    published: published.rows.map(({ schema }) => schema),
  };
}

async function sourceOf(client: pg.ClientBase): Promise<string> {
  const [here] = (
    await client.query<{ database: string; number: string }>(
      `SELECT current_database() AS database, has_function_privilege('pg_control_system()', 'EXECUTE') AS number`,
    )
  ).rows;
  // Everybody may ask, unless somebody has forbidden it.
  const asked =
    here?.number === 't'
      ? await client.query<{ number: string }>(
          'SELECT system_identifier AS number FROM pg_control_system()',
        )
      : undefined;
  return `${asked?.rows[0]?.number ?? 'unknown'}/${here?.database ?? ''}`;
}

/** Where the source is now, by its own word; undefined of a standby. */
export async function observePlace(
  client: pg.ClientBase,
  heartbeat: TableId,
): Promise<SourcePlace | undefined> {
  const { rows } = await client.query<{ timeline: string; position: string; beats: string }>(
    `SELECT ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int8 AS timeline,
            pg_current_wal_insert_lsn() AS position,
            EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                     WHERE n.nspname = $1 AND c.relname = $2 AND has_schema_privilege(n.oid, 'USAGE')
                       AND has_table_privilege(c.oid, 'SELECT')) AS beats
      WHERE NOT pg_is_in_recovery()`,
    [heartbeat.schema, heartbeat.table],
  );
  const [here] = rows;
  if (here === undefined) return undefined;
  const beats =
    here.beats === 't'
      ? await client.query<{ beat: string }>(
          `SELECT beat FROM ${pgIdent(heartbeat.schema, heartbeat.table)} WHERE id = 1`,
        )
      : undefined;
  const beat = beats?.rows[0]?.beat;
  return {
    source: await sourceOf(client),
    timeline: Number(here.timeline),
    position: parseLsn(here.position),
    beat: beat === undefined ? undefined : BigInt(beat),
  };
}

/** Where an earlier timeline ended, for this one; undefined where it never led to it, or that cannot be read. */
export async function switchPosition(
  endpoint: PostgresEndpoint,
  timeline: number,
  earlier: number,
): Promise<bigint | undefined> {
  const client = await connectPostgres(endpoint, { replication: 'database' }).catch(
    () => undefined,
  );
  try {
    const found = await client?.query<{ content: string }>(`TIMELINE_HISTORY ${timeline}`);
    const end = timelineEnd(found?.rows[0]?.content ?? '', earlier);
    return end === undefined ? undefined : parseLsn(end);
  } catch {
    return undefined;
  } finally {
    await client?.end().catch(() => {});
  }
}

/** Whether the publication has a table. */
export async function isPublished(
  client: pg.ClientBase,
  publication: string,
  id: TableId,
): Promise<boolean> {
  const found = await client.query(
    "SELECT 1 FROM pg_publication_tables WHERE pubname = $1 AND schemaname || '.' || tablename = $2",
    [publication, tableLabel(id)],
  );
  return found.rowCount !== 0;
}
