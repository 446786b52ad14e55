import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { COMMANDS } from '../cli/commands/registry.ts';
import { loadConfig } from '../cli/config/load.ts';
import { Problem } from '../cli/core/problems.ts';
import type { CommandSpec } from '../cli/kernel/program.ts';
import { runCommand } from './harness/cli.ts';

/** Whatever is written in cdc.yaml or typed behind cdc: it is taken, or refused with a problem that says why. */

const folder = mkdtempSync(join(tmpdir(), 'cdc-fuzz-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** "taken", or the code of the problem. */
function taken(text: string): string {
  writeFileSync(join(folder, 'cdc.yaml'), text);
  try {
    loadConfig({ cwd: folder, env: {} });
    return 'taken';
  } catch (error) {
    if (error instanceof Problem) return error.code;
    throw error;
  }
}

const KEYS = [
  ...['source', 'url', 'tables', 'columns', 'kafka', 'brokers', 'connect', 'clickhouse', 'ports'],
  ...['agent', 'listen', 'alerts', 'runtime', 'profile', 'name', 'include', 'history', 'target'],
  ...['__proto__', 'constructor', 'toString', ''],
];
const key = fc.oneof(fc.constantFrom(...KEYS), fc.string({ unit: 'binary' }));
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom('auto', 'postgres://u:p@h/d', '$HOME', '$(id)', '`id`', '!!js/function'),
    fc.string({ unit: 'binary' }),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(key, tie('value'), { maxKeys: 4 }),
  ),
}));

describe('cdc.yaml', () => {
  it('of any form is taken, or refused as a whole', () => {
    fc.assert(
      fc.property(fc.dictionary(key, value, { maxKeys: 5 }), (document) => {
        expect(['taken', 'CONFIG_INVALID']).toContain(taken(stringify(document)));
      }),
      { numRuns: 300 },
    );
  });

  it('of any text is taken, or refused', () => {
    const signs = fc.constantFrom(
      ...'{}[]:,-&*!|>\'"%@`#?\n \t'.split(''),
      'a',
      'source',
      '&a',
      '*a',
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(signs, { maxLength: 40 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (written) => {
        expect(['taken', 'CONFIG_INVALID']).toContain(taken(written));
      }),
      { numRuns: 1000 },
    );
  });

  const bomb = ['a0: &a0 [x, x]'];
  for (let i = 1; i < 30; i += 1) bomb.push(`a${i}: &a${i} [*a${i - 1}, *a${i - 1}, *a${i - 1}]`);
  it.each([
    ['is nested 20,000 deep', '['.repeat(20_000)],
    ['is nested 20,000 deep in keys', '{a: '.repeat(20_000)],
    ['has aliases that make it large', bomb.join('\n')],
    ['has an alias of nothing', 'source: *nothing'],
    ['has an alias of itself', 'source: &a [*a]'],
    ['has an unknown tag', 'source: !!js/function "x"'],
    ['is not UTF-8', Buffer.from([0xff, 0xfe, 0x00, 0xd8]).toString('latin1')],
  ])('that %s is refused', (_, text) => {
    expect(taken(text)).toBe('CONFIG_INVALID');
  });
});

/** Every command as it is typed, without what it does. */
function typed(specs: readonly CommandSpec[]): CommandSpec[] {
  return specs.map(({ run, commands, ...spec }) => ({
    ...spec,
    ...(commands ? { commands: typed(commands) } : {}),
    ...(run ? { run: async () => undefined } : {}),
  }));
}

describe('arguments', () => {
  it('of any kind are understood, or refused as a mistake of the command line', async () => {
    const names = COMMANDS.flatMap(({ usage, commands = [], options = [] }) => [
      usage.split(' ')[0] ?? '',
      ...commands.map((inner) => inner.usage.split(' ')[0] ?? ''),
      ...options.map(
        ({ flags }) => flags.split(/[ ,]/).find((word) => word.startsWith('--')) ?? '',
      ),
    ]);
    const word = fc.oneof(
      fc.constantFrom(...names, '--json', '--config', '--', '-', '--help', '-1', '1e999', '20s'),
      fc.string({ unit: 'binary' }),
      fc.constantFrom('--rate=x', '--=', '../../etc/passwd', '\u001b[2J', '__proto__', '%s%n'),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 6 }), async (argv) => {
        const ran = await runCommand(argv, { cwd: folder, commands: typed(COMMANDS) });
        expect([0, 2]).toContain(ran.exit);
        expect(ran.stdout + ran.stderr).not.toMatch(/\n {4}at |INTERNAL/);
      }),
      { numRuns: 500 },
    );
  });
});
