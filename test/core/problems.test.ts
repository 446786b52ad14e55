import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  EXIT,
  fill,
  PROBLEMS,
  Problem,
  type ProblemCode,
  type ProblemEntry,
  plural,
} from '../../cli/core/problems.ts';
import { packageRoot } from '../../cli/lib/packageRoot.ts';
import { sourceFiles } from '../harness/sources.ts';

const entries = Object.entries(PROBLEMS) as [ProblemCode, ProblemEntry][];

/** Parameters that a template names. */
function placeholders(entry: ProblemEntry): Set<string> {
  const text = `${entry.sentence} ${entry.cause} ${entry.fix}`;
  return new Set([...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? ''));
}

describe('the catalogue of problems', () => {
  it.each(entries)('%s has a sentence, a cause and a fix', (code, entry) => {
    expect(code).toMatch(/^[A-Z][A-Z0-9_]+$/);
    for (const text of [entry.sentence, entry.cause, entry.fix]) expect(text.trim()).not.toBe('');
    expect(entry.sentence).toMatch(/[.}]$/);
    expect(Object.values(EXIT)).toContain(entry.exit);
    expect(entry.exit).not.toBe(EXIT.done);
  });

  it.each([
    ['USAGE', 2],
    ['CONFIG_INVALID', 3],
    ['JAVA_MISSING', 3],
    ['PORT_IN_USE', 3],
    ['SOURCE_UNREACHABLE', 4],
    ['KAFKA_UNREACHABLE', 4],
    ['CONNECT_UNREACHABLE', 4],
    ['CLICKHOUSE_UNREACHABLE', 4],
    ['STACK_NOT_RUNNING', 4],
    ['SOURCE_AUTH', 5],
    ['CLICKHOUSE_AUTH', 5],
    ['CONNECT_REFUSED', 5],
    ['COPY_DIFFERS', 6],
    ['LAG_ABOVE_MAX', 6],
    ['INTERRUPTED', 130],
    ['INTERNAL', 1],
  ] as const)('%s ends a command with %i', (code, exit) => {
    expect(new Problem(code).exit).toBe(exit);
  });

  it.each(entries.filter(([code]) => /_UNREACHABLE$|_UNAVAILABLE$/.test(code)))(
    '%s has the exit code of an unreachable server',
    (_, entry) => {
      expect(entry.exit).toBe(EXIT.unreachable);
    },
  );

  it('is thrown with a value for every placeholder, wherever it is thrown', () => {
    const missing: string[] = [];
    for (const path of sourceFiles('cli')) {
      const text = readFileSync(join(packageRoot(), path), 'utf8');
      for (const [code, params, options] of thrown(text)) {
        // Spread or computed parameters cannot be read off the text.
        if (params.includes('...') || !params.startsWith('{')) continue;
        const given = new Set(
          [...params.matchAll(/(?:^\{|[,{])\s*(\w+)\s*(?=[:,}])/g)].map((m) => m[1]),
        );
        const entry = PROBLEMS[code];
        const { fix, ...rest } = entry;
        const needed = placeholders(/\bfix:/.test(options) ? { ...rest, fix: '' } : entry);
        for (const name of needed) if (!given.has(name)) missing.push(`${path}: ${code} {${name}}`);
      }
    }
    expect(missing).toEqual([]);
  });

  it('has no entry that nothing throws', () => {
    const all = sourceFiles('cli')
      .filter((path) => path !== 'cli/core/problems.ts')
      .map((path) => readFileSync(join(packageRoot(), path), 'utf8'))
      .join('\n');
    const unused = entries.map(([code]) => code).filter((code) => !all.includes(`'${code}'`));
    expect(unused).toEqual([]);
  });
});

/** Every `new Problem('CODE', {…}, {…})` of a file: code, and the texts of its arguments. */
function* thrown(text: string): Generator<[ProblemCode, string, string]> {
  for (const match of text.matchAll(/new Problem\(\s*'([A-Z_]+)'\s*(,?)\s*/g)) {
    const code = match[1] as ProblemCode;
    if (match[2] !== ',') {
      yield [code, '{}', ''];
      continue;
    }
    const start = (match.index ?? 0) + match[0].length;
    const end = closing(text, start);
    yield [code, text.slice(start, end), text.slice(end, end + 200).split(';')[0] ?? ''];
  }
}

/** Where the value that begins here ends: its bracket closes, quotes and templates aside. */
function closing(text: string, start: number): number {
  let depth = 0;
  for (let i = start; i < text.length; i += 1) {
    if ('{(['.includes(text[i] ?? '')) depth += 1;
    if ('})]'.includes(text[i] ?? '')) depth -= 1;
    if (depth <= 0) return i + 1;
  }
  return text.length;
}

describe('Problem', () => {
  it('fills its template and renders as JSON has it', () => {
    const problem = new Problem('PORT_IN_USE', {
      port: 5432,
      server: 'postgres',
      owner: 'nginx (pid 7)',
    });
    expect(problem.render()).toEqual({
      code: 'PORT_IN_USE',
      message: 'Port 5432, wanted for postgres, is taken by nginx (pid 7).',
      cause: 'Another program listens on 127.0.0.1:5432.',
      fix: expect.stringContaining('ports: auto'),
    });
  });

  it('comes back equal from what another process rendered', () => {
    const problem = new Problem('STACK_BUSY', { pid: 7, detail: 'it applies' }, { fix: 'wait' });
    const restored = Problem.restore(problem.code, problem.render());
    expect(restored.render()).toEqual(problem.render());
    expect(restored.exit).toBe(problem.exit);
  });
});

describe('fill', () => {
  it('leaves an unknown name visible', () => {
    expect(fill('{a} and {b}', { a: 1 })).toBe('1 and {b}');
  });

  it('does not fill what a value brings along', () => {
    expect(fill('{a} {b}', { a: '{b}', b: 'x' })).toBe('{b} x');
  });

  it('takes a value as it is, dollar signs too', () => {
    expect(fill('{a}', { a: '$& $1 $$' })).toBe('$& $1 $$');
  });
});

describe('plural', () => {
  it('has one and many', () => {
    expect([plural(0, 'row'), plural(1, 'row'), plural(2, 'row')]).toEqual([
      '0 rows',
      '1 row',
      '2 rows',
    ]);
  });
});
