import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { ClickHouse } from '../cli/components/clickhouse/client.ts';
import { withKafkaAdmin } from '../cli/components/kafka/client.ts';
import type { ClickHouseEndpoint, KafkaEndpoint } from '../cli/stack/endpoints.ts';
import { cleanEnvironment, runCommand } from './harness/cli.ts';
import { type ForeignPostgres, foreignPostgres } from './harness/postgres.ts';
import {
  type ForeignServer,
  foreignClickHouse,
  foreignConnect,
  type SecureKafka,
  secureKafka,
} from './harness/secure.ts';
import { authority, type Certificate, signedBy, tlsInFrontOf } from './harness/tls.ts';

/** Servers that take TLS only, with certificates of a CA that no machine knows. */

const SOURCE_SECRET = 'secret of the source';
const KAFKA_SECRET = 'kafka-secret';
const folders: string[] = [];
let ca: Certificate;
let client: Certificate;
let otherCa: Certificate;
let postgres: ForeignPostgres;
/** Its certificate has ended. */
let expired: ForeignPostgres;
let connect: ForeignServer;
let clickhouse: ForeignServer;
let fronts: Record<
  'connect' | 'clickhouse' | 'expiredKafka' | 'expiredConnect' | 'expiredClickHouse',
  Awaited<ReturnType<typeof tlsInFrontOf>>
>;
let kafka: SecureKafka;

beforeAll(async () => {
  ca = await authority('the CA of the tests');
  const server = await signedBy(ca, 'localhost');
  client = await signedBy(ca, 'tls_cert_app');
  postgres = await foreignPostgres({}, cleanEnvironment(), {
    tls: { ...server, clientCa: ca.cert },
  });
  await using admin = await postgres.connect();
  for (const role of ['tls_app', 'tls_cert_app'])
    await admin.query(`CREATE ROLE ${role} SUPERUSER LOGIN PASSWORD '${SOURCE_SECRET}'`);
  await admin.query(
    'CREATE TABLE public.people (id int PRIMARY KEY, name text); CREATE TABLE public.facts (v text); ALTER TABLE public.facts REPLICA IDENTITY FULL',
  );
  await admin.query(
    `INSERT INTO people SELECT i, 'person ' || i FROM generate_series(1, 1000) i; INSERT INTO facts VALUES ('a'), ('a')`,
  );
  kafka = await secureKafka(KAFKA_SECRET, server, ca.cert);
  otherCa = await authority('another CA');
  const old = await signedBy(ca, 'localhost', { days: -1 });
  expired = await foreignPostgres({}, cleanEnvironment(), { tls: { ...old, clientCa: ca.cert } });
  connect = await foreignConnect({
    brokers: [`localhost:${kafka.mutualPort}`],
    internalBrokers: [],
    sasl: undefined,
    tls: { ca: ca.cert, cert: client.cert, key: client.key },
    managed: false,
  });
  clickhouse = await foreignClickHouse();
  fronts = {
    connect: await tlsInFrontOf(connect.port, server),
    clickhouse: await tlsInFrontOf(clickhouse.port, await signedBy(ca, 'clickhouse.example')),
    expiredKafka: await tlsInFrontOf(kafka.plainPort, old),
    expiredConnect: await tlsInFrontOf(connect.port, old),
    expiredClickHouse: await tlsInFrontOf(clickhouse.port, old),
  };
});
afterAll(async () => {
  for (const server of [...Object.values(fronts), connect, clickhouse, kafka, postgres, expired])
    await server[Symbol.asyncDispose]();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder with a cdc.yaml and files beside it. */
function folder(config: unknown, files: Readonly<Record<string, string>> = {}): string {
  const made = mkdtempSync(join(tmpdir(), 'cdc-tls-'));
  folders.push(made);
  writeFileSync(join(made, 'cdc.yaml'), stringify(config));
  for (const [name, text] of Object.entries({ 'ca.pem': ca.cert, ...files }))
    writeFileSync(join(made, name), text);
  return made;
}

function source(host = 'localhost', port = postgres.port) {
  return {
    url: `postgres://tls_app@${host}:${port}/inventory?sslmode=verify-full`,
    ca_file: 'ca.pem',
    include: ['public.*'],
  };
}

async function proved(cwd: string, env: Readonly<Record<string, string>>): Promise<void> {
  try {
    const up = await runCommand(['up', '--json'], { cwd, env });
    expect(up.exit, up.stderr).toBe(0);
    await using admin = await postgres.connect();
    const found = await admin.query(
      'SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename ~ $1',
      ['^tls_'],
    );
    expect(found.rows).toEqual([{ ssl: true }]);
    await admin.query("UPDATE people SET name = 'another' WHERE id < 10");
    const verified = await runCommand(['verify', '--json'], { cwd, env });
    expect(verified.json()).toMatchObject({ ok: true, rows: 1002 });
  } finally {
    await runCommand(['down', '--delete-data'], { cwd, env });
  }
}

test('cdc init, then cdc up, from an empty folder to a copy that is equal, where PostgreSQL wants a certificate and Kafka takes TLS only', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'cdc-tls-'));
  folders.push(cwd);
  const files = { 'ca.pem': ca.cert, 'client.pem': client.cert, 'client.key': client.key };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text);
  const env = {
    CDC_KAFKA_BROKERS: `localhost:${kafka.port}`,
    CDC_KAFKA_USERNAME: 'app',
    CDC_KAFKA_PASSWORD: KAFKA_SECRET,
    CDC_KAFKA_CA_FILE: 'ca.pem',
    CDC_PORTS: 'auto',
    CDC_OBSERVABILITY: 'off',
  };
  const url = `postgres://tls_cert_app@localhost:${postgres.port}/inventory?sslmode=verify-full&sslrootcert=ca.pem&sslcert=client.pem&sslkey=client.key`;
  const made = await runCommand(['init', '--source', url, '--json'], { cwd, env });
  expect(made.exit, made.stderr).toBe(0);
  await proved(cwd, env);
});

