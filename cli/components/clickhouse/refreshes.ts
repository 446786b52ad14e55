import type { Finding } from '../../core/findings.ts';
import { isOwnedSql } from '../../core/plan.ts';
import type { ClickHouse } from './client.ts';

/** A view of ours that ClickHouse makes anew now and then. */
export interface Refresh {
  readonly view: string;
  /** What kept the last attempt from its end; empty when it went well. */
  readonly error: string;
  /** It should have been recreated long ago, and was not. */
  readonly isLate: boolean;
  /** Since the beginning of the last one that went well; absent when none did since the server started. */
  readonly age_s: number | undefined;
}

/** By how much a refresh may be late. */
const LATE_S = 60;

export async function observeRefreshes(clickhouse: ClickHouse): Promise<Refresh[]> {
  const rows = await clickhouse.rows<{
    view: string;
    error: string;
    late: number;
    age: number | null;
  }>(
    `SELECT concat(r.database, '.', r.view) AS view, r.exception AS error,
            r.status = 'Disabled' OR (r.status = 'Scheduled' AND ifNull(r.next_refresh_time < now() - ${LATE_S}, 0)) AS late,
            dateDiff('second', r.last_success_time, now()) AS age
       FROM system.view_refreshes AS r
       JOIN system.tables AS t ON t.database = r.database AND t.name = r.view
      WHERE ${isOwnedSql(clickhouse.own, 'aggregate', 't.comment')} ORDER BY view`,
  );
  return rows.map(({ view, error, late, age }) => ({
    view,
    error: error.split('\n')[0] ?? '',
    isLate: late === 1,
    age_s: age === null ? undefined : Number(age),
  }));
}

export function troubleOfRefresh({ view, error, isLate, age_s }: Refresh): string | undefined {
  const since = age_s === undefined ? 'has no rows yet' : `has rows of ${age_s} s ago`;
  if (error !== '') return `${view} ${since}: ${error}`;
  return isLate ? `${view} ${since}, and is not refreshed` : undefined;
}

export async function checkRefreshes(clickhouse: ClickHouse): Promise<Finding[]> {
  return (await observeRefreshes(clickhouse)).flatMap((refresh) => {
    const message = troubleOfRefresh(refresh);
    return message === undefined
      ? []
      : [
          {
            id: 'view-not-refreshed',
            severity: 'warning',
            subject: refresh.view,
            message,
            fix: `Correct the file that declares it, then: cdc apply   # or try once more: SYSTEM REFRESH VIEW ${refresh.view}`,
          } satisfies Finding,
        ];
  });
}
