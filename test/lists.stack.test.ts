import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { stringify } from 'yaml';
import { cdc, cdcJson, eventually, source, withTables } from './harness/database.ts';
import { lookingSlot } from './harness/leaks.ts';
import { COLUMNS, EXCLUDED, listed, RuledSchema } from './harness/lists.ts';
import { writing } from './harness/writing.ts';

/** Column lists of the publication: what cdc.yaml excludes does not leave PostgreSQL. */

const ruled = new RuledSchema();
beforeAll(() => ruled.create());
afterAll(() => ruled.remove());

test('the publication names the columns that are not excluded, and PostgreSQL sends nothing else; the source takes every change', async () => {
  const secret = randomBytes(9).toString('hex');
  const table = await ruled.made(
    `id int, "odd, ) name" text, password text, big text, twice int GENERATED ALWAYS AS (id * 2) STORED, PRIMARY KEY (id)`,
  );
  expect(await listed(table)).toEqual(['id', 'odd, ) name', 'big', 'twice']);
  await using client = await source();
  await using slot = await lookingSlot(client);
  await client.query(`ALTER TABLE ${table} ALTER big SET STORAGE EXTERNAL`);
  await ruled.runJson('apply');
  await client.query(
    `INSERT INTO ${table} SELECT g, 'odd-' || g, '${secret}' || g, repeat(md5(g::text), 500) FROM generate_series(1, 20) g`,
  );
  await client.query(`UPDATE ${table} SET password = '${secret}new' WHERE id < 5`);
  await client.query(`UPDATE ${table} SET "odd, ) name" = 'changed' WHERE id BETWEEN 3 AND 8`);
  await client.query(`UPDATE ${table} SET id = id + 100, password = '${secret}' WHERE id > 15`);
  await client.query(`DELETE FROM ${table} WHERE id IN (2, 7, 120)`);
  await ruled.proved(table, 17);
  const left = await slot.leaves();
  expect(left).toContain('odd-20');
  expect(left).not.toContain(secret);
  expect(await ruled.runJson('apply')).toMatchObject({ result: 'unchanged' });
  const [found] = (await ruled.findings(table)).filter(({ id }) => id === 'columns-listed');
  expect(found).toMatchObject({ severity: 'info', subject: table });
  expect(found?.fix).toContain('CASCADE');
  expect(found?.fix).toContain('column_lists: false');
});

test('under REPLICA IDENTITY FULL there is no list, and doctor says how far the values go; when it is taken back there is one again', async () => {
  const secret = randomBytes(9).toString('hex');
  const table = await ruled.made();
  const change = `UPDATE ${table} SET other = other || '!', password = '${secret}'`;
  await ruled.sql(`INSERT INTO ${table} VALUES (1, 'o', '${secret}', 'n')`, change);
  await ruled.sql(`ALTER TABLE ${table} REPLICA IDENTITY FULL`);
  // What it costs, as the documentation says.
  await expect(ruled.sql(change)).rejects.toThrow('cannot update table');
  const { changes: planned } = await ruled.runJson('plan');
  expect(planned).toMatchObject([
    { component: 'postgres', object: `columns of table ${table} in publication cdc_cdc` },
    { component: 'connect' },
    { component: 'clickhouse', action: 'load' },
  ]);
  await ruled.runJson('apply');
  expect(await listed(table)).toBeUndefined();
  await ruled.sql(change);
  await ruled.proved(table, 1);
  expect(await ruled.findings(table)).toMatchObject([
    {
      id: 'excluded-reaches-connect',
      severity: 'info',
      message: expect.stringContaining('full'),
    },
  ]);
  const [{ fix = '' } = {}] = await ruled.findings(table);
  await using client = await source();
  await client.query(fix);
  await ruled.runJson('apply');
  expect(await listed(table)).toEqual(['id', 'other', 'note']);
  await ruled.sql(change);
  await ruled.proved(table, 1);
  expect(await ruled.sentWith(secret)).toEqual([]);
});

test('a table that loses its key, or gets one of an excluded column, is left out and the source goes on; with its key again it has its list', async () => {
  const table = await ruled.made();
  const change = `UPDATE ${table} SET note = 'later', password = 'p2'`;
  const key = `${table.slice(ruled.name.length + 1)}_pkey`;
  await ruled.sql(`INSERT INTO ${table} VALUES (1, 'o', 'p', 'n'), (2, 'o', 'q', 'n')`);
  for (const [other, finding] of [
    [undefined, 'identity-not-full'],
    ['id, password', 'override-key'],
  ] as const) {
    await ruled.sql(
      `ALTER TABLE ${table} DROP CONSTRAINT ${key}`,
      ...(other ? [`ALTER TABLE ${table} ADD PRIMARY KEY (${other})`] : []),
    );
    await expect(ruled.sql(change)).rejects.toThrow('cannot update table');
    const { left_out } = await ruled.runJson('apply');
    expect(left_out).toContainEqual(
      expect.objectContaining({ table, findings: [finding], named: false }),
    );
    await ruled.sql(change);
    if (other) await ruled.sql(`ALTER TABLE ${table} DROP CONSTRAINT ${key}`);
    await ruled.sql(`ALTER TABLE ${table} ADD PRIMARY KEY (id)`);
    await ruled.runJson('apply');
    expect(await listed(table)).toEqual(['id', 'other', 'note']);
    await ruled.sql(change);
    await ruled.proved(table, 2);
  }
});

