import { chLiteral } from '../../lib/sql.ts';

/**
 * PostgreSQL's text of an array, such as {1,NULL,"a \"b\""}, taken apart in ClickHouse. Elements
 * with a brace, a delimiter, a quote, a backslash or white space in them, empty ones, and a text
 * that reads NULL are in quotes.
 */

/** ClickHouse: text of an array of one dimension → Array(Nullable(String)). */
export function elementsOf(text: string, delimiter: string): string {
  const token = `(?s)"(?:[^"\\\\]|\\\\.)*"|[^{}"${delimiter.replace(/[\\\]^-]/, '\\$&')}]+`;
  const bare = `replaceRegexpAll(substring(x, 2, length(x) - 2), ${chLiteral('(?s)\\\\(.)')}, ${chLiteral('\\1')})`;
  return `arrayMap(x -> multiIf(x = 'NULL', NULL, startsWith(x, '"'), ${bare}, x), extractAll(${text}, ${chLiteral(token)}))`;
}

/** ClickHouse: not of several dimensions, which begin with two braces, nor [0:1]={…}. */
export function hasOneDimension(text: string): string {
  return `(startsWith(${text}, '{') AND NOT startsWith(${text}, '{{'))`;
}

/** PostgreSQL: an array that ClickHouse can hold; an empty one has no dimension at all. */
export function oneDimension(column: string): string {
  return `(coalesce(array_ndims(${column}), 1) = 1 AND coalesce(array_lower(${column}, 1), 1) = 1)`;
}
