import { EXIT, Problem, plural } from '../core/problems.ts';
import type { CommandSpec, Session } from '../kernel/program.ts';
import { formatCount, formatSeconds } from '../lib/format.ts';
import { attach, type Stack } from '../pipeline/stack.ts';
import { verify as compare, isEqual, type Verification } from '../pipeline/verify.ts';

export const verify: CommandSpec = {
  usage: 'verify [tables...]',
  summary: 'prove that source and copy are equal, value by value; exit 6 on a difference',
  options: [
    {
      flags: '--repair',
      description: 'read the rows that differ again from the source, and only those',
    },
  ],
  examples: [
    'cdc verify',
    'cdc verify --repair',
    "cdc verify inventory.orders 'ecommerce.*' --json",
  ],
  async run(session, [tables], options) {
    const stack = attach(session.context, { file: session.configFile });
    const patterns = (tables as string[] | undefined) ?? [];
    const result = await verifyWithProgress(session, stack, patterns, options.repair === true);
    session.printer.result(result, () => verificationText(session, result));
    if (!result.ok) session.printer.explain(differenceProblem(result));
    return result.ok ? undefined : EXIT.found;
  },
};

export async function verifyWithProgress(
  session: Session,
  stack: Stack,
  patterns: readonly string[],
  repair = false,
): Promise<Verification> {
  const progress = session.printer.progress('comparing source and copy');
  let prefix = '';
  try {
    const result = await compare(
      stack,
      patterns,
      { repair, signal: session.context.signal },
      {
        table: (label, index, of) => {
          prefix = `comparing ${label} (${index + 1} of ${of})`;
          progress.update(prefix);
        },
        phase: (text) => progress.update(`${prefix}: ${text}`),
      },
    );
    const text = `compared ${formatCount(result.rows)} rows in ${formatSeconds(result.seconds)}`;
    if (result.ok) progress.done(text);
    else progress.fail(text);
    return result;
  } catch (error) {
    progress.fail('the comparison stopped');
    throw error;
  }
}

export function verificationText(session: Session, result: Verification): string {
  const { printer } = session;
  const { paint } = printer;
  const rows = result.tables.map((t) => [
    t.table,
    formatCount(t.source_rows),
    formatCount(t.target_rows),
    formatCount(t.missing),
    formatCount(t.extra),
    formatCount(t.different),
    isEqual(t)
      ? paint.green('equal')
      : t.unsettled > 0
        ? paint.yellow('unsettled')
        : paint.red('differs'),
  ]);
  const lines = [
    printer.table(['table', 'source', 'copy', 'missing', 'extra', 'different', ''], rows),
  ];
  for (const table of result.tables) {
    if (table.repaired > 0) lines.push(`  ${table.table}: ${plural(table.repaired, 'row')} mended`);
    for (const { key, how } of table.examples) lines.push(`  ${table.table}: key ${key} ${how}`);
  }
  if (!result.flowing) {
    lines.push(
      paint.yellow(
        'No heartbeat crossed the pipeline meanwhile: what differs may only be late. Look: cdc lag, cdc doctor',
      ),
    );
  }
  const bad = differingTables(result);
  lines.push(
    result.ok
      ? `${paint.green('✔')} ${paint.bold('equal')}: ${formatCount(result.rows)} rows in ${plural(result.tables.length, 'table')}, every value (${formatSeconds(result.seconds)})`
      : `${paint.red('✖')} ${paint.bold(`not equal: ${plural(bad.length, 'table')} of ${result.tables.length}`)}`,
  );
  return lines.join('\n');
}

function differingTables(result: Verification) {
  return result.tables.filter((table) => !isEqual(table));
}

/** What to make of a difference, for somebody tired. */
function differenceProblem(result: Verification): Problem {
  const tables = differingTables(result).map((t) => t.table);
  const cause = result.flowing
    ? 'The pipeline flows and these rows stayed different: they were changed in ClickHouse, did not fit (cdc.dead_letters), or were lost.'
    : 'No heartbeat crossed the pipeline while the rows were compared: they may only be late.';
  return new Problem('COPY_DIFFERS', {
    count: plural(tables.length, 'table'),
    detail: `${tables.join(', ')}. ${cause}`,
  });
}
