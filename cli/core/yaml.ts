import type { TableId } from './names.ts';
import { patternOf } from './tableFilter.ts';

/** Text for cdc.yaml, to be pasted: what a name holds must mean nothing in YAML or in a pattern. */

/**
 * JSON is YAML, but for characters that a reader of YAML may refuse, or a terminal act upon; in
 * either they can be written as numbers.
 */
export function yamlString(text: string): string {
  return JSON.stringify(text).replaceAll(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Leaves out exactly these tables. */
export function excludeYaml(tables: readonly TableId[]): string {
  return `source: { exclude: [${tables.map((id) => yamlString(patternOf(id))).join(', ')}] }`;
}

/** Another name for a table's copy. */
export function targetYaml(id: TableId, table: string): string {
  return `tables: { ${yamlString(patternOf(id))}: { target: { table: ${yamlString(table)} } } }`;
}

/** Another way to copy a column. */
export function columnYaml(id: TableId, column: string, rule: 'exclude' | 'mask' | 'text'): string {
  return `tables: { ${yamlString(patternOf(id))}: { columns: { ${yamlString(column)}: ${rule} } } }`;
}
