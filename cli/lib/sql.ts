/** Quoting of SQL identifiers and literals. Nothing else in the project builds them. */

/** A PostgreSQL identifier: `"` doubled. PostgreSQL knows no NUL in identifiers. */
export function pgIdent(...parts: string[]): string {
  return parts.map((part) => `"${part.replaceAll('"', '""')}"`).join('.');
}

/** The same for people to copy from a terminal: what is no printable character stands there by its number. */
export function pgIdentShown(...parts: string[]): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it is about
  const unprintable = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff]/g;
  return parts
    .map((part) => {
      if (part.search(unprintable) < 0) return pgIdent(part);
      const escaped = part
        .replaceAll('\\', '\\\\')
        .replaceAll(unprintable, (c) => `\\${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
      return `U&${pgIdent(escaped)}`;
    })
    .join('.');
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
