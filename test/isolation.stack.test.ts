import axios from 'axios';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { recordsOf } from '../cli/components/clickhouse/records.ts';
import { chIdent } from '../cli/lib/sql.ts';
import {
  cdc,
  cdcJson,
  countRows,
  eventually,
  forgetIsolations,
  freshSchema,
  source,
  stack,
  target,
} from './harness/database.ts';

/**
 * What somebody made on the copy, and a table that cannot be stored, hold up nothing else: here twelve tables share
 * queues, and each test breaks one of them.
 */

const TABLES = Array.from({ length: 12 }, (_, i) => `t${i}`);
let schema = '';
let next = 0;
/** Each test breaks a table of its own. */
let broken = '';
/** Rows that it had before. */
let had = 0;

beforeAll(async () => {
  await using client = await source();
  schema = (await freshSchema(client, 'alone')).name;
  for (const table of TABLES)
    await client.query(
      `CREATE TABLE ${schema}.${table} (id int PRIMARY KEY, v text, doomed text DEFAULT 'd')`,
    );
  await cdcJson('apply');
});
beforeEach(async () => {
  broken = TABLES[next++] ?? '';
  had = await sourceRows(broken);
  await eventually('rows of the tests before', had, rows);
});
afterAll(async () => {
  await using client = await source();
  await client.query(`DROP SCHEMA ${schema} CASCADE`);
  await cdcJson('apply');
  await forgetIsolations();
});

async function insert(table: string, v: string): Promise<void> {
  await using client = await source();
  await client.query(
    `INSERT INTO ${schema}.${table} (id, v) SELECT count(*), $1 FROM ${schema}.${table}`,
    [v],
  );
}

/**
 * A view is not in a round of a queue that had begun when it was made or attached: what comes after a row that has
 * arrived is in a later round.
 */
async function anotherRound(): Promise<void> {
  await insert(broken, 'between');
  await eventually('the row between', await sourceRows(broken), rows);
}

async function inClickHouse(statement: string): Promise<void> {
  await using clickhouse = target();
  await clickhouse.command(statement);
}

interface Status {
  readonly healthy: boolean;
  readonly standing: { readonly table: string; readonly why: string }[];
  readonly set_aside: { readonly object: { readonly name: string } }[];
}

// Both end with another exit code where something is wrong.
const status = async () => (await cdc('status', '--json')).json() as Status;

async function metrics(): Promise<string> {
  const { agent, secrets } = stack();
  const answer = await axios.get<string>(`${agent?.metricsUrl}/metrics`, {
    auth: { username: 'cdc', password: secrets.agent },
  });
  return answer.data;
}

async function findings(id: string): Promise<{ subject: string; message: string; fix: string }[]> {
  const { findings: all } = (await cdc('doctor', '--json')).json() as {
    findings: { id: string; subject: string; message: string; fix: string }[];
  };
  return all.filter((one) => one.id === id && one.subject.startsWith(`${schema}.`));
}

/** The one that doctor names: on a busy machine a look of its own may get no answer in time. */
async function named(id: string, before: () => Promise<void> = async () => {}) {
  let found: Awaited<ReturnType<typeof findings>> = [];
  await eventually(`that ${id} is named`, 1, async () => {
    await before();
    found = await findings(id);
    return found.length;
  });
  return found;
}

/** A row in every other table, which has to arrive while the broken one stands. */
async function othersFlow(): Promise<void> {
  const others = TABLES.filter((table) => table !== broken);
  for (const table of others) await insert(table, 'meanwhile');
  for (const table of others) {
    await eventually(`rows of ${table}`, await sourceRows(table), () => countRows(schema, table));
  }
}

async function sourceRows(table: string): Promise<number> {
  await using client = await source();
  const found = await client.query(`SELECT count(*) AS n FROM ${schema}.${table}`);
  return Number((found.rows[0] as { n: string }).n);
}

const rows = () => countRows(schema, broken);

