import events from 'node:events';
import { Command, CommanderError, Option } from 'commander';
import { EXIT, Problem } from '../core/problems.ts';
import { fileProblem } from '../lib/files.ts';
import { nearest } from '../lib/nearest.ts';
import { undoAll } from '../lib/undo.ts';
import { pause } from '../lib/wait.ts';
import type { Context } from './context.ts';
import { Printer } from './printer.ts';

/** What a command gets to work with. */
export interface Session {
  readonly context: Context;
  readonly printer: Printer;
  /** From `--config`. */
  readonly configFile: string | undefined;
}

export interface OptionSpec {
  /** As commander writes it: `--rate <n>`. */
  readonly flags: string;
  readonly description: string;
  readonly choices?: readonly string[];
  /** Turns the text into a value, or throws a UsageError. */
  readonly parse?: (text: string) => unknown;
}

/** Arguments as commander gives them: a list for `<table...>`. */
export type Arguments = readonly (string | string[] | undefined)[];
export type Options = Readonly<Record<string, unknown>>;

export interface CommandSpec {
  /** Name and arguments as commander writes them: `load <workload>`. */
  readonly usage: string;
  readonly summary: string;
  readonly examples: readonly string[];
  readonly options?: readonly OptionSpec[];
  readonly hidden?: boolean;
  /** When it is interrupted it ends what it has begun, however long that takes. */
  readonly endsItself?: boolean;
  /** Sub-commands; a command with them has no `run` of its own. */
  readonly commands?: readonly CommandSpec[];
  /** Returns the exit code; nothing means 0. */
  run?(session: Session, args: Arguments, options: Options): Promise<number | undefined>;
}

/** A value of an option that cannot be taken; becomes a usage problem. */
export class UsageError extends Error {}

/** Runs one command line to its exit code. Nothing is thrown and nothing touches `process`. */
export async function runCli(
  argv: readonly string[],
  context: Context,
  specs: readonly CommandSpec[],
  version: string,
): Promise<number> {
  const printer = new Printer(context, argv.includes('--json'));
  let exit: number = EXIT.done;
  const program = new Command('cdc')
    .description('A live, exact, queryable copy of a PostgreSQL database in ClickHouse.')
    .version(version, '--version', 'show the version')
    .helpCommand(false)
    .addHelpText(
      'after',
      exampleText(['cdc up && cdc load inventory --rate 10 --duration 30s && cdc verify']),
    );
  const action = (spec: CommandSpec) => async (args: Arguments, options: Options) => {
    const session: Session = { context, printer, configFile: options.config as string | undefined };
    const run = async () => (await spec.run?.(session, args, options)) ?? EXIT.done;
    exit = await (spec.endsItself ? run() : untilInterrupted(context.signal, run));
  };
  for (const spec of specs) addCommand(program, spec, action);
  harden(program, context);
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exit;
  } catch (error) {
    return report(error, program, printer, context, argv);
  } finally {
    printer.stopSpinner();
  }
}

/** What a command may take after Ctrl-C to end by itself. */
const GRACE_MS = 1500;

/**
 * A server that does not answer, or a driver that tries again, must not keep somebody from leaving: after a while a
 * command that was interrupted is left where it is, but for what takes back what it has made.
 */
async function untilInterrupted<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const done = new AbortController();
  const late = async () => {
    if (!signal.aborted) await events.once(signal, 'abort', { signal: done.signal });
    await pause(GRACE_MS, done.signal);
    await undoAll();
    throw new Problem('INTERRUPTED');
  };
  const leaving = late();
  leaving.catch(() => {});
  try {
    return await Promise.race([work(), leaving]);
  } finally {
    done.abort();
  }
}

type Action = (spec: CommandSpec) => (args: Arguments, options: Options) => Promise<void>;

function addCommand(parent: Command, spec: CommandSpec, action: Action): void {
  const command = parent
    .command(spec.usage, { hidden: spec.hidden ?? false })
    .description(spec.summary);
  command.addHelpText('after', exampleText(spec.examples));
  for (const option of spec.options ?? []) command.addOption(optionOf(option));
  for (const inner of spec.commands ?? []) addCommand(command, inner, action);
  if (!spec.run) return;
  command.option('--config <file>', 'configuration file (default: cdc.yaml)');
  command.option('--json', 'print one JSON document');
  command.action(async (...values: unknown[]) => {
    const args = values.slice(0, -2) as Arguments;
    await action(spec)(args, values.at(-2) as Options);
  });
}

