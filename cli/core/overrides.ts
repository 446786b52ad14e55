import { nearest } from '../lib/nearest.ts';
import type { Finding } from './findings.ts';
import {
  followed,
  followFindings,
  isPrivateRule,
  namesOf,
  partitionFindings,
  type Remembered,
} from './followRules.ts';
import { tableLabel } from './names.ts';
import type { SourceColumn, SourceTable, StorageOptions, Target } from './source.ts';
import { applyStorage, checkStorage, checkTtls } from './storageRules.ts';
import { isNamed, matchesPattern } from './tableFilter.ts';
import { choicesOf } from './types/chosen.ts';
import { canBe } from './types/mapping.ts';
import { excludeYaml } from './yaml.ts';

/** `tables` of cdc.yaml: by table (wildcards as in source.include), then by column. */
export type Overrides = Readonly<Record<string, TableRule>>;

/** Where several entries name a table, the last one that says something counts. */
interface TableRule {
  readonly columns: Readonly<Record<string, ColumnRule>>;
  /** Keep its changes. */
  readonly history?: boolean | undefined;
  /** Condition in SQL: only rows that meet it are copied. */
  readonly where?: string | undefined;
  /** Of a table without a key: rows are only ever added. */
  readonly mode?: 'append' | undefined;
  readonly order_by?: readonly string[] | undefined;
  readonly partition_by?: string | undefined;
  readonly ttl?: string | undefined;
  readonly settings?: StorageOptions['settings'] | undefined;
  readonly target?: Target | undefined;
}

/** Not copied at all; as the text that PostgreSQL prints; only the SHA-256 of that text; as a type of ClickHouse. */
export type ColumnRule =
  | 'exclude'
  | 'text'
  | 'mask'
  | { readonly type?: string | undefined; readonly codec?: string | undefined };

/**
 * The tables as they are to be copied, and what in the overrides cannot be done: what is about one table, which
 * may have come about in the source, by its OID.
 */
export function applyOverrides(
  tables: readonly SourceTable[],
  overrides: Overrides,
  remembered: Remembered = new Map(),
): { tables: SourceTable[]; findings: Finding[]; ofTable: Map<number, Finding[]> } {
  const entries = Object.entries(overrides);
  const matches = (table: SourceTable, pattern: string) =>
    namesOf(table, remembered).some((name) => matchesPattern(name, pattern));
  const rulesOf = (table: SourceTable) =>
    entries.filter(([pattern]) => matches(table, pattern)).map(([, rule]) => rule);
  const found: Finding[] = [];
  const ofTable = new Map<number, Finding[]>();
  const columned = tables.map((table) => {
    const given = Object.assign({}, ...rulesOf(table).map(({ columns }) => columns));
    const { rules, renamed } = followed<ColumnRule>(table, given, remembered);
    found.push(...followFindings(table, renamed));
    ofTable.set(table.oid, [
      ...keyFindings(table, rules),
      ...partitionFindings(table, remembered, isNamed(table, Object.keys(overrides))),
    ]);
    const [first, ...others] = namesOf(table, remembered);
    const isCalled = entries.some(([pattern]) => matchesPattern(table, pattern));
    return {
      ...applyRules(table, rules),
      ruledBy: Object.keys(given),
      ...(Object.values(rules).some(isPrivateRule) ? { isRuled: true } : {}),
      ...(first && others.length > 0 && !isCalled ? { renamedFrom: first } : {}),
    };
  });
  const changed = columned.map((table) => rulesOf(table).reduce(applyRule, table));
  return {
    tables: changed,
    ofTable,
    findings: [
      ...found,
      ...entries.flatMap(([pattern, { columns }]) =>
        checkEntry(
          tables.filter((table) => matches(table, pattern)),
          { pattern, tables, remembered },
          columns,
        ),
      ),
      ...entries.flatMap(([pattern, rule]) =>
        checkStorage(
          `tables."${pattern}"`,
          rule,
          columned.filter((table) => matches(table, pattern)),
        ),
      ),
      ...checkTtls(changed),
    ],
  };
}

function applyRule(table: SourceTable, rule: TableRule): SourceTable {
  const { history, where, mode } = rule;
  return {
    ...applyStorage(table, rule),
    ...(history === undefined ? {} : { history }),
    ...(where === undefined ? {} : { where }),
    ...(mode === undefined ? {} : { mode }),
  };
}

