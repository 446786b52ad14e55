import type { ClickHouse } from '../components/clickhouse/client.ts';
import { type LoadStates, recordState } from '../components/clickhouse/observe.ts';
import type { LeftOut } from '../core/leftOut.ts';
import { tableLabel } from '../core/names.ts';
import type { Problem } from '../core/problems.ts';
import { isNamed } from '../core/select.ts';
import type { SourceTable } from '../core/source.ts';

/**
 * Why the last load of a table stopped, kept among the loads until one comes to its end: whoever
 * looks later wants to know it.
 */
const FAILURE = 'failure';

export async function recordFailure(
  clickhouse: ClickHouse,
  table: SourceTable,
  problem: Problem,
): Promise<void> {
  await recordState(clickhouse, table, FAILURE, `${table.oid}:${problem.message}`);
}

export async function forgetFailure(clickhouse: ClickHouse, table: SourceTable): Promise<void> {
  await recordState(clickhouse, table, FAILURE, '');
}

/** Undefined when no load of this very table stopped, or one has come to its end since. */
export function failureOf(states: LoadStates, table: SourceTable): string | undefined {
  const [, oid, why] = /^(\d+):(.*)$/s.exec(states.whole(table).get(FAILURE) ?? '') ?? [];
  return Number(oid) === table.oid ? why : undefined;
}

export function failedLoads(
  states: LoadStates,
  tables: readonly SourceTable[],
  include: readonly string[],
): LeftOut[] {
  return tables.flatMap((table) => {
    const why = failureOf(states, table);
    return why === undefined ? [] : [failedLoad(table, why, include)];
  });
}

export function failedLoad(table: SourceTable, why: string, include: readonly string[]): LeftOut {
  return {
    table: tableLabel(table),
    why,
    fix: 'cdc apply   # goes on where the load stopped',
    named: isNamed(table, include),
    findings: ['load-failed'],
  };
}
