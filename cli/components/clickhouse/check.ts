import type { Finding } from '../../core/findings.ts';
import { CH_CDC } from '../../core/names.ts';
import { plural } from '../../core/problems.ts';
import { escapePattern } from '../../core/tableFilter.ts';
import { yamlString } from '../../core/yaml.ts';
import { chIdent } from '../../lib/sql.ts';
import type { ClickHouse } from './client.ts';
import { keptInCopy } from './kept.ts';

/** What is wrong in ClickHouse: messages that are no row of a copied table. */
export async function checkTarget(clickhouse: ClickHouse): Promise<Finding[]> {
  const present = await clickhouse.rows<{ n: string }>(
    `SELECT count() AS n FROM system.tables WHERE database = {database:String} AND name = {table:String}`,
    { database: clickhouse.own, table: CH_CDC.deadLetters },
  );
  if (Number(present[0]?.n ?? 0) === 0) return [];
  const table = chIdent(clickhouse.own, CH_CDC.deadLetters);
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
      subject: `${clickhouse.own}.${CH_CDC.deadLetters}`,
      message: `${plural(count, 'message')} of the topics ${count === 1 ? 'is' : 'are'} no row of a copied table; the latest is of ${rows[0]?.place}: ${rows[0]?.reason}`,
      fix: 'cdc dlq list   # names each with its reason; then: cdc dlq replay',
    },
  ];
}

/** Values that stand as text beside the nearest one: nothing is lost, and somebody may want another type. */
export async function checkKept(clickhouse: ClickHouse): Promise<Finding[]> {
  const kept = await keptInCopy(clickhouse);
  return kept.map(({ table, column, values, example }) => ({
    id: 'values-kept',
    severity: 'info',
    subject: `${table}.${column}`,
    message: `${plural(values, 'value')}, such as ${example}, ${values === 1 ? 'is' : 'are'} beyond the column's type: the nearest is shown, the exact text is in _exact`,
    fix: `As it is, nothing is lost. To have them as text: tables: { ${yamlString(escapePattern(table))}: { columns: { ${yamlString(column)}: text } } } in cdc.yaml (or exclude), then cdc apply.`,
  }));
}