function applyRules(table: SourceTable, rules: Readonly<Record<string, ColumnRule>>): SourceTable {
  const ruleOf = (name: string) => (Object.hasOwn(rules, name) ? rules[name] : undefined);
  // A key column that may not be left out stays, and is a finding.
  const isExcluded = (name: string) => ruleOf(name) === 'exclude' && !table.key.includes(name);
  return {
    ...table,
    columns: table.columns
      .filter((column) => !isExcluded(column.name))
      .map((column) => {
        const rule = ruleOf(column.name);
        if (typeof rule === 'object') {
          const { type, codec } = rule;
          return {
            ...column,
            ...(type === undefined ? {} : { chosenType: type }),
            ...(codec === undefined ? {} : { codec }),
          };
        }
        return rule === 'text' || rule === 'mask' ? { ...column, carry: rule } : column;
      }),
    excluded: [...table.excluded, ...table.columns.map((column) => column.name).filter(isExcluded)],
  };
}

function typeFix(column: SourceColumn): string {
  const choices = choicesOf(column);
  return choices ? `One of: ${choices}` : 'Remove the entry, or write: text';
}

function checkEntry(
  matching: readonly SourceTable[],
  {
    pattern,
    tables,
    remembered,
  }: { pattern: string; tables: readonly SourceTable[]; remembered: Remembered },
  rules: Readonly<Record<string, ColumnRule>>,
): Finding[] {
  const subject = `tables."${pattern}"`;
  const error = (id: string, at: string, message: string, fix: string): Finding => ({
    id,
    severity: 'error',
    subject: at,
    message,
    fix,
  });
  if (matching.length === 0) {
    // As in source.include: without a dot it names a table of public.
    const full = pattern.includes('.') ? pattern : `public.${pattern}`;
    const near = nearest(full, tables.map(tableLabel));
    const fix = near ? `Did you mean "${near}"?` : 'Name a table that source.include chooses.';
    const found = error('override-table', subject, 'no copied table has this name', fix);
    // A table that was there and is gone stops nothing; what was meant to be kept back and is misspelt, everything.
    const wasThere = [...remembered.values()].some((table) => matchesPattern(table, pattern));
    const isPrivate = Object.values(rules).some(isPrivateRule);
    return [isPrivate && !wasThere ? found : { ...found, severity: 'warning' }];
  }
  return Object.entries(rules).flatMap(([name, rule]) => {
    const at = `${subject}.columns."${name}"`;
    // What it was given for has another name by now, or is dropped.
    const isKnown = matching.some((table) =>
      remembered.get(table.oid)?.rules.some(([, given]) => given === name),
    );
    if (
      isKnown &&
      !matching.some((table) => table.attributes.some((attribute) => attribute.name === name))
    )
      return [];
    if (!matching.some((table) => table.columns.some((column) => column.name === name))) {
      const known = matching.flatMap((table) => table.columns.map((column) => column.name));
      const near = nearest(name, known);
      const fix = near ? `Did you mean "${near}"?` : `Columns: ${[...new Set(known)].join(', ')}`;
      return [error('override-column', at, 'no such column', fix)];
    }
    if (typeof rule === 'object') {
      const { type } = rule;
      if (type === undefined) return [];
      const ofKey = matching.filter((table) => table.key.includes(name));
      const columns = matching.flatMap((table) =>
        table.columns.filter((column) => column.name === name),
      );
      return [
        ...columns
          .filter((column) => !canBe(column, type))
          .map((column) =>
            error(
              'override-type',
              at,
              `${column.displayType} cannot be ${type} without a way to tell what would be lost`,
              typeFix(column),
            ),
          ),
        ...ofKey.map((table) =>
          error(
            'override-type',
            at,
            `it is part of the key of ${tableLabel(table)}, whose values have to stay different`,
            'Leave the type of a key column to cdc: remove the entry from cdc.yaml.',
          ),
        ),
      ];
    }
    return [];
  });
}

/** A key can come to have such a column: its table is left out then, and PostgreSQL goes on taking its changes. */
function keyFindings(table: SourceTable, rules: Readonly<Record<string, ColumnRule>>): Finding[] {
  return table.key
    .filter((name) => Object.hasOwn(rules, name) && isPrivateRule(rules[name]))
    .map((name) => ({
      id: 'override-key',
      severity: 'error',
      subject: `${tableLabel(table)}.${name}`,
      message: `it is part of the key, without which rows cannot be told apart, and cdc.yaml ${rules[name] === 'mask' ? 'masks' : 'excludes'} it`,
      fix: `Remove it from cdc.yaml, or exclude the table: ${excludeYaml([table])}`,
    }));
}
