import type { SetAside } from '../components/clickhouse/dependents.ts';
import { loadConfig } from '../config/load.ts';
import { dependentLabel } from '../core/dependents.ts';
import type { LeftOut } from '../core/leftOut.ts';
import { EXIT, plural } from '../core/problems.ts';
import type { Printer } from '../kernel/printer.ts';
import type { CommandSpec } from '../kernel/program.ts';
import { visible } from '../kernel/visible.ts';
import { formatBytes, formatCount, formatMs, formatPercent, formatSeconds } from '../lib/format.ts';
import type { StandingTable } from '../pipeline/apply/stalls.ts';
import type { KnownGap } from '../pipeline/inspect/gaps.ts';
import type { LastVerified } from '../pipeline/state/verifications.ts';
import {
  HEARTBEAT_LIMIT_MS,
  type LastBackup,
  notRunning,
  observeStack,
  type StackStatus,
  watchStack,
} from '../pipeline/status/status.ts';
import type { ComponentStatus } from '../pipeline/status/statusParts.ts';
import { keptLines } from './kept-text.ts';

export const status: CommandSpec = {
  usage: 'status',
  summary:
    'each component: state, version, endpoint, memory; exit 6 when a heartbeat did not cross lately',
  examples: ['cdc status', 'cdc status --json | jq .healthy'],
  async run(session) {
    const { context, printer } = session;
    const loaded = loadConfig({ cwd: context.cwd, env: context.env, file: session.configFile });
    const watched = watchStack(loaded, context.env);
    if (!watched.agent) throw notRunning(watched);
    const { status: seen } = await printer.during('asking agent and servers how they are', () =>
      observeStack(watched),
    );
    printer.result(seen, () => statusText(printer, seen));
    return seen.healthy ? EXIT.done : EXIT.found;
  },
};

function statusText(printer: Printer, seen: StackStatus): string {
  const withRestarts = seen.components.some((part) => (part.restarts ?? 0) > 0);
  const head = [
    'component',
    'state',
    'version',
    'endpoint',
    'memory',
    ...(withRestarts ? ['restarts'] : []),
  ];
  const rows = seen.components.map((part) => [
    part.name,
    paintState(printer, part.state),
    part.version ?? '',
    shortEndpoint(part.endpoint),
    part.memory_bytes === undefined ? '' : formatBytes(part.memory_bytes),
    ...(withRestarts ? [part.restarts ?? ''] : []),
  ]);
  const details = seen.components.filter((part) => part.detail && isNews(part));
  return [
    printer.table(head, rows),
    '',
    ...details.map((part) => {
      const fix = part.fix ? `\n  fix: ${printer.paint.cyan(part.fix)}` : '';
      return `${printer.paint.yellow('!')} ${part.name}: ${part.detail}${fix}`;
    }),
    ...(seen.dead_letters ? [letterLine(printer, seen.dead_letters)] : []),
    ...keptLines(seen.kept_values ?? []).map((line) => `· ${line}`),
    ...(seen.last_verified ? [verifiedLine(printer, seen.last_verified)] : []),
    ...(seen.last_backup === undefined ? [] : [backupLine(printer, seen.last_backup)]),
    ...(seen.left_out ?? []).map((one) => leftOutLine(printer, one)),
    ...(seen.set_aside ?? []).map((one) => setAsideLine(printer, one)),
    ...(seen.standing ?? []).map((one) => standingLine(printer, one)),
    ...(seen.gaps ?? []).map((one) => gapLine(printer, one)),
    verdict(printer, seen),
  ].join('\n');
}

/** The fix is doctor's: here it is one line among many. */
function leftOutLine({ paint }: Printer, { table, why, named }: LeftOut): string {
  const mark = named ? paint.red('✖') : paint.yellow('!');
  return `${mark} ${visible(table)} is left out: ${visible(why)}`;
}

function standingLine({ paint }: Printer, { table, why }: StandingTable): string {
  return `${paint.red('✖')} ${visible(table)} stands, its changes wait: ${visible(why)}`;
}

function gapLine({ paint }: Printer, { table, why, since_ms }: KnownGap): string {
  const since =
    since_ms === undefined ? '' : ` (since ${formatSeconds((Date.now() - since_ms) / 1000)})`;
  return `${paint.red('✖')} ${visible(table)} is to be loaded again${since}: ${why}`;
}