describe('a view that somebody made on a copy', () => {
  const view = () => chIdent(schema, `${broken}_theirs`);
  /** As somebody would; the agent forgets it once it has seen it. */
  const takeBack = async () => {
    await inClickHouse(`ATTACH TABLE ${view()}`);
    await using clickhouse = target();
    await eventually('that it is forgotten', 0, async () => {
      const kept = await recordsOf(clickhouse, 'set aside');
      return kept.filter(({ id }) => id.table === `${broken}_theirs`).length;
    });
    await inClickHouse(`DROP TABLE ${view()}`);
  };

  test('and that throws is detached and named with its statement; every row arrives', async () => {
    const make = `CREATE MATERIALIZED VIEW ${view()} ENGINE = MergeTree ORDER BY id AS SELECT id, throwIf(v = 'bad') AS ok FROM ${chIdent(schema, `${broken}_final`)} WHERE v != 'between'`;
    await inClickHouse(make);
    await anotherRound();
    await insert(broken, 'good');
    await eventually('the row that it takes', had + 2, rows);
    await eventually('row of the view', 1, () => countRows(schema, `${broken}_theirs`));
    await insert(broken, 'bad');
    await othersFlow();
    await eventually('the row that it refuses', had + 3, rows, 30_000);
    const found = await named('view-set-aside');
    expect(found).toMatchObject([{ subject: `${schema}.${broken}_theirs` }]);
    expect(found[0]?.message).toMatch(/throwIf|non-zero/i);
    expect(found[0]?.fix).toContain('throwIf(v');
    await eventually('health', true, async () => (await status()).healthy);
    // What doctor prints brings it back.
    await inClickHouse((found[0]?.fix ?? '').split('   --')[0] ?? '');
    await anotherRound();
    await insert(broken, 'good');
    await eventually('rows', had + 5, rows);
    await eventually('rows of the view', 2, () => countRows(schema, `${broken}_theirs`));
    expect(await findings('view-set-aside')).toEqual([]);
  });

  test('and that needs a column which the source drops does not keep it', async () => {
    await inClickHouse(
      `CREATE MATERIALIZED VIEW ${view()} ENGINE = MergeTree ORDER BY id AS SELECT id, doomed FROM ${chIdent(schema, `${broken}_final`)}`,
    );
    await insert(broken, 'before');
    await eventually('the row before', had + 1, rows);
    {
      await using client = await source();
      await client.query(`ALTER TABLE ${schema}.${broken} DROP COLUMN doomed`);
    }
    await cdc('apply');
    await insert(broken, 'after');
    await othersFlow();
    await eventually('the row after', had + 2, rows, 30_000);
    expect(await named('view-set-aside')).toMatchObject([
      { subject: `${schema}.${broken}_theirs` },
    ]);
    await takeBack();
  });

  test('and that throws when the table is loaded does not keep its rows out', async () => {
    await insert(broken, 'bad');
    await eventually('its row', had + 1, rows);
    await inClickHouse(
      `CREATE MATERIALIZED VIEW ${view()} ENGINE = MergeTree ORDER BY id AS SELECT id, throwIf(v = 'bad') AS ok FROM ${chIdent(schema, `${broken}_final`)}`,
    );
    {
      await using client = await source();
      await client.query(`ALTER TABLE ${schema}.${broken} ADD COLUMN more int DEFAULT 7`);
    }
    expect(await cdcJson('apply')).toMatchObject({ loads: [{ table: `${schema}.${broken}` }] });
    expect(await cdcJson('verify', `${schema}.${broken}`)).toMatchObject({
      ok: true,
      rows: had + 1,
    });
    await named('view-set-aside');
    await takeBack();
  });
});

