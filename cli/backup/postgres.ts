import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { connectPostgres, postgresProblem } from '../components/postgres/client.ts';
import { observeSlot } from '../components/postgres/observe.ts';
import { dropSlotStatement } from '../components/postgres/prepare.ts';
import type { BackupFile } from '../core/backups.ts';
import { formatLsn, parseLsn } from '../core/lsn.ts';
import type { PipelineNames } from '../core/names.ts';
import { Problem } from '../core/problems.ts';
import { pgLiteral } from '../lib/sql.ts';
import type { PostgresEndpoint } from '../stack/endpoints.ts';
import { copyFile, eachFile, hashFile, type OnBytes, treeOf } from './files.ts';
import { archiveWal, walSource } from './wal.ts';

/** PostgreSQL's part, in the folder of a full backup. */
export const POSTGRES = 'postgres';

/** Of one server's life, and what is its own: a copy of them would be wrong, or of no use (PostgreSQL's manual, 25.3.4). */
const LEFT_OUT =
  /^(postmaster\.(pid|opts)|(pg_wal|pg_replslot|pg_dynshmem|pg_notify|pg_serial|pg_snapshots|pg_stat_tmp|pg_subtrans)\/.*|(.*\/)?pgsql_tmp.*|(.*\/)?pg_internal\.init.*)$/;

export interface BaseBackup {
  /** Recovery begins there. */
  readonly start: bigint;
  readonly segmentBytes: number;
  readonly folders: readonly string[];
  readonly files: readonly BackupFile[];
  /** Keeps the WAL since the start in PostgreSQL, until it is released. */
  release(): Promise<void>;
}

/** Copies the data folder of a running PostgreSQL that cdc runs, by the functions that it has for this. */
export async function baseBackup(
  endpoint: PostgresEndpoint,
  id: string,
  to: string,
  signal: AbortSignal,
  onBytes: OnBytes,
): Promise<BaseBackup> {
  const client = await connectPostgres(endpoint);
  try {
    await refuseTablespaces(client);
    // Gone with this connection, however that ends.
    await client.query(
      `SELECT pg_create_physical_replication_slot(${pgLiteral(`cdc_base_${id.toLowerCase()}`)}, true, true)`,
    );
    const { folder, segmentBytes } = await walSource(client);
    const data = join(folder, '..');
    const begun = await client.query<{ lsn: string }>('SELECT pg_backup_start($1, true) AS lsn', [
      `cdc ${id}`,
    ]);
    const { files: paths, folders } = await treeOf(data, (path) => LEFT_OUT.test(path));
    const copied = await eachFile(paths, async (path) => {
      try {
        const file = await copyFile(join(data, path), join(to, path), signal);
        onBytes(file.bytes);
        return [{ path, ...file }];
      } catch (error) {
        // Dropped since: recovery drops it, too.
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    });
    const ended = await client.query<{ label: string }>(
      'SELECT labelfile AS label FROM pg_backup_stop(false)',
    );
    const label = join(to, 'backup_label');
    writeFileSync(label, ended.rows[0]?.label ?? '', { mode: 0o600, flush: true });
    return {
      start: parseLsn(begun.rows[0]?.lsn ?? '0/0'),
      segmentBytes,
      folders,
      files: [...copied.flat(), { path: 'backup_label', ...(await hashFile(label, signal)) }],
      release: () => client.end(),
    };
  } catch (error) {
    await client.end().catch(() => {});
    throw postgresProblem(endpoint, error);
  }
}

async function refuseTablespaces(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    "SELECT spcname AS name FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')",
  );
  if (rows[0])
    throw new Problem('BACKUP_NOT_HERE', {
      verb: 'back up',
      detail: `Its PostgreSQL has tablespace ${rows[0].name}, whose files are outside its data folder.`,
      instead: 'Move what is in it to pg_default (ALTER TABLE … SET TABLESPACE), and drop it.',
    });
}

/** Ends the segment that is written to, so that all of a backup's WAL is in complete ones. */
export async function endSegment(client: pg.ClientBase): Promise<bigint> {
  const { rows } = await client.query<{ end: string }>('SELECT pg_switch_wal() AS end');
  return parseLsn(rows[0]?.end ?? '0/0');
}

/** The slot that keeps WAL in PostgreSQL until it is archived. */
export function archiveSlot({ slot }: Pick<PipelineNames, 'slot'>): string {
  return `${slot.slice(0, 55)}_archive`;
}

/** Undefined where it lost WAL, so that the archive has a gap from there on. */
async function keepWal(client: pg.ClientBase, slot: string): Promise<bigint | undefined> {
  const found = await observeSlot(client, slot);
  if (found?.restartLsn !== undefined && found.walStatus !== 'lost') return found.restartLsn;
  if (found) await client.query(dropSlotStatement(slot));
  await client.query(`SELECT pg_create_physical_replication_slot(${pgLiteral(slot)}, true)`);
  return undefined;
}

/** What was archived needs no room in PostgreSQL any more. */
export async function archiveAndRelease(
  client: pg.ClientBase,
  slot: string,
  archive: string,
  from: bigint,
): Promise<void> {
  const kept = await keepWal(client, slot);
  const source = await walSource(client);
  const first = await archiveWal(source, archive, from);
  const position = first * BigInt(source.segmentBytes);
  if (kept !== undefined && position > kept)
    await client.query('SELECT pg_replication_slot_advance($1, $2)', [slot, formatLsn(position)]);
}

/** Nobody archives any more. */
export async function forgetArchive(client: pg.ClientBase, slot: string): Promise<boolean> {
  if (!(await observeSlot(client, slot))) return false;
  await client.query(dropSlotStatement(slot));
  return true;
}
