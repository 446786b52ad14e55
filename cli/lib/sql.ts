/** Quoting of SQL identifiers and literals. Nothing else in the project builds them. */

/** A PostgreSQL identifier: `"` doubled. PostgreSQL knows no NUL in identifiers. */
export function pgIdent(...parts: string[]): string {
  return parts.map((part) => `"${part.replaceAll('"', '""')}"`).join('.');
}

/** PostgreSQL's keywords that are no column's name unless they are quoted. */
const KEYWORDS: ReadonlySet<string> = new Set(
  `all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate
  collation column concurrently constraint create cross current_catalog current_date current_role
  current_schema current_time current_timestamp current_user default deferrable desc distinct do else end
  except false fetch for foreign freeze from full grant group having ilike in initially inner intersect
  into is isnull join lateral leading left like limit localtime localtimestamp natural not notnull null
  offset on only or order outer overlaps placing primary references returning right select session_user
  similar some symmetric system_user table tablesample then to trailing true union unique user using
  variadic verbose when where window with`.split(/\s+/),
);

/** Whether PostgreSQL takes a column's name for something else where it is not quoted. */
export function needsQuotes(column: string): boolean {
  return (
    !/^[a-z_\u0080-\u{10ffff}][a-z0-9_$\u0080-\u{10ffff}]*$/u.test(column) || KEYWORDS.has(column)
  );
}

/** A PostgreSQL string literal that means the same whatever standard_conforming_strings says. */
export function pgLiteral(value: string): string {
  const quoted = `'${value.replaceAll("'", "''")}'`;
  return value.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

/** A ClickHouse identifier between backticks; backslash and backtick are escaped. */
export function chIdent(...parts: string[]): string {
  return parts
    .map((part) => `\`${part.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``)
    .join('.');
}

/** A ClickHouse string literal. */
export function chLiteral(value: string): string {
  const escaped = value
    .replaceAll('\\', '\\\\')
    .replaceAll("'", "\\'")
    .replaceAll('\0', '\\0')
    .replaceAll('\u001f', '\\x1F')
    .replaceAll('\n', '\\n')
    .replaceAll('\t', '\\t');
  return `'${escaped}'`;
}
