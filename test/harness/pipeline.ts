import { configSchema } from '../../cli/config/schema.ts';
import { pipelineNames } from '../../cli/core/names.ts';
import { PROFILES } from '../../cli/core/profiles.ts';
import type { SourceColumn, SourceTable } from '../../cli/core/source.ts';
import { type Desired, desiredOf } from '../../cli/pipeline/inspect/desired.ts';
import type { Stack } from '../../cli/pipeline/state/stack.ts';

/** What the generator makes for some tables, without any server. */
export function desiredFor(
  tables: readonly SourceTable[],
  options: { database?: string | undefined; name?: string } = {},
): Desired {
  const { database, name } = options;
  const config = configSchema.parse({
    ...(name === undefined ? {} : { name }),
    ...(database === undefined ? {} : { clickhouse: { database } }),
  });
  const names = pipelineNames(config);
  const stack: Pick<Stack, 'config' | 'names' | 'profile' | 'endpoints' | 'secrets'> = {
    config,
    names,
    profile: PROFILES['low-latency'],
    endpoints: {
      postgres: {
        host: 'postgres',
        port: 5432,
        user: 'postgres',
        password: 'not-shown',
        database: 'inventory',
        managed: true,
        internal: { host: 'postgres', port: 5432 },
        sslmode: undefined,
        tls: {},
      },
      kafka: {
        brokers: ['kafka:9092'],
        internalBrokers: ['kafka:9092'],
        sasl: undefined,
        tls: undefined,
        managed: true,
      },
      connect: {
        url: 'http://connect:8083',
        auth: undefined,
        token: undefined,
        tls: {},
        managed: true,
        secretsFile: '/run/secrets/connector.properties',
      },
      clickhouse: {
        own: names.own,
        url: 'http://clickhouse:8123',
        nativePort: 9000,
        sourceAddress: undefined,
        sourceVerified: true,
        user: 'cdc',
        password: 'not-shown',
        token: undefined,
        tls: {},
        managed: true,
        reader: undefined,
      },
    },
    secrets: {
      postgres: '',
      kafka: '',
      connect: '',
      clickhouse: '',
      clickhouseReader: '',
      agent: '',
      kafkaClusterId: '',
      toastPlaceholder: '__cdc_unavailable',
    },
  };
  return desiredOf(stack as Stack, tables);
}

/** A column; `type` as in pg_type. */
export function column(
  name: string,
  type: string,
  options: Partial<Omit<SourceColumn, 'name' | 'type'>> = {},
): SourceColumn {
  return {
    name,
    type,
    displayType: type,
    typeKind: 'b',
    array: false,
    dimensions: options.array ? 1 : 0,
    delimiter: ',',
    precision: undefined,
    scale: undefined,
    length: undefined,
    notNull: false,
    ...options,
  };
}

/** A table with a key of its first column. */
export function table(
  schema: string,
  name: string,
  columns: readonly SourceColumn[] = [column('id', 'int4', { notNull: true })],
  options: Partial<SourceTable> = {},
): SourceTable {
  return {
    schema,
    table: name,
    oid: 1,
    kind: 'r',
    columns,
    attributes: columns.map(({ name }, i) => ({ number: i + 1, name, isPublished: true })),
    excluded: [],
    unpublished: [],
    hasGenerated: false,
    key: [columns[0]?.name ?? 'id'],
    keyIsPrimary: true,
    keyIsDeferrable: false,
    replicaIdentity: 'd',
    estimatedRows: 0,
    bytes: 0,
    unlogged: false,
    shape: { columns: '', touched: '', files: '', key: '', types: [] },
    ...options,
  };
}
