import { loadConfig } from '../config/load.ts';
import { Problem } from '../core/problems.ts';
import type { Printer } from '../kernel/printer.ts';
import { type CommandSpec, UsageError } from '../kernel/program.ts';
import { nearest } from '../lib/nearest.ts';
import { secretHider } from '../pipeline/state/secrets.ts';
import { LOG_COMPONENTS } from '../runtimes/embedded/logs.ts';
import { currentRuntime } from '../runtimes/registry.ts';
import type { LogLine } from '../runtimes/runtime.ts';

const DEFAULT_LINES = 50;
const MOST_LINES = 100_000;

export const logs: CommandSpec = {
  usage: 'logs [component]',
  summary: `last lines of the logs: ${LOG_COMPONENTS.join(', ')}`,
  examples: ['cdc logs connect', 'cdc logs agent -n 200', 'cdc logs -f'],
  options: [
    { flags: '-f, --follow', description: 'go on with what is written, until interrupted' },
    {
      flags: '-n, --lines <n>',
      description: `lines of each log (default: ${DEFAULT_LINES})`,
      parse: parseLines,
    },
  ],
  async run(session, [named], options) {
    const { context, printer } = session;
    const loaded = loadConfig({ cwd: context.cwd, env: context.env, file: session.configFile });
    const runtime = currentRuntime(loaded, context.env);
    const known = runtime.logNames();
    const names = named === undefined ? known : [componentNamed(String(named), known)];
    const hide = secretHider(loaded, context.env);
    const count = (options.lines as number | undefined) ?? DEFAULT_LINES;
    const opened = await runtime.logs(names, count);
    const lines = opened.lines.map((line) => ({ ...line, text: hide(line.text) }));
    if (lines.length === 0) printer.note(`nothing was logged yet in ${runtime.logPlace}`);
    const shown = new Set(lines.map((line) => line.component));
    const width =
      names.length > 1 || shown.size > 1
        ? Math.max(0, ...[...shown].map((name) => name.length))
        : 0;
    const asText = (line: LogLine) => lineText(printer, line, width);
    if (options.follow !== true) {
      printer.result({ lines }, () => lines.map(asText).join('\n'));
      return undefined;
    }
    const show = (line: LogLine) =>
      printer.line(printer.json ? JSON.stringify(line) : asText(line));
    for (const line of lines) show(line);
    await opened.follow(context.signal, (line) => show({ ...line, text: hide(line.text) }));
    return undefined;
  },
};

function parseLines(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > MOST_LINES) {
    throw new UsageError(`--lines ${text}: give a number from 0 to ${MOST_LINES}`);
  }
  return value;
}

function componentNamed(name: string, known: readonly string[]): string {
  const found = known.find((component) => component === name);
  if (found) return found;
  throw new Problem('NAME_UNKNOWN', {
    kind: 'component',
    name,
    known: known.join(', '),
    suggestion: `cdc logs ${nearest(name, known) ?? 'agent'}`,
  });
}

function lineText(printer: Printer, line: LogLine, width: number): string {
  const text = ['agent', 'alerts'].includes(line.component) ? agentText(line.text) : line.text;
  return width === 0
    ? text
    : `${printer.paint.cyan(line.component.padEnd(width))} ${printer.paint.dim('│')} ${text}`;
}

const LEVELS: Readonly<Record<number, string>> = {
  10: 'TRACE',
  20: 'DEBUG',
  30: 'INFO',
  40: 'WARN',
  50: 'ERROR',
  60: 'FATAL',
};

/** The agent logs JSON; people read `time LEVEL message key=value`. */
function agentText(text: string): string {
  try {
    const {
      level,
      time,
      msg,
      pid: _pid,
      name: _name,
      ...rest
    } = JSON.parse(text) as Record<string, unknown>;
    const values = Object.entries(rest).map(
      ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    );
    return [time, LEVELS[Number(level)] ?? level, msg, ...values].join(' ');
  } catch {
    return text;
  }
}
