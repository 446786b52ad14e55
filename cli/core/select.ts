import { CDC_SCHEMA, type TableId, tableLabel } from './names.ts';

/** Whether `schema.table` matches a pattern with `*` and `?`; a pattern without a dot names a table of `public`. */
export function matchesPattern(id: TableId, pattern: string): boolean {
  const full = pattern.includes('.') ? pattern : `public.${pattern}`;
  const expression = full
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${expression}$`, 'su').test(tableLabel(id));
}

/** The tables that the configuration chooses. Our own schema is never copied by a wildcard. */
export function selectTables<T extends TableId>(
  tables: readonly T[],
  include: readonly string[],
  exclude: readonly string[],
): T[] {
  return tables.filter(
    (id) =>
      id.schema !== CDC_SCHEMA &&
      include.some((pattern) => matchesPattern(id, pattern)) &&
      !exclude.some((pattern) => matchesPattern(id, pattern)),
  );
}
