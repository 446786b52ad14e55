import { chIdent, chLiteral } from '../lib/sql.ts';
import { extraction, routeOf, type TablePlan, type TargetObject } from './ddl.ts';
import type { Lane } from './lanes.ts';
import { CH_CDC, HEARTBEAT } from './names.ts';
import { flushMs, type Profile } from './profiles.ts';

export interface QueueOptions {
  readonly brokers: string;
  readonly profile: Profile;
  readonly sasl?: { readonly username: string; readonly password: string } | undefined;
}

/** The Kafka engine table of a lane. Its columns are generic: no change of a table changes it. */
export function queueObject(lane: Lane, options: QueueOptions): TargetObject {
  const { database, queue, group } = lane.names;
  return kafkaTable(lane, options, { database, name: queue, group });
}

/**
 * A second reader of a lane's topics, once a second, which only looks for what no table can take.
 * Views are analysed anew for every block, and the checks of all values of all tables are too much
 * for a reader that is woken every few milliseconds.
 */
export function checkQueueObject(lane: Lane, options: QueueOptions): TargetObject {
  const { database, check, checkGroup } = lane.names;
  const profile = { ...options.profile, pollTimeoutMs: 1000, rescheduleMs: 500 };
  return kafkaTable(lane, { ...options, profile }, { database, name: check, group: checkGroup });
}

function kafkaTable(
  lane: Lane,
  options: QueueOptions,
  names: { database: string; name: string; group: string },
): TargetObject {
  const { profile, sasl } = options;
  const settings: Record<string, string | number> = {
    kafka_broker_list: options.brokers,
    kafka_topic_list: lane.topics.join(','),
    kafka_group_name: names.group,
    kafka_format: 'JSONEachRow',
    kafka_num_consumers: 1,
    kafka_thread_per_consumer: 1,
    kafka_handle_error_mode: 'stream',
    kafka_flush_interval_ms: flushMs(profile),
    kafka_poll_timeout_ms: profile.pollTimeoutMs,
    kafka_consumer_reschedule_ms: profile.rescheduleMs,
    kafka_max_block_size: profile.maxBlockSize,
    kafka_poll_max_batch_size: profile.maxBlockSize,
    input_format_json_read_objects_as_strings: 1,
    input_format_skip_unknown_fields: 1,
    ...(sasl
      ? {
          kafka_security_protocol: 'sasl_plaintext',
          kafka_sasl_mechanism: 'PLAIN',
          kafka_sasl_username: sasl.username,
          kafka_sasl_password: sasl.password,
        }
      : {}),
  };
  const lines = Object.entries(settings).map(
    ([key, value]) => `    ${key} = ${typeof value === 'number' ? value : chLiteral(value)}`,
  );
  return {
    database: names.database,
    name: names.name,
    kind: 'queue',
    create: `CREATE TABLE IF NOT EXISTS ${chIdent(names.database, names.name)}
(
    before Nullable(String),
    after Nullable(String),
    op String,
    source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64, txId Nullable(UInt64)),
    ts_us Int64
)
ENGINE = Kafka
SETTINGS
${lines.join(',\n')}`,
  };
}

/** Keeps nothing: the rows of a lane pass through it to the views of its tables. */
export function fanoutObject(lane: Lane): TargetObject {
  const { database, fanout } = lane.names;
  return {
    database,
    name: fanout,
    kind: 'fanout',
    create: `CREATE TABLE IF NOT EXISTS ${chIdent(database, fanout)}
(
    route String,
    op String,
    image String,
    before Nullable(String),
    message_key String,
    transaction_id Nullable(UInt64),
    version UInt64,
    committed_at DateTime64(6, 'UTC'),
    captured_at DateTime64(6, 'UTC'),
    queued_at DateTime64(6, 'UTC')
)
ENGINE = Null`,
  };
}

/** What both readers of a lane make of a message: its image, its position, and what is wrong with it. */
function messageAliases(toastPlaceholder: string): string {
  return `    if(op = 'd', ifNull(before, ''), ifNull(after, '')) AS the_image,
    toUInt64OrZero(splitByChar('"', source.sequence)[-2]) AS wal_position,
    -- Rows of a snapshot are older than any change since the slot was made.
    if(op = 'r' AND source.snapshot != 'incremental', 1, wal_position) AS row_version,
    multiIf(
        _error != '', concat('not JSON of the expected form: ', _error),
        op NOT IN ('c', 'u', 'r', 'd', 't'), concat('operation not known: ', op),
        the_image = '' AND op != 't', 'no image of the row',
        wal_position = 0, concat('no WAL position: ', source.sequence),
        '') AS problem,
    concat(source.schema, '\\x1F', source.table) AS table_route,
    -- The row was gone as its unchanged value was looked up: its delete follows.
    op != 'd' AND position(the_image, ${chLiteral(`"${toastPlaceholder}"`)}) > 0 AS is_incomplete,
    -- No table's, when there is a problem.
    multiIf(problem != '', '', is_incomplete, concat('\\x1F', table_route), table_route) AS the_route`;
}

