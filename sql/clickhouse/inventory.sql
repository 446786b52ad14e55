-- What cdc makes in ClickHouse for the inventory example. Generated: npm run generate.
-- Credentials for Kafka stand in the server's configuration.

CREATE DATABASE IF NOT EXISTS `cdc`;

CREATE DATABASE IF NOT EXISTS `inventory`;

CREATE TABLE IF NOT EXISTS `cdc`.`dead_letters`
(
    topic LowCardinality(String),
    partition UInt64,
    offset UInt64,
    schema_name String,
    table_name String,
    op LowCardinality(String),
    key String,
    image String,
    raw String,
    version UInt64,
    reason String,
    arrived_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset)
COMMENT 'cdc storage 5a24448b5517d9a2';

CREATE TABLE IF NOT EXISTS `cdc`.`loads`
(
    schema_name String,
    table_name String,
    floor UInt64,
    chunk String,
    state LowCardinality(String),
    rows UInt64,
    at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (schema_name, table_name, floor, chunk)
COMMENT 'cdc storage 2a2ab5bad91269af';

CREATE TABLE IF NOT EXISTS `cdc`.`truncates`
(
    schema_name String,
    table_name String,
    version UInt64,
    committed_at DateTime64(6, 'UTC'),
    transaction_id UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (schema_name, table_name)
COMMENT 'cdc storage 8d70bc77ebf2cebf';

CREATE TABLE IF NOT EXISTS `cdc`.`generations`
(
    schema_name String,
    table_name String,
    generation UInt64,
    seen UInt64,
    after UInt64,
    xmax UInt64,
    xips Array(UInt64),
    at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(generation)
ORDER BY (schema_name, table_name)
COMMENT 'cdc storage 0138710dadcf9bf6';

CREATE TABLE IF NOT EXISTS `cdc`.`history`
(
    at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    by LowCardinality(String),
    changes Array(String),
    statements Array(String),
    seconds Float64,
    result String
)
ENGINE = MergeTree
ORDER BY at
COMMENT 'cdc storage 5fd2f0dc3cf8ee2a';

CREATE TABLE IF NOT EXISTS `cdc`.`verifications`
(
    at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    ok Bool,
    flowing Bool,
    tables Array(String),
    captured UInt32,
    differing Array(String),
    rows UInt64,
    sampled Float64,
    seconds Float64
)
ENGINE = MergeTree
ORDER BY at
TTL toDateTime(at) + INTERVAL 1 YEAR
COMMENT 'cdc storage ac3e90633cbc8762';

CREATE TABLE IF NOT EXISTS `cdc`.`heartbeats`
(
    beat Int64,
    version UInt64,
    committed_at DateTime64(6, 'UTC'),
    captured_at DateTime64(6, 'UTC'),
    queued_at DateTime64(6, 'UTC'),
    written_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC')
)
ENGINE = MergeTree
ORDER BY committed_at
TTL toDateTime(committed_at) + INTERVAL 1 DAY
COMMENT 'cdc storage 065ee89c2f35aa30';

CREATE TABLE IF NOT EXISTS `cdc`.`exceptions`
(
    route String,
    op String,
    image String,
    message_key String,
    version UInt64,
    transaction_id Nullable(UInt64),
    committed_at DateTime64(6, 'UTC'),
    topic LowCardinality(String),
    partition UInt64,
    offset UInt64,
    problem String,
    raw String
)
ENGINE = Null
COMMENT 'cdc fanout 0acdecacda9cd8a7';

CREATE MATERIALIZED VIEW IF NOT EXISTS `cdc`.`truncates_mv` TO `cdc`.`truncates` AS
SELECT
    splitByChar('\x1F', route)[1] AS schema_name,
    splitByChar('\x1F', route)[2] AS table_name,
    version,
    committed_at,
    ifNull(transaction_id, 0) AS transaction_id
FROM `cdc`.`exceptions`
WHERE op = 't' AND problem = ''
COMMENT 'cdc materialized-view c27451c21d8134b4';

CREATE MATERIALIZED VIEW IF NOT EXISTS `cdc`.`dead_letters_mv` TO `cdc`.`dead_letters` AS
SELECT
    topic, partition, offset,
    splitByChar('\x1F', trim(LEADING '\x1E' FROM route))[1] AS schema_name,
    splitByChar('\x1F', route)[2] AS table_name,
    op, message_key AS key, image, raw, version,
    if(problem = '', 'no such table', problem) AS reason
FROM `cdc`.`exceptions`
WHERE op != 't' OR problem != ''
COMMENT 'cdc materialized-view f3b015f4955a683a';

CREATE TABLE IF NOT EXISTS `inventory`.`customers_final`
(
    `id` Int32,
    `first_name` String,
    `last_name` String,
    `email` String,
    _exact Map(String, Nullable(String)),
    _version UInt64 CODEC(Delta, ZSTD(1)),
    _deleted UInt8 CODEC(ZSTD(1)),
    _committed_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    _written_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(_version)
ORDER BY (`id`)
COMMENT 'cdc storage b854694eae7873ee';

CREATE OR REPLACE VIEW `inventory`.`customers`
(
    `id` Int32,
    `first_name` String,
    `last_name` String,
    `email` String,
    _exact Map(String, Nullable(String)) MATERIALIZED map()
) AS
SELECT `id`, `first_name`, `last_name`, `email`, _exact
FROM `inventory`.`customers_final` FINAL
WHERE _deleted = 0 AND _version > (SELECT max(version) FROM `cdc`.`truncates` WHERE schema_name = 'inventory' AND table_name = 'customers')
COMMENT 'cdc view 92bae165caea9177';

CREATE TABLE IF NOT EXISTS `inventory`.`orders_final`
(
    `id` Int32,
    `order_date` Date32,
    `purchaser` Int32,
    `quantity` Int32,
    `product_id` Int32,
    _exact Map(String, Nullable(String)),
    _version UInt64 CODEC(Delta, ZSTD(1)),
    _deleted UInt8 CODEC(ZSTD(1)),
    _committed_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    _written_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(_version)
ORDER BY (`id`)
COMMENT 'cdc storage 2e5502d53c01d445';

CREATE OR REPLACE VIEW `inventory`.`orders`
(
    `id` Int32,
    `order_date` Date32,
    `purchaser` Int32,
    `quantity` Int32,
    `product_id` Int32,
    _exact Map(String, Nullable(String)) MATERIALIZED map()
) AS
SELECT `id`, `order_date`, `purchaser`, `quantity`, `product_id`, _exact
FROM `inventory`.`orders_final` FINAL
WHERE _deleted = 0 AND _version > (SELECT max(version) FROM `cdc`.`truncates` WHERE schema_name = 'inventory' AND table_name = 'orders')
COMMENT 'cdc view 377bc20f87722166';

CREATE TABLE IF NOT EXISTS `inventory`.`products_final`
(
    `id` Int32,
    `name` String,
    `description` Nullable(String),
    `weight` Nullable(Float64),
    _exact Map(String, Nullable(String)),
    _version UInt64 CODEC(Delta, ZSTD(1)),
    _deleted UInt8 CODEC(ZSTD(1)),
    _committed_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    _written_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(_version)
ORDER BY (`id`)
COMMENT 'cdc storage a8f7bedafc55e3b7';

CREATE OR REPLACE VIEW `inventory`.`products`
(
    `id` Int32,
    `name` String,
    `description` Nullable(String),
    `weight` Nullable(Float64),
    _exact Map(String, Nullable(String)) MATERIALIZED map()
) AS
SELECT `id`, `name`, `description`, `weight`, _exact
FROM `inventory`.`products_final` FINAL
WHERE _deleted = 0 AND _version > (SELECT max(version) FROM `cdc`.`truncates` WHERE schema_name = 'inventory' AND table_name = 'products')
COMMENT 'cdc view 8af8a5c743809a0e';

CREATE TABLE IF NOT EXISTS `inventory`.`products_on_hand_final`
(
    `product_id` Int32,
    `quantity` Int32,
    _exact Map(String, Nullable(String)),
    _version UInt64 CODEC(Delta, ZSTD(1)),
    _deleted UInt8 CODEC(ZSTD(1)),
    _committed_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    _written_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(_version)
ORDER BY (`product_id`)
COMMENT 'cdc storage 463484b1e7f487a1';

CREATE OR REPLACE VIEW `inventory`.`products_on_hand`
(
    `product_id` Int32,
    `quantity` Int32,
    _exact Map(String, Nullable(String)) MATERIALIZED map()
) AS
SELECT `product_id`, `quantity`, _exact
FROM `inventory`.`products_on_hand_final` FINAL
WHERE _deleted = 0 AND _version > (SELECT max(version) FROM `cdc`.`truncates` WHERE schema_name = 'inventory' AND table_name = 'products_on_hand')
COMMENT 'cdc view 8a0c2e90a9466885';

CREATE TABLE IF NOT EXISTS `cdc`.`heartbeat_queue_rows`
(
    route String,
    op String,
    image String,
    before Nullable(String),
    message_key String,
    transaction_id Nullable(UInt64),
    version UInt64,
    ordinal UInt64,
    committed_at DateTime64(6, 'UTC'),
    captured_at DateTime64(6, 'UTC'),
    queued_at DateTime64(6, 'UTC'),
    topic LowCardinality(String),
    partition UInt64,
    offset UInt64,
    problem String,
    raw String
)
ENGINE = Null
COMMENT 'cdc fanout b79b5d163ec6e92f';

CREATE MATERIALIZED VIEW IF NOT EXISTS `cdc`.`heartbeat_exceptions_mv` TO `cdc`.`exceptions` AS
SELECT route, op, image, message_key, version, transaction_id, committed_at, topic, partition, offset, problem, raw
FROM `cdc`.`heartbeat_queue_rows`
WHERE op = 't' OR (route NOT IN ('cdc\x1Fheartbeat') AND NOT startsWith(route, '\x1F'))
COMMENT 'cdc materialized-view 0a20bc19a4af1d3f';

CREATE MATERIALIZED VIEW IF NOT EXISTS `cdc`.`heartbeat_mv` TO `cdc`.`heartbeats` AS
SELECT JSONExtractInt(image, 'beat') AS beat, version, committed_at, captured_at, queued_at
FROM `cdc`.`heartbeat_queue_rows`
WHERE route = 'cdc\x1Fheartbeat' AND op IN ('c', 'u')
COMMENT 'cdc materialized-view cc219dcbfb589231';

CREATE TABLE IF NOT EXISTS `cdc`.`heartbeat_queue`
(
    message String
)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'kafka:9092',
    kafka_topic_list = 'postgres-server.cdc.heartbeat',
    kafka_group_name = 'clickhouse-group.cdc.heartbeat',
    kafka_format = 'RawBLOB',
    kafka_num_consumers = 1,
    kafka_thread_per_consumer = 1,
    kafka_flush_interval_ms = 15,
    kafka_poll_timeout_ms = 20,
    kafka_consumer_reschedule_ms = 50,
    kafka_max_block_size = 65536,
    kafka_poll_max_batch_size = 65536
COMMENT 'cdc queue e7de90357b077aea';

CREATE MATERIALIZED VIEW IF NOT EXISTS `cdc`.`heartbeat_queue_mv` TO `cdc`.`heartbeat_queue_rows` AS
WITH
    -- Of what is no JSON, or not such, it has empty texts, zeros and NULL.
    JSONExtract(message, 'Tuple(before Nullable(String), after Nullable(String), op String, source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64, txId Nullable(UInt64)), ts_us Int64)') AS the_change,
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
        op = '', 'not JSON of the expected form',
        is_large, concat('its row is larger than a message can be: ', op),
        is_unread, concat('a value of its row could not be read in PostgreSQL: ', op),
        op NOT IN ('c', 'u', 'r', 'd', 't'), concat('operation not known: ', op),
        the_image = '' AND op != 't', 'no image of the row',
        wal_position = 0, concat('no WAL position: ', source.sequence),
        '') AS the_problem,
    concat(source.schema, '\x1F', source.table) AS table_route,
    -- The row was gone as its unchanged value was looked up: its delete follows.
    op != 'd' AND position(the_image, '"__cdc_unavailable"') > 0 AS is_incomplete
SELECT
    multiIf(the_problem != '', concat('\x1E', table_route), is_incomplete, concat('\x1F', table_route), table_route) AS route,
    op,
    the_image AS image,
    before,
    _key AS message_key,
    source.txId AS transaction_id,
    -- Rows of a snapshot are older than any change since the slot was made.
    if(op = 'r' AND source.snapshot != 'incremental', 1, wal_position) AS version,
    -- Of rows that one statement wrote at one position; it is left out where it is 0.
    toUInt64OrZero(trim(BOTH ',]' FROM sequence_parts[-1])) AS ordinal,
    fromUnixTimestamp64Micro(source.ts_us, 'UTC') AS committed_at,
    fromUnixTimestamp64Micro(ts_us, 'UTC') AS captured_at,
    ifNull(toDateTime64(_timestamp_ms, 6, 'UTC'), fromUnixTimestamp64Micro(ts_us, 'UTC')) AS queued_at,
    _topic AS topic,
    _partition AS partition,
    _offset AS offset,
    the_problem AS problem,
    message AS raw
FROM `cdc`.`heartbeat_queue`
COMMENT 'cdc materialized-view b1a7e5db7f016170';

CREATE TABLE IF NOT EXISTS `inventory`.`customers_queue_rows`
(
    route String,
    op String,
    image String,
    before Nullable(String),
    message_key String,
    transaction_id Nullable(UInt64),
    version UInt64,
    ordinal UInt64,
    committed_at DateTime64(6, 'UTC'),
    captured_at DateTime64(6, 'UTC'),
    queued_at DateTime64(6, 'UTC'),
    topic LowCardinality(String),
    partition UInt64,
    offset UInt64,
    problem String,
    raw String
)
ENGINE = Null
COMMENT 'cdc fanout e19d9ddcf5f15393';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`customers_mv` TO `inventory`.`customers_final` AS
WITH JSONExtract(__cdc_row.image, 'Tuple(`id` Nullable(Int32), `first_name` Nullable(String), `last_name` Nullable(String), `email` Nullable(String))') AS __cdc_tuple
SELECT
    assumeNotNull(tupleElement(__cdc_tuple, 1)) AS `id`,
    assumeNotNull(tupleElement(__cdc_tuple, 2)) AS `first_name`,
    assumeNotNull(tupleElement(__cdc_tuple, 3)) AS `last_name`,
    assumeNotNull(tupleElement(__cdc_tuple, 4)) AS `email`,
    CAST(map(), 'Map(String, Nullable(String))') AS _exact,
    if(__cdc_row.op = 'r', 1, __cdc_row.version) AS _version,
    __cdc_row.op = 'd' AS _deleted,
    __cdc_row.committed_at AS _committed_at
FROM `inventory`.`customers_queue_rows` AS __cdc_row
WHERE __cdc_row.route = 'inventory\x1Fcustomers'
COMMENT 'cdc materialized-view 5518b2e6d09ac214';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`customers_exceptions_mv` TO `cdc`.`exceptions` AS
SELECT route, op, image, message_key, version, transaction_id, committed_at, topic, partition, offset, problem, raw
FROM `inventory`.`customers_queue_rows`
WHERE op = 't' OR (route NOT IN ('inventory\x1Fcustomers') AND NOT startsWith(route, '\x1F'))
COMMENT 'cdc materialized-view 0df7af1205969c54';

CREATE TABLE IF NOT EXISTS `inventory`.`customers_queue`
(
    message String
)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'kafka:9092',
    kafka_topic_list = 'postgres-server.inventory.customers',
    kafka_group_name = 'clickhouse-group.inventory.customers',
    kafka_format = 'RawBLOB',
    kafka_num_consumers = 1,
    kafka_thread_per_consumer = 1,
    kafka_flush_interval_ms = 15,
    kafka_poll_timeout_ms = 20,
    kafka_consumer_reschedule_ms = 50,
    kafka_max_block_size = 65536,
    kafka_poll_max_batch_size = 65536
COMMENT 'cdc queue 5d83a65023abb920';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`customers_queue_mv` TO `inventory`.`customers_queue_rows` AS
WITH
    -- Of what is no JSON, or not such, it has empty texts, zeros and NULL.
    JSONExtract(message, 'Tuple(before Nullable(String), after Nullable(String), op String, source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64, txId Nullable(UInt64)), ts_us Int64)') AS the_change,
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
        op = '', 'not JSON of the expected form',
        is_large, concat('its row is larger than a message can be: ', op),
        is_unread, concat('a value of its row could not be read in PostgreSQL: ', op),
        op NOT IN ('c', 'u', 'r', 'd', 't'), concat('operation not known: ', op),
        the_image = '' AND op != 't', 'no image of the row',
        wal_position = 0, concat('no WAL position: ', source.sequence),
        '') AS the_problem,
    concat(source.schema, '\x1F', source.table) AS table_route,
    -- The row was gone as its unchanged value was looked up: its delete follows.
    op != 'd' AND position(the_image, '"__cdc_unavailable"') > 0 AS is_incomplete
SELECT
    multiIf(the_problem != '', concat('\x1E', table_route), is_incomplete, concat('\x1F', table_route), table_route) AS route,
    op,
    the_image AS image,
    before,
    _key AS message_key,
    source.txId AS transaction_id,
    -- Rows of a snapshot are older than any change since the slot was made.
    if(op = 'r' AND source.snapshot != 'incremental', 1, wal_position) AS version,
    -- Of rows that one statement wrote at one position; it is left out where it is 0.
    toUInt64OrZero(trim(BOTH ',]' FROM sequence_parts[-1])) AS ordinal,
    fromUnixTimestamp64Micro(source.ts_us, 'UTC') AS committed_at,
    fromUnixTimestamp64Micro(ts_us, 'UTC') AS captured_at,
    ifNull(toDateTime64(_timestamp_ms, 6, 'UTC'), fromUnixTimestamp64Micro(ts_us, 'UTC')) AS queued_at,
    _topic AS topic,
    _partition AS partition,
    _offset AS offset,
    the_problem AS problem,
    message AS raw
FROM `inventory`.`customers_queue`
COMMENT 'cdc materialized-view 1cb20df7dd677108';

CREATE TABLE IF NOT EXISTS `inventory`.`orders_queue_rows`
(
    route String,
    op String,
    image String,
    before Nullable(String),
    message_key String,
    transaction_id Nullable(UInt64),
    version UInt64,
    ordinal UInt64,
    committed_at DateTime64(6, 'UTC'),
    captured_at DateTime64(6, 'UTC'),
    queued_at DateTime64(6, 'UTC'),
    topic LowCardinality(String),
    partition UInt64,
    offset UInt64,
    problem String,
    raw String
)
ENGINE = Null
COMMENT 'cdc fanout 24664cec8b8db3fd';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`orders_mv` TO `inventory`.`orders_final` AS
WITH JSONExtract(__cdc_row.image, 'Tuple(`id` Nullable(Int32), `order_date` Nullable(String), `purchaser` Nullable(Int32), `quantity` Nullable(Int32), `product_id` Nullable(Int32))') AS __cdc_tuple,
    toDate32OrNull(extract(tupleElement(__cdc_tuple, 2), '^(?:19|20|21|22)\\d\\d-\\d\\d-\\d\\d$')) AS __cdc_parsed_1,
    (isNull(__cdc_parsed_1) > isNull(tupleElement(__cdc_tuple, 2))) AS __cdc_unfit_1
SELECT
    assumeNotNull(tupleElement(__cdc_tuple, 1)) AS `id`,
    assumeNotNull(if(isNull(__cdc_parsed_1), multiIf(isNull(tupleElement(__cdc_tuple, 2)), NULL, match(tupleElement(__cdc_tuple, 2), '^-|BC$|^(?:0\\d|1[0-8])\\d\\d-'), toDate32('1900-01-01'), toDate32('2299-12-31')), __cdc_parsed_1)) AS `order_date`,
    assumeNotNull(tupleElement(__cdc_tuple, 3)) AS `purchaser`,
    assumeNotNull(tupleElement(__cdc_tuple, 4)) AS `quantity`,
    assumeNotNull(tupleElement(__cdc_tuple, 5)) AS `product_id`,
    if((__cdc_unfit_1) = 0, CAST(map(), 'Map(String, Nullable(String))'), CAST(arrayFilter(x -> x.1 != '', [(if(__cdc_unfit_1 != 0, 'order_date', ''), tupleElement(__cdc_tuple, 2))]), 'Map(String, Nullable(String))')) AS _exact,
    if(__cdc_row.op = 'r', 1, __cdc_row.version) AS _version,
    __cdc_row.op = 'd' AS _deleted,
    __cdc_row.committed_at AS _committed_at
FROM `inventory`.`orders_queue_rows` AS __cdc_row
WHERE __cdc_row.route = 'inventory\x1Forders'
COMMENT 'cdc materialized-view 319779d910377909';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`orders_exceptions_mv` TO `cdc`.`exceptions` AS
SELECT route, op, image, message_key, version, transaction_id, committed_at, topic, partition, offset, problem, raw
FROM `inventory`.`orders_queue_rows`
WHERE op = 't' OR (route NOT IN ('inventory\x1Forders') AND NOT startsWith(route, '\x1F'))
COMMENT 'cdc materialized-view 6aa5610c204dbfce';

CREATE TABLE IF NOT EXISTS `inventory`.`orders_queue`
(
    message String
)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'kafka:9092',
    kafka_topic_list = 'postgres-server.inventory.orders',
    kafka_group_name = 'clickhouse-group.inventory.orders',
    kafka_format = 'RawBLOB',
    kafka_num_consumers = 1,
    kafka_thread_per_consumer = 1,
    kafka_flush_interval_ms = 15,
    kafka_poll_timeout_ms = 20,
    kafka_consumer_reschedule_ms = 50,
    kafka_max_block_size = 65536,
    kafka_poll_max_batch_size = 65536
COMMENT 'cdc queue 38f70dbc22c6a421';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`orders_queue_mv` TO `inventory`.`orders_queue_rows` AS
WITH
    -- Of what is no JSON, or not such, it has empty texts, zeros and NULL.
    JSONExtract(message, 'Tuple(before Nullable(String), after Nullable(String), op String, source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64, txId Nullable(UInt64)), ts_us Int64)') AS the_change,
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
        op = '', 'not JSON of the expected form',
        is_large, concat('its row is larger than a message can be: ', op),
        is_unread, concat('a value of its row could not be read in PostgreSQL: ', op),
        op NOT IN ('c', 'u', 'r', 'd', 't'), concat('operation not known: ', op),
        the_image = '' AND op != 't', 'no image of the row',
        wal_position = 0, concat('no WAL position: ', source.sequence),
        '') AS the_problem,
    concat(source.schema, '\x1F', source.table) AS table_route,
    -- The row was gone as its unchanged value was looked up: its delete follows.
    op != 'd' AND position(the_image, '"__cdc_unavailable"') > 0 AS is_incomplete
SELECT
    multiIf(the_problem != '', concat('\x1E', table_route), is_incomplete, concat('\x1F', table_route), table_route) AS route,
    op,
    the_image AS image,
    before,
    _key AS message_key,
    source.txId AS transaction_id,
    -- Rows of a snapshot are older than any change since the slot was made.
    if(op = 'r' AND source.snapshot != 'incremental', 1, wal_position) AS version,
    -- Of rows that one statement wrote at one position; it is left out where it is 0.
    toUInt64OrZero(trim(BOTH ',]' FROM sequence_parts[-1])) AS ordinal,
    fromUnixTimestamp64Micro(source.ts_us, 'UTC') AS committed_at,
    fromUnixTimestamp64Micro(ts_us, 'UTC') AS captured_at,
    ifNull(toDateTime64(_timestamp_ms, 6, 'UTC'), fromUnixTimestamp64Micro(ts_us, 'UTC')) AS queued_at,
    _topic AS topic,
    _partition AS partition,
    _offset AS offset,
    the_problem AS problem,
    message AS raw
FROM `inventory`.`orders_queue`
COMMENT 'cdc materialized-view 6bee1021d04d2400';

CREATE TABLE IF NOT EXISTS `inventory`.`products_queue_rows`
(
    route String,
    op String,
    image String,
    before Nullable(String),
    message_key String,
    transaction_id Nullable(UInt64),
    version UInt64,
    ordinal UInt64,
    committed_at DateTime64(6, 'UTC'),
    captured_at DateTime64(6, 'UTC'),
    queued_at DateTime64(6, 'UTC'),
    topic LowCardinality(String),
    partition UInt64,
    offset UInt64,
    problem String,
    raw String
)
ENGINE = Null
COMMENT 'cdc fanout bb3c21a05fbcda5d';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`products_mv` TO `inventory`.`products_final` AS
WITH JSONExtract(__cdc_row.image, 'Tuple(`id` Nullable(Int32), `name` Nullable(String), `description` Nullable(String), `weight` Nullable(Float64))') AS __cdc_tuple
SELECT
    assumeNotNull(tupleElement(__cdc_tuple, 1)) AS `id`,
    assumeNotNull(tupleElement(__cdc_tuple, 2)) AS `name`,
    tupleElement(__cdc_tuple, 3) AS `description`,
    tupleElement(__cdc_tuple, 4) AS `weight`,
    CAST(map(), 'Map(String, Nullable(String))') AS _exact,
    if(__cdc_row.op = 'r', 1, __cdc_row.version) AS _version,
    __cdc_row.op = 'd' AS _deleted,
    __cdc_row.committed_at AS _committed_at
FROM `inventory`.`products_queue_rows` AS __cdc_row
WHERE __cdc_row.route = 'inventory\x1Fproducts'
COMMENT 'cdc materialized-view 2666f6855550f676';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`products_exceptions_mv` TO `cdc`.`exceptions` AS
SELECT route, op, image, message_key, version, transaction_id, committed_at, topic, partition, offset, problem, raw
FROM `inventory`.`products_queue_rows`
WHERE op = 't' OR (route NOT IN ('inventory\x1Fproducts') AND NOT startsWith(route, '\x1F'))
COMMENT 'cdc materialized-view 49e7eab6dd9d201c';

CREATE TABLE IF NOT EXISTS `inventory`.`products_queue`
(
    message String
)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'kafka:9092',
    kafka_topic_list = 'postgres-server.inventory.products',
    kafka_group_name = 'clickhouse-group.inventory.products',
    kafka_format = 'RawBLOB',
    kafka_num_consumers = 1,
    kafka_thread_per_consumer = 1,
    kafka_flush_interval_ms = 15,
    kafka_poll_timeout_ms = 20,
    kafka_consumer_reschedule_ms = 50,
    kafka_max_block_size = 65536,
    kafka_poll_max_batch_size = 65536
COMMENT 'cdc queue 1570389b0061f1f8';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`products_queue_mv` TO `inventory`.`products_queue_rows` AS
WITH
    -- Of what is no JSON, or not such, it has empty texts, zeros and NULL.
    JSONExtract(message, 'Tuple(before Nullable(String), after Nullable(String), op String, source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64, txId Nullable(UInt64)), ts_us Int64)') AS the_change,
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
        op = '', 'not JSON of the expected form',
        is_large, concat('its row is larger than a message can be: ', op),
        is_unread, concat('a value of its row could not be read in PostgreSQL: ', op),
        op NOT IN ('c', 'u', 'r', 'd', 't'), concat('operation not known: ', op),
        the_image = '' AND op != 't', 'no image of the row',
        wal_position = 0, concat('no WAL position: ', source.sequence),
        '') AS the_problem,
    concat(source.schema, '\x1F', source.table) AS table_route,
    -- The row was gone as its unchanged value was looked up: its delete follows.
    op != 'd' AND position(the_image, '"__cdc_unavailable"') > 0 AS is_incomplete
SELECT
    multiIf(the_problem != '', concat('\x1E', table_route), is_incomplete, concat('\x1F', table_route), table_route) AS route,
    op,
    the_image AS image,
    before,
    _key AS message_key,
    source.txId AS transaction_id,
    -- Rows of a snapshot are older than any change since the slot was made.
    if(op = 'r' AND source.snapshot != 'incremental', 1, wal_position) AS version,
    -- Of rows that one statement wrote at one position; it is left out where it is 0.
    toUInt64OrZero(trim(BOTH ',]' FROM sequence_parts[-1])) AS ordinal,
    fromUnixTimestamp64Micro(source.ts_us, 'UTC') AS committed_at,
    fromUnixTimestamp64Micro(ts_us, 'UTC') AS captured_at,
    ifNull(toDateTime64(_timestamp_ms, 6, 'UTC'), fromUnixTimestamp64Micro(ts_us, 'UTC')) AS queued_at,
    _topic AS topic,
    _partition AS partition,
    _offset AS offset,
    the_problem AS problem,
    message AS raw
FROM `inventory`.`products_queue`
COMMENT 'cdc materialized-view 0913c18e4990b3fa';

CREATE TABLE IF NOT EXISTS `inventory`.`products_on_hand_queue_rows`
(
    route String,
    op String,
    image String,
    before Nullable(String),
    message_key String,
    transaction_id Nullable(UInt64),
    version UInt64,
    ordinal UInt64,
    committed_at DateTime64(6, 'UTC'),
    captured_at DateTime64(6, 'UTC'),
    queued_at DateTime64(6, 'UTC'),
    topic LowCardinality(String),
    partition UInt64,
    offset UInt64,
    problem String,
    raw String
)
ENGINE = Null
COMMENT 'cdc fanout df5f6d94981b7682';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`products_on_hand_mv` TO `inventory`.`products_on_hand_final` AS
WITH JSONExtract(__cdc_row.image, 'Tuple(`product_id` Nullable(Int32), `quantity` Nullable(Int32))') AS __cdc_tuple
SELECT
    assumeNotNull(tupleElement(__cdc_tuple, 1)) AS `product_id`,
    assumeNotNull(tupleElement(__cdc_tuple, 2)) AS `quantity`,
    CAST(map(), 'Map(String, Nullable(String))') AS _exact,
    if(__cdc_row.op = 'r', 1, __cdc_row.version) AS _version,
    __cdc_row.op = 'd' AS _deleted,
    __cdc_row.committed_at AS _committed_at
FROM `inventory`.`products_on_hand_queue_rows` AS __cdc_row
WHERE __cdc_row.route = 'inventory\x1Fproducts_on_hand'
COMMENT 'cdc materialized-view ed415308dd66521a';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`products_on_hand_exceptions_mv` TO `cdc`.`exceptions` AS
SELECT route, op, image, message_key, version, transaction_id, committed_at, topic, partition, offset, problem, raw
FROM `inventory`.`products_on_hand_queue_rows`
WHERE op = 't' OR (route NOT IN ('inventory\x1Fproducts_on_hand') AND NOT startsWith(route, '\x1F'))
COMMENT 'cdc materialized-view 262163a26c671a18';

CREATE TABLE IF NOT EXISTS `inventory`.`products_on_hand_queue`
(
    message String
)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'kafka:9092',
    kafka_topic_list = 'postgres-server.inventory.products_on_hand',
    kafka_group_name = 'clickhouse-group.inventory.products_on_hand',
    kafka_format = 'RawBLOB',
    kafka_num_consumers = 1,
    kafka_thread_per_consumer = 1,
    kafka_flush_interval_ms = 15,
    kafka_poll_timeout_ms = 20,
    kafka_consumer_reschedule_ms = 50,
    kafka_max_block_size = 65536,
    kafka_poll_max_batch_size = 65536
COMMENT 'cdc queue 272d8044122b3f16';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`products_on_hand_queue_mv` TO `inventory`.`products_on_hand_queue_rows` AS
WITH
    -- Of what is no JSON, or not such, it has empty texts, zeros and NULL.
    JSONExtract(message, 'Tuple(before Nullable(String), after Nullable(String), op String, source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64, txId Nullable(UInt64)), ts_us Int64)') AS the_change,
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
        op = '', 'not JSON of the expected form',
        is_large, concat('its row is larger than a message can be: ', op),
        is_unread, concat('a value of its row could not be read in PostgreSQL: ', op),
        op NOT IN ('c', 'u', 'r', 'd', 't'), concat('operation not known: ', op),
        the_image = '' AND op != 't', 'no image of the row',
        wal_position = 0, concat('no WAL position: ', source.sequence),
        '') AS the_problem,
    concat(source.schema, '\x1F', source.table) AS table_route,
    -- The row was gone as its unchanged value was looked up: its delete follows.
    op != 'd' AND position(the_image, '"__cdc_unavailable"') > 0 AS is_incomplete
SELECT
    multiIf(the_problem != '', concat('\x1E', table_route), is_incomplete, concat('\x1F', table_route), table_route) AS route,
    op,
    the_image AS image,
    before,
    _key AS message_key,
    source.txId AS transaction_id,
    -- Rows of a snapshot are older than any change since the slot was made.
    if(op = 'r' AND source.snapshot != 'incremental', 1, wal_position) AS version,
    -- Of rows that one statement wrote at one position; it is left out where it is 0.
    toUInt64OrZero(trim(BOTH ',]' FROM sequence_parts[-1])) AS ordinal,
    fromUnixTimestamp64Micro(source.ts_us, 'UTC') AS committed_at,
    fromUnixTimestamp64Micro(ts_us, 'UTC') AS captured_at,
    ifNull(toDateTime64(_timestamp_ms, 6, 'UTC'), fromUnixTimestamp64Micro(ts_us, 'UTC')) AS queued_at,
    _topic AS topic,
    _partition AS partition,
    _offset AS offset,
    the_problem AS problem,
    message AS raw
FROM `inventory`.`products_on_hand_queue`
COMMENT 'cdc materialized-view 233c4a91b32e9a63';
