import type { LeftOut } from '../core/leftOut.ts';
import { plural } from '../core/problems.ts';
import { type ShownValue, showDifference } from '../core/shown.ts';
import { clip, type Printer } from '../kernel/printer.ts';
import { visible } from '../kernel/visible.ts';
import { formatCount, formatPercent, formatSeconds } from '../lib/format.ts';
import { isEqual, type TableVerdict } from '../pipeline/verify/tableVerifier.ts';
import type { DifferingRow } from '../pipeline/verify/valueDiff.ts';
import type { Verification } from '../pipeline/verify/verify.ts';
import { leftOutLines } from './left-out.ts';

/** How a comparison is written down: for people, and as JSON. */

/** Characters of a value in JSON; longer ones are given with their length. */
const JSON_WIDTH = 200;
const WORST_WIDTH = 16;

/** The result with values as far as they are shown. */
export function verificationJson(result: Verification): Record<string, unknown> {
  const isSample = result.sampled !== undefined;
  return { ...result, tables: result.tables.map((table) => tableJson(table, isSample)) };
}

function tableJson(table: TableVerdict, isSample: boolean): Record<string, unknown> {
  const { sampled, rows, ...rest } = table;
  return { ...rest, ...(isSample ? { sampled } : {}), rows: rows.map(rowJson) };
}

function rowJson({ key, how, columns, moreColumns }: DifferingRow): Record<string, unknown> {
  return {
    key: Object.fromEntries(key.map(({ name, text }) => [name, text])),
    how,
    columns: columns.map(({ name, source, copy }) => {
      const [own, other] = showDifference(source, copy, JSON_WIDTH);
      return {
        name,
        source: own,
        copy: other,
        ...(source.length > JSON_WIDTH ? { source_length: source.length } : {}),
        ...(copy.length > JSON_WIDTH ? { copy_length: copy.length } : {}),
      };
    }),
    ...(moreColumns > 0 ? { more_columns: moreColumns } : {}),
  };
}

export function verificationText(printer: Printer, result: Verification): string {
  const rows = result.tables.map((t) => [
    t.table,
    formatCount(t.source_rows),
    formatCount(t.target_rows),
    formatCount(t.missing),
    formatCount(t.extra),
    formatCount(t.different),
    stateOf(printer, t),
  ]);
  const lines = [
    printer.table(['table', 'source', 'copy', 'missing', 'extra', 'different', ''], rows),
    ...result.tables.flatMap((table) => tableLines(printer, table)),
  ];
  lines.push(...leftOutLines(printer, result.left_out));
  if (!result.flowing) lines.push(notFlowing(printer));
  lines.push(verdictLine(printer, result));
  if (result.sampled !== undefined)
    lines.push(`  the rest was not compared; this sample again: --seed ${result.seed}`);
  return lines.join('\n');
}

function stateOf({ paint }: Printer, table: TableVerdict): string {
  if (isEqual(table)) return paint.green('equal');
  const counted = table.missing + table.extra + table.different;
  return counted === 0 ? paint.yellow('unsettled') : paint.red('differs');
}

/** What was found in one table; nothing where nothing was. */
export function tableLines(printer: Printer, table: TableVerdict): string[] {
  const { paint } = printer;
  const counted = table.missing + table.extra + table.different;
  const lines: string[] = [];
  if (table.kept > 0)
    lines.push(
      `${paint.bold(visible(table.table))}: ${formatCount(table.kept)} ${table.kept === 1 ? 'value' : 'values'} beyond the column's type, compared by the exact text in _exact`,
    );
  if (table.repaired > 0)
    lines.push(`${paint.bold(visible(table.table))}: ${plural(table.repaired, 'row')} repaired`);
  if (counted > 0) {
    const shown = table.rows.length < counted ? `, ${formatCount(table.rows.length)} shown` : '';
    const differ = counted === 1 ? '1 row differs' : `${formatCount(counted)} rows differ`;
    lines.push(`${paint.bold(visible(table.table))}: ${differ}${shown}`);
  }
  if (table.unsettled > 0)
    lines.push(
      `${paint.bold(visible(table.table))}: ${plural(table.unsettled, 'row')} changed too fast to be compared`,
    );
  return [...lines, ...table.rows.flatMap((row) => rowLines(printer, row))];
}

