import { type LeftOut, leftOutFindings } from '../core/leftOut.ts';
import { EXIT, Problem, plural } from '../core/problems.ts';
import type { Printer } from '../kernel/printer.ts';
import { visible } from '../kernel/visible.ts';

/** How tables that are left out are told, by every command in the same words. */

export const STRICT = {
  flags: '--strict',
  description: 'a table that would be left out is an error, and nothing is done',
} as const;

/** Each with its fix; nothing where none is left out. */
export function leftOutLines(printer: Printer, leftOut: readonly LeftOut[]): string[] {
  return leftOut.length === 0 ? [] : [printer.findings(leftOutFindings(leftOut))];
}

/**
 * What is said on standard error beside the result, and the exit code: of tables that a wildcard chose
 * nobody has asked for this one.
 */
export function explainLeftOut(
  printer: Printer,
  { leftOut, failed }: { leftOut: readonly LeftOut[]; failed: readonly Problem[] },
): number | undefined {
  for (const problem of failed) printer.explain(problem);
  const refused = leftOut.filter(
    ({ named, findings }) => named && !findings.includes('load-failed'),
  );
  if (refused.length > 0) printer.explain(leftOutProblem(refused));
  return failed.length > 0 || refused.length > 0 ? EXIT.found : undefined;
}

export function leftOutProblem(leftOut: readonly LeftOut[]): Problem {
  return new Problem('TABLE_LEFT_OUT', {
    count: `${plural(leftOut.length, 'table')} ${leftOut.length === 1 ? 'is' : 'are'}`,
    detail: leftOut.map(({ table, why }) => visible(`${table}: ${why}`)).join('\n'),
  });
}
