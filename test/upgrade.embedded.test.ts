import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ClickHouse } from '../cli/components/clickhouse/client.ts';
import { Connect } from '../cli/components/connect/client.ts';
import { connectPostgres } from '../cli/components/postgres/client.ts';
import { packageRoot } from '../cli/lib/packageRoot.ts';
import { attach } from '../cli/pipeline/state/stack.ts';
import { cleanEnvironment, MAIN, testContext } from './harness/cli.ts';

/** A stack that the last release made (test/released: its npm package), and that this version goes on with. */

let parent = '';
let cwd = '';
let released = '';

beforeAll(() => {
  parent = mkdtempSync(join(tmpdir(), 'cdc-upgrade-'));
  cwd = join(parent, 'stack');
  mkdirSync(cwd);
  const archive = join(packageRoot(), 'test', 'released', 'cdc-0.1.0.tgz');
  execFileSync('tar', ['xzf', archive, '-C', parent]);
  released = join(parent, 'package', 'dist', 'main.js');
  symlinkSync(join(packageRoot(), 'node_modules'), join(parent, 'package', 'node_modules'));
  writeFileSync(
    join(cwd, 'cdc.yaml'),
    `ports: auto
observability: off
tables:
  inventory.customers: { history: true, columns: { email: mask } }
`,
  );
});
afterAll(() => {
  const ended = cdc(MAIN, 'down', '--delete-data');
  rmSync(parent, { recursive: true, force: true });
  expect(ended.exit, ended.output).toBe(0);
});

function cdc(main: string, ...args: string[]) {
  const env = { ...cleanEnvironment() };
  const ran = spawnSync(process.execPath, [main, ...args], { cwd, env, encoding: 'utf8' });
  return { exit: ran.status, output: ran.stdout + ran.stderr };
}

function succeeded(main: string, ...args: string[]): string {
  const ran = cdc(main, ...args);
  expect(ran.exit, ran.output).toBe(0);
  return ran.output;
}

const endpoints = () => attach(testContext({ cwd }).context, {}).endpoints;

async function write(...statements: string[]): Promise<void> {
  const client = await connectPostgres(endpoints().postgres);
  for (const statement of statements) await client.query(statement);
  await client.end();
}

/** Every change that the history of a table has. */
async function changes(): Promise<unknown[]> {
  const clickhouse = new ClickHouse(endpoints().clickhouse);
  try {
    return await clickhouse.rows('SELECT * FROM inventory.customers_changes ORDER BY version, op');
  } finally {
    await clickhouse.close();
  }
}

test('a stack that the last release made goes on with this one: its agent is replaced, nothing is loaded again, nothing is lost', async () => {
  succeeded(released, 'up');
  await write(
    "INSERT INTO inventory.customers (first_name, last_name, email) VALUES ('A', 'B', 'a@kept-back.example')",
    "UPDATE inventory.customers SET last_name = 'C' WHERE first_name = 'A'",
    "DELETE FROM inventory.customers WHERE first_name = 'A'",
    "INSERT INTO inventory.customers (first_name, last_name, email) VALUES ('D', 'E', 'd@kept-back.example')",
  );
  succeeded(released, 'verify');
  const before = await changes();
  expect(before).toHaveLength(4);

  const up = succeeded(MAIN, 'up');
  expect(up).toContain('replacing the agent of an earlier cdc');
  expect(up).not.toContain('✔ loaded ');
  expect(succeeded(MAIN, 'plan')).toContain('unchanged');
  expect(await changes()).toEqual(before);
  const { connect, postgres } = endpoints();
  const shown = JSON.stringify([...(await new Connect(connect).configs())]);
  expect(shown).not.toContain(postgres.password);
  await write("UPDATE inventory.customers SET last_name = 'F' WHERE first_name = 'D'");
  succeeded(MAIN, 'verify');
  expect(await changes()).toHaveLength(5);
});
