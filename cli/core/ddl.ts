import { chIdent, chLiteral } from '../lib/sql.ts';
import { type ColumnPlan, misfitOf, planColumn } from './columns.ts';
import type { Lane } from './lanes.ts';
import { CH_CDC, HEARTBEAT, type TableId, type TargetNames } from './names.ts';
import type { Profile } from './profiles.ts';
import type { SourceTable } from './source.ts';

/** A source table together with everything its copy needs. */
export interface TablePlan extends TableId {
  readonly source: SourceTable;
  readonly names: TargetNames;
  readonly columns: readonly ColumnPlan[];
  /** Key columns, in the order of the key. */
  readonly key: readonly ColumnPlan[];
  readonly hasNullArrays: boolean;
}

/** Throws a RangeError when a type is not carried or there is no key; checks find those before. */
export function planTable(source: SourceTable, names: TargetNames): TablePlan {
  const columns = source.columns.map((column) => {
    const plan = planColumn(column);
    if (!plan) throw new RangeError(`type ${column.displayType} of ${column.name} is not carried`);
    return plan;
  });
  const key = source.key.map((name) => {
    const column = columns.find((c) => c.name === name);
    if (!column) throw new RangeError(`key column ${name} is missing`);
    return column;
  });
  if (key.length === 0) throw new RangeError('no key');
  return {
    schema: source.schema,
    table: source.table,
    source,
    names,
    columns,
    key,
    hasNullArrays: columns.some((c) => c.nullArray),
  };
}

/** An object in ClickHouse and the statement that makes it. */
export interface TargetObject {
  readonly database: string;
  readonly name: string;
  readonly kind: 'queue' | 'fanout' | 'storage' | 'view' | 'materialized-view';
  readonly create: string;
}

const qualified = (database: string, name: string) => chIdent(database, name);

/** Columns that every storage table has beside the source's. */
const SYSTEM_COLUMNS = [
  // The change's WAL position: a later change of a row always has a higher one.
  '_version UInt64 CODEC(Delta, ZSTD(1))',
  '_deleted UInt8 CODEC(ZSTD(1))',
  // When the change was committed in PostgreSQL and when it was written here, UTC.
  "_committed_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1))",
  "_written_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') CODEC(Delta, ZSTD(1))",
] as const;

export function storageObject(plan: TablePlan): TargetObject {
  const { database, final } = plan.names;
  const columns = [
    ...plan.columns.map((c) => `${chIdent(c.name)} ${c.type}`),
    ...(plan.hasNullArrays ? ['_nulls Array(LowCardinality(String))'] : []),
    ...SYSTEM_COLUMNS,
  ];
  return {
    database,
    name: final,
    kind: 'storage',
    create: `CREATE TABLE IF NOT EXISTS ${qualified(database, final)}
(
${columns.map((c) => `    ${c}`).join(',\n')}
)
ENGINE = ReplacingMergeTree(_version)
ORDER BY (${plan.key.map((c) => chIdent(c.name)).join(', ')})`,
  };
}

/** What people query: the latest version of every row that still exists. */
export function viewObject(plan: TablePlan): TargetObject {
  const { database, final, view } = plan.names;
  const columns = [
    ...plan.columns.map((c) => chIdent(c.name)),
    ...(plan.hasNullArrays ? ['_nulls'] : []),
  ];
  return {
    database,
    name: view,
    kind: 'view',
    create: `CREATE OR REPLACE VIEW ${qualified(database, view)} AS
SELECT ${columns.join(', ')}
FROM ${qualified(database, final)} FINAL
WHERE _deleted = 0`,
  };
}

/**
 * Names inside a table's view. Its columns are aliases there, and an alias wins over a column of
 * the same name: what the view reads is named as no column is.
 */
const ROW = '__cdc_row';
const TUPLE = '__cdc_tuple';

