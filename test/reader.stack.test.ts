import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { ClickHouse, type Settings } from '../cli/components/clickhouse/client.ts';
import { chIdent, pgIdent } from '../cli/lib/sql.ts';
import { cdcJson, eventually, freshSchema, source, stack } from './harness/database.ts';

/** What each of ClickHouse's users may do, on the server that cdc runs. */

let schema: Awaited<ReturnType<typeof freshSchema>>;
let table: string;

beforeAll(async () => {
  await using client = await source();
  schema = await freshSchema(client, 'reader');
  await client.query(
    `CREATE TABLE ${pgIdent(schema.name, 'parts')} (id int PRIMARY KEY, note text)`,
  );
  await client.query(`INSERT INTO ${pgIdent(schema.name, 'parts')} VALUES (1, 'bolt')`);
  await cdcJson('apply');
  table = chIdent(schema.name, 'parts');
});

afterAll(async () => {
  await schema.drop();
  await cdcJson('apply');
});

type User = 'pipeline' | 'reader';

/** What ClickHouse says to one statement: its error, or "done". */
async function answer(user: User, statement: string, settings: Settings = {}): Promise<string> {
  const { clickhouse } = stack().endpoints;
  const as = user === 'pipeline' ? clickhouse : { ...clickhouse, ...clickhouse.reader };
  const client = new ClickHouse(as);
  try {
    await client.command(statement, settings);
    return 'done';
  } catch (error) {
    const { message, causeText = '' } = error as Error & { causeText?: string };
    return `${message} ${causeText}`;
  } finally {
    await client.close();
  }
}

const url = 'http://127.0.0.1:1/bucket/x';
/** Ways to files, addresses and programs of ClickHouse's machine. */
const WAYS_OUT = [
  "SELECT * FROM file('/etc/passwd', 'LineAsString')",
  "SELECT file('/etc/passwd')",
  "SELECT file('/etc/passwd', 'none')",
  "SELECT * FROM filesystem('/etc')",
  `SELECT * FROM url('${url}', 'LineAsString')`,
  `SELECT * FROM s3('${url}', 'LineAsString')`,
  `SELECT * FROM azureBlobStorage('${url}', 'c', 'b', 'a', 'b')`,
  "SELECT * FROM hdfs('hdfs://127.0.0.1:1/x', 'TSV', 'a String')",
  `SELECT * FROM iceberg('${url}')`,
  "SELECT * FROM icebergLocal('/etc')",
  `SELECT * FROM deltaLake('${url}')`,
  "SELECT * FROM remote('127.0.0.1:1', system, one)",
  "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
  "SELECT * FROM redis('127.0.0.1:1', 'k', 'k String')",
  "SELECT * FROM mongodb('mongodb://127.0.0.1:1/x', 'c', 'a String')",
  "SELECT * FROM sqlite('/etc/passwd', 'x')",
  "SELECT * FROM jdbc('jdbc:x', 'a', 'b')",
  "SELECT * FROM executable('/bin/true', 'TSV', 'a String')",
  "INSERT INTO FUNCTION file('/tmp/out', 'TSV', 'a String') VALUES ('x')",
  `CREATE TABLE default.way_out (a String) ENGINE = URL('${url}', 'TSV')`,
  'CREATE TABLE default.way_out (a String) ENGINE = File(TSV)',
  `CREATE TABLE default.way_out (a String) ENGINE = S3('${url}', 'TSV')`,
  "CREATE TABLE default.way_out (a String) ENGINE = Executable('x.sh', 'TSV')",
  "CREATE TABLE default.way_out (a String) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = web, endpoint = 'http://127.0.0.1:1/')",
  "CREATE DATABASE way_out ENGINE = Filesystem('/etc')",
  "CREATE DATABASE way_out ENGINE = SQLite('/etc/passwd')",
  'CREATE FUNCTION way_out AS (a) -> a',
  "CREATE NAMED COLLECTION way_out AS url = 'http://127.0.0.1:1/'",
  `BACKUP DATABASE default TO S3('${url}', 'a', 'b')`,
  'CREATE USER way_out',
  'GRANT READ ON FILE TO cdc',
];

