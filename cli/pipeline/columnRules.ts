import { type ClickHouse, withClickHouse } from '../components/clickhouse/client.ts';
import { recordState, statesOf } from '../components/clickhouse/observe.ts';
import { memoryOf, type Remembered, type RememberedTable } from '../core/followRules.ts';
import type { SourceTable } from '../core/source.ts';
import type { ClickHouseEndpoint } from '../runtimes/endpoints.ts';

/** Rules that keep values back are kept among the loads, by the columns' numbers, as records of floor 0. */
const CHUNK = 'rules';
/** Of a table that has none any more. */
const NOTHING = '';

export async function readRules(endpoint: ClickHouseEndpoint): Promise<Remembered> {
  const records = await withClickHouse(endpoint, (clickhouse) => statesOf(clickhouse, CHUNK));
  const tables = records
    .filter(({ state }) => state !== NOTHING)
    .map(({ state }) => JSON.parse(state) as RememberedTable);
  return new Map(tables.map((table) => [table.oid, table]));
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
    await recordState(
      clickhouse,
      table,
      CHUNK,
      memory === undefined ? NOTHING : JSON.stringify(memory),
    );
  }
}
