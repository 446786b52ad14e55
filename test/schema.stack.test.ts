import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { Connect } from '../cli/components/connect/client.ts';
import {
  cdc,
  cdcJson,
  eventually,
  freshSchema,
  source,
  stack,
  target,
} from './harness/database.ts';
import { columnsOf, type Entry, entries, equal, type Write, writing } from './harness/writing.ts';

/** Changes of tables while they are written to, followed by the agent. */

const ROWS = 2000;

let schema: string;
let dropSchema: () => Promise<void>;
/** Tables of the present test. */
const made: string[] = [];
let file: string;
let before: string;

function configure(mode: 'apply' | 'report'): void {
  writeFileSync(file, `ports: auto\nagent: { schema_changes: ${mode} }\n`);
}

beforeAll(async () => {
  file = join(inject('stackDirectory'), 'cdc.yaml');
  before = readFileSync(file, 'utf8');
  await using client = await source();
  const fresh = await freshSchema(client, 'schema');
  schema = fresh.name;
  dropSchema = fresh.drop;
  await cdcJson('apply');
  configure('apply');
});

afterEach(async () => {
  configure('apply');
  await using client = await source();
  for (const table of made.splice(0)) await client.query(`DROP TABLE IF EXISTS ${table}`);
});

afterAll(async () => {
  writeFileSync(file, before);
  await dropSchema();
  await cdcJson('apply');
});

async function createTable(name: string, columns: string, select: string): Promise<string> {
  await using client = await source();
  made.push(`${schema}.${name}`);
  await client.query(`CREATE TABLE ${schema}.${name} (${columns})`);
  await client.query(`INSERT INTO ${schema}.${name} ${select}`);
  await copied(name);
  return `${schema}.${name}`;
}

async function copied(name: string): Promise<void> {
  await eventually(`${name} to be copied`, true, async () => {
    const done = await entries(`load table ${schema}.${name}`, 0);
    return done.some((entry) => entry.result === 'applied');
  });
}

async function followed(table: string, sinceMs: number): Promise<void> {
  await eventually('the agent to follow', 'applied', async () => {
    const [entry] = await entries(table, sinceMs);
    return entry?.result ?? 'nothing';
  });
}

/** Runs DDL amid writes, lets the agent follow, and compares when the writes have ended. */
async function changed(
  table: string,
  ddl: string[],
  write: Write,
  later: Write = write,
): Promise<Entry> {
  let now = write;
  const writer = writing((client, i) => now(client, i));
  await writer.passes(30);
  await using client = await source();
  let atMs = 0;
  await writer.between(async () => {
    await client.query('BEGIN');
    for (const statement of ddl) await client.query(statement);
    atMs = Date.now();
    await client.query('COMMIT');
    now = later;
  });
  await followed(table, atMs);
  await writer.passes(30);
  await writer.stop();
  const [entry] = await entries(table, atMs);
  if (!entry) throw new Error('no entry');
  expect(entry.by).toBe('agent');
  await equal(table);
  return entry;
}

const COLUMNS = 'id int PRIMARY KEY, n int NOT NULL, note text';
const SELECT = `SELECT g, g, 'v' || g FROM generate_series(1, ${ROWS}) g`;

/** Changes, adds and removes a row. */
function churn(table: string, column = 'n', value = '$1::int'): Write {
  return async (client, i) => {
    await client.query(
      `INSERT INTO ${table} (id, ${column}) SELECT ${ROWS + 1} + $1::int, ${value}`,
      [i],
    );
    await client.query(
      `UPDATE ${table} SET ${column} = ${value} WHERE id = 1 + $1::int % ${ROWS}`,
      [i],
    );
    if (i % 3 === 0)
      await client.query(`DELETE FROM ${table} WHERE id = ${ROWS + 1} + $1::int`, [i]);
  };
}

