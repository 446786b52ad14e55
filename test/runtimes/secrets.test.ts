import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { configSchema } from '../../cli/config/schema.ts';
import { withAgentPassword } from '../../cli/runtimes/resolve.ts';
import { createLayout, ensureSecrets, layoutOf } from '../../cli/stack/layout.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cdc-secrets-'));
  createLayout(layoutOf(directory));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

it('secrets of an older version are completed, and none of them changes', () => {
  const layout = layoutOf(directory);
  const { agent: _unknown, ...old } = ensureSecrets(layout);
  writeFileSync(layout.secretsFile, JSON.stringify(old), { mode: 0o600 });
  const completed = ensureSecrets(layout);
  expect(completed).toMatchObject(old);
  expect(completed.agent).toMatch(/^[\w-]{24}$/);
  expect(JSON.parse(readFileSync(layout.secretsFile, 'utf8'))).toEqual(completed);
  expect(statSync(layout.secretsFile).mode & 0o777).toBe(0o600);
  expect(ensureSecrets(layout)).toEqual(completed);
});

it('the agent’s password comes from the environment, from a file, or is generated', () => {
  const secrets = ensureSecrets(layoutOf(directory));
  writeFileSync(join(directory, 'agent.password'), 'from a file\n');
  const config = configSchema.parse({ agent: { password_file: 'agent.password' } });
  const of = (given: typeof config, env: Record<string, string>) =>
    withAgentPassword(secrets, { config: given, directory, env }).agent;
  expect(of(configSchema.parse({}), {})).toBe(secrets.agent);
  expect(of(config, {})).toBe('from a file');
  expect(of(config, { CDC_AGENT_PASSWORD: 'from outside' })).toBe('from outside');
});
