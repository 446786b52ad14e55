import stringWidth from 'string-width';
import { describe, expect, it } from 'vitest';
import { Problem } from '../../cli/core/problems.ts';
import { Printer } from '../../cli/kernel/printer.ts';
import { waitFor } from '../../cli/lib/wait.ts';
import { testContext } from '../harness/cli.ts';

interface Shape {
  readonly json?: boolean;
  readonly tty?: boolean;
  readonly columns?: number;
  readonly env?: Record<string, string>;
}

function printerOf({ json = false, ...options }: Shape = {}) {
  const { context, stdout, stderr } = testContext({ cwd: '/', ...options });
  return { printer: new Printer(context, json), stdout, stderr };
}

describe('results', () => {
  it('are text, or one JSON document', () => {
    const text = printerOf();
    text.printer.result({ a: 1 }, () => 'a is 1');
    expect(text.stdout()).toBe('a is 1\n');
    const json = printerOf({ json: true });
    json.printer.result({ a: 1 }, () => 'a is 1');
    expect(JSON.parse(json.stdout())).toEqual({ a: 1 });
  });

  it('keep integers beyond 2^53 exact, as text', () => {
    const { printer, stdout } = printerOf({ json: true });
    printer.result({ small: 5n, large: 2n ** 60n, negative: -(2n ** 60n) }, () => '');
    expect(JSON.parse(stdout())).toEqual({
      small: 5,
      large: '1152921504606846976',
      negative: '-1152921504606846976',
    });
  });

  it('that are empty print no line', () => {
    const { printer, stdout } = printerOf();
    printer.result({}, () => '');
    expect(stdout()).toBe('');
  });
});

describe('colour', () => {
  const red = (shape: Shape) => printerOf(shape).printer.paint.red('x');

  it('is there on a terminal only', () => {
    expect(red({ tty: true })).not.toBe('x');
    expect(red({})).toBe('x');
  });

  it.each<Shape>([{ env: { NO_COLOR: '1' } }, { env: { TERM: 'dumb' } }, { json: true }])(
    'is off with %j',
    (shape) => {
      expect(red({ tty: true, ...shape })).toBe('x');
    },
  );
});

describe('progress', () => {
  it('off a terminal is a line per finished step, on standard error', () => {
    const { printer, stdout, stderr } = printerOf();
    const progress = printer.progress('loading');
    progress.update('loading 1');
    progress.done('loaded');
    printer.progress('waiting').fail('nothing came');
    expect(stderr()).toBe('✔ loaded\n✖ nothing came\n');
    expect(stdout()).toBe('');
  });

  it('off a terminal says within 2 s what it is, and what it comes to wait for', async () => {
    const { printer, stderr } = printerOf();
    const says = async (line: string) => {
      const askedAtMs = performance.now();
      await waitFor(line, { timeoutMs: 20_000, everyMs: 10 }, () =>
        stderr().endsWith(`… ${line}\n`) ? { ready: true } : { seen: stderr() },
      );
      return performance.now() - askedAtMs;
    };
    const progress = printer.progress('preparing');
    // Of two seconds; the rest is for a machine that has other things to do.
    expect(await says('preparing')).toBeLessThan(3000);
    progress.update('the slot waits for pid 12');
    expect(await says('the slot waits for pid 12')).toBeLessThan(3000);
    progress.update('making topics');
    await says('making topics');
    progress.done('made');
    expect(stderr()).toBe('… preparing\n… the slot waits for pid 12\n… making topics\n✔ made\n');
  });

  it('of a step that an exception left says nothing more', async () => {
    const { printer, stderr } = printerOf();
    printer.progress('looking');
    printer.stopSpinner();
    printer.progress('going on');
    const options = { timeoutMs: 20_000, everyMs: 10 };
    await waitFor('the next step', options, () =>
      stderr() === '' ? { seen: 'nothing' } : { ready: true },
    );
    expect(stderr()).toBe('… going on\n');
  });
});

describe('problems', () => {
  const problem = new Problem('STACK_NOT_RUNNING', { directory: '/x' });

  it('go to standard error: sentence, cause, fix', () => {
    const { printer, stdout, stderr } = printerOf();
    printer.problem(problem);
    expect(stdout()).toBe('');
    expect(stderr().split('\n')).toEqual([
      '✖ No stack is running for /x. [STACK_NOT_RUNNING]',
      expect.stringMatching(/^ {2}cause: /),
      expect.stringMatching(/^ {2}fix: {3}cdc up$/),
      '',
    ]);
  });

  it('are the JSON document with --json', () => {
    const { printer, stdout } = printerOf({ json: true });
    printer.problem(problem);
    expect(JSON.parse(stdout())).toEqual({ error: problem.render() });
  });
});

describe('findings', () => {
  it('come worst first, each with its fix', () => {
    const { printer } = printerOf();
    const finding = { subject: 's', fix: 'do it' } as const;
    const text = printer.findings([
      { ...finding, id: 'note', severity: 'info', message: 'fine' },
      { ...finding, id: 'bad', severity: 'error', message: 'broken' },
      { ...finding, id: 'so-so', severity: 'warning', message: 'late' },
    ]);
    expect(text.match(/\[[a-z-]+\]/g)).toEqual(['[bad]', '[so-so]', '[note]']);
    expect(text.match(/fix: {3}do it/g)).toHaveLength(3);
  });
});

describe('tables', () => {
  const rows = [
    ['orders', 12],
    ['Wörter 🐘', 3456],
  ] as const;

  it('line up, numbers to the right, wide characters too', () => {
    const { printer } = printerOf({ columns: 80 });
    const lines = printer.table(['table', 'rows'], rows).split('\n');
    expect(lines).toHaveLength(3);
    const [first, ...others] = lines.map((line) => stringWidth(line));
    for (const width of others) expect(width).toBe(first);
  });

  it('become one line a cell where the terminal is narrow', () => {
    const { printer } = printerOf({ columns: 12 });
    const text = printer.table(['table', 'rows'], rows);
    expect(text.split('\n')).toEqual(['orders', '  rows: 12', 'Wörter 🐘', '  rows: 3456']);
  });

  it('without rows have their head', () => {
    expect(printerOf().printer.table(['a', 'b'], [])).toBe('a  b');
  });
});
