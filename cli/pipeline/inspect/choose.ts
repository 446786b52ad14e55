import type { ClickHouse } from '../../components/clickhouse/client.ts';
import { observeTarget } from '../../components/clickhouse/observe.ts';
import { readRecords } from '../../components/clickhouse/records.ts';
import type { TablePlan } from '../../core/ddl.ts';
import type { LeftOut } from '../../core/leftOut.ts';
import { type TableId, tableLabel } from '../../core/names.ts';
import { objectKey } from '../../core/plan.ts';
import { Problem } from '../../core/problems.ts';
import { isNamed, matchesPattern } from '../../core/tableFilter.ts';
import { failedLoads } from '../state/loadFailures.ts';
import type { Desired } from './desired.ts';
import { type CapturedSource, notApplied } from './source.ts';

/** Of the tables that a command is asked about, those that it can read, and the others. */
export interface Asked {
  readonly plans: readonly TablePlan[];
  readonly leftOut: readonly LeftOut[];
}

/** Tables that patterns of a command line choose, all when there are none; each must match some. */
export function askedTables<T extends TableId>(
  tables: readonly T[],
  patterns: readonly string[],
): T[] {
  for (const pattern of patterns) {
    if (tables.some((t) => matchesPattern(t, pattern))) continue;
    throw new Problem('TABLE_UNKNOWN', {
      table: pattern,
      known: tables.map(tableLabel).join(', ') || 'none',
    });
  }
  return tables.filter((t) => patterns.length === 0 || patterns.some((p) => matchesPattern(t, p)));
}

export function chooseTables(
  source: CapturedSource,
  desired: Desired,
  patterns: readonly string[],
): Asked {
  const asked = new Set(askedTables(source.chosen, patterns).map(tableLabel));
  const leftOut = source.leftOut.filter(({ table }) => asked.has(table));
  const plans = desired.tables.filter((plan) => asked.has(tableLabel(plan)));
  return without({ plans, leftOut: [] }, leftOut);
}

/** Without tables whose copy is not there as cdc.yaml says, or whose load stopped. */
export async function withoutUnready(
  clickhouse: ClickHouse,
  source: CapturedSource,
  include: readonly string[],
  asked: Asked,
): Promise<Asked> {
  if (asked.plans.length === 0) return asked;
  const databases = [...new Set(asked.plans.map((plan) => plan.names.database))];
  const observed = await observeTarget(clickhouse, databases);
  const other = notApplied(source, asked.plans, clickhouse.own);
  const isThere = ({ names: { database, final } }: TablePlan) =>
    observed.has(objectKey({ database, name: final }));
  const applied = without(
    asked,
    asked.plans
      .filter((plan) => other.includes(plan) || !isThere(plan))
      .map((plan) => unapplied(plan, include)),
  );
  if (applied.plans.length === 0) return applied;
  const records = await readRecords(clickhouse);
  const tables = applied.plans.map((plan) => plan.source);
  return without(applied, failedLoads(records, tables, include));
}

function without(asked: Asked, leftOut: readonly LeftOut[]): Asked {
  const labels = new Set(leftOut.map(({ table }) => table));
  return {
    plans: asked.plans.filter((plan) => !labels.has(tableLabel(plan))),
    leftOut: [...asked.leftOut, ...leftOut],
  };
}

function unapplied(id: TableId, include: readonly string[]): LeftOut {
  return {
    table: tableLabel(id),
    why: 'it is not copied yet as cdc.yaml says',
    fix: 'cdc apply',
    named: isNamed(id, include),
    findings: ['table-not-applied'],
  };
}
