import type pg from 'pg';
import type { SourceTable } from '../../core/source.ts';

/** One physical table: a table itself, or a partition that holds rows. */
export interface Relation {
  readonly schema: string;
  readonly relation: string;
  /** Pages it has now. */
  readonly pages: number;
  /** Names the file: it changes when the table is rewritten, and with it every row's place. */
  readonly fileNode: string;
  readonly estimatedRows: number;
}

/** The relations that hold a table's rows. */
export async function relationsOf(client: pg.ClientBase, table: SourceTable): Promise<Relation[]> {
  const found = await client.query<Record<string, string>>(
    `SELECT n.nspname AS schema, c.relname AS relation, pg_relation_filenode(c.oid) AS node,
            pg_relation_size(c.oid) / current_setting('block_size')::int AS pages,
            greatest(c.reltuples, 0)::float8 AS rows
       FROM pg_partition_tree($1::oid) t JOIN pg_class c ON c.oid = t.relid
       JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE t.isleaf AND c.relkind = 'r'
      UNION ALL
     SELECT n.nspname, c.relname, pg_relation_filenode(c.oid),
            pg_relation_size(c.oid) / current_setting('block_size')::int, greatest(c.reltuples, 0)::float8
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.oid = $1::oid AND c.relkind = 'r' AND NOT c.relispartition
        AND NOT EXISTS (SELECT 1 FROM pg_partition_tree($1::oid))
      ORDER BY 1, 2`,
    [table.oid],
  );
  return found.rows.map((row) => ({
    schema: row.schema ?? '',
    relation: row.relation ?? '',
    pages: Number(row.pages),
    fileNode: row.node ?? '',
    estimatedRows: Number(row.rows),
  }));
}
