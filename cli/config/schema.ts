import { z } from 'zod';
import { pipelineNames, RESERVED_DATABASES } from '../core/names.ts';
import { SASL_MECHANISMS } from '../core/sasl.ts';
import { parseBytes, parseDurationMs } from '../lib/format.ts';

/**
 * The one description of `cdc.yaml`. Environment variables (`CDC_` + the path in capitals), docs,
 * the JSON schema and the comments that `cdc init` writes all derive from it.
 */

const pattern = z.string().min(1);

const port = z.int().min(1).max(65_535);

/** Files of a TLS connection, beside cdc.yaml or absolute. */
const tlsFiles = (certificate: string) => ({
  ca_file: z
    .string()
    .optional()
    .describe(
      `File with the CA certificates (PEM) of which one has signed ${certificate}. Default: those that the system knows.`,
    ),
  cert_file: z
    .string()
    .optional()
    .describe('File with the certificate (PEM) that cdc shows there, where one is wanted.'),
  key_file: z.string().optional().describe('File with its key (PEM, not encrypted).'),
});

const serverName = z
  .string()
  .min(1)
  .optional()
  .describe("Name that the server's certificate must have, where that is not the address.");

const source = z.strictObject({
  url: z
    .string()
    .regex(
      /^\s*(postgres(ql)?:\/\/|\w+\s*=)/,
      'must start with postgres://, or be words key=value as libpq takes them',
    )
    .optional()
    .describe(
      'The PostgreSQL to copy, as postgres://user@host:port/database, or any other form that libpq takes. Without it cdc runs one of its own with example tables. The password belongs in CDC_SOURCE_PASSWORD or in password_file.',
    ),
  password_file: z.string().optional().describe('File that holds the password of source.url.'),
  ...tlsFiles("that server's certificate (sslrootcert of source.url is the same)"),
  include: z
    .array(pattern)
    .default(['*.*'])
    .describe(
      'Tables to copy, as schema.table with the wildcards * and ?; a backslash before one of them takes it literally.',
    ),
  exclude: z.array(pattern).default([]).describe('Tables to leave out, with the same wildcards.'),
  publication: z
    .string()
    .min(1)
    .max(63)
    .optional()
    .describe('Name of the publication. Default: cdc_<name>.'),
  slot: z
    .string()
    .regex(/^[a-z0-9_]{1,63}$/, 'may have lower case letters, digits and underscores, 63 at most')
    .optional()
    .describe('Name of the replication slot. Default: cdc_<name>.'),
  column_lists: z
    .boolean()
    .default(true)
    .describe(
      'Whether the publication names the columns of tables that have excluded ones, so that PostgreSQL (15 and later) does not send these at all. It refuses ALTER COLUMN … TYPE and a DROP COLUMN without CASCADE of what is named (docs/types.md). false: it sends them, and Kafka Connect drops them.',
    ),
});

const kafka = z.strictObject({
  brokers: z
    .union([
      z.literal([1, 3]),
      z.array(z.string().regex(/^[^:]+:\d+$/, 'must be host:port')).min(1),
    ])
    .optional()
    .describe(
      'Brokers of a Kafka that runs already. Or how many cdc runs, 1 or 3: of three, one may be killed and changes flow on (docs/reliability.md); embedded runtime only. Default: 1.',
    ),
  username: z.string().optional().describe('SASL user of those brokers; none means no SASL.'),
  password_file: z
    .string()
    .optional()
    .describe('File that holds that password, or CDC_KAFKA_PASSWORD.'),
  mechanism: z.enum(SASL_MECHANISMS).default('PLAIN').describe('How that user logs in.'),
  tls: z
    .boolean()
    .optional()
    .describe('Whether those brokers speak TLS. Default: where one of the files below is named.'),
  ...tlsFiles("the brokers' certificates"),
  message: z
    .enum(['read', 'full'])
    .default('read')
    .describe(
      'What messages have beside the rows. read: what the copy needs (operation, table, WAL position, transaction, times), which is quicker to write and to read. full: all that Debezium sends, for consumers of your own.',
    ),
});

