import { isVerified, type TlsMaterial } from '../lib/tlsMaterial.ts';
import { type ConnectSecrets, connectSecrets } from './connectSecrets.ts';
import { heartbeatOf, notificationTopic, signalOf, type TableId, tableLabel } from './names.ts';
import type { Profile } from './profiles.ts';
import { NO_TIMEOUTS } from './sessions.ts';
import { translatePattern } from './tableFilter.ts';
import { topicCreation } from './topics.ts';

export interface CapturedTable extends TableId {
  /** The columns that key its messages; absent when they are its primary key's. */
  readonly messageKey?: readonly string[];
}

export interface SecretsPlace {
  /** As the worker sees it. */
  readonly file: string;
  /** connectSecrets() says what for. */
  readonly key: string;
}

export interface ConnectorInput {
  /** The schema of our own tables in the source. */
  readonly own: string;
  readonly topicPrefix: string;
  readonly slot: string;
  readonly publication: string;
  readonly tables: readonly CapturedTable[];
  /** Wildcards that choose them, and later ones. */
  readonly include: readonly string[];
  readonly profile: Profile;
  readonly toastPlaceholder: string;
  readonly maxMessageBytes: number;
  /** Whether messages have all that Debezium knows of a change, or what ClickHouse's tables read. */
  readonly message: 'read' | 'full';
  /** Where a worker that cdc runs reads what nobody else shall know; absent elsewhere. */
  readonly secrets?: SecretsPlace | undefined;
  /** Replicas of a topic; -1 is the brokers' default. */
  readonly replication: number;
  readonly database: {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly password: string;
    readonly database: string;
    readonly sslmode: string | undefined;
    readonly tls: TlsMaterial;
  };
  /** Names `schema.table.column`: not sent at all, sent as text, sent as a digest of the text. */
  readonly columns: {
    readonly excluded: readonly string[];
    readonly asText: readonly string[];
    readonly masked: readonly string[];
    /** Tables of which something is kept back, by OID, as cdc knows them; and patterns of such tables. */
    readonly ruled: Readonly<Record<string, unknown>>;
    readonly private: readonly string[];
  };
}

type Database = ConnectorInput['database'];
type Login = Pick<Database, 'password' | 'sslmode' | 'tls'>;

/** What a message has beside its value, at most: its key (an index row of PostgreSQL's) and its headers. */
const ROOM_BYTES = 64 * 1024;

export const CONNECTOR_CLASS = 'io.debezium.connector.postgresql.PostgresConnector';

/** The configuration as it may be shown. */
export function maskedConfig(config: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [
      key,
      /password|secret|jaas|sslfactoryarg/.test(key) ? '***' : value,
    ]),
  );
}

/** Debezium takes regular expressions; a table's name is taken literally. */
export function literalPattern(name: string): string {
  return name.replace(/[\\^$.|?*+()[\]{},]/g, '\\$&');
}

/**
 * The same for what Debezium splits at commas, colons and blanks, and compares without regard to case: each such sign
 * by its number, and case as it is.
 */
export function exactPattern(name: string): string {
  return `(?-i)${inPattern(name)}`;
}

