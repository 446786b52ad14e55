import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { parse, stringify } from 'yaml';
import type { LeftOut } from '../cli/core/leftOut.ts';
import { chIdent, pgIdent } from '../cli/lib/sql.ts';
import { cdc, cdcJson, eventually, freshSchema, source, target } from './harness/database.ts';

/** One table never stops the others. */

let schema = '';
let drop: () => Promise<void>;
const ROWS = 20;

beforeAll(async () => {
  await using client = await source();
  ({ name: schema, drop } = await freshSchema(client, 'leftout'));
  await client.query(`CREATE TYPE ${schema}.brittle AS ENUM ('a')`);
  await made('good');
  await made('bad', { key: '' });
});
afterAll(async () => {
  await drop();
  await cdcJson('apply');
});

async function sql(...statements: string[]): Promise<void> {
  await using client = await source();
  await client.query(`SET search_path = ${schema}`);
  for (const statement of statements) await client.query(statement);
}

/** A table with rows, and its label. */
async function made(name: string, { key = 'PRIMARY KEY', type = 'text' } = {}): Promise<string> {
  await sql(
    `CREATE TABLE ${pgIdent(name)} (id int ${key}, v ${type})`,
    `INSERT INTO ${pgIdent(name)} SELECT g, 'a' FROM generate_series(1, ${ROWS}) g`,
  );
  return `${schema}.${name}`;
}

/** The stack's configuration with another choice of tables; its path, for --config. */
function choosing(of: { include?: string[]; exclude?: string[] }): string {
  const directory = inject('stackDirectory');
  const file = join(directory, 'leftout.yaml');
  const plain = readFileSync(join(directory, 'cdc.yaml'), 'utf8');
  writeFileSync(file, plain + stringify({ source: of }));
  return file;
}

const mine = (leftOut: readonly LeftOut[]) =>
  leftOut.filter(({ table }) => table.startsWith(`${schema}.`));

test('a table without a key that a wildcard chose is left out and named; the others are copied and proven', async () => {
  const bad = { table: `${schema}.bad`, named: false, findings: ['identity-not-full'] };
  expect((await cdcJson('plan')).left_out).toMatchObject([bad]);
  const applied = await cdcJson('apply');
  expect(applied.left_out).toMatchObject([bad]);
  expect(applied.loads).toContainEqual(
    expect.objectContaining({ table: `${schema}.good`, rows: ROWS }),
  );
  const again = await cdc('apply');
  expect(again.exit).toBe(0);
  expect(again.stdout).toContain(`${schema}.bad: left out: it has no key`);
  expect(again.stdout).toMatch(/^unchanged/);

  const all = await cdc('verify', '--json');
  expect(all.exit).toBe(6);
  expect(all.json()).toMatchObject({ ok: true, left_out: [bad] });
  expect(all.json().tables).toContainEqual(
    expect.objectContaining({ table: `${schema}.good`, source_rows: ROWS }),
  );
  expect(await cdcJson('verify', `${schema}.good`)).toMatchObject({ ok: true, left_out: [] });
  const text = await cdc('verify', `${schema}.*`);
  expect(text.stdout).toMatch(/equal: .*1 table left out: leftout_\w+\.bad/);
  expect(text.stderr).toContain('TABLE_LEFT_OUT');
  const nothing = await cdc('verify', `${schema}.bad`, '--json');
  expect(nothing.exit).toBe(6);
  expect(nothing.json()).toMatchObject({ ok: false, tables: [] });

  const reread = await cdc('snapshot', `${schema}.*`, '--json');
  expect(reread.exit).toBe(6);
  expect(reread.json()).toMatchObject({ left_out: [bad] });
  expect(reread.json().tables).toContainEqual(
    expect.objectContaining({ table: `${schema}.good`, rows: ROWS }),
  );
});

