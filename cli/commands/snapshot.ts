import { EXIT } from '../core/problems.ts';
import type { CommandSpec } from '../kernel/program.ts';
import { formatCount, formatSeconds } from '../lib/format.ts';
import { snapshotTables } from '../pipeline/apply/snapshot.ts';
import type { Method } from '../pipeline/load/events.ts';
import { attach } from '../pipeline/state/stack.ts';
import { keptLines } from './kept-text.ts';
import { leftOutLines, leftOutProblem } from './left-out.ts';
import { loadEvents } from './progress.ts';

export const snapshot: CommandSpec = {
  usage: 'snapshot <tables...>',
  summary: 'load tables again while changes flow, and remove rows that the source does not have',
  examples: ['cdc snapshot inventory.orders', "cdc snapshot 'ecommerce.*' --method debezium"],
  options: [
    {
      flags: '--method <method>',
      description:
        'pull: ClickHouse reads the source, or Debezium where it cannot (default); debezium',
      choices: ['pull', 'debezium'],
    },
  ],
  async run(session, [patterns], options) {
    const { context, printer } = session;
    const stack = attach(context, { file: session.configFile });
    const method = (options.method ?? 'pull') as Method;
    const events = loadEvents(printer, 'looking at the tables');
    const { tables, kept, leftOut, failed } = await snapshotTables(
      stack,
      patterns as string[],
      method,
      context.signal,
      events,
    ).catch((error: unknown) => {
      events.fail();
      throw error;
    });
    const [first] = failed;
    if (first && tables.length === 0 && failed.length === 1 && leftOut.length === 0) {
      events.fail();
      throw first;
    }
    const results = tables.map((t) => ({
      table: t.table,
      rows: t.rows,
      removed: t.removed,
      method: t.method,
      resumed: t.resumed,
      resumed_chunks: t.resumedChunks,
      seconds: Math.round(t.seconds * 100) / 100,
    }));
    const rows = results.reduce((sum, t) => sum + t.rows, 0);
    events.done(`loaded ${formatCount(rows)} rows again`);
    for (const line of keptLines(kept)) printer.note(`· ${line}`);
    printer.result({ tables: results, kept_values: kept, left_out: leftOut }, () =>
      [
        printer.table(
          ['table', 'rows', 'removed', 'method', 'time'],
          results.map((t) => [
            t.table,
            formatCount(t.rows),
            formatCount(t.removed),
            t.resumed ? `${t.method}, went on` : t.method,
            formatSeconds(t.seconds),
          ]),
        ),
        ...leftOutLines(printer, leftOut),
      ].join('\n'),
    );
    for (const problem of failed) printer.explain(problem);
    if (leftOut.length > 0) printer.explain(leftOutProblem(leftOut));
    return failed.length + leftOut.length > 0 ? EXIT.found : undefined;
  },
};
