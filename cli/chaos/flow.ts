import { ClickHouse } from '../components/clickhouse/client.ts';
import { withPostgres } from '../components/postgres/client.ts';
import { chIdent } from '../lib/sql.ts';
import { waitFor } from '../lib/wait.ts';
import type { Ground } from './ground.ts';
import { OWN_TABLES, SCHEMA } from './tables.ts';

let beat = 0;

/**
 * Waits until a row of each table that is written now has crossed the pipeline.
 *
 * @returns milliseconds from the call. Throws a WaitTimeout that says what was seen last.
 */
export async function waitForFlow(ground: Ground, timeoutMs: number): Promise<number> {
  const { stack, signal } = ground;
  const startedAtMs = performance.now();
  beat += 1;
  const wanted = Date.now() * 1000 + (beat % 1000);
  const clickhouse = new ClickHouse(stack.endpoints.clickhouse, { requestTimeoutMs: 5000 });
  try {
    await waitFor('a write to be taken', { timeoutMs, everyMs: 50, signal }, async () => {
      await withPostgres(stack.endpoints.postgres, async (client) => {
        await client.query("SET statement_timeout = '5s'");
        await client.query('BEGIN');
        for (const { table } of OWN_TABLES)
          await client.query(`UPDATE ${SCHEMA}.${table} SET n = $1 WHERE id = 0`, [wanted]);
        await client.query('COMMIT');
      });
      return { ready: true };
    });
    await waitFor('rows to cross', { timeoutMs, everyMs: 50, signal }, async () => {
      const arrived = await clickhouse.rows<{ name: string }>(
        ground.tables
          .map(
            ({ table, names }) =>
              `SELECT '${table}' AS name FROM ${chIdent(names.database, names.view)} WHERE id = 0 AND n >= ${wanted}`,
          )
          .join(' UNION ALL '),
      );
      const late = OWN_TABLES.filter(({ table }) => !arrived.some(({ name }) => name === table));
      return late.length === 0
        ? { ready: true }
        : { seen: `not by ${late.map(({ table }) => table).join(', ')}` };
    });
    return performance.now() - startedAtMs;
  } finally {
    await clickhouse.close();
  }
}