test('a view that throws behind the table of another view is the one that is set aside', async () => {
  const first = chIdent(schema, `${broken}_first`);
  await inClickHouse(
    `CREATE MATERIALIZED VIEW ${first} ENGINE = MergeTree ORDER BY id AS SELECT id, v FROM ${chIdent(schema, `${broken}_final`)}`,
  );
  await using clickhouse = target();
  const [inner] = await clickhouse.rows<{ stored: string }>(
    `SELECT concat('.inner_id.', toString(uuid)) AS stored FROM system.tables WHERE database = '${schema}' AND name = '${broken}_first'`,
  );
  await inClickHouse(
    `CREATE MATERIALIZED VIEW ${chIdent(schema, `${broken}_second`)} ENGINE = MergeTree ORDER BY tuple() AS SELECT throwIf(v = 'bad') AS ok FROM ${chIdent(schema, inner?.stored ?? '')}`,
  );
  await insert(broken, 'bad');
  await othersFlow();
  await eventually('the row', had + 1, rows, 30_000);
  await eventually('that it is named', [`${schema}.${broken}_second`], async () =>
    (await findings('view-set-aside')).map(({ subject }) => subject),
  );
  // As ClickHouse 26 stores a block: once for each try where it is not done whole.
  expect(await countRows(schema, `${broken}_first`)).toBeGreaterThanOrEqual(1);
});

test('a TTL that somebody put on a copy is named, and goes with the column that it needs', async () => {
  const storage = chIdent(schema, `${broken}_final`);
  await inClickHouse(
    `ALTER TABLE ${storage} MODIFY TTL toDateTime(4000000000 + ifNull(length(doomed), 0)) + INTERVAL 1 DAY`,
  );
  // Those of our own tables are nobody's concern.
  const { findings: all } = (await cdc('doctor', '--json')).json();
  const [ttl, ...others] = all.filter((one: { id: string }) => one.id === 'foreign-ttl');
  expect(others).toEqual([]);
  expect(ttl).toMatchObject({ subject: `${schema}.${broken}_final` });
  expect(ttl?.message).toContain('length(doomed)');
  {
    await using client = await source();
    await client.query(`ALTER TABLE ${schema}.${broken} DROP COLUMN doomed`);
  }
  await cdcJson('apply');
  await insert(broken, 'after');
  await othersFlow();
  await eventually('the row after', had + 1, rows);
  expect(await findings('foreign-ttl')).toEqual([]);
  const [aside] = await named('ttl-set-aside');
  expect(aside).toMatchObject({ subject: `${schema}.${broken}_final` });
  expect(aside?.fix).toContain(`MODIFY TTL toDateTime(4000000000`);
});

test('dictionaries on a copy outlive a column that goes, another key and a load', async () => {
  const { user, password } = stack().endpoints.clickhouse;
  // On the view, and on what is behind it.
  for (const [of, table] of [
    ['dict', broken],
    ['stored', `${broken}_final`],
  ])
    await inClickHouse(
      `CREATE DICTIONARY ${chIdent(schema, `${broken}_${of}`)} (id UInt64, v String) PRIMARY KEY id SOURCE(CLICKHOUSE(DB '${schema}' TABLE '${table}' USER '${user}' PASSWORD '${password}')) LAYOUT(HASHED()) LIFETIME(MIN 0 MAX 1)`,
    );
  await using client = await source();
  await client.query(`ALTER TABLE ${schema}.${broken} DROP COLUMN doomed, ALTER id TYPE bigint`);
  await cdcJson('apply');
  await insert(broken, 'new');
  await othersFlow();
  expect(await cdcJson('verify', `${schema}.${broken}`)).toMatchObject({ ok: true, rows: had + 1 });
  await using clickhouse = target();
  for (const of of ['dict', 'stored'])
    await eventually(`what ${of} says`, 'new', async () => {
      const [found] = await clickhouse.rows<{ v: string }>(
        `SELECT dictGet('${schema}.${broken}_${of}', 'v', toUInt64(${had})) AS v`,
      );
      return found?.v;
    });
  for (const of of ['dict', 'stored'])
    await inClickHouse(`DROP DICTIONARY ${chIdent(schema, `${broken}_${of}`)}`);
});

