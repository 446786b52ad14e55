import type pg from 'pg';
import { type PipelineNames, type TableId, tableLabel } from '../../core/names.ts';
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
  const published = await client.query<{ schema: string }>(
    'SELECT schemaname AS schema FROM pg_publication_tables WHERE pubname = $1 AND tablename = $2',
    [names.publication, heartbeat],
  );
  return {
    source: `${asked?.rows[0]?.number ?? 'unknown'}/${here?.database ?? ''}`,
    slot: await observeSlot(client, names.slot),
    published: published.rows.map(({ schema }) => schema),
  };
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