function optionOf(spec: OptionSpec): Option {
  const option = new Option(spec.flags, spec.description);
  if (spec.choices) option.choices(spec.choices);
  if (spec.parse) option.argParser(spec.parse);
  return option;
}

function exampleText(examples: readonly string[]): string {
  return `\nExample:\n${examples.map((line) => `  $ ${line}`).join('\n')}\n`;
}

/** commander must neither exit nor write to the real streams. */
function harden(command: Command, context: Context): void {
  command
    .exitOverride()
    .showSuggestionAfterError(false)
    .helpOption('-h, --help', 'show help')
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: () => {},
      getOutHelpWidth: () => context.stdout.columns ?? 80,
      getErrHelpWidth: () => context.stderr.columns ?? 80,
    });
  for (const inner of command.commands) harden(inner, context);
}

function report(
  error: unknown,
  program: Command,
  printer: Printer,
  context: Context,
  argv: readonly string[],
): number {
  if (error instanceof CommanderError) {
    if (error.code === 'commander.helpDisplayed' || error.code === 'commander.version')
      return EXIT.done;
    if (error.code === 'commander.help') {
      commandOf(program, argv).outputHelp();
      return EXIT.usage;
    }
  }
  const problem = context.signal.aborted
    ? new Problem('INTERRUPTED')
    : problemOf(error, program, argv);
  printer.problem(problem);
  return problem.exit;
}

/** The command that a command line names, as deep as it goes. */
function commandOf(program: Command, argv: readonly string[]): Command {
  let at = program;
  for (const word of argv) {
    const inner = at.commands.find((command) => command.name() === word);
    if (!inner) break;
    at = inner;
  }
  return at;
}

function problemOf(error: unknown, program: Command, argv: readonly string[]): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof CommanderError || error instanceof UsageError) {
    return usageProblem(error, program, argv);
  }
  const mapped = fileProblem('the file system', error);
  if (mapped instanceof Problem) return mapped;
  const detail = error instanceof Error ? error.message || error.name : String(error);
  return new Problem('INTERNAL', { detail }, { cause: error });
}

function usageProblem(error: Error, program: Command, argv: readonly string[]): Problem {
  const command = program.commands.find((c) => c.name() === argv[0])?.name() ?? '';
  let detail = error.message.replace(/^error: /, '');
  const unknown = /unknown command '(.*)'/.exec(detail)?.[1];
  if (unknown !== undefined) {
    const parent = program.commands.find((c) => c.name() === command) ?? program;
    const near = nearest(
      unknown,
      parent.commands.map((c) => c.name()),
    );
    detail = `There is no command ${parent === program ? '' : `${command} `}${unknown}.${near ? ` Did you mean ${near}?` : ''}`;
  }
  return new Problem(
    'USAGE',
    { detail: /[.?]$/.test(detail) ? detail : `${detail}.`, command },
    {
      cause: error,
      fix: command ? `cdc ${command} --help` : 'cdc --help',
    },
  );
}

/** `--duration 20s` and its like. */
export function durationOption(
  parse: (text: string) => number | undefined,
): (text: string) => number {
  return (text) => {
    const ms = parse(text);
    if (ms === undefined || ms <= 0)
      throw new UsageError(`${text} is not a duration (20s, 5m, 250ms)`);
    return ms;
  };
}

export function positiveNumber(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0)
    throw new UsageError(`${text} is not a number above 0`);
  return value;
}

/** `--sample 1%` and its like: a fraction. */
export function percentOption(
  parse: (text: string) => number | undefined,
): (text: string) => number {
  return (text) => {
    const fraction = parse(text);
    if (fraction === undefined)
      throw new UsageError(`${text} is not a percentage above 0% and up to 100% (1%, 0.5%)`);
    return fraction;
  };
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new UsageError(`${text} is not a whole number`);
  return value;
}