/** All four servers are somebody else's; `wrong` has other keys in the parts that it names. */
function elsewhere(wrong: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {}) {
  const right = {
    source: source(),
    kafka: {
      brokers: [`localhost:${kafka.mutualPort}`],
      ca_file: 'ca.pem',
      cert_file: 'client.pem',
      key_file: 'client.key',
    },
    connect: {
      url: `https://localhost:${fronts.connect.port}`,
      username: 'cdc',
      password_file: 'connect.password',
      ca_file: 'ca.pem',
    },
    clickhouse: {
      url: `https://localhost:${fronts.clickhouse.port}`,
      ca_file: 'ca.pem',
      server_name: 'clickhouse.example',
      // The word of its administrator.
      source_verified: true,
    },
  };
  const parts = Object.entries(right).map(([part, keys]) => [part, { ...keys, ...wrong[part] }]);
  const files = {
    'client.pem': client.cert,
    'client.key': client.key,
    'other.pem': otherCa.cert,
    'connect.password': `${connect.secrets.connect}\n`,
  };
  return folder({ runtime: 'external', observability: 'off', ...Object.fromEntries(parts) }, files);
}

const secrets = () => ({
  CDC_SOURCE_PASSWORD: SOURCE_SECRET,
  CDC_CLICKHOUSE_PASSWORD: clickhouse.secrets.clickhouse,
});

test('the same where all four servers are somebody else’s: a certificate for Kafka, basic authentication by https', async () => {
  await proved(elsewhere(), secrets());
});

/** What each server has of a pipeline. */
async function traces(): Promise<unknown> {
  await using admin = await postgres.connect();
  const found = await admin.query(
    "SELECT (SELECT count(*) FROM pg_replication_slots) AS slots, (SELECT count(*) FROM pg_publication) AS publications, to_regnamespace('cdc') AS schema",
  );
  const target = new ClickHouse({
    url: `http://127.0.0.1:${clickhouse.port}`,
    user: 'cdc',
    password: clickhouse.secrets.clickhouse,
    tls: {},
  } as ClickHouseEndpoint);
  const tables = await target.rows(
    'SELECT database, name FROM system.tables WHERE database != {system:String}',
    { system: 'system' },
  );
  await target.close();
  const topics = await withKafkaAdmin(
    {
      brokers: [`127.0.0.1:${kafka.plainPort}`],
      sasl: { mechanism: 'PLAIN', username: 'cdc', password: kafka.secrets.kafka },
    } as unknown as KafkaEndpoint,
    (admin) => admin.listTopics(),
  );
  return { ...found.rows[0], tables, topics: topics.sort() };
}