test('an exclusion is given to a table that is copied, and taken back, while rows are written', async () => {
  const table = await ruled.made(COLUMNS, {});
  expect(await listed(table)).toBeUndefined();
  await ruled.sql(
    `INSERT INTO ${table} SELECT g, 'o', 'p' || g, 'n' FROM generate_series(1, 200) g`,
  );
  const writer = writing(async (client, i) => {
    await client.query(`INSERT INTO ${table} VALUES (1000 + $1::int, 'new', 'p' || $1::int, 'n')`, [
      i,
    ]);
    await client.query(
      `UPDATE ${table} SET password = password || 'x', note = 'n' || $1::int WHERE id = 1 + $1::int % 200`,
      [i],
    );
  });
  await writer.passes(10);
  ruled.rules = { [table]: EXCLUDED };
  const early = await ruled.run('verify', table);
  expect(early.stderr).toContain('it is not copied yet as cdc.yaml says');
  expect((await ruled.runJson('apply')).loads).toMatchObject([{ table }]);
  expect(await listed(table)).toEqual(['id', 'other', 'note']);
  await writer.passes(10);
  ruled.rules = { [table]: {} };
  expect((await ruled.runJson('apply')).loads).toMatchObject([{ table }]);
  expect(await listed(table)).toBeUndefined();
  await writer.passes(10);
  await writer.stop();
  const { tables } = await ruled.runJson('verify', table);
  expect(tables).toMatchObject([{ missing: 0, extra: 0 }]);
});

test('a list that somebody changed in the source is put right, and the table loaded again', async () => {
  const table = await ruled.made();
  await ruled.sql(
    `ALTER PUBLICATION cdc_cdc DROP TABLE ${table}; ALTER PUBLICATION cdc_cdc ADD TABLE ${table} (id, other, password)`,
    `INSERT INTO ${table} VALUES (1, 'o', 'p', 'unseen')`,
  );
  expect((await ruled.runJson('apply')).loads).toMatchObject([{ table }]);
  expect(await listed(table)).toEqual(['id', 'other', 'note']);
  await ruled.proved(table, 1);
});

test('a partitioned table has a list, unless the identity of a partition needs what is excluded', async () => {
  const secret = randomBytes(9).toString('hex');
  const table = await ruled.made(
    'region text, id int, v int, password text, PRIMARY KEY (region, id)',
    EXCLUDED,
    ' PARTITION BY LIST (region)',
  );
  await ruled.sql(
    `CREATE TABLE ${table}_eu PARTITION OF ${table} FOR VALUES IN ('eu')`,
    // Its columns stand in another order.
    `CREATE TABLE ${table}_rest (password text, v int, id int NOT NULL, region text NOT NULL, PRIMARY KEY (region, id))`,
    `ALTER TABLE ${table} ATTACH PARTITION ${table}_rest DEFAULT`,
  );
  await ruled.runJson('apply');
  expect(await listed(table)).toEqual(['region', 'id', 'v']);
  await using client = await source();
  {
    await using slot = await lookingSlot(client);
    await ruled.sql(
      `INSERT INTO ${table} SELECT (ARRAY['eu', 'us'])[1 + g % 2], g, 7, '${secret}' FROM generate_series(1, 8) g`,
      `UPDATE ${table} SET v = v + 1, password = '${secret}x' WHERE id > 3`,
      `UPDATE ${table} SET region = 'asia' WHERE id IN (3, 4)`,
      `DELETE FROM ${table} WHERE id IN (5, 6)`,
    );
    await ruled.proved(table, 6);
    expect(await slot.leaves()).not.toContain(secret);
  }
  await ruled.sql(`ALTER TABLE ${table}_rest REPLICA IDENTITY FULL`);
  await ruled.runJson('apply');
  expect(await listed(table)).toBeUndefined();
  expect(await ruled.findings(table)).toMatchObject([
    { id: 'excluded-reaches-connect', message: expect.stringContaining('_rest') },
  ]);
  await ruled.sql(`UPDATE ${table} SET v = v + 1`);
  await ruled.proved(table, 6);
  await ruled.sql(`ALTER TABLE ${table}_rest REPLICA IDENTITY DEFAULT`);
  await ruled.runJson('apply');
  expect(await listed(table)).toEqual(['region', 'id', 'v']);
  await ruled.sql(`UPDATE ${table} SET v = v + 1`);
  await ruled.proved(table, 6);
  expect(await ruled.sentWith(secret)).toEqual([]);
});

