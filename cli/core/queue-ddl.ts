import { chIdent, chLiteral } from '../lib/sql.ts';
import { routeOf, type TargetObject } from './ddl.ts';
import { LETTER_REASONS } from './deadLetterReasons.ts';
import { versionAt } from './lineage.ts';
import { CH_CDC, heartbeatOf } from './names.ts';
import { flushMs, type Profile } from './profiles.ts';
import { securityProtocol } from './sasl.ts';
import type { SharedQueue } from './sharedQueues.ts';

export interface QueueOptions {
  readonly brokers: string;
  readonly profile: Profile;
  /** How ClickHouse logs in, where that is not in its own configuration. */
  readonly login?: KafkaLogin | undefined;
}

export interface KafkaLogin {
  readonly sasl:
    | { readonly mechanism: string; readonly username: string; readonly password: string }
    | undefined;
  readonly isTls: boolean;
  /** Named collection with certificates. */
  readonly collection?: string | undefined;
}

/** What is read of a message; other fields may be there. Images stay JSON. */
const MESSAGE = `Tuple(before Nullable(String), after Nullable(String), op String, source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64, txId Nullable(UInt64)), ts_us Int64)`;

/**
 * The Kafka engine table of a queue: each message as it is, so that no change of a table changes it. The engine's own
 * reading of JSON costs more than twice as much as one JSONExtract in the view (docs/performance.md).
 */
export function queueObject(sharedQueue: SharedQueue, options: QueueOptions): TargetObject {
  const { own, database, queue, group } = sharedQueue.names;
  const { profile, login } = options;
  const settings: Record<string, string | number> = {
    kafka_broker_list: options.brokers,
    kafka_topic_list: sharedQueue.topics.join(','),
    kafka_group_name: group,
    kafka_format: 'RawBLOB',
    kafka_num_consumers: 1,
    kafka_thread_per_consumer: 1,
    kafka_flush_interval_ms: flushMs(profile),
    kafka_poll_timeout_ms: profile.pollTimeoutMs,
    kafka_consumer_reschedule_ms: profile.rescheduleMs,
    kafka_max_block_size: profile.maxBlockSize,
    kafka_poll_max_batch_size: profile.maxBlockSize,
    ...(login?.sasl || login?.isTls
      ? {
          kafka_security_protocol: securityProtocol(
            login.sasl !== undefined,
            login.isTls,
          ).toLowerCase(),
        }
      : {}),
    ...(login?.sasl
      ? {
          kafka_sasl_mechanism: login.sasl.mechanism,
          kafka_sasl_username: login.sasl.username,
          kafka_sasl_password: login.sasl.password,
        }
      : {}),
  };
  const lines = Object.entries(settings).map(
    ([key, value]) => `    ${key} = ${typeof value === 'number' ? value : chLiteral(value)}`,
  );
  return {
    own,
    database,
    name: queue,
    kind: 'queue',
    create: `CREATE TABLE IF NOT EXISTS ${chIdent(database, queue)}
(
    message String
)
ENGINE = Kafka${login?.collection === undefined ? '' : `(${chIdent(login.collection)})`}
SETTINGS
${lines.join(',\n')}`,
  };
}

/** Keeps nothing: the rows of a queue pass through it to the views of its tables. */
export function fanoutObject(sharedQueue: SharedQueue): TargetObject {
  const { own, database, fanout } = sharedQueue.names;
  return {
    own,
    database,
    name: fanout,
    kind: 'fanout',
    create: `CREATE TABLE IF NOT EXISTS ${chIdent(database, fanout)}
(
${FANOUT_COLUMNS.map((column) => `    ${column}`).join(',\n')}
)
ENGINE = Null`,
  };
}

const FANOUT_COLUMNS = [
  'route String',
  'op String',
  'image String',
  'before Nullable(String)',
  'message_key String',
  'transaction_id Nullable(UInt64)',
  'version UInt64',
  'ordinal UInt64',
  "committed_at DateTime64(6, 'UTC')",
  "captured_at DateTime64(6, 'UTC')",
  "queued_at DateTime64(6, 'UTC')",
  'topic LowCardinality(String)',
  'partition UInt64',
  'offset UInt64',
  'problem String',
  'raw String',
] as const;