/** Parts of a storage that take part in every write of it, and how they come back. */
test.each([
  ['constraint', "ADD CONSTRAINT `no, (bad)` CHECK v NOT IN ('bad', ',)')"],
  ['index', "ADD INDEX `their x` throwIf(v = 'bad') TYPE minmax"],
  ['column', "ADD COLUMN theirs UInt8 MATERIALIZED throwIf(v = 'bad')"],
])(
  'a %s that somebody put on a copy and that refuses its rows is set aside with its statement',
  async (kind, add) => {
    const storage = chIdent(schema, `${broken}_final`);
    await inClickHouse(`ALTER TABLE ${storage} ${add}`);
    // ClickHouse goes on for a moment with what it has prepared, and a row then passes what was added.
    const [found] = await Promise.all([
      named(`${kind}-set-aside`, () => insert(broken, 'bad')),
      othersFlow(),
    ]);
    await eventually('the rows that it refuses', await sourceRows(broken), rows);
    expect(found).toMatchObject([{ subject: `${schema}.${broken}_final` }]);
    await eventually('status to say it', true, async () =>
      (await cdc('status')).stdout.includes(`${kind} `),
    );
    {
      await using client = await source();
      await client.query(`DELETE FROM ${schema}.${broken}`);
    }
    await eventually('no row', 0, rows);
    await inClickHouse((found[0]?.fix ?? '').split('   --')[0] ?? '');
    expect(await findings(`${kind}-set-aside`)).toEqual([]);
    await insert(broken, 'good');
    await eventually('a row that it takes', 1, rows);
    await eventually('health', true, async () => (await status()).healthy);
  },
);

test('a storage that is dropped in ClickHouse is made again, and its rows are loaded', async () => {
  await inClickHouse(`DROP TABLE ${chIdent(schema, `${broken}_final`)} SYNC`);
  await insert(broken, 'good');
  await othersFlow();
  await eventually('its rows', had + 1, () => rows().catch(() => 0));
  await eventually('health', true, async () => (await status()).healthy);
  expect(await cdcJson('verify', `${schema}.*`)).toMatchObject({ ok: true });
});

test('a table that stands while other changes wait for somebody leaves its queue, and is named until it is mended', async () => {
  await using client = await source();
  await client.query(`ALTER TABLE ${schema}.${TABLES[0]} ADD COLUMN waits int`);
  await inClickHouse(`DROP TABLE ${chIdent(schema, `${broken}_final`)} SYNC`);
  await insert(broken, 'good');
  await othersFlow();
  await eventually('status to name it', [`${schema}.${broken}`], async () =>
    ((await status()).standing ?? []).map(({ table }) => table),
  );
  expect((await status()).healthy).toBe(false);
  expect(await named('table-stands')).toMatchObject([{ subject: `${schema}.${broken}` }]);
  await eventually('status to say it', true, async () =>
    (await cdc('status')).stdout.includes(`${schema}.${broken} stands`),
  );
  const series = `cdc_table_standing{table="${schema}.${broken}"} 1`;
  await eventually('its metric', true, async () => (await metrics()).includes(series));
  await cdcJson('apply');
  await eventually('its rows', had + 1, rows);
  await eventually('health', true, async () => (await status()).healthy);
  await eventually('no metric of it', false, async () => (await metrics()).includes(series));
  expect(await cdcJson('verify', `${schema}.*`)).toMatchObject({ ok: true });
});

test('a column that is dropped in ClickHouse is made again with its values by cdc apply', async () => {
  await inClickHouse(`ALTER TABLE ${chIdent(schema, `${broken}_final`)} DROP COLUMN v`);
  await insert(broken, 'good');
  await othersFlow();
  expect((await cdcJson('plan')).changes).not.toEqual([]);
  await cdcJson('apply');
  expect(await cdcJson('verify', `${schema}.*`)).toMatchObject({ ok: true });
});
