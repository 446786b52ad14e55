import { type ObservedObject, objectKey, parseComment } from '../../core/plan.ts';
import type { ClickHouse } from './client.ts';

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
    engine_full: string;
    comment: string;
  }>(
    `SELECT database, name, engine, engine_full, comment FROM system.tables WHERE database IN ({databases:Array(String)}) OR comment LIKE 'cdc %'`,
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
  const objects = new Map<string, ObservedObject & { kind: string | undefined }>();
  for (const row of rows) {
    const found = parseComment(row.comment);
    const mark = found?.own === clickhouse.own ? found : undefined;
    objects.set(objectKey(row), {
      database: row.database,
      name: row.name,
      engine: row.engine,
      digest: mark?.digest,
      otherOwn: mark ? undefined : found?.own,
      marks: mark?.marks ?? { layout: '', options: '' },
      engineFull: row.engine_full,
      kind: mark?.kind,
      columns: columns
        .filter((c) => c.database === row.database && c.table === row.name)
        .map(
          ({
            name,
            type,
            is_in_sorting_key,
            default_kind,
            default_expression,
            compression_codec,
          }) => ({
            name,
            type,
            isKey: is_in_sorting_key === 1,
            isComputed: !['', 'DEFAULT'].includes(default_kind),
            expression: default_kind === '' ? '' : `${default_kind} ${default_expression}`,
            hasCodec: compression_codec !== '',
          }),
        ),
    });
  }
  return objects;
}
