import { pgLiteral } from '../lib/sql.ts';
import type { Finding } from './findings.ts';
import { type TableId, tableLabel } from './names.ts';
import type { SourceTable } from './source.ts';
import { columnYaml, excludeYaml } from './yaml.ts';

/**
 * What keeps values back (exclude, mask) is a rule of a column, whatever it or its table is called by now:
 * columns by their numbers, tables by their OIDs, which PostgreSQL never uses twice in a table.
 */
export interface RememberedTable extends TableId {
  readonly oid: number;
  /** The column's number, the name under which cdc.yaml has the rule, and the rule. */
  readonly rules: readonly (readonly [number, string, PrivateRule])[];
  /** OIDs of the relations that are, or were, its partitions: their rows are rows of it. */
  readonly partitions?: readonly number[];
}

export type PrivateRule = 'exclude' | 'mask';

/** By the tables' OIDs. */
export type Remembered = ReadonlyMap<number, RememberedTable>;

type Rules<Rule> = Readonly<Record<string, Rule>>;

/** Whether a rule keeps values back. */
export function isPrivateRule(rule: unknown): rule is PrivateRule {
  return rule === 'exclude' || rule === 'mask';
}

/** Conditions of cdc.yaml by which tables have such columns: patterns of schema.table. */
export function privatePatterns(
  overrides: Readonly<Record<string, { readonly columns: Readonly<Record<string, unknown>> }>>,
): string[] {
  return Object.entries(overrides)
    .filter(([, { columns }]) => Object.values(columns).some(isPrivateRule))
    .map(([pattern]) => pattern);
}

/** What the connector compares a table with, before anything of it is sent: cdc.ColumnRules. */
export function ruledTables(tables: readonly SourceTable[]): Record<string, unknown> {
  return Object.fromEntries(
    tables
      .filter(({ isRuled }) => isRuled)
      .map((table) => [
        table.oid,
        {
          table: tableLabel(table),
          columns: table.attributes.map(({ number, name }) => `${number} ${name}`),
          sent:
            table.listed ?? table.attributes.filter((a) => a.isPublished).map(({ name }) => name),
        },
      ]),
  );
}

/** Names by which cdc.yaml may call a table: its own, and before that one under which rules were given. */
export function namesOf(table: SourceTable, remembered: Remembered): TableId[] {
  const before = remembered.get(table.oid);
  return before && tableLabel(before) !== tableLabel(table) ? [before, table] : [table];
}

interface Renamed {
  readonly from: string;
  readonly to: string;
  readonly rule: PrivateRule;
}

/** Rules by the names that the columns have now, and the columns that were renamed. */
export function followed<Rule>(
  table: SourceTable,
  rules: Rules<Rule>,
  remembered: Remembered,
): { rules: Rules<Rule>; renamed: Renamed[] } {
  const all: Record<string, Rule> = { ...rules };
  const renamed: Renamed[] = [];
  for (const [number, from] of remembered.get(table.oid)?.rules ?? []) {
    const to = table.attributes.find((attribute) => attribute.number === number)?.name;
    const rule = Object.hasOwn(rules, from) ? rules[from] : undefined;
    if (to === undefined || to === from || !isPrivateRule(rule) || Object.hasOwn(rules, to))
      continue;
    all[to] = rule;
    renamed.push({ from, to, rule });
  }
  return { rules: all, renamed };
}

/**
 * Condition of every statement that reads rows of such a table in the source: its columns are still those that
 * the statement was made for. It is asked once; where they are not, the cast fails, and says why.
 */
export function columnsGuard(table: SourceTable): string | undefined {
  if (!table.isRuled) return undefined;
  const known = table.attributes.map(({ number, name }) => `(${number}, ${pgLiteral(name)})`);
  return `(SELECT CASE count(*) WHEN ${known.length} THEN 'true' ELSE 'columns of the table have changed' END::text FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = ${table.oid}::oid AND (a.attnum, a.attname) IN (${known.join(', ')}))::boolean`;
}

/** What is to be remembered of a table: nothing where nothing of it is kept back. */
export function memoryOf(table: SourceTable, remembered: Remembered): RememberedTable | undefined {
  if (!table.isRuled) return undefined;
  const before = remembered.get(table.oid);
  const ruleOf = (name: string): PrivateRule | undefined =>
    table.excluded.includes(name)
      ? 'exclude'
      : table.columns.some((c) => c.name === name && c.carry === 'mask')
        ? 'mask'
        : undefined;
  const given = new Map(before?.rules.map(([number, name]) => [number, name]));
  const rules = table.attributes.flatMap(({ number, name }) => {
    const rule = ruleOf(name);
    if (rule === undefined) return [];
    const isOwn = table.ruledBy?.includes(name) === true;
    return [[number, isOwn ? name : (given.get(number) ?? name), rule] as const];
  });
  // Of a column that is gone: cdc.yaml names it until somebody takes it out, and is no error for that.
  const isThere = new Set(table.attributes.map(({ number }) => number));
  const named = new Set(rules.map(([, name]) => name));
  const gone = (before?.rules ?? []).filter(
    ([number, name]) => !isThere.has(number) && table.ruledBy?.includes(name) && !named.has(name),
  );
  const { schema, table: own } = table.renamedFrom ?? table;
  const partitions = [
    ...new Set([...(before?.partitions ?? []), ...(table.partitions ?? [])]),
  ].sort((a, b) => a - b);
  return {
    schema,
    table: own,
    oid: table.oid,
    rules: [...gone, ...rules],
    ...(partitions.length > 0 ? { partitions } : {}),
  };
}

/**
 * Of a table that was a partition of one with such rules, and of one that has got such a table as its partition: by which
 * of its columns the same values go is for somebody to say.
 *
 * @param isNamed cdc.yaml has an entry for this very table.
 */
export function partitionFindings(
  table: SourceTable,
  remembered: Remembered,
  isNamed: boolean,
): Finding[] {
  if (isNamed) return [];
  const others = [...remembered.values()].filter(
    ({ oid, rules }) => oid !== table.oid && rules.length > 0,
  );
  const was = others.find(({ partitions = [] }) => partitions.includes(table.oid));
  const has = others.find(({ oid }) => table.partitions?.includes(oid));
  const other = was ?? has;
  if (!other) return [];
  const kept = other.rules.map(([, name]) => name).join(', ');
  const how = was
    ? `it was a partition of ${tableLabel(other)}`
    : `${tableLabel(other)} is a partition of it`;
  return [
    {
      id: 'private-partition',
      severity: 'error',
      subject: tableLabel(table),
      message: `${how}, of which cdc.yaml keeps ${kept} back, and it says nothing of this table`,
      fix: `In cdc.yaml: ${columnYaml(table, other.rules[0]?.[1] ?? '', other.rules[0]?.[2] ?? 'exclude')}, or leave it out in cdc.yaml: ${excludeYaml([table])}`,
    },
  ];
}

/** What cdc.yaml should say by now. */
export function followFindings(table: SourceTable, renamed: readonly Renamed[]): Finding[] {
  return renamed.map(({ from, to, rule }) => ({
    id: 'rule-follows',
    severity: 'warning',
    subject: `${tableLabel(table)}.${to}`,
    message: `it was called ${from}, which cdc.yaml ${rule === 'mask' ? 'masks' : 'excludes'}: that still holds`,
    fix: `In cdc.yaml, instead of ${from}: ${columnYaml(table, to, rule)}`,
  }));
}