/**
 * The one view on a Kafka engine table. It must not throw: an exception here makes ClickHouse read
 * the same block for ever.
 */
export function laneView(lane: Lane, toastPlaceholder: string): TargetObject {
  const { database, queue, fanout, mv } = lane.names;
  const micros = (value: string) => `fromUnixTimestamp64Micro(${value}, 'UTC')`;
  return {
    database,
    name: mv,
    kind: 'materialized-view',
    create: `CREATE MATERIALIZED VIEW IF NOT EXISTS ${chIdent(database, mv)} TO ${chIdent(database, fanout)} AS
WITH
${messageAliases(toastPlaceholder)}
SELECT
    the_route AS route,
    op,
    the_image AS image,
    before,
    _key AS message_key,
    source.txId AS transaction_id,
    row_version AS version,
    ${micros('source.ts_us')} AS committed_at,
    ${micros('ts_us')} AS captured_at,
    ifNull(toDateTime64(_timestamp_ms, 6, 'UTC'), ${micros('ts_us')}) AS queued_at
FROM ${chIdent(database, queue)}
WHERE the_route != ''`,
  };
}

/**
 * Everything of a lane that no table can take goes to the dead letters, with the reason: the first
 * condition of a list that holds. A multiIf would have ClickHouse read each image again for every
 * column, and copy it as often (misfitOf).
 */
export function checkView(
  lane: Lane,
  plans: readonly TablePlan[],
  toastPlaceholder: string,
): TargetObject {
  const { database, check, checkMv } = lane.names;
  const tables = plans.map((plan, i) => {
    const { belongs } = extraction(plan, '');
    return extraction(plan, '', { image: `if(${belongs}, image, '')`, suffix: `_${i}` });
  });
  return {
    database,
    name: checkMv,
    kind: 'materialized-view',
    create: `CREATE MATERIALIZED VIEW IF NOT EXISTS ${chIdent(database, checkMv)} TO ${chIdent(CH_CDC.database, CH_CDC.deadLetters)} AS
SELECT topic, partition, offset, schema_name, table_name, op, image, raw, version,
    [problem, '', 'no such table', 'a value does not fit its column', ''][indexOf([
        problem != '',
        op = 't' OR route IN ('', ${chLiteral(routeOf(HEARTBEAT))}),
        nth = 0,
        lost != 0,
        1], 1)] AS reason
FROM
(
    SELECT *,
        indexOf([${plans.map((plan) => chLiteral(routeOf(plan))).join(', ')}], route) AS nth,
        [
${tables.map((t) => `            ${t.misfit}`).join(',\n')}][nth] AS lost
    FROM
    (
        SELECT *,
${tables.map((t) => `            ${t.tuple}`).join(',\n')}
        FROM
        (
            WITH
${messageAliases(toastPlaceholder)}
            SELECT
                _topic AS topic,
                _partition AS partition,
                _offset AS offset,
                source.schema AS schema_name,
                source.table AS table_name,
                op,
                the_image AS image,
                if(_error != '', _raw_message, '') AS raw,
                row_version AS version,
                problem,
                if(is_incomplete, '', the_route) AS route
            FROM ${chIdent(database, check)}
        )
    )
)
WHERE reason != ''`,
  };
}

/**
 * A truncate has no rows: its position is kept, and the table's view hides what is older. Rows that
 * the same transaction wrote before or after it have positions of their own on either side.
 */
export function truncateView(lane: Lane): TargetObject {
  const { database, fanout, truncateMv } = lane.names;
  return {
    database,
    name: truncateMv,
    kind: 'materialized-view',
    create: `CREATE MATERIALIZED VIEW IF NOT EXISTS ${chIdent(database, truncateMv)} TO ${chIdent(CH_CDC.database, CH_CDC.truncates)} AS
SELECT
    splitByChar('\\x1F', route)[1] AS schema_name,
    splitByChar('\\x1F', route)[2] AS table_name,
    version,
    committed_at
FROM ${chIdent(database, fanout)}
WHERE op = 't'`,
  };
}

/** Heartbeats are kept one by one, with the time of every stage. */
export function heartbeatView(lane: Lane): TargetObject {
  const { database, fanout } = lane.names;
  const name = 'heartbeat_mv';
  return {
    database: CH_CDC.database,
    name,
    kind: 'materialized-view',
    create: `CREATE MATERIALIZED VIEW IF NOT EXISTS ${chIdent(CH_CDC.database, name)} TO ${chIdent(CH_CDC.database, CH_CDC.heartbeats)} AS
SELECT JSONExtractInt(image, 'beat') AS beat, version, committed_at, captured_at, queued_at
FROM ${chIdent(database, fanout)}
WHERE route = ${chLiteral(routeOf(HEARTBEAT))} AND op IN ('c', 'u')`,
  };
}
