import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { pgIdent } from '../cli/lib/sql.ts';
import { cdc, cdcJson, freshSchema, source, stack } from './harness/database.ts';

/** Changes that passed the copy by, since somebody altered what is sent: each is seen, and its tables are loaded again. */

const WHY = 'somebody altered the publication: changes of it can have passed by';
let schema = '';
const table = (name: string) => `${schema}.${name}`;

async function sql(...statements: string[]): Promise<void> {
  await using client = await source();
  for (const statement of statements) await client.query(statement);
}

const publication = () => pgIdent(stack().names.publication);
const alter = (what: string) => `ALTER PUBLICATION ${publication()} ${what}`;

/** Of every table: a row that comes, one that changes, and one that goes. */
const changes = () =>
  ['left', 'stayed'].flatMap((name) => [
    `INSERT INTO ${table(name)} SELECT max(id) + 1, 'new' FROM ${table(name)}`,
    `UPDATE ${table(name)} SET v = v || '!' WHERE id % 3 = 0`,
    `DELETE FROM ${table(name)} WHERE id = (SELECT min(id) FROM ${table(name)})`,
  ]);

/** Tables that a plan loads, of this schema, with the reason. */
async function toLoad(): Promise<Record<string, string>> {
  const { changes: steps } = await cdcJson('plan');
  return Object.fromEntries(
    (steps as { action: string; table?: string; reason?: string }[])
      .filter((step) => step.action === 'load' && step.table?.startsWith(`${schema}.`))
      .map((step) => [step.table ?? '', step.reason ?? '']),
  );
}

async function repaired(): Promise<void> {
  await cdcJson('apply');
  expect(await toLoad()).toEqual({});
  expect(await cdcJson('verify', `${schema}.*`)).toMatchObject({ ok: true });
  expect(await cdcJson('apply')).toMatchObject({ result: 'unchanged' });
}

beforeAll(async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'gaps')).name;
});
beforeEach(async () => {
  for (const name of ['left', 'stayed'])
    await sql(
      `DROP TABLE IF EXISTS ${table(name)}`,
      `CREATE TABLE ${table(name)} (id int PRIMARY KEY, v text)`,
      `INSERT INTO ${table(name)} SELECT g, 'v' FROM generate_series(1, 100) g`,
    );
  await cdcJson('apply');
});
afterAll(async () => {
  await sql(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await cdcJson('apply');
});

test('a table that left the publication and came back at once is loaded again, and no other', async () => {
  await sql(
    alter(`DROP TABLE ${table('left')}`),
    ...changes(),
    alter(`ADD TABLE ${table('left')}`),
    ...changes(),
  );
  expect(await toLoad()).toEqual({ [table('left')]: WHY });
  expect((await cdc('verify', table('left'), '--json')).json().ok).toBe(false);
  await repaired();
});

test('while a publication had no updates and deletes, they passed by: all of its tables are loaded again', async () => {
  await sql(
    alter("SET (publish = 'insert')"),
    ...changes(),
    alter("SET (publish = 'insert, update, delete, truncate')"),
  );
  expect(await toLoad()).toEqual({ [table('left')]: WHY, [table('stayed')]: WHY });
  await repaired();
});

test('a publication that was dropped is made again, and its tables are loaded again', async () => {
  await sql(`DROP PUBLICATION ${publication()}`, ...changes());
  expect(await toLoad()).toEqual({ [table('left')]: WHY, [table('stayed')]: WHY });
  await repaired();
});

test('what cdc itself alters leaves no gap', async () => {
  await sql(`CREATE TABLE ${table('third')} (id int PRIMARY KEY)`, `DROP TABLE ${table('left')}`);
  const { loads } = await cdcJson('apply');
  expect(loads.map((load: { table: string }) => load.table)).toEqual([table('third')]);
  expect(await cdcJson('apply')).toMatchObject({ result: 'unchanged' });
  await sql(`DROP TABLE ${table('third')}`);
});