test('status and doctor name it, and doctor says what to write into cdc.yaml to do without it', async () => {
  const status = (await cdc('status', '--json')).json();
  expect(status).toMatchObject({ healthy: true });
  expect(mine(status.left_out)).toMatchObject([{ table: `${schema}.bad` }]);
  expect((await cdc('status')).stdout).toContain(`${schema}.bad is left out: it has no key`);
  const { findings } = (await cdc('doctor', '--json')).json();
  expect(findings).toContainEqual(
    expect.objectContaining({
      id: 'identity-not-full',
      severity: 'warning',
      subject: `${schema}.bad`,
      fix: expect.stringContaining(`ALTER TABLE "${schema}"."bad" REPLICA IDENTITY FULL`),
    }),
  );
  const all = findings.find((found: { id: string }) => found.id === 'tables-left-out');
  const file = choosing(parse(all.fix).source);
  expect(await cdcJson('plan', '--config', file)).toMatchObject({ left_out: [] });
});

test('one that cdc.yaml names ends the command with 6, when everything else is done', async () => {
  const other = await made('beside');
  const file = choosing({ include: ['*.*', `${schema}.bad`] });
  const ran = await cdc('apply', '--config', file, '--json');
  expect(ran.exit).toBe(6);
  expect(ran.json().left_out).toMatchObject([{ table: `${schema}.bad`, named: true }]);
  expect(ran.json().loads).toContainEqual(expect.objectContaining({ table: other, rows: ROWS }));
  expect(ran.stderr).toContain('TABLE_LEFT_OUT');
  expect((await cdc('plan', '--config', file)).exit).toBe(6);
  const status = await cdc('status', '--config', file);
  expect(status.exit).toBe(6);
  expect(status.stdout).toContain(`not copied: ${schema}.bad`);
  expect(await cdcJson('verify', other)).toMatchObject({ ok: true, rows: ROWS });
});

test('--strict refuses to go on without it, before anything is changed', async () => {
  const other = await made('waiting');
  for (const verb of ['plan', 'apply', 'verify']) {
    const ran = await cdc(verb, '--strict');
    expect(ran.exit).toBe(5);
    expect(ran.stderr).toContain('SOURCE_NOT_READY');
    expect(ran.stderr).toContain(`${schema}.bad`);
  }
  const early = await cdc('verify', other, '--json');
  expect(early.exit).toBe(6);
  expect(early.json().left_out).toMatchObject([{ table: other, findings: ['table-not-applied'] }]);
  await cdcJson('apply');
  expect(await cdcJson('verify', other, '--strict')).toMatchObject({ ok: true, rows: ROWS });
});

test('a copied table that loses its key keeps its copy; others flow; with a key again it is made whole', async () => {
  const table = await made('fickle');
  await cdcJson('apply');
  await sql('ALTER TABLE fickle DROP CONSTRAINT fickle_pkey');
  const applied = await cdcJson('apply');
  expect(mine(applied.left_out).map((one) => one.table)).toContain(table);
  expect(await cdcJson('apply')).toMatchObject({ result: 'unchanged' });
  // PostgreSQL would refuse them of a table without a key that is in a publication.
  await sql(
    `UPDATE fickle SET v = 'later' WHERE id <= 5`,
    'DELETE FROM fickle WHERE id > 15',
    `INSERT INTO good VALUES (100, 'flows')`,
  );
  await using clickhouse = target();
  const copied = await clickhouse.rows<{ n: string }>(
    `SELECT count() AS n FROM ${chIdent(schema, 'fickle')} WHERE v = 'a'`,
  );
  expect(Number(copied[0]?.n)).toBe(ROWS);
  expect(await cdcJson('verify', `${schema}.good`)).toMatchObject({ ok: true, rows: ROWS + 1 });
  expect((await cdc('verify', `${schema}.*`)).exit).toBe(6);
  await sql('ALTER TABLE fickle ADD PRIMARY KEY (id)');
  expect((await cdcJson('apply')).loads).toMatchObject([{ table, rows: 15 }]);
  expect(await cdcJson('verify', table)).toMatchObject({ ok: true, rows: 15 });
  await sql(`UPDATE fickle SET v = 'flows'`);
  expect(await cdcJson('verify', table)).toMatchObject({ ok: true, rows: 15 });
});

