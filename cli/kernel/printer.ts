import ora, { type Ora } from 'ora';
import stringWidth from 'string-width';
import type { Finding } from '../core/findings.ts';
import type { Problem } from '../core/problems.ts';
import type { Context } from './context.ts';
import { colour, visible, written, writtenJson } from './visible.ts';

/** Colours as functions; identity where colour is off. */
export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

function paint(on: boolean): Paint {
  const wrap = (open: number, close: number) => (text: string) =>
    on ? `${colour(open)}${text}${colour(close)}` : text;
  return {
    bold: wrap(1, 22),
    dim: wrap(2, 22),
    red: wrap(31, 39),
    green: wrap(32, 39),
    yellow: wrap(33, 39),
    cyan: wrap(36, 39),
  };
}

/** One line of work in progress: a spinner on a terminal, a line per finished step elsewhere. */
export interface Progress {
  update(text: string): void;
  done(text: string): void;
  fail(text: string): void;
}

/** Nobody looks at a silent command for longer without asking what it does. */
const SAY_MS = 1500;
const FIGURES_MS = 5000;

function sameButFigures(a: string, b: string): boolean {
  const words = (text: string) => text.replaceAll(/[\d.,%█░~]+/g, '');
  return words(a) === words(b);
}

/**
 * Three channels kept apart: results go to standard output (one JSON document with `--json`),
 * progress and problems go to standard error.
 */
export class Printer {
  readonly json: boolean;
  readonly paint: Paint;
  private readonly context: Context;
  private spinner: Ora | undefined;
  /** Keeps a step that an exception left from saying more. */
  private silence = () => {};

  constructor(context: Context, json: boolean) {
    this.context = context;
    this.json = json;
    const colour = !context.env.NO_COLOR && context.env.TERM !== 'dumb';
    this.paint = paint(colour && context.stdout.isTTY === true && !json);
  }

  /** Columns that text may use; 80 where the output is no terminal. */
  get columns(): number {
    return this.context.stdout.columns ?? 80;
  }

  get isTerminal(): boolean {
    return this.context.stdout.isTTY === true;
  }

  /** The command's result: the same value as text or as one JSON document. */
  result(value: unknown, text: () => string): void {
    if (this.json) this.document(value);
    else this.toStdout(text());
  }

  /** A result that programs read as it is, when it is not shown on a terminal. */
  script(value: unknown, text: () => string): void {
    if (this.json || this.isTerminal) this.result(value, text);
    else this.context.stdout.write(`${text().replace(/\n$/, '')}\n`);
  }

  private document(value: unknown): void {
    this.context.stdout.write(`${writtenJson(JSON.stringify(value, jsonSafe, 2))}\n`);
  }

  private toStdout(text: string): void {
    const body = text.replace(/\n$/, '');
    if (body !== '') this.context.stdout.write(`${written(body)}\n`);
  }

  /** A line of text to standard output while a command goes on (log lines, `--watch`). */
  line(text: string): void {
    this.context.stdout.write(`${written(text)}\n`);
  }

  /** A remark for people, on standard error. */
  note(text: string): void {
    this.spinner?.clear();
    this.context.stderr.write(`${written(text)}\n`);
    if (this.spinner?.isSpinning) this.spinner.render();
  }

  /** For work that is no step of its own: said only while it goes on, and off a terminal only when it takes long. */
  async during<T>(text: string, work: () => Promise<T>): Promise<T> {
    this.progress(text);
    try {
      return await work();
    } finally {
      this.stopSpinner();
    }
  }

  progress(text: string): Progress {
    const marks = paint(this.context.stderr.isTTY === true && !this.context.env.NO_COLOR);
    if (this.context.stderr.isTTY === true && this.context.env.TERM !== 'dumb') {
      this.spinner?.stop();
      const spinner = ora({
        text: written(clip(visible(text), (this.context.stderr.columns ?? 80) - 4)),
        stream: this.context.stderr as never,
        discardStdin: false,
      }).start();
      this.spinner = spinner;
      const width = () => Math.max(10, (this.context.stderr.columns ?? 80) - 4);
      return {
        update: (next) => {
          spinner.text = written(clip(visible(next), width()));
        },
        done: (last) => {
          spinner.stopAndPersist({ symbol: written(marks.green('✔')), text: written(last) });
        },
        fail: (last) => {
          spinner.stopAndPersist({ symbol: written(marks.red('✖')), text: written(last) });
        },
      };
    }
    return this.plainProgress(text);
  }