/** What a view behind a queue selects, of no rows and without any table: to ask ClickHouse whether it can. */
export function viewTrial(view: TargetObject, sharedQueue: SharedQueue): string {
  const select = view.create.slice(view.create.indexOf(' AS\n') + ' AS\n'.length);
  const { database, fanout } = sharedQueue.names;
  const nothing = `null(${chLiteral(FANOUT_COLUMNS.join(', '))})`;
  return select.replaceAll(`FROM ${chIdent(database, fanout)}`, () => `FROM ${nothing}`);
}

/**
 * The one view on a Kafka engine table. It must not throw: an exception here makes ClickHouse read
 * the same block for ever. Every message passes it, whatever it is: nothing else reads the topics.
 *
 * @param epoch of the source (core/lineage.ts).
 */
export function sharedQueueView(
  sharedQueue: SharedQueue,
  toastPlaceholder: string,
  epoch = 0,
): TargetObject {
  const { own, database, queue, fanout, mv } = sharedQueue.names;
  const micros = (value: string) => `fromUnixTimestamp64Micro(${value}, 'UTC')`;
  return {
    own,
    database,
    name: mv,
    kind: 'materialized-view',
    create: `CREATE MATERIALIZED VIEW IF NOT EXISTS ${chIdent(database, mv)} TO ${chIdent(database, fanout)} AS
WITH
    -- Of what is no JSON, or not such, it has empty texts, zeros and NULL.
    JSONExtract(message, ${chLiteral(MESSAGE)}) AS the_change,
    the_change.before AS before,
    the_change.after AS after,
    the_change.op AS op,
    the_change.source AS source,
    the_change.ts_us AS ts_us,
    -- The connector sends them without their row, or all of it, which is then read by its key.
    startsWith(op, 'too large') AS is_large,
    startsWith(op, 'unread') AS is_unread,
    multiIf(is_large OR is_unread, _key, op = 'd', ifNull(before, ''), ifNull(after, '')) AS the_image,
    splitByChar('"', source.sequence) AS sequence_parts,
    toUInt64OrZero(sequence_parts[-2]) AS wal_position,
    multiIf(
        op = '', '${LETTER_REASONS.not_json}',
        is_large, concat('${LETTER_REASONS.too_large}: ', op),
        is_unread, concat('${LETTER_REASONS.unread}: ', op),
        op NOT IN ('c', 'u', 'r', 'd', 't'), concat('${LETTER_REASONS.operation}: ', op),
        the_image = '' AND op != 't', '${LETTER_REASONS.no_image}',
        wal_position = 0, concat('${LETTER_REASONS.no_position}: ', source.sequence),
        '') AS the_problem,
    concat(source.schema, '\\x1F', source.table) AS table_route,
    -- The row was gone as its unchanged value was looked up: its delete follows.
    op != 'd' AND position(the_image, ${chLiteral(`"${toastPlaceholder}"`)}) > 0 AS is_incomplete
SELECT
    multiIf(the_problem != '', concat('\\x1E', table_route), is_incomplete, concat('\\x1F', table_route), table_route) AS route,
    op,
    the_image AS image,
    before,
    _key AS message_key,
    source.txId AS transaction_id,
    -- Rows of a snapshot are older than any change since the slot was made.
    ${epoch === 0 ? '' : `${versionAt(epoch, 0n)} + `}if(op = 'r' AND source.snapshot != 'incremental', 1, wal_position) AS version,
    -- Of rows that one statement wrote at one position; it is left out where it is 0.
    toUInt64OrZero(trim(BOTH ',]' FROM sequence_parts[-1])) AS ordinal,
    ${micros('source.ts_us')} AS committed_at,
    ${micros('ts_us')} AS captured_at,
    ifNull(toDateTime64(_timestamp_ms, 6, 'UTC'), ${micros('ts_us')}) AS queued_at,
    _topic AS topic,
    _partition AS partition,
    _offset AS offset,
    the_problem AS problem,
    message AS raw
FROM ${chIdent(database, queue)}`,
  };
}

/**
 * What no table of a queue stores: truncates, and messages that are no row of one of its tables. One
 * view picks them out; what becomes of them hangs behind its table, where ClickHouse does nothing for
 * a block that has none (a view costs something for every block that reaches it).
 */
