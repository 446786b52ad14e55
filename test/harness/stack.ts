import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';
import { findMarked } from '../../cli/lib/processes.ts';
import { setup as build } from './build.ts';
import { cleanEnvironment, MAIN } from './cli.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Folder of the cdc.yaml of the stack that all stack tests share. */
    stackDirectory: string;
    /** What commands on it need beside a clean environment. */
    stackEnvironment: Record<string, string>;
  }
}

const execute = promisify(execFile);

type Environment = Readonly<Record<string, string>>;

/** Runs the built product, as a user would. */
async function cdc(directory: string, env: Environment, ...args: string[]): Promise<void> {
  try {
    await execute(process.execPath, [MAIN, ...args], {
      cwd: directory,
      env: { ...cleanEnvironment(), ...env },
      timeout: 300_000,
      killSignal: 'SIGTERM',
    });
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    throw new Error(`cdc ${args.join(' ')} failed in ${directory}:\n${stderr || message}`);
  }
}

/** What commands need where the shared stack is one in containers: test:compose says so. */
function environment(): Record<string, string> {
  const { CDC_TEST_RUNTIME, DOCKER_HOST = '', DOCKER_CONFIG = '' } = process.env;
  if (CDC_TEST_RUNTIME !== 'compose') return {};
  return { DOCKER_HOST, DOCKER_CONFIG, COMPOSE_PROFILES: 'core', CDC_RUNTIME: 'compose' };
}

export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const env = environment();
  project.provide('stackEnvironment', env);
  // While one works on a test: the folder of a stack that runs already, and is left running.
  const running = process.env.CDC_TEST_STACK;
  if (running !== undefined) {
    project.provide('stackDirectory', realpathSync(running));
    return undefined;
  }
  await build();
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'cdc-stack-')));
  // The user of the agent's container has to read it.
  chmodSync(directory, 0o755);
  // Tests that say `cdc apply` mean to be the ones who do it.
  // What looks at a pipeline has a stack of its own (test/observability.embedded.test.ts).
  const settings = ['ports: auto', 'agent: { schema_changes: report }', 'observability: off'];
  writeFileSync(join(directory, 'cdc.yaml'), `${settings.join('\n')}\n`);
  const tearDown = async () => {
    await cdc(directory, env, 'down', '--delete-data');
    const left = findMarked(`CDC_STACK=${join(directory, '.cdc')}`);
    if (left.length > 0) throw new Error(`cdc down left processes: ${left.join(', ')}`);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await cdc(directory, env, 'up');
  } catch (error) {
    await tearDown().catch(() => {});
    throw error;
  }
  project.provide('stackDirectory', directory);
  return tearDown;
}
