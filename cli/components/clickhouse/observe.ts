import type { TargetObject } from '../../core/ddl.ts';
import { isOwnedSql, type ObservedObject, objectKey, parseComment } from '../../core/plan.ts';
import type { StorageMarks } from '../../core/storage.ts';
import type { ClickHouse } from './client.ts';
import { statementsOf } from './statements.ts';

/**
 * Tables and views of the given databases, and every object of ours elsewhere (of a schema that is
 * not copied any more), by objectKey.
 */
export async function observeTarget(
  clickhouse: ClickHouse,
  databases: readonly string[],
): Promise<Map<string, ObservedObject & { kind: string | undefined }>> {
  const rows = await clickhouse.rows<{
    database: string;
    name: string;
    engine: string;
    uuid: string;
    comment: string;
  }>(
    `SELECT database, name, engine, toString(uuid) AS uuid, comment FROM system.tables WHERE database IN ({databases:Array(String)}) OR comment LIKE 'cdc %'`,
    { databases },
  );
  const columns = await clickhouse.rows<{
    database: string;
    table: string;
    name: string;
    type: string;
    is_in_sorting_key: number;
    default_kind: string;
    default_expression: string;
    compression_codec: string;
  }>(
    `SELECT database, table, name, type, is_in_sorting_key, default_kind, default_expression, compression_codec FROM system.columns
      WHERE database IN ({databases:Array(String)}) ORDER BY database, table, position`,
    { databases },
  );
  const columnsOf = new Map<string, (typeof columns)[number][]>();
  for (const column of columns) {
    const key = objectKey({ ...column, name: column.table });
    const others = columnsOf.get(key);
    if (others) others.push(column);
    else columnsOf.set(key, [column]);
  }
  const objects = new Map<string, ObservedObject & { kind: string | undefined }>();
  for (const row of rows) {
    const found = parseComment(row.comment);
    const mark = found?.own === clickhouse.own ? found : undefined;
    objects.set(objectKey(row), {
      database: row.database,
      name: row.name,
      engine: row.engine,
      uuid: uuidOf(row),
      digest: mark?.digest,
      otherOwn: mark ? undefined : found?.own,
      marks: mark?.marks ?? { layout: '', options: '' },
      engineFull: '',
      kind: mark?.kind,
      columns: (columnsOf.get(objectKey(row)) ?? []).map((column) => ({
        name: column.name,
        type: column.type,
        isKey: column.is_in_sorting_key === 1,
        isComputed: !['', 'DEFAULT'].includes(column.default_kind),
        expression:
          column.default_kind === '' ? '' : `${column.default_kind} ${column.default_expression}`,
        hasCodec: column.compression_codec !== '',
      })),
    });
  }
  return objects;
}

/** Those with what follows the columns in their statement, for storages whose options are to be others. */
export async function withEngines<O extends ObservedObject>(
  clickhouse: ClickHouse,
  observed: ReadonlyMap<string, O>,
  wanted: readonly (TargetObject & { readonly marks?: StorageMarks })[],
): Promise<Map<string, O>> {
  const others = wanted.flatMap((object) => {
    const found = observed.get(objectKey(object));
    return found && object.marks && object.marks.options !== found.marks.options ? [found] : [];
  });
  const standsAt = ({ movedFrom, database, name }: O) => movedFrom ?? { database, name };
  const statements = await statementsOf(clickhouse, others.map(standsAt));
  const all = new Map(observed);
  for (const found of others) {
    const { engineFull = '' } = statements.get(objectKey(standsAt(found))) ?? {};
    all.set(objectKey(found), { ...found, engineFull });
  }
  return all;
}

/** Databases of other engines than Atomic give none. */
export function uuidOf({ uuid }: { readonly uuid: string }): string | undefined {
  return /[1-9a-f]/.test(uuid) ? uuid : undefined;
}

/** Of the storages of the copy, by objectKey. */
export function storageUuids(clickhouse: ClickHouse): Promise<Map<string, string>> {
  return uuidsOf(clickhouse, 'storage', objectKey);
}

/** Of the queues that are attached, by their names (`db.name`): another one when a queue was made anew. */
export function queueUuids(clickhouse: ClickHouse): Promise<Map<string, string>> {
  return uuidsOf(clickhouse, 'queue', ({ database, name }) => `${database}.${name}`);
}

async function uuidsOf(
  clickhouse: ClickHouse,
  kind: 'storage' | 'queue',
  keyOf: (object: { database: string; name: string }) => string,
): Promise<Map<string, string>> {
  const rows = await clickhouse.rows<{ database: string; name: string; uuid: string }>(
    `SELECT database, name, toString(uuid) AS uuid FROM system.tables WHERE ${isOwnedSql(clickhouse.own, kind)}`,
  );
  return new Map(
    rows.flatMap((row) => {
      const uuid = uuidOf(row);
      return uuid === undefined ? [] : [[keyOf(row), uuid] as const];
    }),
  );
}
