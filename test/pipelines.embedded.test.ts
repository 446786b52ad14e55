import { cpSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { withClickHouse } from '../cli/components/clickhouse/client.ts';
import { Connect } from '../cli/components/connect/client.ts';
import { withKafkaAdmin } from '../cli/components/kafka/client.ts';
import { connectPostgres, withPostgres } from '../cli/components/postgres/client.ts';
import { ownTableStatements } from '../cli/components/postgres/prepare.ts';
import { loadConfig } from '../cli/config/load.ts';
import { findMarked } from '../cli/lib/processes.ts';
import { settleNames } from '../cli/pipeline/inspect/others.ts';
import { attach, type Stack } from '../cli/pipeline/state/stack.ts';
import { namesOf } from '../cli/stack/names.ts';
import { type Ran, runCommand, testContext } from './harness/cli.ts';
import { eventually } from './harness/database.ts';
import { writing } from './harness/writing.ts';

/** A pipeline in a folder of its own. */
class Pipeline {
  readonly directory = realpathSync(mkdtempSync(join(tmpdir(), 'cdc-pipelines-')));
  env: Record<string, string> = {};

  configure(settings: object): void {
    const all = {
      profile: 'balanced',
      observability: 'off',
      agent: { schema_changes: 'report' },
      ...settings,
    };
    writeFileSync(join(this.directory, 'cdc.yaml'), stringify(all));
  }

  run(...argv: string[]): Promise<Ran> {
    return runCommand(argv, { cwd: this.directory, env: this.env });
  }

  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects to find
  async json(...argv: string[]): Promise<any> {
    const ran = await this.run(...argv, '--json');
    if (ran.exit !== 0)
      throw new Error(`cdc ${argv.join(' ')} ended with ${ran.exit}:\n${ran.stderr}`);
    return ran.json();
  }

  stack(): Stack {
    return attach(testContext({ cwd: this.directory, env: this.env }).context, {});
  }

  async source(): Promise<pg.Client & AsyncDisposable> {
    const client = await connectPostgres(this.stack().endpoints.postgres);
    return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
  }

  /** A table of its source and its copy, which are compared with what is written meanwhile. */
  async isEqual(): Promise<void> {
    expect(await this.json('verify')).toMatchObject({ ok: true });
  }

  async forget(): Promise<void> {
    await this.run('down', '--delete-data');
    const left = findMarked(`CDC_STACK=${join(this.directory, '.cdc')}`);
    if (left.length > 0) throw new Error(`cdc down left processes: ${left.join(', ')}`);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

const first = new Pipeline();
const second = new Pipeline();
const others: Pipeline[] = [];
let writes: ReturnType<typeof writing>[] = [];

const TABLES = `CREATE TABLE public.users (id bigserial PRIMARY KEY, name text);
  INSERT INTO public.users (name) SELECT 'user ' || g FROM generate_series(1, 500) g`;

/** On the servers that the first pipeline runs. */
function attached(name: string | undefined, database: string, pipeline = new Pipeline()): Pipeline {
  const { postgres, kafka, connect, clickhouse } = first.stack().endpoints;
  pipeline.configure({
    ...(name === undefined ? {} : { name }),
    runtime: 'external',
    source: { url: `postgres://${postgres.user}@${postgres.host}:${postgres.port}/${database}` },
    kafka: { brokers: kafka.brokers, username: kafka.sasl?.username },
    connect: { url: connect.url, username: connect.auth?.username },
    clickhouse: { url: clickhouse.url, username: clickhouse.user },
  });
  pipeline.env = {
    CDC_SOURCE_PASSWORD: postgres.password,
    CDC_KAFKA_PASSWORD: kafka.sasl?.password ?? '',
    CDC_CONNECT_PASSWORD: connect.auth?.password ?? '',
    CDC_CLICKHOUSE_PASSWORD: clickhouse.password,
  };
  return pipeline;
}

function another(name: string | undefined, database: string): Pipeline {
  const made = attached(name, database);
  others.push(made);
  return made;
}

/** Objects in ClickHouse with their statements, by whose comments they carry. */
async function objects(mark: 'first' | 'second' | 'any'): Promise<Record<string, string>> {
  const rows = await withClickHouse(first.stack().endpoints.clickhouse, (clickhouse) =>
    clickhouse.rows<{ name: string; made: string; comment: string }>(
      `SELECT concat(database, '.', name) AS name, concat(toString(uuid), create_table_query) AS made, comment FROM system.tables
        WHERE database NOT IN ('system', 'information_schema', 'INFORMATION_SCHEMA') ORDER BY name`,
    ),
  );
  const isOf = ({ comment }: (typeof rows)[number]) =>
    mark === 'any' ||
    (comment.startsWith('cdc ') && comment.endsWith(' of cdc_shop') === (mark === 'second'));
  return Object.fromEntries(rows.filter(isOf).map(({ name, made }) => [name, made]));
}

/** Everything in the servers that a pipeline makes. */
async function standing(): Promise<Record<string, unknown>> {
  const { endpoints } = first.stack();
  const connect = new Connect(endpoints.connect);
  const catalogs: unknown[] = [];
  for (const database of ['inventory', 'shop', 'third']) {
    const found = await withPostgres({ ...endpoints.postgres, database }, (client) =>
      client.query(
        `SELECT (SELECT json_agg(slot_name || ' ' || database ORDER BY slot_name) FROM pg_replication_slots) AS slots,
                (SELECT json_agg(pubname ORDER BY pubname) FROM pg_publication) AS publications,
                (SELECT json_agg(r.xmin::text ORDER BY r.oid) FROM pg_publication_rel r) AS members,
                (SELECT json_agg(nspname ORDER BY nspname) FROM pg_namespace WHERE nspname !~ '^pg_') AS schemas,
                (SELECT json_agg(oid || relname ORDER BY oid) FROM pg_class WHERE relkind = 'r' AND oid > 16384) AS tables`,
      ),
    );
    catalogs.push(found.rows[0]);
  }
  return {
    clickhouse: await objects('any'),
    catalogs,
    connectors: (await connect.connectors()).sort(),
    connector: await connect.config('cdc-postgres'),
    topics: (await withKafkaAdmin(endpoints.kafka, (admin) => admin.listTopics())).sort(),
  };
}

beforeAll(async () => {
  first.configure({ ports: 'auto' });
  await first.json('up');
  await using inventory = await first.source();
  await inventory.query(TABLES);
  await inventory.query('CREATE DATABASE shop');
  await inventory.query('CREATE DATABASE third');
  await first.json('apply');
  attached('shop', 'shop', second);
  await using shop = await second.source();
  await shop.query(TABLES);
  const third = another('third', 'third');
  await using client = await third.source();
  await client.query(TABLES);
});

afterAll(async () => {
  await Promise.all(writes.map((one) => one.stop()));
  for (const pipeline of [...others, second, first]) await pipeline.forget();
});

describe('two pipelines on the same servers', () => {
  it('have everything under names of their own, and the second makes nothing of the first anew', async () => {
    const write = (client: pg.Client, i: number) =>
      client.query(
        i % 3 === 2
          ? `DELETE FROM public.users WHERE id = (SELECT min(id) FROM public.users)`
          : `WITH n AS (INSERT INTO public.users (name) VALUES ('new ${i}') RETURNING id)
             UPDATE public.users SET name = name || '+' WHERE id = (SELECT max(id) FROM public.users)`,
      );
    writes = [first, second].map((one) =>
      writing(write, { connect: () => one.source(), pauseMs: 50 }),
    );
    const before = await objects('first');
    await second.json('up');
    expect(await objects('first')).toEqual(before);
    expect((await first.json('plan')).changes).toEqual([]);
    expect((await second.json('plan')).changes).toEqual([]);
    const { names, endpoints } = second.stack();
    expect(names).toEqual({
      pipeline: 'shop',
      slot: 'cdc_shop',
      publication: 'cdc_shop',
      connector: 'shop-postgres',
      topicPrefix: 'shop',
      group: 'shop',
      own: 'cdc_shop',
    });
    const topics = await withKafkaAdmin(endpoints.kafka, (admin) => admin.listTopics());
    expect(topics).toEqual(
      expect.arrayContaining(['shop.public.users', 'postgres-server.public.users']),
    );
    const own = Object.keys(await objects('second'));
    expect(own).toEqual(
      expect.arrayContaining(['cdc_shop.loads', 'cdc_shop.heartbeats', 'cdc_shop.dead_letters']),
    );
    expect(own.filter((name) => name.startsWith('cdc.'))).toEqual([]);
  });

  it('a table whose name the other one’s has is called differently, and doctor says so', async () => {
    const own = Object.keys(await objects('second'));
    expect(own).toContain('public.public__users');
    expect(own).not.toContain('public.users');
    const doctor = await second.run('doctor', '--json');
    expect(doctor.json().findings).toContainEqual(
      expect.objectContaining({ id: 'named-differently', subject: 'public.users' }),
    );
  });

  it('are equal to their sources while both are written to, after each has applied changes', async () => {
    const [one, two] = [await objects('first'), await objects('second')];
    await using inventory = await first.source();
    await inventory.query(
      'ALTER TABLE public.users ADD COLUMN age int DEFAULT 7; CREATE TABLE public.more (id int PRIMARY KEY)',
    );
    await first.json('apply');
    expect(await objects('second')).toEqual(two);
    await using shop = await second.source();
    await shop.query('ALTER TABLE public.users ADD COLUMN city text');
    const now = await objects('first');
    expect(now).not.toEqual(one);
    await second.json('apply');
    expect(await objects('first')).toEqual(now);
    expect(await objects('second')).not.toEqual(two);
    for (const one of writes) await one.passes(20);
    await first.isEqual();
    await second.isEqual();
  });

  it('each says what is of it: dead letters, queues, records', async () => {
    const { kafka, clickhouse } = second.stack().endpoints;
    const letters = () => second.json('dlq', 'list').then(({ letters }) => letters.length);
    await withClickHouse(clickhouse, (client) =>
      client.command(
        `INSERT INTO cdc_shop.dead_letters (topic, partition, offset, reason) VALUES ('shop.public.users', 0, 1, 'not a row')`,
      ),
    );
    expect(await letters()).toBe(1);
    expect((await first.json('dlq', 'list')).letters).toEqual([]);
    await second.json('dlq', 'discard', 'shop.public.users:0:1');
    expect(await letters()).toBe(0);
    for (const pipeline of [first, second])
      await eventually(
        'a healthy pipeline',
        true,
        async () => (await pipeline.json('status')).healthy,
      );
    const groups = await withKafkaAdmin(kafka, (admin) => admin.listGroups());
    expect(groups.groups.map(({ groupId }) => groupId)).toContain('shop.public.public__users');
  });

  it('a third on the source of the first copies what the first copies, and nothing that pipelines keep there', async () => {
    const audit = another('audit', 'inventory');
    const { tables } = await audit.json('up');
    expect(tables).toBe((await first.json('up')).tables);
    await using clickhouse = await first.source();
    const published = await clickhouse.query(
      `SELECT pubname, schemaname FROM pg_publication_tables WHERE schemaname ~ '^cdc' GROUP BY 1, 2 ORDER BY 1`,
    );
    expect(published.rows).toEqual([
      { pubname: 'cdc_audit', schemaname: 'cdc_audit' },
      { pubname: 'cdc_cdc', schemaname: 'cdc' },
    ]);
    await first.isEqual();
    await audit.isEqual();
  });
});

describe('what is another pipeline’s', () => {
  it.each([
    ['of the second', 'shop', 'database cdc_shop in ClickHouse'],
    ['of the one without a name', undefined, 'database cdc in ClickHouse'],
  ])(
    'the name %s, from another source, is refused by every command with nothing changed',
    async (_, name, object) => {
      const thief = another(name, 'third');
      const before = await standing();
      for (const command of [
        ['up'],
        ['apply'],
        ['plan'],
        ['verify', '--repair'],
        ['snapshot', 'public.users'],
        ['dlq', 'discard', 'x:0:1'],
        ['connector', 'delete'],
      ]) {
        const ran = await thief.run(...command, '--json');
        const { error } = ran.json();
        expect([ran.exit, error.code], command.join(' ')).toEqual([5, 'OTHER_PIPELINE']);
        expect(error.message + error.cause).toContain(
          command[0] === 'connector' ? `connector ${name ?? 'cdc'}-postgres` : object,
        );
        expect(error.fix).toContain(`name: ${name ?? 'cdc'}-third`);
      }
      expect(thief.stack().agent).toBeUndefined();
      expect(await standing()).toEqual(before);
    },
  );

  it.each([
    ['connect', { topic_prefix: 'shop' }, 'topic prefix shop'],
    ['clickhouse', { consumer_group: 'shop' }, 'consumer group shop'],
    ['source', { slot: 'cdc_shop' }, 'slot cdc_shop'],
  ])('a name that cdc.yaml gives in %s is refused, too', async (part, given, object) => {
    const thief = another('fourth', 'third');
    const before = await standing();
    const variables = Object.entries(given).map(([key, value]) => [
      `CDC_${part}_${key}`.toUpperCase(),
      value,
    ]);
    thief.env = { ...thief.env, ...Object.fromEntries(variables) };
    const ran = await thief.run('up', '--json');
    expect(ran.json().error).toMatchObject({ code: 'OTHER_PIPELINE' });
    expect(ran.json().error.message).toContain(object);
    expect(await standing()).toEqual(before);
  });

  it('a folder that is moved goes on, whether its pipeline was stopped or not', async () => {
    const moved = another('shop', 'shop');
    await second.json('down');
    cpSync(join(second.directory, '.cdc'), join(moved.directory, '.cdc'), { recursive: true });
    const before = await objects('any');
    await moved.json('up');
    expect(await objects('any')).toEqual(before);
    await moved.isEqual();
    await moved.json('down');
    await second.json('up');
    expect(await objects('any')).toEqual(before);
    await second.isEqual();
  });

  it('a pipeline with a name that an earlier cdc made keeps the names that it had', async () => {
    const old = another('old', 'third');
    const loaded = () => loadConfig({ cwd: old.directory, env: old.env });
    const { endpoints } = old.stack();
    await using client = await old.source();
    expect(namesOf(loaded())).toMatchObject({ own: 'cdc_old', topicPrefix: 'old', group: 'old' });
    for (const statement of ownTableStatements('cdc')) await client.query(statement);
    await client.query(
      'CREATE PUBLICATION cdc_old FOR TABLE public.users, cdc.heartbeat, cdc.signal',
    );
    await settleNames(loaded(), endpoints.postgres);
    expect(namesOf(loaded())).toMatchObject({
      own: 'cdc',
      slot: 'cdc_old',
      topicPrefix: 'postgres-server',
      group: 'clickhouse-group',
    });
    await client.query('DROP PUBLICATION cdc_old; DROP SCHEMA cdc CASCADE');
  });

  it('stays when the second is stopped, forgotten and removed', async () => {
    await writes[1]?.stop();
    const before = await objects('first');
    await second.json('down', '--delete-data');
    const connect = new Connect(first.stack().endpoints.connect);
    await connect.delete('shop-postgres');
    await using shop = await second.source();
    await eventually('the slot is let go', 0, async () => {
      const active = await shop.query(
        `SELECT 1 FROM pg_replication_slots WHERE slot_name = 'cdc_shop' AND active`,
      );
      return active.rowCount;
    });
    await shop.query(
      `SELECT pg_drop_replication_slot('cdc_shop'); DROP PUBLICATION cdc_shop; DROP SCHEMA cdc_shop CASCADE`,
    );
    expect(await objects('first')).toEqual(before);
    expect((await first.json('plan')).changes).toEqual([]);
    await writes[0]?.passes(20);
    await first.isEqual();
  });
});
