import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ClickHouse } from '../cli/components/clickhouse/client.ts';
import { Connect } from '../cli/components/connect/client.ts';
import { connectPostgres } from '../cli/components/postgres/client.ts';
import { attach } from '../cli/pipeline/state/stack.ts';
import { PASSWORD_NAMES, type Secrets } from '../cli/stack/layout.ts';
import { cleanEnvironment, MAIN, testContext } from './harness/cli.ts';

/** New passwords for a stack that runs. */

let cwd = '';

beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), 'cdc-rotate-'));
  writeFileSync(join(cwd, 'cdc.yaml'), 'ports: auto\nobservability: off\n');
  succeeded('up');
});
afterAll(() => {
  const ended = cdc('down', '--delete-data');
  rmSync(cwd, { recursive: true, force: true });
  expect(ended.exit, ended.output).toBe(0);
});

function cdc(...args: string[]) {
  const env = { ...cleanEnvironment() };
  const ran = spawnSync(process.execPath, [MAIN, ...args], { cwd, env, encoding: 'utf8' });
  return { exit: ran.status, output: ran.stdout + ran.stderr };
}

function succeeded(...args: string[]): void {
  const ran = cdc(...args);
  expect(ran.exit, ran.output).toBe(0);
}

const kept = (): Secrets => JSON.parse(readFileSync(join(cwd, '.cdc', 'secrets.json'), 'utf8'));
const endpoints = () => attach(testContext({ cwd }).context, {}).endpoints;

async function write(email: string): Promise<void> {
  const client = await connectPostgres(endpoints().postgres);
  await client.query(
    "INSERT INTO inventory.customers (first_name, last_name, email) VALUES ('A', 'B', $1)",
    [email],
  );
  await client.end();
}

/** Who still lets the passwords of before in. */
async function openTo(old: Secrets): Promise<string[]> {
  const { postgres, connect, clickhouse } = endpoints();
  const asked = {
    postgres: async () => (await connectPostgres({ ...postgres, password: old.postgres })).end(),
    connect: () =>
      new Connect({ ...connect, auth: { username: 'cdc', password: old.connect } }).version(),
    clickhouse: () => new ClickHouse({ ...clickhouse, password: old.clickhouse }).rows('SELECT 1'),
    reader: () =>
      new ClickHouse({
        ...clickhouse,
        ...clickhouse.reader,
        password: old.clickhouseReader,
      }).rows('SELECT 1'),
  };
  const answers = Object.entries(asked).map(async ([name, ask]) =>
    ask().then(
      () => [name],
      () => [],
    ),
  );
  return (await Promise.all(answers)).flat();
}

test('all are made anew by one command, the old ones open nothing, and nothing is lost', async () => {
  const before = kept();
  await write('before@example.com');
  succeeded('secrets', 'rotate');
  const after = kept();
  for (const name of PASSWORD_NAMES) expect(after[name]).not.toBe(before[name]);
  expect(after.toastPlaceholder).toBe(before.toastPlaceholder);
  expect(await openTo(before)).toEqual([]);
  await write('after@example.com');
  succeeded('verify');
});

test('a run that ended after PostgreSQL had its new password is finished by the next', async () => {
  const before = kept();
  const next = { ...before, postgres: `${before.postgres}x` };
  writeFileSync(join(cwd, '.cdc', 'secrets.next.json'), JSON.stringify(next), { mode: 0o600 });
  const client = await connectPostgres(endpoints().postgres);
  await client.query(`ALTER ROLE postgres PASSWORD '${next.postgres}'`);
  await client.end();
  succeeded('secrets', 'rotate');
  expect(kept()).toEqual(next);
  succeeded('verify');
});

test('a secret that there is not is refused by name', () => {
  const ran = cdc('secrets', 'rotate', 'postgress');
  expect(ran.exit).toBe(2);
  expect(ran.output).toContain('cdc secrets rotate postgres');
});
