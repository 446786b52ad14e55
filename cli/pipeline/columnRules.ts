import { type ClickHouse, withClickHouse } from '../components/clickhouse/client.ts';
import { recordState } from '../components/clickhouse/observe.ts';
import { memoryOf, type Remembered, type RememberedTable } from '../core/followRules.ts';
import { CH_CDC } from '../core/names.ts';
import type { SourceTable } from '../core/source.ts';
import { chIdent, chLiteral } from '../lib/sql.ts';
import type { ClickHouseEndpoint } from '../runtimes/endpoints.ts';

/** Rules that keep values back are kept among the loads, by the columns' numbers, as records of floor 0. */
const CHUNK = 'rules';

export function readRules(endpoint: ClickHouseEndpoint): Promise<Remembered> {
  return withClickHouse(endpoint, async (clickhouse) => {
    const [found] = await clickhouse.rows<{ n: string }>(
      `SELECT count() AS n FROM system.tables WHERE database = ${chLiteral(CH_CDC.database)} AND name = ${chLiteral(CH_CDC.loads)}`,
    );
    if (found?.n !== '1') return new Map();
    const rows = await clickhouse.rows<{ state: string }>(
      `SELECT state FROM ${chIdent(CH_CDC.database, CH_CDC.loads)} FINAL WHERE floor = 0 AND chunk = ${chLiteral(CHUNK)} AND state != '' ORDER BY at`,
    );
    const tables = rows.map((row) => JSON.parse(row.state) as RememberedTable);
    return new Map(tables.map((table) => [table.oid, table]));
  });
}

/** Before anything of these tables can be sent by them. */
export async function recordRules(
  clickhouse: ClickHouse,
  tables: readonly SourceTable[],
  remembered: Remembered,
): Promise<void> {
  for (const table of tables) {
    const memory = memoryOf(table, remembered);
    const before = remembered.get(table.oid);
    if (JSON.stringify(memory) === JSON.stringify(before)) continue;
    await recordState(clickhouse, table, CHUNK, memory === undefined ? '' : JSON.stringify(memory));
  }
}