const REFUSED =
  /ACCESS_DENIED|SETTING_CONSTRAINT_VIOLATION|READONLY|getcwd failed|DATABASE_ACCESS_DENIED|does not exist inside user scripts/;

describe.each(['pipeline', 'reader'] as const)("ClickHouse's user of the %s", (user) => {
  it.each(WAYS_OUT)('has no way out: %s', async (statement) => {
    expect(await answer(user, statement)).toMatch(REFUSED);
  });
});

test('a dictionary reads no file', async () => {
  const name = chIdent(schema.name, 'way_out');
  const made = `CREATE DICTIONARY ${name} (a String, b String) PRIMARY KEY a SOURCE(FILE(PATH '/etc/passwd' FORMAT 'TSV')) LAYOUT(COMPLEX_KEY_HASHED()) LIFETIME(0)`;
  await answer('pipeline', made);
  expect(await answer('pipeline', `SELECT * FROM dictionary('${schema.name}.way_out')`)).toMatch(
    /getcwd failed|PATH_ACCESS_DENIED|not inside|ACCESS_DENIED/,
  );
  await answer('pipeline', `DROP DICTIONARY IF EXISTS ${name}`);
});

describe('the reader', () => {
  it('reads what is copied', async () => {
    await eventually('the row', 'done', () =>
      answer('reader', `SELECT throwIf(count() = 0) FROM ${table}`),
    );
    expect(await answer('reader', 'SELECT count() FROM inventory.orders')).toBe('done');
    expect(await answer('reader', 'SELECT count() FROM system.tables')).toBe('done');
  });

  const own = chIdent('cdc', 'dead_letters');
  it.each([
    ['messages that are no row', () => `SELECT * FROM ${own}`],
    ['what others ask', () => 'SELECT query FROM system.processes'],
    ['users', () => 'SELECT * FROM system.users'],
  ])('does not read %s', async (_, statement) => {
    expect(await answer('reader', statement())).toMatch(/ACCESS_DENIED/);
  });

  it.each([
    () => `INSERT INTO ${table} (id) VALUES (2)`,
    () => `INSERT INTO ${chIdent(schema.name, 'parts_final')} (id) VALUES (2)`,
    () => `DROP TABLE ${table}`,
    () => `ALTER TABLE ${chIdent(schema.name, 'parts_final')} DELETE WHERE 1`,
    () => `TRUNCATE TABLE ${chIdent(schema.name, 'parts_final')}`,
    () => 'CREATE DATABASE mine',
    () => `CREATE VIEW ${chIdent(schema.name, 'mine')} AS SELECT 1`,
    () => 'CREATE TEMPORARY TABLE mine (a UInt8)',
    () => 'KILL QUERY WHERE 1',
    () => `SYSTEM STOP MERGES ${table}`,
    () => 'SET readonly = 0',
  ])('writes nothing, and ends nothing: %s', async (statement) => {
    expect(await answer('reader', statement())).toMatch(/ACCESS_DENIED|READONLY/);
  });

  it('takes no message away from the copy', async () => {
    const queue = chIdent(schema.name, 'parts_queue');
    const allowed = { stream_like_engine_allow_direct_select: 1 };
    expect(await answer('reader', `SELECT * FROM ${queue}`, allowed)).toMatch(
      /CONSTRAINT_VIOLATION|should not be changed/,
    );
  });

  it('is let in by what cdc env prints, and by nothing else', async () => {
    const env = await cdcJson('env');
    const as = async (password: string) => {
      const login = { 'X-ClickHouse-User': String(env.CLICKHOUSE_READER_USER) };
      const query = `${env.CLICKHOUSE_URL}/?query=${encodeURIComponent('SELECT 1')}`;
      return (await fetch(query, { headers: { ...login, 'X-ClickHouse-Key': password } })).status;
    };
    expect(await as(String(env.CLICKHOUSE_READER_PASSWORD))).toBe(200);
    expect(await as('wrong')).toBe(403);
    expect(await as('')).toBe(403);
  });
});
