import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chIdent, pgIdent, pgLiteral } from '../cli/lib/sql.ts';
import { cdc, cdcJson, freshSchema, source, target, withTables } from './harness/database.ts';
import { expectNowhere } from './harness/leaks.ts';

/**
 * What cdc.yaml excludes or masks is nowhere but in PostgreSQL and Kafka Connect, whatever is renamed: also where
 * the publication names no columns (test/lists.stack.test.ts is about those).
 */

const WITHOUT_LISTS = { source: { column_lists: false } };

let schema = '';

beforeAll(async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'private')).name;
});
afterAll(async () => {
  await using client = await source();
  await using clickhouse = target();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await cdcJson('apply');
  await clickhouse.command(`DROP DATABASE IF EXISTS ${chIdent(`${schema}_seen`)}`);
});

const renames: readonly (readonly [string, readonly string[]])[] = [
  ['a column', ['RENAME COLUMN password TO password_hash', 'RENAME COLUMN email TO mail']],
  [
    'columns that swap their names with others',
    [
      'RENAME COLUMN email TO x',
      'RENAME COLUMN note TO email',
      'RENAME COLUMN x TO note',
      'RENAME COLUMN password TO y',
      'RENAME COLUMN other TO password',
      'RENAME COLUMN y TO other',
    ],
  ],
  [
    'a column that takes the name of one that is dropped, and another its own',
    ['DROP COLUMN note', 'RENAME COLUMN email TO note', 'ADD COLUMN email text'],
  ],
  ['a column that is dropped and added again', ['DROP COLUMN email', 'ADD COLUMN email text']],
  ['a type', ['ALTER COLUMN email TYPE varchar(200)', 'ALTER COLUMN password TYPE char(80)']],
  ['the table', ['RENAME TO members_of_@']],
];

test.each(renames)(
  'after a change of %s, before and after it is applied, nothing of them is sent on; the rest arrives',
  async (_what, statements) => {
    await using client = await source();
    const secret = randomBytes(9).toString('hex');
    const name = `users_${randomBytes(3).toString('hex')}`;
    const table = `${schema}.${name}`;
    const file = withTables(
      {
        [table]: { history: true, columns: { password: 'exclude', email: 'mask' } },
      },
      WITHOUT_LISTS,
    );
    await client.query(
      `CREATE TABLE ${table} (id int PRIMARY KEY, other text, password text, note text, email text)`,
    );
    await client.query(`INSERT INTO ${table} VALUES (1, 'o', '${secret}p', 'n', '${secret}m')`);
    await cdcJson('apply', '--config', file);
    let now = table;
    for (const statement of statements) {
      await client.query(`ALTER TABLE ${now} ${statement.replace('@', name)}`);
      if (statement.startsWith('RENAME TO')) now = `${schema}.members_of_${name}`;
    }
    const columns = await client.query<{ number: string; name: string }>(
      `SELECT attnum AS number, attname AS name FROM pg_attribute
        WHERE attrelid = '${now}'::regclass AND attnum > 1 AND NOT attisdropped`,
    );
    // What was called so when the rules were given is kept back, and what is called so now.
    const values = columns.rows.map(({ number, name: called }) =>
      ['3', '5'].includes(number) || ['password', 'email'].includes(called) ? `${secret}x` : 'n',
    );
    const write = (id: number) =>
      client.query(
        `INSERT INTO ${now} (id, ${columns.rows.map((c) => pgIdent(c.name)).join(', ')})
         VALUES (${id}, ${values.map(pgLiteral).join(', ')})`,
      );
    await write(2);
    // Another table's change is behind it: whatever is sent of this one has been sent, and stays in the topic.
    await cdcJson('verify', 'inventory.customers', '--config', file);
    await cdcJson('apply', '--config', file);
    await write(3);
    const ran = await cdc('verify', now, '--json', '--config', file);
    expect(ran.json()).toMatchObject({ ok: true, rows: 3 });
    expect(ran.stdout + ran.stderr).not.toContain(secret);
    await expectNowhere(schema, secret);
  },
);

test('rules for every table are none for cdc’s own, and tables without such columns flow', async () => {
  await using client = await source();
  const file = withTables({ '*.*': { columns: { password: 'exclude' } } }, WITHOUT_LISTS);
  const [one, other] = [`${schema}.with_it`, `${schema}.without`];
  await client.query(`CREATE TABLE ${one} (id int PRIMARY KEY, password text)`);
  await client.query(`CREATE TABLE ${other} (id int PRIMARY KEY, v text)`);
  await cdcJson('apply', '--config', file);
  await client.query(`INSERT INTO ${one} VALUES (1, 'p')`);
  await client.query(`ALTER TABLE ${other} RENAME COLUMN v TO w`);
  await client.query(`INSERT INTO ${other} VALUES (1, 'v')`);
  await client.query(`ALTER TABLE ${other} RENAME COLUMN w TO v`);
  await client.query(`INSERT INTO ${other} VALUES (2, 'v')`);
  await cdcJson('apply', '--config', file);
  expect(await cdcJson('verify', one, other, '--config', file)).toMatchObject({
    ok: true,
    rows: 3,
  });
  await cdcJson('apply');
});

test('a partition that is detached, and a table that becomes a partition, are left out until cdc.yaml says what of them', async () => {
  await using client = await source();
  const secret = randomBytes(9).toString('hex');
  const [whole, part, alone, root] = ['whole', 'part', 'alone', 'root'].map(
    (name) => `${schema}.${name}_${secret.slice(0, 4)}`,
  ) as [string, string, string, string];
  const rules = { columns: { password: 'exclude', email: 'mask' } };
  const file = withTables({ [whole]: rules, [alone]: rules }, WITHOUT_LISTS);
  const columns = '(id int NOT NULL, password text, email text, PRIMARY KEY (id))';
  await client.query(`CREATE TABLE ${whole} ${columns} PARTITION BY RANGE (id)`);
  await client.query(`CREATE TABLE ${root} ${columns} PARTITION BY RANGE (id)`);
  await client.query(`CREATE TABLE ${alone} ${columns}`);
  await cdcJson('apply', '--config', file);
  // Made after the rules were recorded: the next apply has nothing else to do.
  await client.query(`CREATE TABLE ${part} PARTITION OF ${whole} FOR VALUES FROM (0) TO (100)`);
  await client.query(`INSERT INTO ${whole} VALUES (1, '${secret}', '${secret}x')`);
  await cdcJson('apply', '--config', file);
  await client.query(`ALTER TABLE ${whole} DETACH PARTITION ${part}`);
  await client.query(`ALTER TABLE ${root} ATTACH PARTITION ${alone} FOR VALUES FROM (0) TO (100)`);
  const { left_out: leftOut } = await cdcJson('apply', '--config', file);
  expect(leftOut).toMatchObject([
    { table: part, findings: ['private-partition'] },
    { table: root, findings: ['private-partition'] },
  ]);
  await client.query(`INSERT INTO ${part} VALUES (2, '${secret}', '${secret}x')`);
  await client.query(`INSERT INTO ${root} VALUES (3, '${secret}', '${secret}x')`);
  await cdcJson('verify', 'inventory.customers', '--config', file);
  await expectNowhere(schema, secret);
  const said = withTables({ [whole]: rules, [part]: rules, [root]: rules }, WITHOUT_LISTS);
  await cdcJson('apply', '--config', said);
  expect(await cdcJson('verify', part, root, '--config', said)).toMatchObject({
    ok: true,
    rows: 3,
  });
  await expectNowhere(schema, secret);
});