describe('while rows are written, the agent follows', () => {
  it('a column that is added, without a default', async () => {
    const table = await createTable('added', COLUMNS, SELECT);
    await changed(
      table,
      [`ALTER TABLE ${table} ADD COLUMN extra numeric(10,2)`],
      churn(table),
      async (client, i) => {
        await churn(table)(client, i);
        await client.query(`UPDATE ${table} SET extra = id / 3.0 WHERE id % 97 = $1::int % 97`, [
          i,
        ]);
      },
    );
    expect(await columnsOf(table)).toContain('extra Nullable(Decimal(10, 2))');
  });

  it('a column that is added with a default, which every earlier row has, too', async () => {
    const table = await createTable('defaulted', COLUMNS, SELECT);
    const entry = await changed(
      table,
      [`ALTER TABLE ${table} ADD COLUMN state text NOT NULL DEFAULT 'old'`],
      churn(table),
    );
    await using clickhouse = target();
    const [found] = await clickhouse.rows<{ n: string }>(
      `SELECT count() AS n FROM ${table} WHERE state = 'old'`,
    );
    expect(Number(found?.n)).toBeGreaterThanOrEqual(ROWS);
    // Nothing restarts: neither the connector, nor another table's view.
    expect(entry.changes.filter((change) => change.startsWith('connect'))).toEqual([]);
    const views = entry.statements.filter((sql) => /VIEW.*_mv` /.test(sql));
    expect(views.filter((sql) => !/defaulted|_(queue|check)_mv/.test(sql))).toEqual([]);
  });

  it('a column that is dropped, also one that may not be NULL', async () => {
    const table = await createTable(
      'dropped',
      `${COLUMNS}, gone int NOT NULL DEFAULT 7`,
      SELECT.replace('g, g,', 'g, g,').replace("'v' || g", "'v' || g, g"),
    );
    await changed(table, [`ALTER TABLE ${table} DROP COLUMN gone`], churn(table));
    expect((await columnsOf(table)).join()).not.toContain('gone');
  });

  it('a column that is renamed', async () => {
    const table = await createTable('renamed', COLUMNS, SELECT);
    await changed(
      table,
      [`ALTER TABLE ${table} RENAME COLUMN n TO number`],
      churn(table),
      churn(table, 'number'),
    );
    expect(await columnsOf(table)).toContain('number Int32');
  });

  it('columns that swap their names', async () => {
    const table = await createTable(
      'swapped',
      'id int PRIMARY KEY, n int, m int',
      `SELECT g, g, -g FROM generate_series(1, ${ROWS}) g`,
    );
    await changed(
      table,
      ['n TO x', 'm TO n', 'x TO m'].map((r) => `ALTER TABLE ${table} RENAME COLUMN ${r}`),
      churn(table),
    );
  });

  it('columns of other types that swapped their names while the connector stood still', async () => {
    const columns = 'id int PRIMARY KEY, n bigint, c tsquery';
    const table = await createTable(
      'passed',
      columns,
      `VALUES (1, 5, 'a & b'::tsquery), (2, 6, 'c')`,
    );
    const connect = new Connect(stack().endpoints.connect);
    const { connector } = stack().names;
    const task = async () => (await connect.status(connector))?.tasks[0]?.state;
    await connect.stop(connector);
    await eventually('the task to end', undefined, task);
    await using client = await source();
    await client.query(`UPDATE ${table} SET n = -9223372036854775808 WHERE id = 1`);
    for (const renamed of ['n TO x', 'c TO n', 'x TO c'])
      await client.query(`ALTER TABLE ${table} RENAME COLUMN ${renamed}`);
    await client.query(`UPDATE ${table} SET c = 7, n = 'd' WHERE id = 2`);
    const atMs = Date.now();
    await connect.resume(connector);
    // What was written under the old names is read with the catalog of now.
    await eventually('the task to run', 'RUNNING', task);
    await followed(table, atMs);
    expect(await columnsOf(table)).toContain('c Nullable(Int64)');
    await equal(table);
  });

  it('a type that is widened', async () => {
    const table = await createTable('widened', COLUMNS, SELECT);
    const entry = await changed(
      table,
      [`ALTER TABLE ${table} ALTER COLUMN n TYPE bigint`],
      churn(table),
      churn(table, 'n', '$1::int + 5000000000'),
    );
    expect(entry.statements.join()).toContain('MODIFY COLUMN `n` Int64');
  });

  it('a type that becomes another, and NOT NULL', async () => {
    const table = await createTable('retyped', 'id int PRIMARY KEY, n text, note text', SELECT);
    await changed(
      table,
      [
        `ALTER TABLE ${table} ALTER COLUMN n TYPE int USING n::int`,
        `ALTER TABLE ${table} ALTER COLUMN n SET NOT NULL`,
      ],
      churn(table, 'n', '($1::int)::text'),
      churn(table),
    );
    expect(await columnsOf(table)).toContain('n Int32');
  });

  it('values that an ALTER rewrote without changing the type', async () => {
    const table = await createTable('rewritten', COLUMNS, SELECT);
    await changed(
      table,
      [`ALTER TABLE ${table} ALTER COLUMN note TYPE text USING upper(note)`],
      churn(table),
    );
  });

  it('a column that is dropped and added again under its name', async () => {
    const table = await createTable('again', COLUMNS, SELECT);
    await changed(
      table,
      [`ALTER TABLE ${table} DROP COLUMN note, ADD COLUMN note text DEFAULT 'new'`],
      churn(table),
    );
  });

  it('a key that is another column, and one whose type changes', async () => {
    const table = await createTable(
      'rekeyed',
      'id int PRIMARY KEY, n int NOT NULL, note int NOT NULL UNIQUE GENERATED ALWAYS AS IDENTITY',
      `(id, n) SELECT g, g FROM generate_series(1, ${ROWS}) g`,
    );
    await changed(
      table,
      [
        `ALTER TABLE ${table} DROP CONSTRAINT rekeyed_pkey`,
        `ALTER TABLE ${table} ADD PRIMARY KEY (note)`,
      ],
      churn(table),
    );
    await changed(table, [`ALTER TABLE ${table} ALTER COLUMN note TYPE bigint`], churn(table));
    expect(await columnsOf(table)).toContain('note Int64');
  });

  it('a table that is renamed: the new name is copied, the copy of the old one stays', async () => {
    const table = await createTable('old_name', COLUMNS, SELECT);
    const renamed = `${schema}.new_name`;
    made.push(renamed);
    let now = table;
    const writer = writing((client, i) => churn(now)(client, i));
    await writer.passes(30);
    await using client = await source();
    await writer.between(async () => {
      await client.query(`ALTER TABLE ${table} RENAME TO new_name`);
      now = renamed;
    });
    await copied('new_name');
    await writer.passes(30);
    await writer.stop();
    await equal(renamed);
    await using clickhouse = target();
    const [kept] = await clickhouse.rows<{ n: string }>(`SELECT count() AS n FROM ${table}`);
    expect(Number(kept?.n)).toBeGreaterThanOrEqual(ROWS);
  });

  it('tables that swap their names', async () => {
    const one = await createTable('one', COLUMNS, SELECT);
    const two = await createTable(
      'two',
      COLUMNS,
      `SELECT g, -g, 'w' FROM generate_series(1, 50) g`,
    );
    const atMs = Date.now();
    await using client = await source();
    await client.query('BEGIN');
    await client.query(`UPDATE ${one} SET note = 'last' WHERE id < 10`);
    for (const names of ['one RENAME TO x', 'two RENAME TO one', 'x RENAME TO two'])
      await client.query(`ALTER TABLE ${schema}.${names}`);
    await client.query('COMMIT');
    await eventually('both to be loaded', 2, async () => {
      const found = await Promise.all([one, two].map((t) => entries(`load table ${t}`, atMs)));
      return found.flat().length > 0 ? found.filter((e) => e.length > 0).length : 0;
    });
    await equal(one);
    await equal(two);
  });

  it('a table that matches the wildcard, from its making to its end', async () => {
    const table = await createTable('guest', COLUMNS, SELECT);
    await equal(table);
    const atMs = Date.now();
    await using client = await source();
    await client.query(`DROP TABLE ${table}`);
    await eventually(
      'the agent to follow',
      true,
      async () => (await entries('guest', atMs)).length > 0,
    );
    await using clickhouse = target();
    const [kept] = await clickhouse.rows<{ n: string }>(`SELECT count() AS n FROM ${table}`);
    expect(Number(kept?.n)).toBe(ROWS);
    await client.query(`CREATE TABLE ${table} (name text PRIMARY KEY, id int)`);
    await client.query(`INSERT INTO ${table} VALUES ('only', 1)`);
    await eventually('the new one', 1, async () => {
      const ran = await cdc('verify', table, '--json');
      return ran.exit === 0 ? ran.json().rows : ran.exit;
    });
    await equal(table);
  });
});

async function agentSays(): Promise<string> {
  const { components } = (await cdc('status', '--json')).json();
  return components.find((part: { name: string }) => part.name === 'agent')?.detail ?? '';
}

describe('the agent', () => {
  it('leaves out a new table that it cannot copy, which status names, and follows the others', async () => {
    const table = await createTable('fine', COLUMNS, SELECT);
    await using client = await source();
    await client.query(`CREATE TABLE ${schema}.keyless (a int)`);
    try {
      await eventually('status to name it', true, async () =>
        JSON.stringify((await cdc('status', '--json')).json().left_out).includes('.keyless'),
      );
      const atMs = Date.now();
      await client.query(`ALTER TABLE ${table} ADD COLUMN extra int DEFAULT 3`);
      await followed(table, atMs);
    } finally {
      await client.query(`DROP TABLE ${schema}.keyless`);
    }
    await equal(table);
    await eventually('nothing to be left to say', false, async () =>
      /schema:/.test(await agentSays()),
    );
  });

  it('only reports where cdc.yaml says so, until cdc apply', async () => {
    const table = await createTable('reported', COLUMNS, SELECT);
    configure('report');
    const atMs = Date.now();
    await using client = await source();
    await client.query(`ALTER TABLE ${table} ADD COLUMN extra int DEFAULT 3`);
    await eventually('the agent to say so', true, async () =>
      /schema: .*cdc apply/.test(await agentSays()),
    );
    expect(await entries('reported', atMs)).toEqual([]);
    const applied = await cdcJson('apply');
    expect(applied.loads).toMatchObject([{ table, rows: ROWS }]);
    expect((await entries('reported', atMs)).map((entry) => entry.by)).toEqual(['cli']);
    expect(await cdcJson('apply')).toMatchObject({ result: 'unchanged' });
    await equal(table);
  });

  it('writes down what it did, for cdc plan --history', async () => {
    const { history } = await cdcJson('plan', '--history');
    const authors = new Set(history.map((entry: { by: string }) => entry.by));
    expect([...authors].sort()).toEqual(['agent', 'cli']);
    const text = (await cdc('plan', '--history', '--sql')).stdout;
    expect(text).toContain('ADD COLUMN IF NOT EXISTS `extra`');
    expect(text).toMatch(/Z agent: applied, /);
  });
});