function inPattern(name: string): string {
  return name.replace(
    /[^A-Za-z0-9_]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A pattern of cdc.yaml, as selectTables takes it. */
export function wildcardPattern(pattern: string): string {
  return translatePattern(pattern, {
    many: '[\\s\\S]*',
    one: '[\\s\\S]',
    literal: literalPattern,
  });
}

/**
 * Debezium tells a change of a key from another change by the message's key, and looks TOASTed
 * values up by it: it must be the key that the copy has.
 */
function messageKeys(tables: readonly CapturedTable[]): Record<string, string> {
  const keys = tables.flatMap((table) =>
    table.messageKey
      ? [`${exactPattern(tableLabel(table))}:${table.messageKey.map(inPattern).join(',')}`]
      : [],
  );
  return keys.length > 0 ? { 'message.key.columns': keys.join(';') } : {};
}

/**
 * The driver reads certificates from files of its own machine, and knows the system's CAs only by a class. Ours has
 * them in its argument, wherever the worker runs: CAs, certificate and key, each in base64.
 */
function factoryArgument({ tls }: Login): string {
  return [tls.ca, tls.cert, tls.key]
    .map((part = '') => Buffer.from(part).toString('base64'))
    .join('.');
}

function isFactoryUsed({ sslmode, tls }: Login): boolean {
  return isVerified(sslmode) || [tls.ca, tls.cert, tls.key].some((part) => part !== undefined);
}

/** Connect puts the contents of files in the place of `${file:…}`, and a column can be called that. */
function literalJson(value: unknown): string {
  return JSON.stringify(value).replaceAll('$', '\\u0024');
}

/** What only the worker shall know. */
export function connectorSecrets(database: Login, { file, key }: SecretsPlace): ConnectSecrets {
  const argument = isFactoryUsed(database)
    ? { 'driver.sslfactoryarg': factoryArgument(database) }
    : {};
  return connectSecrets({ 'database.password': database.password, ...argument }, key, file);
}

function secretOptions(database: Login, place: SecretsPlace | undefined): Record<string, string> {
  if (place) return connectorSecrets(database, place).references;
  return {
    'database.password': database.password,
    ...(isFactoryUsed(database) ? { 'driver.sslfactoryarg': factoryArgument(database) } : {}),
  };
}

/**
 * The Debezium connector's configuration. Options whose default hurts are all set; facts.md and
 * ARCHITECTURE.md say why.
 */
export function connectorConfig(input: ConnectorInput): Record<string, string> {
  const { database, profile } = input;
  return {
    'connector.class': CONNECTOR_CLASS,
    'tasks.max': '1',
    'database.hostname': database.host,
    'database.port': String(database.port),
    'database.user': database.user,
    'database.dbname': database.database,
    ...(database.sslmode ? { 'database.sslmode': database.sslmode } : {}),
    ...(isFactoryUsed(database) ? { 'driver.sslfactory': 'cdc.PemSocketFactory' } : {}),
    ...secretOptions(database, input.secrets),
    'topic.prefix': input.topicPrefix,
    'plugin.name': 'pgoutput',
    'slot.name': input.slot,
    'publication.name': input.publication,
    'publication.autocreate.mode': 'disabled',
    'publish.via.partition.root': 'true',
    // The publication has exactly the copied tables. Were they listed here, a new one would restart
    // the connector, and what its old task still read of a new table would be left out for good.
    'table.include.list': [
      ...input.include.map(wildcardPattern),
      literalPattern(tableLabel(heartbeatOf(input.own))),
    ].join(','),
    ...messageKeys(input.tables),
    ...(input.columns.excluded.length > 0
      ? { 'column.exclude.list': input.columns.excluded.map(exactPattern).join(',') }
      : {}),
    ...topicCreation(input),
    'snapshot.mode': 'no_data',
    // Where ClickHouse cannot reach the source, a row in this table has Debezium read the rows.
    'signal.enabled.channels': 'source',
    'signal.data.collection': tableLabel(signalOf(input.own)),
    'incremental.snapshot.chunk.size': '8192',
    'incremental.snapshot.watermarking.strategy': 'insert_delete',
    'notification.enabled.channels': 'sink',
    'notification.sink.topic.name': notificationTopic(input.topicPrefix),
    // Types of which Debezium's own form is not exact are sent as PostgreSQL's text, by a converter
    // of ours, in one form whatever the server's settings are.
    converters: 'text',
    'text.type': 'cdc.PostgresText',
    'text.placeholder': input.toastPlaceholder,
    'text.columns': literalJson(input.columns.asText),
    'text.masked': literalJson(input.columns.masked),
    ...(input.columns.private.length > 0
      ? {
          'text.ruled': literalJson(input.columns.ruled),
          // Never our own tables, which no entry of cdc.yaml means.
          'text.private': literalJson(
            input.columns.private.map(
              (pattern) => `(?!${literalPattern(`${input.own}.`)})${wildcardPattern(pattern)}`,
            ),
          ),
        }
      : {}),
    'driver.options': `-c IntervalStyle=postgres -c extra_float_digits=1 -c bytea_output=hex ${NO_TIMEOUTS}`,
    // It waits for changes instead of asking for them.
    'driver.socketFactory': 'cdc.PatientSocketFactory',
    'driver.binaryTransfer': 'false',
    // The driver's own form of an interval reads infinity as zero.
    'driver.datatype.interval': 'cdc.IntervalText',
    // A key's text is then a value of whatever type the key has, where a row is looked up by it.
    'driver.stringtype': 'unspecified',
    // Every other value keeps its precision: times as text, bytes as hexadecimal.
    'decimal.handling.mode': 'string',
    'time.precision.mode': 'isostring',
    'binary.handling.mode': 'hex',
    'include.unknown.datatypes': 'true',
    'tombstones.on.delete': 'false',
    // The default leaves truncates out.
    'skipped.operations': 'none',
    'provide.transaction.metadata': 'false',
    // Of pg_logical_emit_message(): they are no rows, and the topic for them, which nobody makes, would
    // hold the task up for good.
    'message.prefix.exclude.list': '.*',
    // The agent's own heartbeat row moves the slot on when captured tables are idle.
    'heartbeat.interval.ms': '0',
    'slot.drop.on.stop': 'false',
    'status.update.interval.ms': '2000',
    // After a restart the server still holds the old connection for a moment.
    'slot.retry.delay.ms': '500',
    'slot.max.retries': '120',
    // Of a connection that was lost; its own 10 s are longer than PostgreSQL takes to start again.
    'retriable.restart.connector.wait.ms': '2000',
    'poll.interval.ms': String(profile.connectPollMs),
    'max.batch.size': String(profile.connectBatch),
    'max.queue.size': String(profile.connectBatch * 4),
    'max.queue.size.in.bytes': String(64 * 1024 * 1024),
    'producer.override.linger.ms': String(profile.producerLingerMs),
    'producer.override.compression.type': 'lz4',
    'producer.override.batch.size': String(256 * 1024),
    'producer.override.buffer.memory': String(
      Math.max(32 * 1024 * 1024, input.maxMessageBytes + 1024 * 1024),
    ),
    'producer.override.max.request.size': String(input.maxMessageBytes),
    // A TOASTed value that did not change is not in the WAL: the current one is read instead.
    'unavailable.value.placeholder': input.toastPlaceholder,
    'post.processors': 'reselector',
    'reselector.type': 'cdc.QuotedLookup',
    'reselector.reselect.unavailable.values': 'true',
    'reselector.reselect.use.event.key': 'true',
    'reselector.reselect.null.values': 'false',
    'errors.max.retries': '-1',
    // Of the record before a transformation: nobody reads them, and they are a fifth of a change's cost.
    'extended.headers.enabled': 'false',
    'key.converter': 'cdc.BoundedJson',
    'key.converter.schemas.enable': 'false',
    'value.converter': 'cdc.BoundedJson',
    'value.converter.message': input.message,
    'value.converter.max.bytes': String(input.maxMessageBytes - ROOM_BYTES),
    'value.converter.schemas.enable': 'false',
    // Else a NULL in a column that has a default would be sent as the default.
    'key.converter.replace.null.with.default': 'false',
    'value.converter.replace.null.with.default': 'false',
  };
}
