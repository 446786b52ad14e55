import type { ClickHouse } from '../../components/clickhouse/client.ts';
import { CH_CDC } from '../../core/names.ts';
import { describeStep, type ShownStep, shownSql } from '../../core/steps.ts';
import { chIdent, chLiteral } from '../../lib/sql.ts';

/** Who changed the servers: a command, or the agent by itself. */
export type Author = 'cli' | 'agent';

export interface HistoryEntry {
  readonly at: string;
  readonly by: Author;
  readonly changes: readonly string[];
  readonly statements: readonly string[];
  readonly seconds: number;
  /** `applied`, or why it was not done to the end; the next apply goes on. */
  readonly result: string;
}

/** Does the work, and writes down what was to be changed, by whom, and how it ended. */
export async function withHistory<T>(
  clickhouse: ClickHouse,
  by: Author,
  steps: readonly ShownStep[],
  work: () => Promise<T>,
  resultOf: (done: T) => string = () => 'applied',
): Promise<T> {
  const startedAtMs = performance.now();
  const write = (result: string) =>
    clickhouse.insert(chIdent(clickhouse.own, CH_CDC.history), [
      {
        by,
        changes: steps.map(describeStep),
        statements: steps.flatMap(shownSql),
        seconds: Math.round(performance.now() - startedAtMs) / 1000,
        result,
      },
    ]);
  try {
    const done = await work();
    await write(resultOf(done));
    return done;
  } catch (error) {
    // Where the table is not there yet, or ClickHouse is gone, the reason is worth more.
    await write(error instanceof Error ? error.message : String(error)).catch(() => {});
    throw error;
  }
}

/** The latest first. */
export async function readHistory(clickhouse: ClickHouse, limit = 50): Promise<HistoryEntry[]> {
  const { history } = CH_CDC;
  const found = await clickhouse.rows(
    `SELECT name FROM system.tables WHERE database = ${chLiteral(clickhouse.own)} AND name = ${chLiteral(history)}`,
  );
  if (found.length === 0) return [];
  return clickhouse.rows<HistoryEntry>(
    `SELECT formatDateTime(at, '%Y-%m-%dT%H:%i:%SZ') AS at, by, changes, statements, seconds, result
       FROM ${chIdent(clickhouse.own, history)} AS h ORDER BY h.at DESC LIMIT ${limit}`,
  );
}