type Wrong = Readonly<Record<string, Readonly<Record<string, unknown>>>>;
const CASES: readonly (readonly [claim: string, code: string, wrong: () => Wrong])[] = [
  [
    'PostgreSQL is signed by another CA',
    'TLS_UNTRUSTED',
    () => ({ source: { ca_file: 'other.pem' } }),
  ],
  ['PostgreSQL has another name', 'TLS_NAME', () => ({ source: source('127.0.0.1') })],
  [
    'the certificate of PostgreSQL has ended',
    'TLS_EXPIRED',
    () => ({ source: source('localhost', expired.port) }),
  ],
  [
    'PostgreSQL takes TLS only',
    'TLS_WANTED',
    () => ({
      source: {
        ca_file: undefined,
        url: `postgres://tls_app@localhost:${postgres.port}/inventory?sslmode=disable`,
      },
    }),
  ],
  ['Kafka is signed by another CA', 'TLS_UNTRUSTED', () => ({ kafka: { ca_file: 'other.pem' } })],
  [
    'Kafka has another name',
    'TLS_NAME',
    () => ({ kafka: { brokers: [`127.0.0.1:${kafka.mutualPort}`] } }),
  ],
  [
    'the certificate of Kafka has ended',
    'TLS_EXPIRED',
    () => ({ kafka: { brokers: [`localhost:${fronts.expiredKafka.port}`] } }),
  ],
  [
    'Kafka wants a certificate',
    'TLS_CLIENT_REFUSED',
    () => ({ kafka: { cert_file: undefined, key_file: undefined } }),
  ],
  [
    'Kafka takes TLS only',
    'TLS_WANTED',
    () => ({ kafka: { ca_file: undefined, cert_file: undefined, key_file: undefined } }),
  ],
  [
    'Kafka speaks no TLS',
    'TLS_NOT_SPOKEN',
    () => ({ kafka: { brokers: [`localhost:${kafka.plainPort}`] } }),
  ],
  [
    'Kafka knows another password (SCRAM)',
    'KAFKA_AUTH',
    () => ({
      kafka: {
        brokers: [`localhost:${kafka.port}`],
        cert_file: undefined,
        key_file: undefined,
        username: 'app',
        mechanism: 'SCRAM-SHA-512',
        password_file: 'connect.password',
      },
    }),
  ],
  [
    'Connect is signed by another CA',
    'TLS_UNTRUSTED',
    () => ({ connect: { ca_file: 'other.pem' } }),
  ],
  [
    'Connect has another name',
    'TLS_NAME',
    () => ({ connect: { url: `https://127.0.0.1:${fronts.connect.port}` } }),
  ],
  [
    'the certificate of Connect has ended',
    'TLS_EXPIRED',
    () => ({ connect: { url: `https://localhost:${fronts.expiredConnect.port}` } }),
  ],
  [
    'Connect knows another password',
    'CONNECT_AUTH',
    () => ({ connect: { password_file: 'ca.pem' } }),
  ],
  [
    'ClickHouse is signed by another CA',
    'TLS_UNTRUSTED',
    () => ({ clickhouse: { ca_file: 'other.pem' } }),
  ],
  ['ClickHouse has another name', 'TLS_NAME', () => ({ clickhouse: { server_name: undefined } })],
  [
    'the certificate of ClickHouse has ended',
    'TLS_EXPIRED',
    () => ({
      clickhouse: {
        url: `https://localhost:${fronts.expiredClickHouse.port}`,
        server_name: undefined,
      },
    }),
  ],
  [
    'ClickHouse speaks no TLS',
    'TLS_NOT_SPOKEN',
    () => ({ clickhouse: { url: `https://localhost:${clickhouse.port}` } }),
  ],
  [
    'ClickHouse knows another password',
    'CLICKHOUSE_AUTH',
    () => ({ clickhouse: { password_file: 'ca.pem', username: 'default2' } }),
  ],
];

test.each(CASES)('where %s, up ends with %s before anything is changed', async (_, code, wrong) => {
  const before = await traces();
  const cwd = elsewhere(wrong());
  const ran = await runCommand(['up', '--json'], { cwd, env: secrets() });
  expect(ran.stderr + ran.stdout).not.toContain(SOURCE_SECRET);
  expect(ran.json()).toMatchObject({ error: { code } });
  expect(ran.json().error.fix).not.toMatch(/\{\w+\}/);
  expect(await traces()).toEqual(before);
});

test('a login that the ClickHouse of cdc does not know is refused before anything is started', async () => {
  const cwd = folder({
    ports: 'auto',
    kafka: {
      brokers: [`localhost:${kafka.port}`],
      username: 'app',
      mechanism: 'SCRAM-SHA-512',
      ca_file: 'ca.pem',
    },
  });
  const ran = await runCommand(['up', '--json'], {
    cwd,
    env: { CDC_KAFKA_PASSWORD: KAFKA_SECRET },
  });
  expect(ran.json()).toMatchObject({ error: { code: 'NOT_IMPLEMENTED_RUNTIME' } });
  expect(ran.json().error.fix).toContain('clickhouse.url');
});

test('files that are no certificates, have ended or do not belong together are named before anything is asked', async () => {
  const old = await signedBy(ca, 'old', { days: -1 });
  const files = {
    'old.pem': old.cert,
    'old.key': old.key,
    'client.key': client.key,
    'none.pem': 'x',
  };
  for (const [keys, said] of [
    [{ ca_file: 'missing.pem' }, 'missing.pem'],
    [{ ca_file: 'none.pem' }, 'no certificate in PEM'],
    [{ cert_file: 'old.pem', key_file: 'old.key' }, 'ended'],
    [{ cert_file: 'ca.pem', key_file: 'client.key' }, 'not the key of'],
    [{ cert_file: 'ca.pem' }, 'name both'],
  ] as const) {
    // Also before the ports: one of them is held.
    const ports = { clickhouse: clickhouse.port };
    const cwd = folder({ ports, kafka: { brokers: ['localhost:1'], ...keys } }, files);
    const ran = await runCommand(['up', '--json'], { cwd });
    expect(ran.json()).toMatchObject({ error: { code: 'CONFIG_INVALID' } });
    expect(ran.json().error.cause).toContain(said);
  }
});
