import type { TargetObject } from '../../core/ddl.ts';
import { createStatement, objectKey } from '../../core/plan.ts';
import { chIdent, chLiteral } from '../../lib/sql.ts';
import type { ClickHouse, Settings } from './client.ts';
import { dropStatement } from './prepare.ts';
import { statementsOf } from './statements.ts';

export async function databasesOf(clickhouse: ClickHouse): Promise<string[]> {
  return (await clickhouse.rows<{ name: string }>('SELECT name FROM system.databases')).map(
    (r) => r.name,
  );
}

export async function runStatements(
  clickhouse: ClickHouse,
  sql: readonly string[],
  settings: Settings = {},
): Promise<void> {
  for (const statement of sql) await clickhouse.command(statement, settings);
}

/** What somebody detached is not there, and cannot be made: it is attached again, to be dropped as any other. */
export async function attachDetached(
  clickhouse: ClickHouse,
  objects: readonly { readonly database: string; readonly name: string }[],
): Promise<void> {
  // Refused where there is none.
  for (const { database, name } of objects)
    await clickhouse
      .command(`ATTACH TABLE IF NOT EXISTS ${chIdent(database, name)}`)
      .catch(() => {});
}

/** Remembers objects as they stand; what comes back makes those again that are not there any more, in this order. */
export async function standingObjects(
  clickhouse: ClickHouse,
  objects: readonly TargetObject[],
): Promise<() => Promise<void>> {
  const before = await statementsOf(clickhouse, objects);
  return async () => {
    const after = await statementsOf(clickhouse, objects);
    for (const object of objects) {
      const statement = before.get(objectKey(object))?.statement;
      if (statement === undefined || after.has(objectKey(object))) continue;
      // ClickHouse shows no passwords.
      const whole = object.kind === 'queue' ? createStatement(object) : statement;
      await clickhouse.command(whole);
    }
  };
}

/** Stems of the queues of our own that exist while Debezium reads a table. */
export async function snapshotQueues(clickhouse: ClickHouse): Promise<string[]> {
  const found = await clickhouse.rows<{ stem: string }>(
    `SELECT DISTINCT extract(name, '^(snapshot_[0-9a-f]{8})_') AS stem FROM system.tables
      WHERE database = ${chLiteral(clickhouse.own)} AND stem != ''`,
  );
  return found.map((row) => row.stem);
}

/** What reads goes first. */
export async function dropSnapshotQueue(clickhouse: ClickHouse, stem: string): Promise<void> {
  const database = clickhouse.own;
  await runStatements(clickhouse, [
    dropStatement('materialized-view', { database, name: `${stem}_queue_mv` }),
    dropStatement('queue', { database, name: `${stem}_queue` }),
    dropStatement('materialized-view', { database, name: `${stem}_mv` }),
    dropStatement('fanout', { database, name: `${stem}_queue_rows` }),
  ]);
}