const connect = z.strictObject({
  url: z
    .string()
    .regex(/^https?:\/\//, 'must start with http:// or https://')
    .optional()
    .describe(
      'REST address of a Kafka Connect with Debezium that runs already. Without it cdc runs one.',
    ),
  username: z.string().optional().describe('User for basic authentication at that address.'),
  password_file: z
    .string()
    .optional()
    .describe('File that holds that password, or CDC_CONNECT_PASSWORD.'),
  token_file: z
    .string()
    .optional()
    .describe('File with a bearer token for that address instead, or CDC_CONNECT_TOKEN.'),
  ...tlsFiles('the certificate of an https:// address'),
  server_name: serverName,
  topic_prefix: z
    .string()
    .regex(/^[A-Za-z0-9_-]+$/, 'may have letters, digits, - and _')
    .optional()
    .describe(
      'First part of every topic name. Default: <name>, of the pipeline cdc postgres-server.',
    ),
});

const targetName = z.string().min(1);

const targetDatabase = targetName.refine(
  (name) => !RESERVED_DATABASES.includes(name),
  'is a database of ClickHouse or of cdc itself',
);

const clickhouse = z.strictObject({
  url: z
    .string()
    .regex(/^https?:\/\//, 'must start with http:// or https://')
    .optional()
    .describe('HTTP address of a ClickHouse that runs already. Without it cdc runs one.'),
  username: z.string().default('cdc').describe('User at that address.'),
  password_file: z
    .string()
    .optional()
    .describe('File that holds that password, or CDC_CLICKHOUSE_PASSWORD.'),
  token_file: z
    .string()
    .optional()
    .describe('File with a bearer token for that address instead, or CDC_CLICKHOUSE_TOKEN.'),
  ...tlsFiles('the certificate of an https:// address'),
  server_name: serverName,
  database: targetDatabase
    .optional()
    .describe('One database for every table. Default: a database per schema, of the same name.'),
  source_address: z
    .string()
    .regex(/^\S+:\d+$/, 'must be host:port')
    .optional()
    .describe(
      'host:port under which ClickHouse reaches the source, where that differs from source.url. Where it cannot reach it at all, Debezium loads the rows.',
    ),
  source_verified: z
    .boolean()
    .default(false)
    .describe(
      'Whether that ClickHouse looks at the certificate of the source, since its environment has PGSSLMODE and PGSSLROOTCERT. Else, with sslmode=verify-full, Debezium loads the rows, more slowly, and tables without a key are not loaded.',
    ),
  views: z
    .string()
    .min(1)
    .optional()
    .describe(
      'Folder of files (*.sql) that declare views over the copy, which cdc makes and keeps (docs/aggregates.md). Default: sql/clickhouse/views beside cdc.yaml, where there is one, and the views of the e-commerce example.',
    ),
  consumer_group: z
    .string()
    .min(1)
    .optional()
    .describe(
      'Prefix of the consumer groups. Default: <name>, of the pipeline cdc clickhouse-group.',
    ),
});

const expression = z.string().trim().min(1);

/** One or several of ClickHouse's codecs: `Delta, ZSTD(3)`. */
const codec = z
  .string()
  .trim()
  .regex(
    /^[A-Za-z]\w*(\([\w', ]*\))?(\s*,\s*[A-Za-z]\w*(\([\w', ]*\))?)*$/,
    'must be codecs of ClickHouse, such as ZSTD(3), or Delta, LZ4',
  );

const columnRule = z.union([
  z.enum(['exclude', 'text', 'mask']),
  z
    .strictObject({ type: expression.optional(), codec: codec.optional() })
    .refine((rule) => Object.keys(rule).length > 0, 'must have type or codec'),
]);

const table = z.strictObject({
  columns: z.record(z.string(), columnRule).default({}),
  history: z.boolean().optional(),
  where: expression.optional(),
  mode: z.enum(['append']).optional(),
  order_by: z.array(z.string().min(1)).min(1).optional(),
  partition_by: expression.optional(),
  ttl: expression.optional(),
  settings: z
    .record(
      z.string().regex(/^[a-z][a-z0-9_]*$/, 'must be the name of a setting of MergeTree'),
      z.union([z.string(), z.number(), z.boolean()]),
    )
    .optional(),
  target: z
    .strictObject({ database: targetDatabase.optional(), table: targetName.optional() })
    .refine((target) => Object.keys(target).length > 0, 'must have database or table')
    .optional(),
});

const agent = z.strictObject({
  schema_changes: z
    .enum(['apply', 'report'])
    .default('apply')
    .describe(
      'What the agent does when tables of the source change their columns, types or keys, join or leave: cdc apply by itself, or only say so in cdc status.',
    ),
  listen: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .describe(
      'Address on which the agent serves /metrics and /health, to user cdc with a password.',
    ),
  password_file: z
    .string()
    .optional()
    .describe(
      'File that holds that password, or CDC_AGENT_PASSWORD. Default: generated into .cdc/secrets.json.',
    ),
});

const slot = z.strictObject({
  max_wal: z
    .string()
    .refine((text) => parseBytes(text) !== undefined, 'must be a size, such as 50GB')
    .optional()
    .describe(
      'WAL that the replication slot may make PostgreSQL keep, such as 50GB, before on_exceed says what happens. Default: none but the server’s own max_slot_wal_keep_size.',
    ),
  on_exceed: z
    .enum(['alert', 'drop_and_reload'])
    .default('alert')
    .describe(
      'alert: cdc status, the metrics and an alert say so. drop_and_reload: the agent drops the slot, so that the source’s disk does not fill, and loads every table again as soon as it can; also a slot that PostgreSQL has invalidated, or that somebody dropped.',
    ),
});

const alerts = z.strictObject({
  webhook_file: z
    .string()
    .optional()
    .describe('File that holds the address which Alertmanager posts alerts to.'),
  slack_webhook_file: z
    .string()
    .optional()
    .describe('File that holds the address of a Slack webhook (or of a chat that takes the same).'),
  mail_to: z.string().optional().describe('Where alerts are mailed to.'),
  mail_from: z.string().optional().describe('Sender of those mails. Default: mail_to.'),
  mail_server: z
    .string()
    .regex(/^[^:]+:\d+$/, 'must be host:port')
    .optional()
    .describe('SMTP server, as host:port. Default: localhost:25.'),
  mail_username: z.string().optional().describe('User at that server.'),
  mail_password_file: z.string().optional().describe('File that holds that password.'),
});

const duration = z
  .string()
  .refine((text) => (parseDurationMs(text) ?? 0) >= 1000, 'must be a time such as 30m or 4h');

const backup = z.strictObject({
  to: z
    .string()
    .min(1)
    .optional()
    .describe(
      'Folder for backups, best on another disk or machine. With it the agent makes them and archives the WAL of a PostgreSQL that cdc runs (docs/backups.md); without it there are none.',
    ),
  every: duration.default('4h').describe('How often the agent makes one.'),
  full_every: duration
    .default('24h')
    .describe('How often that is a full one; those between hold what has changed.'),
  keep: duration
    .default('168h')
    .describe('How long they are kept; what a younger one needs stays longer.'),
  source_slot: z
    .boolean()
    .default(false)
    .describe(
      'Of a source of your own: whether a second slot keeps its WAL since the last backup. A restored stack then goes on from there, and histories have no gap; without it the tables are loaded again. It costs the source the WAL of backup.every.',
    ),
  passphrase_file: z
    .string()
    .optional()
    .describe(
      'File that holds a passphrase, or CDC_BACKUP_PASSPHRASE. With one the passwords are in the backups, encrypted; without they are left out, and a restored stack gets new ones.',
    ),
});

const portNames = z.strictObject({
  postgres: port.default(5432),
  kafka: port.default(9092),
  connect: port.default(8083),
  clickhouse: port.default(8123),
  clickhouse_native: port.default(9000),
  agent: port.default(9464),
  prometheus: port.default(9090),
  alertmanager: port.default(9093),
  node_exporter: port.default(9100),
  postgres_exporter: port.default(9187),
});

export const configSchema = z
  .strictObject({
    name: z
      .string()
      .regex(
        /^[a-z][a-z0-9-]{0,39}$/,
        'must start with a letter; lower case letters, digits and - follow',
      )
      .default('cdc')
      .describe(
        'Name of this pipeline: everything that it makes in the servers carries it, so that several can share them (docs/several-pipelines.md).',
      ),
    runtime: z
      .enum(['auto', 'embedded', 'compose', 'external'])
      .default('auto')
      .describe(
        'How servers run. embedded: processes on this machine, without Docker. compose: containers (docs/compose.md). external: all of them run already (their addresses are below). auto: external where every address is given; else as at the last start in this folder; else compose where a Docker engine answers and has Compose, else embedded, for the servers without an address.',
      ),
    profile: z
      .enum(['low-latency', 'balanced', 'throughput'])
      .default('low-latency')
      .describe('What to tune for: milliseconds, or less idle CPU, or the largest batches.'),
    source: source.prefault({}).describe('PostgreSQL.'),
    kafka: kafka.prefault({}).describe('Kafka.'),
    connect: connect.prefault({}).describe('Kafka Connect with Debezium.'),
    clickhouse: clickhouse.prefault({}).describe('ClickHouse.'),
    tables: z
      .record(pattern, table)
      .default({})
      .describe(
        'What to do otherwise for single tables: { "shop.users": { columns: { password: exclude, email: mask, born: text } } }. exclude: the column is in no topic, log or table. mask: only the SHA-256 of its text is. Both follow a column that is renamed (docs/types.md). text: as PostgreSQL prints it, whatever its type. { type: Float64 }: as that type of ClickHouse (docs/types.md). { where: "status <> \'draft\'" } copies only rows that meet a condition (PostgreSQL 15). { history: true } keeps every change and every version of a row (docs/history.md). { mode: append } copies a table without a key whose rows are only ever added, without REPLICA IDENTITY FULL (docs/tables-without-keys.md). order_by, partition_by, ttl, settings, and codec of a column, say how the copy is stored, target where (docs/storage.md). Names of tables may have the wildcards * and ?; the last entry that fits counts.',
      ),
    agent: agent.prefault({}).describe('The process that cdc up leaves running.'),
    backup: backup.prefault({}).describe('Backups (docs/backups.md).'),
    observability: z
      .enum(['auto', 'on', 'off'])
      .default('auto')
      .describe(
        'Whether Prometheus, Alertmanager and exporters run beside the servers that cdc runs (docs/observability.md). on: yes, and cdc status says what is not installed. auto: those that are installed, where Prometheus is. off: no. The agent serves its metrics in any case.',
      ),
    slot: slot.prefault({}).describe('What the replication slot may cost the source.'),
    alerts: alerts.prefault({}).describe('Where alerts go, beside the log (cdc logs alerts).'),
    ports: z
      .union([z.literal('auto'), portNames])
      .prefault({})
      .describe(
        'Ports of the servers that cdc runs, all on 127.0.0.1; auto takes free ones. The agent, Prometheus, Alertmanager and the exporters take a free one, too, when theirs is taken; cdc status shows it.',
      ),
  })
  .superRefine((config, context) => {
    const { own } = pipelineNames(config);
    const message = `is the database of this pipeline's own tables`;
    if (config.clickhouse.database === own)
      context.addIssue({ code: 'custom', path: ['clickhouse', 'database'], message });
    for (const [name, { target }] of Object.entries(config.tables))
      if (target?.database === own)
        context.addIssue({ code: 'custom', path: ['tables', name, 'target', 'database'], message });
  });

export type Config = z.infer<typeof configSchema>;

/** Of a Kafka that runs already. */
export function namedBrokers({ kafka }: Pick<Config, 'kafka'>): readonly string[] | undefined {
  return Array.isArray(kafka.brokers) ? kafka.brokers : undefined;
}

export type PortName = keyof z.infer<typeof portNames>;
export const DEFAULT_PORTS: Readonly<Record<PortName, number>> = portNames.parse({});
