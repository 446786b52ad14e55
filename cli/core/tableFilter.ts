import { DEFAULT_PIPELINE, type TableId, tableLabel } from './names.ts';

interface Notation {
  /** Any characters, or none. */
  readonly many: string;
  /** Any one character. */
  readonly one: string;
  literal(char: string): string;
}

/**
 * A pattern in the notation of something else. `*` and `?` stand for other characters, unless a
 * backslash is before them; a pattern without a dot names a table of `public`.
 */
export function translatePattern(pattern: string, to: Notation): string {
  const full = pattern.includes('.') ? pattern : `public.${pattern}`;
  const token = /\\([*?\\])|([*?])|(.)/gsu;
  return full.replaceAll(token, (_, escaped?: string, wildcard?: string, char?: string) =>
    wildcard === undefined
      ? to.literal(escaped ?? char ?? '')
      : wildcard === '*'
        ? to.many
        : to.one,
  );
}

/** Whether `schema.table` matches a pattern. */
export function matchesPattern(id: TableId, pattern: string): boolean {
  const expression = translatePattern(pattern, {
    many: '.*',
    one: '.',
    literal: (char) => char.replace(/[.+*?^${}()|[\]\\]/, '\\$&'),
  });
  return new RegExp(`^${expression}$`, 'su').test(tableLabel(id));
}

/** The pattern that matches a table and no other, but for one whose dots are elsewhere. */
export function patternOf(id: TableId): string {
  return escapePattern(tableLabel(id));
}

export function escapePattern(text: string): string {
  return text.replaceAll(/[*?\\]/g, '\\$&');
}

/** Whether some pattern names the table itself, and not by a wildcard. */
export function isNamed(id: TableId, patterns: readonly string[]): boolean {
  const text = { many: '\0', one: '\0', literal: (char: string) => char };
  return patterns.some((pattern) => translatePattern(pattern, text) === tableLabel(id));
}

/** Columns of our own tables in a source, by the tables' names. */
const OWN_COLUMNS: Readonly<Record<string, string>> = {
  heartbeat: 'id beat at',
  signal: 'id type data',
};

/**
 * Schemas that pipelines have made in a source, which several can have in common: this one's, and those that hold
 * the same two tables.
 */
export function ownSchemas(
  tables: readonly (TableId & { readonly columns: readonly { readonly name: string }[] })[],
  own: string,
): Set<string> {
  const ofPipelines = tables.filter(
    ({ schema, table, columns }) =>
      schema.startsWith(`${DEFAULT_PIPELINE}_`) &&
      OWN_COLUMNS[table] === columns.map(({ name }) => name).join(' '),
  );
  const count = (schema: string) => ofPipelines.filter((id) => id.schema === schema).length;
  return new Set([
    DEFAULT_PIPELINE,
    own,
    ...ofPipelines.map(({ schema }) => schema).filter((schema) => count(schema) === 2),
  ]);
}

/** The tables that the configuration chooses. Schemas of pipelines are never copied by a wildcard. */
export function selectTables<T extends TableId>(
  tables: readonly T[],
  include: readonly string[],
  exclude: readonly string[],
  ofPipelines: ReadonlySet<string> = new Set([DEFAULT_PIPELINE]),
): T[] {
  return tables.filter(
    (id) =>
      !ofPipelines.has(id.schema) &&
      include.some((pattern) => matchesPattern(id, pattern)) &&
      !exclude.some((pattern) => matchesPattern(id, pattern)),
  );
}
