import type { Finding } from './findings.ts';
import { type TableId, tableLabel, tableLabelKey } from './names.ts';
import type { SourceTable } from './source.ts';
import { isNamed } from './tableFilter.ts';
import { excludeYaml } from './yaml.ts';

/** A table that cdc.yaml chooses and that is not copied, or not whole; the others go on. */
export interface LeftOut {
  readonly table: string;
  readonly why: string;
  readonly fix: string;
  /** cdc.yaml names it without a wildcard: somebody counts on it. */
  readonly named: boolean;
  /** Ids of the findings about it. */
  readonly findings: readonly string[];
}

/** With this alone a table's changes flow on: only its existing rows cannot be read. */
const FLOWS_ON = new Set(['table-select']);

interface Chosen {
  readonly tables: readonly SourceTable[];
  readonly ofTable: ReadonlyMap<SourceTable, readonly Finding[]>;
  readonly include: readonly string[];
  /** Tables of the publication. */
  readonly published: readonly TableId[];
}

/**
 * The tables that are left out for what was found of them, and those that can be planned. Of one
 * whose rows alone cannot be read, changes flow on: it is in both.
 */
export function divideTables({ tables, ofTable, include, published }: Chosen): {
  planned: SourceTable[];
  leftOut: LeftOut[];
} {
  const known = new Set(published.map(tableLabelKey));
  const errorsOf = (table: SourceTable) =>
    (ofTable.get(table) ?? []).filter((finding) => finding.severity === 'error');
  const flows = (table: SourceTable) =>
    known.has(tableLabelKey(table)) && errorsOf(table).every(({ id }) => FLOWS_ON.has(id));
  return {
    planned: tables.filter((table) => errorsOf(table).length === 0 || flows(table)),
    leftOut: tables.flatMap((table) => {
      const errors = errorsOf(table);
      return errors.length === 0 ? [] : [leftOutFor(table, errors, include)];
    }),
  };
}

export function leftOutFor(
  id: TableId,
  errors: readonly Finding[],
  include: readonly string[],
): LeftOut {
  const table = tableLabel(id);
  const about = ({ subject, message }: Finding) =>
    subject.startsWith(`${table}.`) ? `${subject.slice(table.length + 1)}: ${message}` : message;
  return {
    table,
    why: errors.map(about).join('; '),
    fix: fixOf(id, errors),
    named: isNamed(id, include),
    findings: [...new Set(errors.map((finding) => finding.id))],
  };
}

/** How to repair it, and how to do without it. */
function fixOf(id: TableId, errors: readonly Finding[]): string {
  const fixes = [...new Set(errors.map((finding) => finding.fix))];
  const without = excludeYaml([id]);
  const isSaid = fixes.some((fix) => fix.includes(without));
  return [...fixes, ...(isSaid ? [] : [`Or leave it out in cdc.yaml: ${without}`])].join('\n');
}

/** As findings: an error where the table is named in cdc.yaml, a warning where a wildcard chose it. */
export function leftOutFindings(leftOut: readonly LeftOut[]): Finding[] {
  return leftOut.map(({ table, why, fix, named, findings }) => ({
    id: findings.join(' '),
    severity: named ? 'error' : 'warning',
    subject: table,
    message: `left out: ${why}`,
    fix,
  }));
}
