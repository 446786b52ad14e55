import { chIdent, pgIdent } from '../lib/sql.ts';
import type { TablePlan } from './ddl.ts';
import { columnsGuard } from './followRules.ts';
import { SOURCE } from './keys.ts';
import { sourceAlive } from './storage.ts';

/**
 * Which rows are the table's: FROM and WHERE of every statement that loads, compares or repairs rows.
 * Nothing else says so.
 */

/** A partitioned table's rows are its partitions'; those of a table that inherits are its own. */
function sourceRelation(plan: TablePlan): string {
  return `${plan.source.kind === 'p' ? '' : 'ONLY '}${pgIdent(plan.schema, plan.table)}`;
}

/**
 * Only rows that the table's filter lets through are copied, so no others are read.
 * @param relation where the rows are read from a partition: what stands after FROM.
 */
export function sourceFrom(
  plan: TablePlan,
  conditions: readonly string[] = [],
  relation: string = sourceRelation(plan),
): string {
  return `FROM ${relation} ${SOURCE}${where([columnsGuard(plan.source) ?? '', plan.source.where ?? '', sourceAlive(plan.source, SOURCE) ?? '', ...conditions])}`;
}

/** Current rows: what the view shows, without what the view hides of the storage. */
export function targetFrom(plan: TablePlan, conditions: readonly string[] = []): string {
  return `FROM ${chIdent(plan.names.database, plan.names.view)}${where(conditions)}`;
}

function where(conditions: readonly string[]): string {
  const some = conditions.filter((condition) => condition !== '');
  return some.length === 0 ? '' : ` WHERE ${some.map((c) => `(${c})`).join(' AND ')}`;
}