export function exceptionsView(sharedQueue: SharedQueue): TargetObject {
  const { own, database, fanout, exceptionsMv } = sharedQueue.names;
  const routes = sharedQueue.tables.map((id) => chLiteral(routeOf(id)));
  const columns = EXCEPTION_COLUMNS.map(({ name }) => name);
  return {
    own,
    database,
    name: exceptionsMv,
    kind: 'materialized-view',
    create: `CREATE MATERIALIZED VIEW IF NOT EXISTS ${chIdent(database, exceptionsMv)} TO ${chIdent(own, CH_CDC.exceptions)} AS
SELECT ${columns.join(', ')}
FROM ${chIdent(database, fanout)}
WHERE op = 't' OR (route NOT IN (${routes.join(', ')}) AND NOT startsWith(route, '\\x1F'))`,
  };
}

const EXCEPTION_COLUMNS = [
  { name: 'route', type: 'String' },
  { name: 'op', type: 'String' },
  { name: 'image', type: 'String' },
  { name: 'message_key', type: 'String' },
  { name: 'version', type: 'UInt64' },
  { name: 'transaction_id', type: 'Nullable(UInt64)' },
  { name: 'committed_at', type: "DateTime64(6, 'UTC')" },
  { name: 'topic', type: 'LowCardinality(String)' },
  { name: 'partition', type: 'UInt64' },
  { name: 'offset', type: 'UInt64' },
  { name: 'problem', type: 'String' },
  { name: 'raw', type: 'String' },
] as const;

/** Where the exceptions of all queues go, and what is made of them; the views come after the table. */
export function exceptionObjects(own: string): TargetObject[] {
  const table = chIdent(own, CH_CDC.exceptions);
  const view = (target: string, select: string): TargetObject => ({
    own,
    database: own,
    name: `${target}_mv`,
    kind: 'materialized-view',
    create: `CREATE MATERIALIZED VIEW IF NOT EXISTS ${chIdent(own, `${target}_mv`)} TO ${chIdent(own, target)} AS
${select}`,
  });
  return [
    {
      own,
      database: own,
      name: CH_CDC.exceptions,
      kind: 'fanout',
      create: `CREATE TABLE IF NOT EXISTS ${table}
(
${EXCEPTION_COLUMNS.map(({ name, type }) => `    ${name} ${type}`).join(',\n')}
)
ENGINE = Null`,
    },
    // A truncate has no rows: its position is kept, and the table's view hides what is older. Rows that
    // the same transaction wrote before or after it have positions of their own on either side.
    view(
      CH_CDC.truncates,
      `SELECT
    splitByChar('\\x1F', route)[1] AS schema_name,
    splitByChar('\\x1F', route)[2] AS table_name,
    version,
    committed_at,
    ifNull(transaction_id, 0) AS transaction_id
FROM ${table}
WHERE op = 't' AND problem = ''`,
    ),
    view(
      CH_CDC.deadLetters,
      `SELECT
    topic, partition, offset,
    splitByChar('\\x1F', trim(LEADING '\\x1E' FROM route))[1] AS schema_name,
    splitByChar('\\x1F', route)[2] AS table_name,
    op, message_key AS key, image, raw, version,
    if(problem = '', '${LETTER_REASONS.no_table}', problem) AS reason
FROM ${table}
WHERE op != 't' OR problem != ''`,
    ),
  ];
}

/** Heartbeats are kept one by one, with the time of every stage. */
export function heartbeatView(sharedQueue: SharedQueue): TargetObject {
  const { own, database, fanout } = sharedQueue.names;
  const name = 'heartbeat_mv';
  return {
    own,
    database: own,
    name,
    kind: 'materialized-view',
    create: `CREATE MATERIALIZED VIEW IF NOT EXISTS ${chIdent(own, name)} TO ${chIdent(own, CH_CDC.heartbeats)} AS
SELECT JSONExtractInt(image, 'beat') AS beat, version, committed_at, captured_at, queued_at
FROM ${chIdent(database, fanout)}
WHERE route = ${chLiteral(routeOf(heartbeatOf(own)))} AND op IN ('c', 'u')`,
  };
}
