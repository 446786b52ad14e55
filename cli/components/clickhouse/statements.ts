import { TupleParam } from '@clickhouse/client';
import { objectKey } from '../../core/plan.ts';
import type { ObjectName } from '../../core/stalls.ts';
import type { ClickHouse } from './client.ts';

/** An object's statement, as ClickHouse writes it: the whole, and what follows the columns. */
export interface Statement {
  readonly statement: string;
  readonly engineFull: string;
}

/**
 * Of those that are there, by objectKey. To be asked of few: ClickHouse parses and writes each of them for it, which
 * takes 1 ms and, of a wide table, 10.
 */
export async function statementsOf(
  clickhouse: ClickHouse,
  objects: readonly ObjectName[],
): Promise<Map<string, Statement>> {
  if (objects.length === 0) return new Map();
  // What is asked of names alone is asked before anything is parsed.
  const rows = await clickhouse.rows<ObjectName & Statement>(
    `SELECT database, name, create_table_query AS statement, engine_full AS "engineFull" FROM system.tables
      WHERE database IN ({databases:Array(String)}) AND has({objects:Array(Tuple(String, String))}, (database, name))`,
    {
      databases: [...new Set(objects.map(({ database }) => database))],
      objects: objects.map(({ database, name }) => new TupleParam([database, name])),
    },
  );
  return new Map(
    rows.map(({ statement, engineFull, ...name }) => [objectKey(name), { statement, engineFull }]),
  );
}

/** Whether one of the pipeline's own tables is there. */
export async function hasOwnTable(clickhouse: ClickHouse, name: string): Promise<boolean> {
  const found = await clickhouse.rows(
    'SELECT 1 FROM system.tables WHERE database = {database:String} AND name = {name:String}',
    { database: clickhouse.own, name },
  );
  return found.length > 0;
}
