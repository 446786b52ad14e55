import { mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { ClickHouse } from '../components/clickhouse/client.ts';
import { Problem } from '../core/problems.ts';
import { chIdent, chLiteral } from '../lib/sql.ts';
import { readNames } from '../pipeline/inspect/targets.ts';
import type { Layout } from '../stack/layout.ts';

/** ClickHouse's part, in the folder of a backup. */
export const CLICKHOUSE = 'clickhouse';

/**
 * ClickHouse may write to and read from one folder only, and a backup remembers the name of its base: so each of them
 * is linked there by its id, wherever it lies.
 */
export function linkBackups(
  layout: Pick<Layout, 'backups'>,
  folders: ReadonlyMap<string, string>,
): void {
  mkdirSync(layout.backups, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(layout.backups))
    rmSync(join(layout.backups, name), { force: true });
  for (const [id, folder] of folders) symlinkSync(folder, join(layout.backups, id));
}

function place(id: string): string {
  return `File(${chLiteral(`${id}/${CLICKHOUSE}`)})`;
}

/** The pipeline's own database and those that it keeps copies in. */
export async function copiedDatabases(clickhouse: ClickHouse): Promise<string[]> {
  const names = await readNames(clickhouse);
  const databases = [...names.values()].map(({ database }) => database);
  return [clickhouse.own, ...new Set(databases.filter((name) => name !== clickhouse.own))];
}

/**
 * All of some databases but queues and the views on them: a restored one would begin to read before the rows are there.
 * `apply` makes them.
 */
async function tablesToKeep(clickhouse: ClickHouse, databases: readonly string[]) {
  return clickhouse.rows<{ database: string; name: string }>(
    `WITH readers AS (
       SELECT arrayJoin(arrayPushFront(arrayZip(dependencies_database, dependencies_table), (database, name)))
         FROM system.tables WHERE engine = 'Kafka')
     SELECT database, name FROM system.tables
      WHERE database IN ({databases:Array(String)}) AND (database, name) NOT IN readers
        AND NOT startsWith(name, '.')
      ORDER BY database, name`,
    { databases },
  );
}

export async function backUpClickHouse(
  clickhouse: ClickHouse,
  id: string,
  base: string | undefined,
  databases: readonly string[],
  target: string,
): Promise<void> {
  const tables = await tablesToKeep(clickhouse, databases);
  const parts = tables.map(({ database, name }) => `TABLE ${chIdent(database, name)}`);
  // One of a command that was killed would go on writing where this one writes.
  await clickhouse.command("KILL QUERY WHERE query_kind = 'Backup' AND user = currentUser() SYNC");
  const settings = base === undefined ? '' : ` SETTINGS base_backup = ${place(base)}`;
  await clickhouse
    .command(`BACKUP ${parts.join(', ')} TO ${place(id)}${settings}`)
    .catch((error: unknown) => {
      if (error instanceof Problem && /No space left|NOT_ENOUGH_SPACE/i.test(error.causeText))
        throw new Problem('DISK_FULL', { path: target, detail: error.causeText });
      throw error;
    });
}

export async function restoreClickHouse(
  clickhouse: ClickHouse,
  id: string,
  databases: readonly string[],
): Promise<void> {
  for (const database of databases)
    await clickhouse.command(`CREATE DATABASE IF NOT EXISTS ${chIdent(database)}`);
  await clickhouse.command(`RESTORE ALL FROM ${place(id)}`);
}
