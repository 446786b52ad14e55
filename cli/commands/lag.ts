import type { Percentiles } from '../core/lag.ts';
import { EXIT, Problem } from '../core/problems.ts';
import { type CommandSpec, durationOption, type Session } from '../kernel/program.ts';
import { formatBytes, formatCount, formatMs, parseDurationMs } from '../lib/format.ts';
import { pause } from '../lib/wait.ts';
import { type LagReport, readLag } from '../pipeline/inspect/lag.ts';
import { attach } from '../pipeline/state/stack.ts';

const WATCH_MS = 1000;

export const lag: CommandSpec = {
  usage: 'lag',
  summary: 'how late the copy is: slot, connector, Kafka, end to end',
  examples: ['cdc lag', 'cdc lag --watch', 'cdc lag --max 500ms || echo late'],
  options: [
    { flags: '--watch', description: 'look every second until interrupted' },
    {
      flags: '--max <time>',
      description:
        'exit 6 when the p95 end to end, or the age of the newest heartbeat, is above this',
      parse: durationOption(parseDurationMs),
    },
  ],
  async run(session, _args, options) {
    const stack = attach(session.context, { file: session.configFile, mayLackAgent: true });
    if (options.watch === true) {
      while (!session.context.signal.aborted) {
        const report = await readLag(stack);
        session.printer.line(
          session.printer.json ? JSON.stringify(report) : lagLine(session, report),
        );
        await pause(WATCH_MS, session.context.signal).catch(() => {});
      }
      return undefined;
    }
    const report = await session.printer.during(
      'asking PostgreSQL, Kafka and ClickHouse how far they are',
      () => readLag(stack),
    );
    const max = options.max as number | undefined;
    const above = max !== undefined && !isWithin(report, max);
    const verdict = max === undefined ? {} : { ok: !above, max_ms: max };
    session.printer.result({ ...report, ...verdict }, () => lagText(session, report));
    if (above) {
      const p95 = report.end_to_end_ms?.p95;
      const detail = `p95 ${p95 === undefined ? ABSENT : formatMs(p95)}, limit ${formatMs(max)}`;
      session.printer.explain(new Problem('LAG_ABOVE_MAX', { detail }));
    }
    return above ? EXIT.found : undefined;
  },
};

/** A lag that was not read is not within any limit; a heartbeat is written twice a second at most. */
function isWithin(report: LagReport, maxMs: number): boolean {
  const { end_to_end_ms: endToEnd, heartbeat_age_ms: age } = report;
  return (
    endToEnd !== undefined &&
    age !== undefined &&
    endToEnd.p95 <= maxMs &&
    age <= Math.max(maxMs, 2500)
  );
}

const ABSENT = 'not read';

function lagText(session: Session, report: LagReport): string {
  const { printer } = session;
  const row = (name: string, p: Percentiles | undefined) =>
    p ? [name, formatMs(p.p50), formatMs(p.p95), formatMs(p.p99)] : [name, ABSENT, '', ''];
  const table = printer.table(
    ['stage', 'p50', 'p95', 'p99'],
    [
      row('PostgreSQL → Debezium', report.stages_ms.postgres_to_connector),
      row('Debezium → Kafka', report.stages_ms.connector_to_kafka),
      row('Kafka → ClickHouse', report.stages_ms.kafka_to_clickhouse),
      row('end to end', report.end_to_end_ms),
    ],
  );
  const bytes = (value: number | undefined) => (value === undefined ? ABSENT : formatBytes(value));
  const lines = [
    table,
    `slot: ${bytes(report.slot_bytes)} not confirmed, ${bytes(report.retained_bytes)} of WAL kept${report.slot_active === false ? ' (nobody reads it)' : ''}`,
    `Kafka: ${report.kafka_messages === undefined ? ABSENT : `${formatCount(report.kafka_messages)} messages waiting`}`,
    `newest heartbeat: ${report.heartbeat_age_ms === undefined ? 'none in the last minute' : `${formatMs(report.heartbeat_age_ms)} old`}, ${formatCount(report.samples)} in the last minute`,
  ];
  return lines.join('\n');
}

function lagLine(session: Session, report: LagReport): string {
  const p = report.end_to_end_ms;
  const time = session.context.now().toISOString().slice(11, 19);
  return `${time}  p50 ${p ? formatMs(p.p50) : ABSENT}  p95 ${p ? formatMs(p.p95) : ABSENT}  p99 ${p ? formatMs(p.p99) : ABSENT}  waiting ${report.kafka_messages ?? ABSENT}  slot ${report.slot_bytes === undefined ? ABSENT : formatBytes(report.slot_bytes)}  heartbeat ${report.heartbeat_age_ms === undefined ? 'none' : formatMs(report.heartbeat_age_ms)}`;
}