test('the agent takes such a table out of the publication by itself, and loads it when it has a key again', async () => {
  const table = await made('watched');
  await cdcJson('apply');
  const file = join(inject('stackDirectory'), 'cdc.yaml');
  const before = readFileSync(file, 'utf8');
  await using client = await source();
  const published = async () => {
    const found = await client.query(
      `SELECT FROM pg_publication_tables WHERE schemaname = $1 AND tablename = 'watched'`,
      [schema],
    );
    return found.rowCount;
  };
  writeFileSync(file, before.replace('schema_changes: report', 'schema_changes: apply'));
  try {
    await sql('ALTER TABLE watched DROP CONSTRAINT watched_pkey');
    await eventually('the agent to take it out', 0, published);
    await sql(`UPDATE watched SET v = 'later' WHERE id <= 5`, 'DELETE FROM watched WHERE id > 15');
    await sql('ALTER TABLE watched ADD PRIMARY KEY (id)');
    await eventually('the agent to load it', [true, 15], async () => {
      const { ok, rows } = (await cdc('verify', table, '--json')).json();
      return [ok, rows];
    });
  } finally {
    writeFileSync(file, before);
  }
});

/** Takes the type's label out of the catalog; the row that it was. */
async function brokenLabel(): Promise<string> {
  await using client = await source();
  await client.query('SET allow_system_table_mods = on');
  const gone = await client.query<{ row: string }>(
    `DELETE FROM pg_enum WHERE enumtypid = '${schema}.brittle'::regtype RETURNING format('(%s, %s, %s, %L)', oid, enumtypid::oid, enumsortorder, enumlabel) AS row`,
  );
  return gone.rows[0]?.row ?? '';
}

test('a table whose load stops leaves the others whole, is named with the reason until it is loaded, and is not proven', async () => {
  const table = await made('unreadable', { type: 'brittle' });
  // PostgreSQL cannot print its values while their label is not there.
  const catalog = await brokenLabel();
  const other = await made('readable');
  const ran = await cdc('apply', '--json');
  expect(ran.exit, ran.stderr).toBe(6);
  expect(ran.stderr).toContain('LOAD_FAILED');
  const failed = {
    table,
    findings: ['load-failed'],
    why: expect.stringContaining('invalid internal value for enum'),
  };
  expect(mine(ran.json().left_out)).toContainEqual(expect.objectContaining(failed));
  expect(ran.json().loads).toContainEqual(expect.objectContaining({ table: other, rows: ROWS }));
  expect(await cdcJson('verify', other)).toMatchObject({ ok: true, rows: ROWS });
  const proof = await cdc('verify', `${schema}.*readable`, '--json');
  expect(proof.exit).toBe(6);
  expect(proof.json()).toMatchObject({ ok: true, left_out: [failed], tables: [{ table: other }] });
  const status = (await cdc('status', '--json')).json();
  expect(mine(status.left_out)).toContainEqual(expect.objectContaining(failed));
  const { findings } = (await cdc('doctor', '--json')).json();
  expect(findings).toContainEqual(
    expect.objectContaining({
      subject: table,
      message: expect.stringContaining('invalid internal value for enum'),
    }),
  );
  await sql('SET allow_system_table_mods = on', `INSERT INTO pg_enum VALUES ${catalog}`);
  expect((await cdcJson('apply')).loads).toMatchObject([{ table, rows: ROWS }]);
  expect(await cdcJson('verify', `${schema}.*readable`)).toMatchObject({ ok: true, left_out: [] });
});

test('the fix of a hostile name is YAML that leaves out this table alone, and SQL that PostgreSQL takes', async () => {
  const hostile = `Weird "Name" * \\ \n'é`;
  await made(hostile);
  const sibling = await made(`Weird Name x`);
  const applied = await cdcJson('apply');
  const [found] = mine(applied.left_out).filter((one) => one.table.endsWith(hostile));
  expect(found).toMatchObject({ findings: ['name-not-carried'] });
  const fix = found?.fix ?? '';
  const exclude = parse(fix.slice(fix.indexOf('source: {'))).source.exclude as string[];
  const file = choosing({ exclude });
  const plan = await cdcJson('plan', '--config', file);
  expect(plan).toMatchObject({ result: 'unchanged' });
  expect(plan.left_out.map((one: LeftOut) => one.table)).toEqual([`${schema}.bad`]);
  expect(await cdcJson('verify', sibling)).toMatchObject({ ok: true, rows: ROWS });
  await sql(fix.replace('…', 'tamed'));
  expect((await cdcJson('apply')).loads).toMatchObject([{ table: `${schema}.tamed`, rows: ROWS }]);
});