/** Expressions shared by a table's view and its dead letters; `row` qualifies the lane's columns. */
function extraction(plan: TablePlan, row: string, tupleName?: string) {
  const wire = plan.columns.map((c) => `${chIdent(c.name)} ${c.wire}`).join(', ');
  const image = `${row}image`;
  const tuple = `JSONExtract(${image}, ${chLiteral(`Tuple(${wire})`)})`;
  // By position: names may hold any character.
  const element = (column: ColumnPlan) =>
    `tupleElement(${tupleName ?? tuple}, ${plan.columns.indexOf(column) + 1})`;
  return {
    image,
    tuple,
    element,
    belongs: `${row}route = ${chLiteral(routeOf(plan))}`,
    // A delete carries the key only (unless the replica identity is full), so only it must fit.
    misfit: `if(${row}op = 'd', ${misfitOf(plan.key, element, image)}, ${misfitOf(plan.columns, element, image)})`,
  };
}

/** Names a table among a lane's rows; the separator is in no name that people type. */
function routeOf(id: TableId): string {
  return `${id.schema}\u001f${id.table}`;
}

/** From the lane's rows into storage: typed columns, the version, the mark of a delete. */
export function tableView(plan: TablePlan, lane: Lane): TargetObject {
  const { database, final, mv } = plan.names;
  const { image, tuple, element, belongs, misfit } = extraction(plan, `${ROW}.`, TUPLE);
  // What a delete does not carry becomes the type's default; nobody sees it.
  const columns = plan.columns.map(
    (c) => `    ${c.fromWire(element(c), image)} AS ${chIdent(c.name)}`,
  );
  const nulls = plan.columns.filter((c) => c.nullArray);
  if (nulls.length > 0) {
    const marks = nulls.map(
      (c) => `if(JSONType(${image}, ${chLiteral(c.name)}) = 'Null', ${chLiteral(c.name)}, '')`,
    );
    columns.push(`    arrayFilter(n -> n != '', [${marks.join(', ')}]) AS _nulls`);
  }
  return {
    database,
    name: mv,
    kind: 'materialized-view',
    create: `CREATE MATERIALIZED VIEW IF NOT EXISTS ${qualified(database, mv)} TO ${qualified(database, final)} AS
WITH ${tuple} AS ${TUPLE}
SELECT
${columns.join(',\n')},
    ${ROW}.version AS _version,
    ${ROW}.op = 'd' AS _deleted,
    ${ROW}.committed_at AS _committed_at
FROM ${qualified(lane.names.database, lane.names.fanout)} AS ${ROW}
WHERE ${belongs} AND NOT (${misfit})`,
  };
}

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
  const profile = { ...options.profile, flushMs: 1000, pollTimeoutMs: 500, rescheduleMs: 500 };
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
    kafka_flush_interval_ms: profile.flushMs,
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
    create: `CREATE TABLE IF NOT EXISTS ${qualified(names.database, names.name)}
(
    before Nullable(String),
    after Nullable(String),
    op String,
    source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64),
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
    create: `CREATE TABLE IF NOT EXISTS ${qualified(database, fanout)}
(
    route String,
    op String,
    image String,
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
        op NOT IN ('c', 'u', 'r', 'd'), concat('operation not known: ', op),
        the_image = '', 'no image of the row',
        wal_position = 0, concat('no WAL position: ', source.sequence),
        '') AS problem,
    -- No table's, when there is a problem; nor when the row was gone as its unchanged value was
    -- looked up: then its delete follows.
    if(problem != '' OR (op != 'd' AND position(the_image, ${chLiteral(`"${toastPlaceholder}"`)}) > 0), '', concat(source.schema, '\\x1F', source.table)) AS the_route`;
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
    create: `CREATE MATERIALIZED VIEW IF NOT EXISTS ${qualified(database, mv)} TO ${qualified(database, fanout)} AS
