import type { ClickHouse } from '../../components/clickhouse/client.ts';
import { CH_CDC } from '../../core/names.ts';
import { ownTables } from '../../core/own-tables.ts';
import { createStatement } from '../../core/plan.ts';
import { chIdent } from '../../lib/sql.ts';

const tableOf = (clickhouse: ClickHouse) => chIdent(clickhouse.own, CH_CDC.verifications);

/** A comparison that was made to its end, as `cdc.verifications` keeps it. */
export interface Verified {
  readonly ok: boolean;
  readonly flowing: boolean;
  /** Tables that were compared, and how many the pipeline has. */
  readonly tables: readonly string[];
  readonly captured: number;
  readonly differing: readonly string[];
  readonly rows: number;
  /** Part of them that was to be compared; 1 for all. */
  readonly sampled: number;
  readonly seconds: number;
}

/** Copies that an older version made do not have the table before the next apply. */
export async function recordVerification(
  clickhouse: ClickHouse,
  verified: Verified,
): Promise<void> {
  const own = ownTables(clickhouse.own).find(({ name }) => name === CH_CDC.verifications);
  if (own) await clickhouse.command(createStatement(own));
  await clickhouse.insert(tableOf(clickhouse), [{ ...verified }]);
}

export interface LastVerified {
  /** Since it ended, by ClickHouse's clock. */
  readonly age_ms: number;
  readonly ok: boolean;
  readonly flowing: boolean;
  readonly rows: number;
  /** Tables that were compared, of so many. */
  readonly tables: number;
  readonly captured: number;
  readonly differing: readonly string[];
  readonly sampled: number;
  readonly seconds: number;
}

/** Undefined when nothing was ever compared. */
export async function lastVerified(clickhouse: ClickHouse): Promise<LastVerified | undefined> {
  const rows = await clickhouse.rows<Record<keyof LastVerified, unknown>>(
    `SELECT dateDiff('millisecond', at, now64(3, 'UTC')) AS age_ms, ok, flowing, rows,
            length(v.tables) AS tables, captured, differing, sampled, seconds
       FROM ${tableOf(clickhouse)} AS v ORDER BY at DESC LIMIT 1`,
  );
  const row = rows[0];
  if (!row) return undefined;
  return {
    age_ms: Math.max(0, Number(row.age_ms)),
    ok: row.ok === true,
    flowing: row.flowing === true,
    rows: Number(row.rows),
    tables: Number(row.tables),
    captured: Number(row.captured),
    differing: row.differing as string[],
    sampled: Number(row.sampled),
    seconds: Number(row.seconds),
  };
}