/** How to bring it back is doctor's to say. */
function setAsideLine({ paint }: Printer, one: SetAside): string {
  return `${paint.yellow('!')} ${visible(dependentLabel(one))} held up the copy and is set aside: ${visible(one.why)}`;
}

function letterLine({ paint }: Printer, letters: number): string {
  return `${paint.yellow('!')} ${plural(letters, 'dead letter')}: ${paint.cyan('cdc dlq list')}`;
}

/** `last verified 3 min ago: equal (10,000 rows in 7 tables)`, and what of it was not compared. */
function verifiedLine({ paint }: Printer, last: LastVerified): string {
  const age = last.age_ms < 60_000 ? formatMs(last.age_ms) : formatSeconds(last.age_ms / 1000);
  const of = last.tables === last.captured ? '' : ` of ${last.captured}`;
  const part = last.sampled < 1 ? `, a sample of ${formatPercent(last.sampled)}` : '';
  const what = `${formatCount(last.rows)} rows in ${last.tables}${of} ${last.captured === 1 ? 'table' : 'tables'}${part}`;
  const late = last.flowing ? '' : '; no heartbeat crossed meanwhile';
  const how = last.ok
    ? paint.green('equal')
    : `${paint.red('not equal')}: ${last.differing.map(visible).join(', ')}`;
  return `last verified ${age} ago: ${how} (${what}${late})`;
}

function backupLine({ paint }: Printer, last: LastBackup | null): string {
  if (last === null) return `${paint.yellow('!')} no backup has been made yet`;
  const age = formatSeconds(last.age_ms / 1000);
  return `last backup ${age} ago: ${last.id} (${last.kind}, ${formatBytes(last.bytes)})`;
}

/** The connector's detail is its name, and that of views their age, unless something is wrong. */
function isNews(part: ComponentStatus): boolean {
  const isWrong = /failed|failing|missing|unknown/.test(part.state);
  return isWrong || !['connector', 'views'].includes(part.name);
}

function paintState(printer: Printer, state: string): string {
  const { paint } = printer;
  if (state === 'ready' || state === 'running') return paint.green(state);
  return /failed|failing|unreachable|missing|unhealthy|stopped|memory/.test(state)
    ? paint.red(state)
    : paint.yellow(state);
}

/** `127.0.0.1:5432`: what a table has room for; `--json` and `cdc env` have the whole address. */
function shortEndpoint(endpoint: string | undefined): string {
  return endpoint?.replace(/^[a-z]+:\/\/(?:[^@/]*@)?/, '').replace(/\/.*$/, '') ?? '';
}

function verdict(printer: Printer, seen: StackStatus): string {
  const { paint } = printer;
  const how = `${seen.runtime}, ${seen.profile}`;
  const age = seen.heartbeat_age_ms;
  const crossed =
    age === undefined
      ? 'no heartbeat row was seen in ClickHouse'
      : `the newest heartbeat row that crossed is ${formatMs(age)} old`;
  if (seen.healthy) return `${paint.green('✔')} ${paint.bold('healthy')}: ${crossed} (${how})`;
  const late = age === undefined || age >= HEARTBEAT_LIMIT_MS;
  const bad = seen.components
    .filter((part) => part.state !== 'ready' && part.state !== 'running')
    .map((part) => `${part.name} ${part.state}`);
  const named = (seen.left_out ?? []).filter((one) => one.named).map(({ table }) => visible(table));
  const missing = named.length > 0 ? [`not copied: ${named.join(', ')}`] : [];
  const stands = (seen.standing ?? []).map(({ table }) => `${visible(table)} stands`);
  const gaps = (seen.gaps ?? []).map(({ table }) => `${visible(table)} has a known gap`);
  const unread =
    seen.standing && seen.gaps ? [] : ['whether tables stand or have gaps was not read'];
  const why = [...bad, ...missing, ...stands, ...gaps, ...unread, ...(late ? [crossed] : [])].join(
    ', ',
  );
  return `${paint.red('✖')} ${paint.bold('not healthy')}: ${why} (${how})\n  next: ${paint.cyan('cdc doctor')}`;
}
