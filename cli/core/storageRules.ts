import { nearest } from '../lib/nearest.ts';
import type { Finding } from './findings.ts';
import { tableLabel } from './names.ts';
import { isMultiset, type SourceTable, type StorageOptions, type Target } from './source.ts';
import { isTime, parseTtl } from './storage.ts';

/** What an entry of `tables` says of how the copy is stored, and what of it cannot be. */
export interface StorageRule {
  readonly order_by?: readonly string[] | undefined;
  readonly partition_by?: string | undefined;
  readonly ttl?: string | undefined;
  readonly settings?: StorageOptions['settings'] | undefined;
  readonly target?: Target | undefined;
}

export function applyStorage(table: SourceTable, rule: StorageRule): SourceTable {
  const ttl = rule.ttl === undefined ? undefined : parseTtl(rule.ttl);
  const storage: StorageOptions = {
    ...table.storage,
    ...(rule.partition_by === undefined ? {} : { partitionBy: rule.partition_by }),
    ...(ttl === undefined ? {} : { ttl }),
    ...(rule.settings === undefined
      ? {}
      : { settings: { ...table.storage?.settings, ...rule.settings } }),
  };
  return {
    ...ordered(table, rule.order_by),
    ...(Object.keys(storage).length === 0 ? {} : { storage }),
    ...(rule.target === undefined ? {} : { target: { ...table.target, ...rule.target } }),
  };
}

/**
 * The sorting key is what tells rows apart in ClickHouse, so it becomes the key of the copy. Of a row whose
 * value in it changes, the table's view ends the old one.
 */
function ordered(table: SourceTable, order: readonly string[] | undefined): SourceTable {
  if (order === undefined || orderProblem(table, order) !== undefined) return table;
  if (order.join('\0') === table.key.join('\0')) return table;
  const widenedBy = order.filter((name) => !table.key.includes(name));
  return {
    ...table,
    key: order,
    orderBy: order,
    ...(widenedBy.length === 0 ? {} : { widenedBy }),
  };
}

interface OrderProblem {
  readonly message: string;
  readonly fix: string;
}

function orderProblem(table: SourceTable, order: readonly string[]): OrderProblem | undefined {
  const label = tableLabel(table);
  if (isMultiset(table)) {
    return {
      message: `${label} has no key, so its copy is sorted by a hash of the whole row`,
      fix: `Remove order_by, or give ${label} a primary key.`,
    };
  }
  const names = table.columns.map((column) => column.name);
  for (const name of order) {
    if (names.includes(name)) continue;
    const near = nearest(name, names);
    return {
      message: `${label} has no column ${name} that is copied`,
      fix: near ? `Did you mean "${near}"?` : `Columns: ${names.join(', ')}`,
    };
  }
  const lacking = table.key.filter((name) => !order.includes(name));
  if (lacking.length > 0) {
    return {
      message: `it lacks ${lacking.join(', ')} of the key of ${label}: ClickHouse takes rows whose sorting key is the same for versions of one row, and would lose all but one`,
      fix: `order_by: [${[...order, ...lacking].map((name) => JSON.stringify(name)).join(', ')}]`,
    };
  }
  if (new Set(order).size < order.length)
    return { message: 'it has a column twice', fix: 'Name each column once.' };
  const more = order.filter((name) => !table.key.includes(name));
  const empty = table.columns.find((c) => more.includes(c.name) && !c.notNull);
  if (empty) {
    return {
      message: `${empty.name} of ${label} can be NULL, which a sorting key cannot hold`,
      fix: 'Leave it out, or set it NOT NULL in PostgreSQL.',
    };
  }
  const chosen = table.columns.find((c) => more.includes(c.name) && c.chosenType !== undefined);
  if (chosen) {
    return {
      message: `${chosen.name} of ${label} has a type from cdc.yaml, so different values could become the same`,
      fix: `Take ${chosen.name} out of order_by, or its type out of columns.`,
    };
  }
  return undefined;
}

/** Of one entry; columns of the tables are as PostgreSQL has them. */
export function checkStorage(
  subject: string,
  rule: StorageRule,
  matching: readonly SourceTable[],
): Finding[] {
  const found: Finding[] = [];
  const error = (id: string, key: string, problem: OrderProblem) =>
    found.push({ id, severity: 'error', subject: `${subject}.${key}`, ...problem });
  const { order_by: order, ttl, target } = rule;
  for (const table of order === undefined ? [] : matching) {
    const problem = orderProblem(table, order ?? []);
    if (problem) error('override-order-by', 'order_by', problem);
  }
  if (ttl !== undefined && parseTtl(ttl) === undefined) {
    error('override-ttl', 'ttl', {
      message: 'it is not of the one form by which both databases can be asked for the same rows',
      fix: 'ttl: created_at + INTERVAL 90 DAY',
    });
  }
  if (target?.table !== undefined && matching.length > 1) {
    error('override-target', 'target.table', {
      message: `it is one name for ${matching.length} tables`,
      fix: 'Name the table in an entry of its own, without wildcards; target: { database: … } can be said of several.',
    });
  }
  return found;
}

/** Of the tables as they are to be copied: a TTL counts from a column of the sorting key. */
export function checkTtls(tables: readonly SourceTable[]): Finding[] {
  return tables.flatMap((table): Finding[] => {
    const ttl = table.storage?.ttl;
    if (ttl === undefined) return [];
    const label = tableLabel(table);
    const error = (message: string, fix: string): Finding[] => [
      { id: 'override-ttl', severity: 'error', subject: label, message, fix },
    ];
    const column = table.columns.find((c) => c.name === ttl.column);
    if (column === undefined || !isTime(column)) {
      const times = table.columns.filter(isTime).map((c) => c.name);
      return error(
        `its ttl counts from ${ttl.column}, which is ${column ? `${column.displayType} and no time` : 'no column that is copied'}`,
        times.length > 0 ? `One of: ${times.join(', ')}` : 'Remove ttl from cdc.yaml.',
      );
    }
    if (isMultiset(table) || table.key.includes(ttl.column)) return [];
    const order = [ttl.column, ...table.key].map((name) => JSON.stringify(name)).join(', ');
    return error(
      `its ttl counts from ${ttl.column}, which is not in the sorting key: where an update changes it, ClickHouse would delete the new version of a row and show the old one again`,
      `order_by: [${order}]`,
    );
  });
}