  /**
   * Off a terminal a step that takes its time says what it is, and what it waits for, within 2 s; figures that change
   * come every few seconds, so that a log shows it is alive.
   */
  private plainProgress(text: string): Progress {
    let printed = '';
    let printedAtMs = this.context.monotonicMs();
    let wanted = text;
    let timer: NodeJS.Timeout | undefined;
    const print = () => {
      timer = undefined;
      if (wanted === printed) return;
      printed = wanted;
      printedAtMs = this.context.monotonicMs();
      this.note(`… ${wanted}`);
    };
    const end = (last: string) => {
      clearTimeout(timer);
      this.note(last);
    };
    const update = (next: string) => {
      wanted = next;
      const restMs = sameButFigures(next, printed)
        ? FIGURES_MS - this.sinceMs(printedAtMs)
        : SAY_MS;
      if (restMs <= 0) {
        clearTimeout(timer);
        print();
      } else timer ??= setTimeout(print, restMs).unref();
    };
    // A step that is done sooner says so once.
    timer = setTimeout(print, SAY_MS).unref();
    this.silence = () => clearTimeout(timer);
    return {
      update,
      done: (last) => end(`✔ ${last}`),
      fail: (last) => end(`✖ ${last}`),
    };
  }

  private sinceMs(ms: number): number {
    return this.context.monotonicMs() - ms;
  }

  /** Stops a spinner that an exception left running. */
  stopSpinner(): void {
    this.silence();
    this.spinner?.stop();
    this.spinner = undefined;
  }

  problem(problem: Problem): void {
    this.stopSpinner();
    if (this.json) this.document({ error: problem.render() });
    this.explain(problem);
  }

  /** A problem beside a result: the result says it in JSON, people read it on standard error. */
  explain(problem: Problem): void {
    this.stopSpinner();
    const marks = paint(this.context.stderr.isTTY === true && !this.context.env.NO_COLOR);
    const lines = [
      `${marks.red('✖')} ${marks.bold(problem.message.replaceAll('\n', '\n  '))} ${marks.dim(`[${problem.code}]`)}`,
      ...indent('cause', problem.causeText),
      ...indent('fix', problem.fix),
    ];
    this.context.stderr.write(`${written(lines.join('\n'))}\n`);
    if (this.context.env.CDC_DEBUG && problem.stack) {
      this.context.stderr.write(`${written(marks.dim(problem.stack))}\n`);
    }
  }

  /** Findings as text, worst first, each with its fix. */
  findings(findings: readonly Finding[]): string {
    const order = { error: 0, warning: 1, info: 2 } as const;
    const mark = {
      error: this.paint.red('✖'),
      warning: this.paint.yellow('!'),
      info: this.paint.cyan('i'),
    } as const;
    return [...findings]
      .sort((a, b) => order[a.severity] - order[b.severity])
      .map((f) =>
        [
          `${mark[f.severity]} ${this.paint.bold(visible(f.subject))}: ${visible(f.message)} ${this.paint.dim(`[${f.id}]`)}`,
          ...(f.fix ? indent('fix', f.fix) : []),
        ].join('\n'),
      )
      .join('\n');
  }

  /** Columns padded to their widest cell; numbers to the right. */
  table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
    const cells = [head, ...rows.map((row) => row.map((cell) => visible(String(cell))))];
    const numeric = head.map(
      (_, i) =>
        rows.length > 0 &&
        rows.every((row) => /^[\d,.<>-]*( [a-zµ%/A-Z]+)?$/.test(String(row[i] ?? ''))),
    );
    const widths = head.map((_, i) => Math.max(...cells.map((row) => stringWidth(row[i] ?? ''))));
    const render = (row: readonly string[]) =>
      row
        .map((cell, i) => {
          const pad = ' '.repeat(Math.max(0, (widths[i] ?? 0) - stringWidth(cell)));
          return numeric[i] ? pad + cell : cell + pad;
        })
        .join('  ')
        .trimEnd();
    const total = widths.reduce((sum, width) => sum + width + 2, -2);
    // A narrow terminal gets one line per cell: a wrapped table cannot be read.
    if (total > this.columns) return stacked(head, cells.slice(1), this.paint);
    return [this.paint.dim(render(head)), ...cells.slice(1).map(render)].join('\n');
  }
}

function stacked(head: readonly string[], rows: readonly (readonly string[])[], p: Paint): string {
  return rows
    .map((row) =>
      row
        .map((cell, i) =>
          i === 0 ? p.bold(cell) : `  ${head[i] ? `${p.dim(`${head[i]}:`)} ` : ''}${cell}`,
        )
        .filter((_, i) => i === 0 || row[i] !== '')
        .join('\n'),
    )
    .join('\n');
}

function indent(label: string, text: string): string[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line, i) => `  ${i === 0 ? `${label}:`.padEnd(6) : '      '} ${line}`);
}

/** As many characters as have room, with a mark where some have none. */
export function clip(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  const kept = [...text];
  while (kept.length > 0 && stringWidth(kept.join('')) > width - 1) kept.pop();
  return `${kept.join('')}…`;
}

/** WAL positions and counts can exceed 2^53; JSON gets them as text then. */
function jsonSafe(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') {
    return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  }
  return value;
}
