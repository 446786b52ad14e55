import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { Problem } from '../../cli/core/problems.ts';
import { type CommandSpec, positiveNumber, UsageError } from '../../cli/kernel/program.ts';
import { withUndo } from '../../cli/lib/undo.ts';
import { pause } from '../../cli/lib/wait.ts';
import { type RunOptions, runCommand } from '../harness/cli.ts';

const commands: CommandSpec[] = [
  {
    usage: 'echo <word> [more...]',
    summary: 'say it',
    examples: ['cdc echo hello'],
    options: [
      { flags: '--times <n>', description: 'how often', parse: positiveNumber },
      { flags: '--how <way>', description: 'the way', choices: ['loud', 'soft'] },
    ],
    async run({ printer }, [word, more], options) {
      printer.result({ word, more, times: options.times ?? 1 }, () => `said ${word}`);
      return undefined;
    },
  },
  {
    usage: 'fail <how>',
    summary: 'end badly',
    examples: ['cdc fail bug'],
    async run(_session, [how]) {
      if (how === 'problem') throw new Problem('STACK_NOT_RUNNING', { directory: '/x' });
      if (how === 'usage') throw new UsageError('no such thing');
      if (how === 'disk') throw Object.assign(new Error('full'), { code: 'ENOSPC' });
      if (how === 'exit') return 6;
      throw new Error('oops');
    },
  },
  {
    usage: 'group',
    summary: 'has commands',
    examples: ['cdc group inner'],
    commands: [
      {
        usage: 'inner',
        summary: 'is inside',
        examples: ['cdc group inner'],
        async run({ printer, configFile }) {
          printer.result({ configFile }, () => 'inside');
          return undefined;
        },
      },
    ],
  },
];

const run = (argv: string[], options: Partial<RunOptions> = {}) =>
  runCommand(argv, { cwd: tmpdir(), commands, ...options });

describe('a command line', () => {
  it('prints its result to standard output and nothing else there', async () => {
    const ran = await run(['echo', 'hello']);
    expect(ran).toMatchObject({ exit: 0, stdout: 'said hello\n', stderr: '' });
  });

  it('prints one JSON document with --json', async () => {
    const ran = await run(['echo', 'hello', 'a', 'b', '--times', '2', '--json']);
    expect(ran.json()).toEqual({ word: 'hello', more: ['a', 'b'], times: 2 });
  });

  it('reaches commands inside commands, with their options', async () => {
    const ran = await run(['group', 'inner', '--config', 'x.yaml', '--json']);
    expect(ran.json()).toEqual({ configFile: 'x.yaml' });
  });

  it('ends with the code that the command returns', async () => {
    expect((await run(['fail', 'exit'])).exit).toBe(6);
  });

  it.each([
    [['ehco', 'x'], 'Did you mean echo?'],
    [['echo'], 'word'],
    [['echo', 'x', '--tmies', '2'], '--tmies'],
    [['echo', 'x', '--times', 'many'], 'many'],
    [['echo', 'x', '--times', '-1'], '-1'],
    [['echo', 'x', '--how', 'wild'], 'loud'],
    [['fail', 'usage'], 'no such thing'],
  ])('%j is a usage problem that says %s', async (argv, words) => {
    const ran = await run(argv);
    expect(ran.exit).toBe(2);
    expect(ran.stdout).toBe('');
    expect(ran.stderr).toContain(words);
    expect(ran.stderr).toContain('[USAGE]');
    expect(ran.stderr).toContain('--help');
    expect(ran.stderr).not.toMatch(/\n\s+at /);
  });

  it.each([
    ['problem', 4, 'STACK_NOT_RUNNING'],
    ['disk', 3, 'DISK_FULL'],
    ['bug', 1, 'INTERNAL'],
  ])('fail %s ends with %i and code %s, with a cause and a fix', async (how, exit, code) => {
    const ran = await run(['fail', how]);
    expect(ran.exit).toBe(exit);
    expect(ran.stdout).toBe('');
    expect(ran.stderr).toMatch(/^✖ /);
    expect(ran.stderr).toContain(`[${code}]`);
    expect(ran.stderr).toContain('cause:');
    expect(ran.stderr).toContain('fix:');
    expect(ran.stderr).not.toMatch(/\n\s+at /);
    const json = (await run(['fail', how, '--json'])).json();
    expect(json.error.code).toBe(code);
  });

  it('shows the stack with CDC_DEBUG only', async () => {
    const ran = await run(['fail', 'bug'], { env: { CDC_DEBUG: '1' } });
    expect(ran.stderr).toMatch(/\n\s+at /);
  });

  it('an interrupted command ends with 130, whatever it threw', async () => {
    const ran = await run(['fail', 'bug'], { signal: AbortSignal.abort() });
    expect(ran.exit).toBe(130);
    expect(ran.stderr).toContain('[INTERRUPTED]');
  });

  it('one that waits for what does not answer is left within 2 s, once what it made is undone', async () => {
    const abort = new AbortController();
    let abortedAtMs = 0;
    let isUndone = false;
    const undo = async () => {
      isUndone = true;
    };
    const hangs: CommandSpec = {
      usage: 'hang',
      summary: 'wait',
      examples: ['cdc hang'],
      async run() {
        setImmediate(() => {
          abortedAtMs = performance.now();
          abort.abort(new Error('Ctrl-C'));
        });
        return withUndo(undo, () => new Promise<undefined>(() => {}));
      },
    };
    const ran = await run(['hang'], { signal: abort.signal, commands: [hangs] });
    expect(ran.exit).toBe(130);
    expect(isUndone).toBe(true);
    expect(performance.now() - abortedAtMs).toBeLessThan(3000);
  });

  it('one that ends by itself is given its time', async () => {
    const abort = new AbortController();
    const stops: CommandSpec = {
      usage: 'serve',
      summary: 'serve',
      examples: ['cdc serve'],
      endsItself: true,
      async run() {
        abort.abort(new Error('Ctrl-C'));
        await pause(2500);
        return 7;
      },
    };
    expect((await run(['serve'], { signal: abort.signal, commands: [stops] })).exit).toBe(7);
  });
});

describe('help', () => {
  it('without a command is shown, and is a usage error', async () => {
    const ran = await run([]);
    expect(ran.exit).toBe(2);
    expect(ran.stdout).toContain('echo');
  });

  it('of a command with sub-commands alone is its own, and a usage error', async () => {
    const ran = await run(['group']);
    expect(ran.exit).toBe(2);
    expect(ran.stdout).toContain('Usage: cdc group');
    expect(ran.stdout).toContain('inner');
    expect(ran.stdout).not.toContain('echo');
  });

  it.each([[['--help']], [['echo', '--help']], [['group', 'inner', '-h']]])(
    '%j goes to standard output, with an example',
    async (argv) => {
      const ran = await run(argv);
      expect(ran.exit).toBe(0);
      expect(ran.stdout).toContain('Example:');
      expect(ran.stderr).toBe('');
    },
  );

  it('--version prints the version', async () => {
    expect(await run(['--version'])).toMatchObject({ exit: 0, stdout: '0.0.0-test\n' });
  });
});
