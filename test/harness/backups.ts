import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import { type Ran, runCommand } from './cli.ts';

/** Folders of stacks that are backed up and restored; all of it is gone after the file's last test. */
export const parent = realpathSync(mkdtempSync(join(tmpdir(), 'cdc-backup-')));

export const PASSPHRASE = { CDC_BACKUP_PASSPHRASE: 'horse battery' };

export function removeFolders(): void {
  afterAll(() => rmSync(parent, { recursive: true, force: true }));
}

export function folder(name: string, ...settings: string[]): string {
  const path = join(parent, name);
  mkdirSync(path, { recursive: true });
  const lines = ['ports: auto', 'observability: off', 'agent: { schema_changes: report }'];
  if (settings.length > 0)
    writeFileSync(join(path, 'cdc.yaml'), `${[...lines, ...settings].join('\n')}\n`);
  return path;
}

export const run = (
  cwd: string,
  args: string[],
  env: Record<string, string> = PASSPHRASE,
): Promise<Ran> => runCommand([...args, '--json'], { cwd, env });

// biome-ignore lint/suspicious/noExplicitAny: a test says what it expects to find
export async function result(cwd: string, ...args: string[]): Promise<any> {
  const ran = await run(cwd, args);
  expect(ran.exit, ran.stderr).toBe(0);
  return ran.json();
}

export async function refusal(cwd: string, args: string[], env = PASSPHRASE): Promise<string> {
  const ran = await run(cwd, args, env);
  expect(ran.exit).not.toBe(0);
  expect(ran.stderr).not.toContain('    at ');
  return ran.json().error.code;
}
