import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { findMarked } from '../../cli/lib/processes.ts';
import { type Ran, runCommand } from './cli.ts';

export interface OwnStack {
  readonly directory: string;
  cdc(...argv: string[]): Promise<Ran>;
}

/** A stack for a file alone, in a folder of its own: up before its first test, and nothing of it is left after the last. */
export function ownStack(name: string): OwnStack {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), `cdc-${name}-`)));
  const cdc = (...argv: string[]) => runCommand(argv, { cwd: directory });
  beforeAll(async () => {
    writeFileSync(join(directory, 'cdc.yaml'), 'ports: auto\nobservability: off\n');
    const { exit, stderr } = await cdc('up', '--json');
    if (exit !== 0) throw new Error(stderr);
  });
  afterAll(async () => {
    await cdc('down', '--delete-data');
    expect(findMarked(`CDC_STACK=${join(directory, '.cdc')}`)).toEqual([]);
    rmSync(directory, { recursive: true, force: true });
  });
  return { directory, cdc };
}