WITH
${messageAliases(toastPlaceholder)}
SELECT
    the_route AS route,
    op,
    the_image AS image,
    row_version AS version,
    ${micros('source.ts_us')} AS committed_at,
    ${micros('ts_us')} AS captured_at,
    ifNull(toDateTime64(_timestamp_ms, 6, 'UTC'), ${micros('ts_us')}) AS queued_at
FROM ${qualified(database, queue)}
WHERE the_route != ''`,
  };
}

/** Everything of a lane that no table can take goes to the dead letters, with the reason. */
export function checkView(
  lane: Lane,
  plans: readonly TablePlan[],
  toastPlaceholder: string,
): TargetObject {
  const { database, check, checkMv } = lane.names;
  const tuples = plans.map((plan, i) => {
    const { belongs, tuple } = extraction(plan, '');
    return `        ${tuple.replace('(image,', `(if(${belongs}, image, ''),`)} AS ${TUPLE}_${i}`;
  });
  const cases = plans.map((plan, i) => {
    const { belongs, misfit } = extraction(plan, '', `${TUPLE}_${i}`);
    return `        ${belongs}, if(${misfit}, 'a value does not fit its column', ''),`;
  });
  return {
    database,
    name: checkMv,
    kind: 'materialized-view',
    create: `CREATE MATERIALIZED VIEW IF NOT EXISTS ${qualified(database, checkMv)} TO ${qualified(CH_CDC.database, CH_CDC.deadLetters)} AS
SELECT topic, partition, offset, schema_name, table_name, op, image, raw, version,
    multiIf(
        problem != '', problem,
        route = '', '',
${cases.join('\n')}
        'no such table') AS reason
FROM
(
    SELECT *,
${tuples.join(',\n')}
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
            the_route AS route
        FROM ${qualified(database, check)}
    )
)
WHERE reason != ''`,
  };
}

/** Tables of our own: dead letters, progress of loads, the heartbeats that arrived. */
export function ownTables(): TargetObject[] {
  const object = (name: string, body: string): TargetObject => ({
    database: CH_CDC.database,
    name,
    kind: 'storage',
    create: `CREATE TABLE IF NOT EXISTS ${qualified(CH_CDC.database, name)}\n${body}`,
  });
  return [
    object(
      CH_CDC.deadLetters,
      `(
    topic LowCardinality(String),
    partition UInt64,
    offset UInt64,
    schema_name String,
    table_name String,
    op LowCardinality(String),
    image String,
    raw String,
    version UInt64,
    reason String,
    arrived_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset)`,
    ),
    object(
      CH_CDC.loads,
      `(
    schema_name String,
    table_name String,
    floor UInt64,
    chunk String,
    state LowCardinality(String),
    rows UInt64,
    at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (schema_name, table_name, floor, chunk)`,
    ),
    object(
      CH_CDC.heartbeats,
      `(
    beat Int64,
    version UInt64,
    committed_at DateTime64(6, 'UTC'),
    captured_at DateTime64(6, 'UTC'),
    queued_at DateTime64(6, 'UTC'),
    written_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC')
)
ENGINE = MergeTree
ORDER BY committed_at
TTL toDateTime(committed_at) + INTERVAL 1 DAY`,
    ),
  ];
}

/** Heartbeats are kept one by one, with the time of every stage. */
export function heartbeatView(lane: Lane): TargetObject {
  const { database, fanout } = lane.names;
  const name = 'heartbeat_mv';
  return {
    database: CH_CDC.database,
    name,
    kind: 'materialized-view',
    create: `CREATE MATERIALIZED VIEW IF NOT EXISTS ${qualified(CH_CDC.database, name)} TO ${qualified(CH_CDC.database, CH_CDC.heartbeats)} AS
SELECT JSONExtractInt(image, 'beat') AS beat, version, committed_at, captured_at, queued_at
FROM ${qualified(database, fanout)}
WHERE route = ${chLiteral(routeOf(HEARTBEAT))} AND op IN ('c', 'u')`,
  };
}
