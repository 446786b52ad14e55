import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { inject } from 'vitest';
import { stringify } from 'yaml';
import { ClickHouse } from '../../cli/components/clickhouse/client.ts';
import { connectPostgres } from '../../cli/components/postgres/client.ts';
import { chIdent, pgIdent } from '../../cli/lib/sql.ts';
import { waitFor } from '../../cli/lib/wait.ts';
import { readIsolations, recordIsolation } from '../../cli/pipeline/state/isolate.ts';
import { attach, type Stack } from '../../cli/pipeline/state/stack.ts';
import { type Ran, runCommand, testContext } from './cli.ts';

/** Where commands on the stack run that globalSetup booted, and what they find in the environment. */
function there() {
  return { cwd: inject('stackDirectory'), env: inject('stackEnvironment') };
}

export function stack(): Stack {
  return attach(testContext(there()).context, {});
}

/** Runs a command on that stack. */
export function cdc(...argv: string[]): Promise<Ran> {
  return runCommand(argv, there());
}

/** Runs a command that has to end well, and returns its JSON document. */
// biome-ignore lint/suspicious/noExplicitAny: a test says what it expects to find
export async function cdcJson(...argv: string[]): Promise<any> {
  const ran = await cdc(...argv, '--json');
  if (ran.exit !== 0)
    throw new Error(`cdc ${argv.join(' ')} ended with ${ran.exit}:\n${ran.stderr}`);
  return ran.json();
}

/** A second configuration of the same stack, with `tables` and what else is said; its path, for --config. */
export function withTables(
  tables: Readonly<Record<string, unknown>>,
  others: Readonly<Record<string, unknown>> = {},
): string {
  const directory = inject('stackDirectory');
  const file = join(directory, 'overrides.yaml');
  const plain = readFileSync(join(directory, 'cdc.yaml'), 'utf8');
  writeFileSync(file, plain + stringify({ ...others, tables }));
  return file;
}

/** A connection to the source; `await using` ends it. */
export async function source(): Promise<pg.Client & AsyncDisposable> {
  const client = await connectPostgres(stack().endpoints.postgres);
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

/** ClickHouse; `await using` closes it. */
export function target(): ClickHouse & AsyncDisposable {
  const client = new ClickHouse(stack().endpoints.clickhouse);
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.close() });
}

/** Rows that a table or a view of ClickHouse shows. */
export async function countRows(database: string, name: string): Promise<number> {
  await using clickhouse = target();
  const [row] = await clickhouse.rows<{ n: string }>(
    `SELECT count() AS n FROM ${chIdent(database, name)}`,
  );
  return Number(row?.n);
}

/**
 * A schema of the test's own in the source, to be dropped with everything in it. Copies of those that are dropped stay
 * in ClickHouse, and every plan looks at them: they go when the next one is made, once nothing is written to them.
 */
export async function freshSchema(
  client: pg.ClientBase,
  prefix = 'test',
): Promise<{ readonly name: string; drop(): Promise<void> }> {
  const name = `${prefix}_${randomBytes(4).toString('hex')}`;
  await client.query(`CREATE SCHEMA ${pgIdent(name)}`);
  const { rows } = await client.query<{ name: string }>('SELECT nspname AS name FROM pg_namespace');
  await using clickhouse = target();
  for (const left of await clickhouse.rows<{ name: string }>(
    `SELECT name FROM system.databases
      WHERE match(name, '_[0-9a-f]{8}$') AND name NOT IN ({there:Array(String)})
        AND name NOT IN (SELECT database FROM system.tables WHERE engine = 'MaterializedView' AND comment LIKE 'cdc %')`,
    { there: rows.map((schema) => schema.name) },
  ))
    await clickhouse.command(`DROP DATABASE IF EXISTS ${chIdent(left.name)} SYNC`);
  return {
    name,
    drop: async () => {
      await using later = await source();
      await later.query(`DROP SCHEMA IF EXISTS ${pgIdent(name)} CASCADE`);
    },
  };
}

/** Long enough for a machine that does much else: it is for what never comes. */
export const WAIT_MS = 300_000;

/** Looks until two values are equal; on time-out it says what it saw last. */
export async function eventually<T>(
  claim: string,
  expected: T,
  look: () => Promise<T>,
  timeoutMs = WAIT_MS,
): Promise<void> {
  const wanted = JSON.stringify(expected);
  await waitFor(claim, { timeoutMs, everyMs: 100 }, async () => {
    const seen = JSON.stringify(await look());
    return seen === wanted ? { ready: true } : { seen: `${clip(seen)}, wanted ${clip(wanted)}` };
  });
}

function clip(text: string | undefined): string {
  return text === undefined ? 'nothing' : text.length > 500 ? `${text.slice(0, 500)}…` : text;
}

/** A view of somebody's behind the copy of a table that takes its time for each row: loads can be met halfway. */
export async function slowDown(
  schema: string,
  table: string,
  secondsPerRow: number,
): Promise<void> {
  await using clickhouse = target();
  await clickhouse.command(
    `CREATE MATERIALIZED VIEW ${chIdent(schema, `${table}_slow`)} ENGINE = Null AS
     SELECT sleepEachRow(${secondsPerRow}) AS slept FROM ${chIdent(schema, `${table}_final`)}`,
  );
}

/** For tables that are dropped: else the agent changes queues a minute later, amid the tests of another file. */
export async function forgetIsolations(): Promise<void> {
  await using clickhouse = target();
  for (const { table, ...state } of (await readIsolations(clickhouse)).values())
    if (state.why !== '') await recordIsolation(clickhouse, table, { ...state, why: '' });
}
