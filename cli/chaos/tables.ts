import { type ClickHouse, withClickHouse } from '../components/clickhouse/client.ts';
import { withPostgres } from '../components/postgres/client.ts';
import { compareRows, type Digests, type Wrong } from '../core/chaos.ts';
import { type TargetNames, topicName } from '../core/names.ts';
import { chIdent } from '../lib/sql.ts';
import { applyPlan } from '../pipeline/apply/apply.ts';
import { captureSource } from '../pipeline/inspect/source.ts';
import { standing } from '../pipeline/inspect/targets.ts';
import type { Stack } from '../pipeline/state/stack.ts';
import type { Endpoints } from '../stack/endpoints.ts';

/** Tables of the run's own, in a schema of their own that is dropped afterwards, and their account. */

export const SCHEMA = 'cdc_chaos';

interface OwnTable {
  readonly table: string;
  readonly columns: string;
  /** The row of number 0, by which flow is seen. */
  readonly pulse: string;
  /** A row's key and all of it as text, the same text on both sides. */
  readonly inPostgres: { readonly key: string; readonly row: string };
  readonly inClickHouse: { readonly key: string; readonly row: string };
}

const micros = '(extract(epoch FROM changed) * 1000000)::bigint';

export const OWN_TABLES: readonly OwnTable[] = [
  {
    table: 'items',
    columns:
      'id bigint PRIMARY KEY, n bigint NOT NULL, note text, amount numeric(12,2) NOT NULL, changed timestamptz NOT NULL',
    pulse: "VALUES (0, 0, NULL, 0, '2026-01-01Z')",
    inPostgres: {
      key: 'id::text',
      row: `concat_ws('|', n, coalesce(note, 'null'), amount, ${micros})`,
    },
    inClickHouse: {
      key: 'toString(id)',
      row: "concat(toString(n), '|', ifNull(note, 'null'), '|', toDecimalString(amount, 2), '|', toString(toUnixTimestamp64Micro(changed)))",
    },
  },
  {
    // The key of its rows changes.
    table: 'pairs',
    columns: 'id bigint NOT NULL, step bigint NOT NULL, n bigint NOT NULL, PRIMARY KEY (id, step)',
    pulse: 'VALUES (0, 0, 0)',
    inPostgres: { key: "concat_ws('|', id, step)", row: 'n::text' },
    inClickHouse: { key: "concat(toString(id), '|', toString(step))", row: 'toString(n)' },
  },
  {
    // Values that are kept out of line, which an update of another column does not send.
    table: 'texts',
    columns: 'id bigint PRIMARY KEY, n bigint NOT NULL, body text NOT NULL',
    pulse: "VALUES (0, 0, '')",
    inPostgres: { key: 'id::text', row: "concat_ws('|', n, body)" },
    inClickHouse: { key: 'toString(id)', row: "concat(toString(n), '|', body)" },
  },
];

/** One of them as the pipeline copies it. */
export interface CopiedTable extends OwnTable {
  readonly names: TargetNames;
  readonly topic: string;
}

/** Makes the tables and has them copied. */
export async function makeTables(stack: Stack, signal: AbortSignal): Promise<CopiedTable[]> {
  await withPostgres(stack.endpoints.postgres, async (client) => {
    await client.query(`CREATE SCHEMA ${SCHEMA}`);
    for (const { table, columns, pulse } of OWN_TABLES) {
      await client.query(`CREATE TABLE ${SCHEMA}.${table} (${columns})`);
      await client.query(`INSERT INTO ${SCHEMA}.${table} ${pulse}`);
    }
  });
  await applyPlan(stack, signal, QUIET);
  const source = await captureSource(stack);
  const desired = await standing(stack, source);
  return OWN_TABLES.map((own) => {
    const id = { schema: SCHEMA, table: own.table };
    const plan = desired.tables.find((one) => one.schema === SCHEMA && one.table === own.table);
    if (!plan) throw new RangeError(`${SCHEMA}.${own.table} is not copied: cdc.yaml leaves it out`);
    return { ...own, names: plan.names, topic: topicName(stack.names.topicPrefix, id) };
  });
}

/** Takes the tables out of the pipeline, and drops them with their copies. */
export async function dropTables(stack: Stack, copies: readonly CopiedTable[]): Promise<void> {
  const there = await withPostgres(stack.endpoints.postgres, async (client) => {
    const found = await client.query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [SCHEMA]);
    if (found.rowCount !== 0) await client.query(`DROP SCHEMA ${SCHEMA} CASCADE`);
    return found.rowCount !== 0;
  });
  if (there) await applyPlan(stack, new AbortController().signal, QUIET);
  await withClickHouse(stack.endpoints.clickhouse, async (clickhouse) => {
    for (const { database, view, final } of copies.map(({ names }) => names)) {
      await clickhouse.command(`DROP VIEW IF EXISTS ${chIdent(database, view)} SYNC`);
      await clickhouse.command(`DROP TABLE IF EXISTS ${chIdent(database, final)} SYNC`);
    }
    await clickhouse.command(`DROP DATABASE IF EXISTS ${chIdent(SCHEMA)} SYNC`);
  });
}

const QUIET = { step: () => {}, loading: () => {} };

/** Rows that are wrong in the copy, by statements of its own: it must not share a fault with `verify`. */
export async function countWrong(
  endpoints: Endpoints,
  tables: readonly CopiedTable[],
): Promise<{ readonly rows: number; readonly wrong: Wrong }> {
  const source = await withPostgres(endpoints.postgres, async (client) => {
    const rows: Row[] = [];
    for (const { table, inPostgres } of tables) {
      const found = await client.query<Row>(
        `SELECT '${table}|' || ${inPostgres.key} AS key, md5(${inPostgres.row}) AS digest FROM ${SCHEMA}.${table}`,
      );
      rows.push(...found.rows);
    }
    return digests(rows);
  });
  const copy = await withClickHouse(endpoints.clickhouse, async (clickhouse) =>
    digests((await Promise.all(tables.map((table) => copied(clickhouse, table)))).flat()),
  );
  return { rows: source.size, wrong: compareRows(source, copy) };
}

interface Row {
  readonly key: string;
  readonly digest: string;
}

function copied(clickhouse: ClickHouse, { table, names, inClickHouse }: CopiedTable) {
  return clickhouse.rows<Row>(
    `SELECT concat('${table}|', ${inClickHouse.key}) AS key, lower(hex(MD5(${inClickHouse.row}))) AS digest
      FROM ${chIdent(names.database, names.view)}`,
  );
}

/** A key that one side shows twice is one that the other does not have. */
function digests(rows: readonly Row[]): Digests {
  const found = new Map<string, string>();
  for (const { key, digest } of rows) found.set(found.has(key) ? `${key}, twice` : key, digest);
  return found;
}
