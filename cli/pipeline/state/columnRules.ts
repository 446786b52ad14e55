import { type ClickHouse, withClickHouse } from '../../components/clickhouse/client.ts';
import { forgetRecord, recordsOf, writeRecord } from '../../components/clickhouse/records.ts';
import { memoryOf, type Remembered } from '../../core/followRules.ts';
import type { SourceTable } from '../../core/source.ts';
import type { ClickHouseEndpoint } from '../../stack/endpoints.ts';

/** Rules that keep values back are remembered by the columns' numbers. */
export async function readRules(endpoint: ClickHouseEndpoint): Promise<Remembered> {
  const records = await withClickHouse(endpoint, (clickhouse) => recordsOf(clickhouse, 'rules'));
  return new Map(records.map(({ record }) => [record.oid, record]));
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
    if (memory === undefined) await forgetRecord(clickhouse, table, 'rules');
    else await writeRecord(clickhouse, table, 'rules', memory);
  }
}
