import type { ClickHouse } from '../../components/clickhouse/client.ts';
import { forgetRecord, type Records, writeRecord } from '../../components/clickhouse/records.ts';
import type { LeftOut } from '../../core/leftOut.ts';
import { tableLabel } from '../../core/names.ts';
import type { Problem } from '../../core/problems.ts';
import type { SourceTable } from '../../core/source.ts';
import { isNamed } from '../../core/tableFilter.ts';

/** Why the last load of a table stopped: whoever looks later wants to know it. */
export async function recordFailure(
  clickhouse: ClickHouse,
  table: SourceTable,
  problem: Problem,
): Promise<void> {
  await writeRecord(clickhouse, table, 'failure', { oid: table.oid, why: problem.message });
}

export async function forgetFailure(clickhouse: ClickHouse, table: SourceTable): Promise<void> {
  await forgetRecord(clickhouse, table, 'failure');
}

/** Undefined when no load of this very table stopped, or one has come to its end since. */
export function failureOf(records: Records, table: SourceTable): string | undefined {
  const failure = records.get(table, 'failure');
  return failure?.oid === table.oid ? failure.why : undefined;
}

export function failedLoads(
  records: Records,
  tables: readonly SourceTable[],
  include: readonly string[],
): LeftOut[] {
  return tables.flatMap((table) => {
    const why = failureOf(records, table);
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
