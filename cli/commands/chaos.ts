import { FAULTS, whyNotHere } from '../chaos/faults/registry.ts';
import { type Fault, Ground } from '../chaos/ground.ts';
import { type ChaosReport, runChaos } from '../chaos/run.ts';
import { SCHEMA } from '../chaos/tables.ts';
import { loadConfig } from '../config/load.ts';
import { type PlayedFault, wrongRows } from '../core/chaos.ts';
import { tableLabel } from '../core/names.ts';
import { EXIT, Problem, plural } from '../core/problems.ts';
import {
  type CommandSpec,
  durationOption,
  positiveNumber,
  type Session,
  wholeNumber,
} from '../kernel/program.ts';
import { formatCount, formatMs, formatSeconds, parseDurationMs } from '../lib/format.ts';
import { nearest } from '../lib/nearest.ts';
import { captureSource } from '../pipeline/inspect/source.ts';
import { stackOf } from '../pipeline/state/stack.ts';
import { currentRuntime } from '../runtimes/registry.ts';

const DEFAULT_DURATION_MS = 300_000;
const DEFAULT_RATE = 1000;
const SEEDS = 1_000_000;

export const chaos: CommandSpec = {
  usage: 'chaos',
  endsItself: true,
  summary: `break this stack on purpose while rows are written to tables of its own (schema ${SCHEMA}), and count what is wrong afterwards`,
  examples: [
    'cdc chaos --list',
    'cdc chaos --yes',
    'cdc chaos --yes --duration 20m --rate 500 --seed 7 --faults kill-kafka,power-cut',
  ],
  options: [
    {
      flags: '--duration <time>',
      description: 'how long faults are begun (default 5m)',
      parse: durationOption(parseDurationMs),
    },
    {
      flags: '--turns <n>',
      description: 'ends after so many faults instead, however long they take',
      parse: wholeNumber,
    },
    {
      flags: '--rate <n>',
      description: `row changes per second (default ${DEFAULT_RATE})`,
      parse: positiveNumber,
    },
    {
      flags: '--seed <n>',
      description: 'plays the schedule of a run again, with the same faults',
      parse: wholeNumber,
    },
    {
      flags: '--faults <names>',
      description: 'of --list, with commas (default: all that can be played here)',
    },
    { flags: '--list', description: 'print the faults, and why some cannot be played here' },
    {
      flags: '--yes',
      description: 'also where the stack copies other tables: faults strike those too',
    },
  ],
  async run(session, _args, options) {
    const { context, printer } = session;
    const loaded = loadConfig({ cwd: context.cwd, env: context.env, file: session.configFile });
    const stack = stackOf(loaded, context);
    const runtime = currentRuntime(loaded, context.env);
    const { signal, env } = context;
    const ground = new Ground({ stack, loaded, runtime, signal, env });
    if (options.list === true) return list(session, ground);
    const faults = chosenFaults(ground, options.faults as string | undefined);
    if (options.yes !== true) {
      const { chosen } = await captureSource(stack);
      const others = chosen.filter(({ schema }) => schema !== SCHEMA).map(tableLabel);
      if (others.length > 0)
        throw new Problem('CHAOS_OTHER_TABLES', {
          count: plural(others.length, 'table'),
          tables: `${others.slice(0, 5).join(', ')}${others.length > 5 ? ', …' : ''}`,
        });
    }
    const seed = (options.seed as number | undefined) ?? Math.floor(Math.random() * SEEDS);
    const most = options.turns as number | undefined;
    const durationMs =
      (options.duration as number | undefined) ??
      (most === undefined ? DEFAULT_DURATION_MS : Number.POSITIVE_INFINITY);
    const rate = (options.rate as number | undefined) ?? DEFAULT_RATE;
    printer.note(
      `! this breaks the stack in ${loaded.directory} on purpose: servers are killed, slots, topics and copies dropped`,
    );
    printer.note(`seed ${seed}: ${faults.map(({ name }) => name).join(', ')}`);
    const report = await runChaos(
      ground,
      { seed, durationMs, most, rate, faults },
      {
        phase: (text) => printer.note(`… ${text}`),
        begun: (turn) => printer.note(`… ${turn.number} ${turn.fault}`),
        played: (fault) => printer.note(playedLine(session, fault)),
      },
    );
    printer.result(report, () => reportText(session, report));
    if (context.signal.aborted) return EXIT.interrupted;
    return isWhole(report) ? undefined : EXIT.found;
  },
};

