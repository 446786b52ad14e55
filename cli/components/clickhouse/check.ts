import type { Finding } from '../../core/findings.ts';
import { CH_CDC } from '../../core/names.ts';
import { plural } from '../../core/problems.ts';
import { chIdent } from '../../lib/sql.ts';
import type { ClickHouse } from './client.ts';

/** What is wrong in ClickHouse: changes that could not be stored as they came. */
export async function checkTarget(clickhouse: ClickHouse): Promise<Finding[]> {
  const present = await clickhouse.rows<{ n: string }>(
    `SELECT count() AS n FROM system.tables WHERE database = {database:String} AND name = {table:String}`,
    { database: CH_CDC.database, table: CH_CDC.deadLetters },
  );
  if (Number(present[0]?.n ?? 0) === 0) return [];
  const table = chIdent(CH_CDC.database, CH_CDC.deadLetters);
  const rows = await clickhouse.rows<{ n: string; reason: string; place: string }>(
    `SELECT count() AS n, argMax(reason, arrived_at) AS reason,
            argMax(concat(schema_name, '.', table_name), arrived_at) AS place FROM ${table} FINAL`,
  );
  const count = Number(rows[0]?.n ?? 0);
  if (count === 0) return [];
  return [
    {
      id: 'dead-letters',
      severity: 'warning',
      subject: `${CH_CDC.database}.${CH_CDC.deadLetters}`,
      message: `${plural(count, 'change')} could not be stored; the latest is of ${rows[0]?.place}: ${rows[0]?.reason}`,
      fix: 'cdc dlq list   # names each with its reason; then: cdc dlq replay',
    },
  ];
}