test('a filter and a list stand together, and each is changed without the other', async () => {
  const table = await ruled.made(COLUMNS, { ...EXCLUDED, where: 'id < 10' });
  await ruled.sql(`INSERT INTO ${table} VALUES (1, 'o', 'p', 'n'), (20, 'o', 'p', 'n')`);
  await ruled.proved(table, 1);
  expect(await listed(table)).toEqual(['id', 'other', 'note']);
  ruled.rules = { [table]: { ...EXCLUDED, where: 'id < 30' } };
  expect((await ruled.runJson('apply')).loads).toMatchObject([{ table }]);
  await ruled.proved(table, 2);
  ruled.rules = {
    [table]: { columns: { other: 'exclude', password: 'exclude' }, where: 'id < 30' },
  };
  expect((await ruled.runJson('apply')).loads).toMatchObject([{ table }]);
  expect(await listed(table)).toEqual(['id', 'note']);
  await ruled.sql(`UPDATE ${table} SET id = id + 15, note = 'moved'`);
  await ruled.proved(table, 1);
});

test('a table whose rows are only ever added has a list, too', async () => {
  const secret = randomBytes(9).toString('hex');
  const table = await ruled.made('v text, password text, n int', { ...EXCLUDED, mode: 'append' });
  expect(await listed(table)).toEqual(['v', 'n']);
  await using client = await source();
  await using slot = await lookingSlot(client);
  await ruled.sql(
    `INSERT INTO ${table} VALUES ('a', '${secret}', 1), ('a', '${secret}', 1), ('b', NULL, 2)`,
  );
  await ruled.proved(table, 3);
  expect(await slot.leaves()).not.toContain(secret);
});

test('where Debezium reads the rows, the stream after it arrives as before, and nothing excluded is sent on', async () => {
  const secret = randomBytes(9).toString('hex');
  const table = await ruled.made();
  await ruled.sql(
    `INSERT INTO ${table} SELECT g, 'o' || g, '${secret}', 'n' || g FROM generate_series(1, 10) g`,
  );
  await ruled.proved(table, 10);
  const { tables } = await ruled.runJson('snapshot', table, '--method', 'debezium');
  expect(tables).toMatchObject([{ method: 'debezium', rows: 10 }]);
  await ruled.sql(
    `UPDATE ${table} SET other = 'later', note = 'n' WHERE id < 4`,
    `INSERT INTO ${table} VALUES (11, 'o11', '${secret}', 'n11')`,
    `DELETE FROM ${table} WHERE id = 5`,
  );
  await ruled.proved(table, 10);
  expect(await ruled.sentWith(secret)).toEqual([]);
});

test('with column_lists: false PostgreSQL lets go of every column, and what is excluded is sent on by nobody', async () => {
  const secret = randomBytes(9).toString('hex');
  const table = await ruled.made();
  await ruled.sql(`INSERT INTO ${table} VALUES (1, 'o', '${secret}', 'n')`);
  const file = withTables(ruled.rules, { source: { column_lists: false } });
  await cdcJson('apply', '--config', file);
  expect(await listed(table)).toBeUndefined();
  await ruled.sql(
    `ALTER TABLE ${table} DROP COLUMN other`,
    `ALTER TABLE ${table} ALTER COLUMN note TYPE varchar(9)`,
    `INSERT INTO ${table} VALUES (2, '${secret}', 'n')`,
  );
  await ruled.runJson('apply');
  expect(await listed(table)).toEqual(['id', 'note']);
  await ruled.proved(table, 2);
  expect(await ruled.sentWith(secret)).toEqual([]);
});

test('the agent takes in again what a migration took out with CASCADE, and takes away a list that hinders the source', async () => {
  const table = await ruled.made();
  await ruled.sql(`INSERT INTO ${table} SELECT g, 'o', 'p', 'n' FROM generate_series(1, 20) g`);
  const file = join(inject('stackDirectory'), 'cdc.yaml');
  const before = readFileSync(file, 'utf8');
  const following = before.replace('schema_changes: report', 'schema_changes: apply');
  writeFileSync(file, `${following}${stringify({ tables: ruled.rules })}`);
  try {
    await ruled.sql(
      `ALTER TABLE ${table} DROP COLUMN note CASCADE`,
      `DELETE FROM ${table} WHERE id = 1`,
    );
    await eventually('the agent to take it in', ['id', 'other'], () => listed(table));
    await eventually('the agent to load it', [true, 19], async () => {
      const { ok, rows } = (await cdc('verify', table, '--json')).json();
      return [ok, rows];
    });
    await ruled.sql(`ALTER TABLE ${table} REPLICA IDENTITY FULL`);
    await eventually('the agent to take the list away', undefined, () => listed(table));
    await ruled.sql(`UPDATE ${table} SET other = 'later'`);
    await eventually('the agent to load it', true, async () => {
      return (await cdc('verify', table, '--json')).json().ok;
    });
  } finally {
    writeFileSync(file, before);
  }
});
