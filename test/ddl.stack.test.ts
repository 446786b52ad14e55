import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TableId, type TargetNames, tableLabelKey, targetNames } from '../cli/core/names.ts';
import { chIdent, pgIdent } from '../cli/lib/sql.ts';
import { inspectSource } from '../cli/pipeline/inspect/source.ts';
import {
  cdc,
  cdcJson,
  eventually,
  freshSchema,
  source,
  stack,
  target,
} from './harness/database.ts';

const TABLES = [
  'orders',
  'Orders',
  'orders_final',
  'a b',
  'a_b',
  'a.b',
  "it's",
  'back\\slash `tick',
  'new\nline',
  '🐘→🏠',
  'x'.repeat(63),
  'é'.repeat(31),
];

/** Columns named as the generated views name theirs, and as nobody should name any. */
const COLUMNS = [
  'version',
  'op',
  'image',
  't',
  'problem',
  'schema_name',
  'unavailable',
  `It's "q" \\ \` 🐘`,
  'ORDER',
];

/** ClickHouse's names of some tables, which depend on all that are captured. */
async function namesOf(ids: readonly TableId[]): Promise<TargetNames[]> {
  const { tables } = await inspectSource(stack());
  const names = targetNames(tables, stack().config.clickhouse.database);
  return ids.map((id) => {
    const found = names.get(tableLabelKey(id));
    if (!found) throw new Error(`${id.schema}.${id.table} is not captured`);
    return found;
  });
}

/** Rows of the view, as the source would give them. */
async function rowsOf(names: TargetNames): Promise<unknown[][]> {
  await using clickhouse = target();
  const columns = ['id', ...COLUMNS].map((name) => chIdent(name)).join(', ');
  const rows = await clickhouse.rows<{ row: unknown[] }>(
    `SELECT [${columns.replaceAll(/`(?:[^`\\]|\\.)+`/g, 'toString($&)')}] AS row
       FROM ${chIdent(names.database, names.view)} ORDER BY id`,
  );
  return rows.map(({ row }) => row);
}

describe('tables with hostile names', () => {
  const schemas: Awaited<ReturnType<typeof freshSchema>>[] = [];
  let ids: TableId[];

  beforeAll(async () => {
    await using client = await source();
    schemas.push(await freshSchema(client, 'test'), await freshSchema(client, `T s' 🐘 \\`));
    const [plain, hostile] = schemas;
    if (!plain || !hostile) throw new Error('no schema');
    ids = [
      ...TABLES.map((table) => ({ schema: plain.name, table })),
      { schema: hostile.name, table: 'orders' },
      { schema: hostile.name, table: 'é'.repeat(31) },
    ];
    const columns = COLUMNS.map((name) => `${pgIdent(name)} text NOT NULL`).join(', ');
    for (const { schema, table } of ids) {
      await client.query(`CREATE TABLE ${pgIdent(schema, table)} (id int PRIMARY KEY, ${columns})`);
      await insert(client, { schema, table }, 1);
    }
  });

  afterAll(async () => {
    for (const schema of schemas) await schema.drop();
  });

  it('are applied, loaded and followed, each into a view of its own', async () => {
    const applied = await cdcJson('apply');
    expect(applied.result).toBe('applied');
    const names = await namesOf(ids);
    await using client = await source();
    for (const id of ids) {
      await insert(client, id, 2);
      await insert(client, id, 3);
      await client.query(`UPDATE ${pgIdent(id.schema, id.table)} SET version = 'new' WHERE id = 2`);
      await client.query(`DELETE FROM ${pgIdent(id.schema, id.table)} WHERE id = 3`);
    }
    for (const [i, id] of ids.entries()) {
      const own = names[i];
      if (!own) throw new Error('no names');
      await eventually(
        `rows of ${JSON.stringify(id)} in ${own.database}.${own.view}`,
        [values(id, 1), values(id, 2).with(1, 'new')],
        () => rowsOf(own),
      );
    }
  });

  it('need nothing when they are applied again', async () => {
    expect(await cdcJson('apply')).toMatchObject({ result: 'unchanged', changes: [] });
    expect(await cdcJson('plan')).toMatchObject({ result: 'unchanged', changes: [] });
  });

  it('leave no dead letters', async () => {
    await using clickhouse = target();
    const letters = await clickhouse.rows(
      'SELECT schema_name, table_name, reason FROM cdc.dead_letters FINAL WHERE schema_name IN ({own:Array(String)})',
      { own: schemas.map((schema) => schema.name) },
    );
    expect(letters).toEqual([]);
  });
});

/** What row `id` of a table holds: every cell says where it belongs. */
function values({ schema, table }: TableId, id: number): string[] {
  return [String(id), ...COLUMNS.map((name) => `${schema}.${table}.${name}.${id}`)];
}

async function insert(
  client: Awaited<ReturnType<typeof source>>,
  id: TableId,
  row: number,
): Promise<void> {
  const marks = ['id', ...COLUMNS].map((_, i) => `$${i + 1}`).join(', ');
  await client.query(
    `INSERT INTO ${pgIdent(id.schema, id.table)} VALUES (${marks})`,
    values(id, row),
  );
}

describe('a table whose topic Kafka takes for one that is there', () => {
  it('is left out, and the others go on', async () => {
    await using client = await source();
    const schema = await freshSchema(client, 'topic');
    try {
      const [first, second] = [pgIdent(schema.name, 'x.y'), pgIdent(schema.name, 'x_y')];
      await client.query(`CREATE TABLE ${first} (id int PRIMARY KEY)`);
      await cdcJson('apply');
      await client.query(`CREATE TABLE ${second} (id int PRIMARY KEY)`);
      for (const verb of ['plan', 'apply']) {
        const strict = await cdc(verb, '--strict', '--json');
        expect(strict.json().error).toMatchObject({ code: 'SOURCE_NOT_READY' });
        const { result, left_out } = await cdcJson(verb);
        expect(result).toBe('unchanged');
        const [found] = left_out;
        expect(found).toMatchObject({
          table: `${schema.name}.x_y`,
          findings: ['topic-collision'],
          why: expect.stringContaining(`${schema.name}.x.y`),
        });
        expect(found.fix).toContain(`source: { exclude: ["${schema.name}.x_y"] }`);
      }
      const findings = (await cdc('doctor', '--json')).json().findings;
      expect(findings.map((f: { id: string }) => f.id)).toContain('topic-collision');
      expect((await cdc('verify', `${schema.name}.x_y`)).exit).toBe(6);
      await client.query(`INSERT INTO ${first} VALUES (1)`);
      expect(await cdcJson('verify', `${schema.name}.x.y`)).toMatchObject({ ok: true, rows: 1 });
    } finally {
      await schema.drop();
      await cdcJson('apply');
    }
  });
});