const HOW = {
  missing: 'missing: only in the source',
  extra: 'extra: only in the copy',
  different: '',
} as const;

function rowLines(printer: Printer, row: DifferingRow): string[] {
  const { paint, columns } = printer;
  const key = row.key
    .map(({ name, text }) => `${visible(name)} ${clip(visible(text), columns - 8)}`)
    .join(', ');
  if (row.how !== 'different') return [`  ${key}: ${HOW[row.how]}`];
  if (row.columns.length === 0) return [`  ${key}: different; it has changed since`];
  return [
    `  ${key}`,
    ...row.columns.flatMap(({ name, source, copy }) => {
      const [own, other] = showDifference(
        quoted(source),
        quoted(copy),
        Math.max(WORST_WIDTH, columns - 15),
      );
      return [
        `    ${paint.cyan(clip(visible(name), columns - 4))}${lengths(source, copy, own, other)}`,
        `      source ${valueText(printer, own)}`,
        `      copy   ${valueText(printer, other)}`,
      ];
    }),
    ...(row.moreColumns > 0 ? [`    and ${plural(row.moreColumns, 'more column')}`] : []),
  ];
}

/** Escapes first: they take more room than the characters that they stand for. */
function quoted({ text, length }: ShownValue): ShownValue {
  if (text === null) return { text, length };
  const escaped = visible(text);
  return { text: escaped, length: length + [...escaped].length - [...text].length };
}

function valueText({ paint }: Printer, text: string | null): string {
  return text === null ? paint.dim('NULL') : text === '' ? paint.dim('(empty)') : text;
}

function lengths(
  source: ShownValue,
  copy: ShownValue,
  own: string | null,
  other: string | null,
): string {
  const isCut = (text: string | null) => text?.includes('…') === true;
  if (!isCut(own) && !isCut(other)) return '';
  const of = (value: ShownValue) => (value.text === null ? 'NULL' : formatCount(value.length));
  return ` (${of(source)} and ${of(copy)} characters)`;
}

export function notFlowing({ paint }: Printer): string {
  return [
    'No heartbeat crossed the pipeline meanwhile:',
    'what differs may only be late (cdc lag, cdc doctor).',
  ]
    .map(paint.yellow)
    .join('\n');
}

export function differingTables(result: Verification): TableVerdict[] {
  return result.tables.filter((table) => !isEqual(table));
}

const NAMES = 5;

/** `2 tables left out: shop.a, shop.b`. */
function leftOutText(leftOut: readonly LeftOut[]): string {
  const names = leftOut.slice(0, NAMES).map(({ table }) => visible(table));
  const more = leftOut.length > NAMES ? ', …' : '';
  return `${plural(leftOut.length, 'table')} left out: ${names.join(', ')}${more}`;
}

/** One line that says how it ended, and no more than was compared. */
export function verdictLine({ paint }: Printer, result: Verification): string {
  const tables = plural(result.tables.length, 'table');
  const took = `(${formatSeconds(result.seconds)})`;
  const part = result.sampled === undefined ? '' : `a sample of ${formatPercent(result.sampled)}`;
  const without = result.left_out.length === 0 ? '' : `, ${leftOutText(result.left_out)}`;
  if (result.tables.length === 0)
    return `${paint.red('✖')} ${paint.bold('nothing compared')}${without} ${took}`;
  if (!result.ok) {
    const bad = plural(differingTables(result).length, 'table');
    const text = `not equal: ${bad} of ${result.tables.length}`;
    return `${paint.red('✖')} ${paint.bold(text)}${part ? `, in ${part}` : ''}${without} ${took}`;
  }
  const rows = `${formatCount(result.rows)} rows in ${tables}`;
  const mark = without ? paint.yellow('!') : paint.green('✔');
  return part
    ? `${mark} ${paint.bold('no difference')} in ${part}: ${rows}${without} ${took}`
    : `${mark} ${paint.bold('equal')}: ${rows}, every value${without} ${took}`;
}