function isWhole({ rows_wrong, verified, ended_by }: ChaosReport): boolean {
  return rows_wrong === 0 && verified && ended_by === undefined;
}

function chosenFaults(ground: Ground, names: string | undefined): Fault[] {
  if (names === undefined) return FAULTS.filter((fault) => whyNotHere(fault, ground) === undefined);
  return names.split(',').map((name) => {
    const fault = FAULTS.find((one) => one.name === name.trim());
    const known = FAULTS.map((one) => one.name);
    if (!fault)
      throw new Problem('NAME_UNKNOWN', {
        kind: 'fault',
        name,
        known: known.join(', '),
        suggestion: `cdc chaos --faults ${nearest(name, known) ?? known[0]}`,
      });
    const why = whyNotHere(fault, ground);
    if (why) throw new Problem('CHAOS_NOT_HERE', { fault: fault.name, why });
    return fault;
  });
}

function list(session: Session, ground: Ground): undefined {
  const faults = FAULTS.map((fault) => ({
    name: fault.name,
    summary: fault.summary,
    mended_by: fault.mend ? `cdc ${fault.mend}` : 'itself',
    not_here: whyNotHere(fault, ground),
  }));
  session.printer.result({ faults }, () =>
    session.printer.table(
      ['fault', 'what', 'mended by'],
      faults.map(({ name, summary, mended_by, not_here }) => [
        name,
        summary,
        not_here === undefined ? mended_by : `not here: ${not_here}`,
      ]),
    ),
  );
  return undefined;
}

const time = (ms: number | undefined) => (ms === undefined ? 'never' : formatMs(ms));

function playedLine({ printer: { paint } }: Session, fault: PlayedFault): string {
  const mark = fault.rows_wrong === 0 ? paint.green('✔') : paint.red('✖');
  const wrong = wrongRows(fault.wrong);
  const told =
    wrong === fault.rows_wrong
      ? `${formatCount(wrong)} rows wrong`
      : `${formatCount(wrong)} rows wrong, then ${formatCount(fault.rows_wrong)}`;
  return `${mark} ${fault.number} ${fault.fault}: ${fault.what}; noticed after ${time(fault.detected_ms)}${fault.said ? ` (${fault.said.slice(0, 120)})` : ''}, flowing after ${time(fault.flowing_ms)}, mended by ${fault.mended_by}, ${told}`;
}

function reportText(session: Session, report: ChaosReport): string {
  const { paint } = session.printer;
  const table = session.printer.table(
    ['fault', 'times', 'noticed after', 'flowing after', 'mended by', 'rows wrong'],
    report.by_fault.map((one) => [
      one.fault,
      String(one.times),
      time(one.detected_ms),
      time(one.flowing_ms),
      one.mended_by.join('; '),
      formatCount(one.rows_wrong),
    ]),
  );
  const sum = `${plural(report.played.length, 'fault')} in ${formatSeconds(report.seconds)}, ${formatCount(report.written)} row changes written, ${formatCount(report.rows_wrong)} rows wrong; cdc verify: ${report.verified ? 'equal' : 'not equal'}; seed ${report.seed}`;
  const end = report.ended_by === undefined ? [] : [paint.red(report.ended_by)];
  const mark = isWhole(report) ? paint.green('✔') : paint.red('✖');
  return [table, '', ...end, `${mark} ${sum}`].join('\n');
}
