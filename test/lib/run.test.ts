import { expect, it } from 'vitest';
import { runProgram } from '../../cli/lib/run.ts';

const env = { PATH: process.env.PATH };

it('a program gets this environment and no other, and its lines are told as they come', async () => {
  const lines: string[] = [];
  const ran = await runProgram('sh', ['-c', 'echo "$GIVEN|$HOME"; echo two >&2; exit 7'], {
    env: { ...env, GIVEN: 'given' },
    onLine: (line) => lines.push(line),
  });
  expect(ran).toMatchObject({ code: 7, stdout: 'given|' });
  expect(lines.sort()).toEqual(['given|', 'two']);
});

it('of much output the last lines are kept', async () => {
  const { output, stdout } = await runProgram('seq', ['1', '1000'], { env });
  expect(output.split('\n')).toHaveLength(400);
  expect(output.endsWith('1000')).toBe(true);
  expect(stdout.split('\n')).toHaveLength(1000);
});

it('a program that is not there, or is ended by the signal, throws', async () => {
  await expect(runProgram('/no/such/program', [], { env })).rejects.toThrow('ENOENT');
  const abort = new AbortController();
  const running = runProgram('sleep', ['60'], { env, signal: abort.signal });
  setTimeout(() => abort.abort(), 100);
  await expect(running).rejects.toThrow();
});
