-- What cdc makes in ClickHouse for the inventory example. Generated: npm run golden.
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
    image String,
    raw String,
    version UInt64,
    reason String,
    arrived_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset)
COMMENT 'cdc storage fac59c9d559ea8d8';

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
    committed_at DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (schema_name, table_name)
COMMENT 'cdc storage 62051ce1a86372c2';

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

CREATE TABLE IF NOT EXISTS `inventory`.`customers_final`
(
    `id` Int32,
    `first_name` String,
    `last_name` String,
    `email` String,
    _version UInt64 CODEC(Delta, ZSTD(1)),
    _deleted UInt8 CODEC(ZSTD(1)),
    _committed_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    _written_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(_version)
ORDER BY (`id`)
COMMENT 'cdc storage 5f320c094a70f756';

CREATE OR REPLACE VIEW `inventory`.`customers` AS
SELECT `id`, `first_name`, `last_name`, `email`
FROM `inventory`.`customers_final` FINAL
WHERE _deleted = 0 AND _version > (SELECT max(version) FROM `cdc`.`truncates` WHERE schema_name = 'inventory' AND table_name = 'customers')
COMMENT 'cdc view 35aabfe28dc356fa';

CREATE TABLE IF NOT EXISTS `inventory`.`orders_final`
(
    `id` Int32,
    `order_date` Date32,
    `purchaser` Int32,
    `quantity` Int32,
    `product_id` Int32,
    _version UInt64 CODEC(Delta, ZSTD(1)),
    _deleted UInt8 CODEC(ZSTD(1)),
    _committed_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    _written_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(_version)
ORDER BY (`id`)
COMMENT 'cdc storage 3a769701596ad135';

CREATE OR REPLACE VIEW `inventory`.`orders` AS
SELECT `id`, `order_date`, `purchaser`, `quantity`, `product_id`
FROM `inventory`.`orders_final` FINAL
WHERE _deleted = 0 AND _version > (SELECT max(version) FROM `cdc`.`truncates` WHERE schema_name = 'inventory' AND table_name = 'orders')
COMMENT 'cdc view 53177839a26db701';

CREATE TABLE IF NOT EXISTS `inventory`.`products_final`
(
    `id` Int32,
    `name` String,
    `description` Nullable(String),
    `weight` Nullable(Float64),
    _version UInt64 CODEC(Delta, ZSTD(1)),
    _deleted UInt8 CODEC(ZSTD(1)),
    _committed_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    _written_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(_version)
ORDER BY (`id`)
COMMENT 'cdc storage 6987cfc209da078a';

CREATE OR REPLACE VIEW `inventory`.`products` AS
SELECT `id`, `name`, `description`, `weight`
FROM `inventory`.`products_final` FINAL
WHERE _deleted = 0 AND _version > (SELECT max(version) FROM `cdc`.`truncates` WHERE schema_name = 'inventory' AND table_name = 'products')
COMMENT 'cdc view 15a5012b24be5316';

CREATE TABLE IF NOT EXISTS `inventory`.`products_on_hand_final`
(
    `product_id` Int32,
    `quantity` Int32,
    _version UInt64 CODEC(Delta, ZSTD(1)),
    _deleted UInt8 CODEC(ZSTD(1)),
    _committed_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    _written_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(_version)
ORDER BY (`product_id`)
COMMENT 'cdc storage 9c5b536a3dd90db9';

CREATE OR REPLACE VIEW `inventory`.`products_on_hand` AS
SELECT `product_id`, `quantity`
FROM `inventory`.`products_on_hand_final` FINAL
WHERE _deleted = 0 AND _version > (SELECT max(version) FROM `cdc`.`truncates` WHERE schema_name = 'inventory' AND table_name = 'products_on_hand')
COMMENT 'cdc view 7a045c35c23b7bdc';

CREATE TABLE IF NOT EXISTS `cdc`.`heartbeat_queue_rows`
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
ENGINE = Null
COMMENT 'cdc fanout 37d74b5d34cc28fd';

CREATE MATERIALIZED VIEW IF NOT EXISTS `cdc`.`heartbeat_mv` TO `cdc`.`heartbeats` AS
SELECT JSONExtractInt(image, 'beat') AS beat, version, committed_at, captured_at, queued_at
FROM `cdc`.`heartbeat_queue_rows`
WHERE route = 'cdc\x1Fheartbeat' AND op IN ('c', 'u')
COMMENT 'cdc materialized-view cc219dcbfb589231';

CREATE TABLE IF NOT EXISTS `cdc`.`heartbeat_queue`
(
    before Nullable(String),
    after Nullable(String),
    op String,
    source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64, txId Nullable(UInt64)),
    ts_us Int64
)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'kafka:9092',
    kafka_topic_list = 'postgres-server.cdc.heartbeat',
    kafka_group_name = 'clickhouse-group.cdc.heartbeat',
    kafka_format = 'JSONEachRow',
    kafka_num_consumers = 1,
    kafka_thread_per_consumer = 1,
    kafka_handle_error_mode = 'stream',
    kafka_flush_interval_ms = 15,
    kafka_poll_timeout_ms = 20,
    kafka_consumer_reschedule_ms = 5,
    kafka_max_block_size = 65536,
    kafka_poll_max_batch_size = 65536,
    input_format_json_read_objects_as_strings = 1,
    input_format_skip_unknown_fields = 1
COMMENT 'cdc queue 1bca6bc8b86ecaf9';

CREATE MATERIALIZED VIEW IF NOT EXISTS `cdc`.`heartbeat_queue_mv` TO `cdc`.`heartbeat_queue_rows` AS
WITH
    if(op = 'd', ifNull(before, ''), ifNull(after, '')) AS the_image,
    toUInt64OrZero(splitByChar('"', source.sequence)[-2]) AS wal_position,
    -- Rows of a snapshot are older than any change since the slot was made.
    if(op = 'r' AND source.snapshot != 'incremental', 1, wal_position) AS row_version,
    multiIf(
        _error != '', concat('not JSON of the expected form: ', _error),
        op NOT IN ('c', 'u', 'r', 'd', 't'), concat('operation not known: ', op),
        the_image = '' AND op != 't', 'no image of the row',
        wal_position = 0, concat('no WAL position: ', source.sequence),
        '') AS problem,
    concat(source.schema, '\x1F', source.table) AS table_route,
    -- The row was gone as its unchanged value was looked up: its delete follows.
    op != 'd' AND position(the_image, '"__cdc_unavailable"') > 0 AS is_incomplete,
    -- No table's, when there is a problem.
    multiIf(problem != '', '', is_incomplete, concat('\x1F', table_route), table_route) AS the_route
SELECT
    the_route AS route,
    op,
    the_image AS image,
    before,
    _key AS message_key,
    source.txId AS transaction_id,
    row_version AS version,
    fromUnixTimestamp64Micro(source.ts_us, 'UTC') AS committed_at,
    fromUnixTimestamp64Micro(ts_us, 'UTC') AS captured_at,
    ifNull(toDateTime64(_timestamp_ms, 6, 'UTC'), fromUnixTimestamp64Micro(ts_us, 'UTC')) AS queued_at
FROM `cdc`.`heartbeat_queue`
WHERE the_route != ''
COMMENT 'cdc materialized-view c87f8f0339013beb';

CREATE TABLE IF NOT EXISTS `inventory`.`customers_queue_rows`
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
ENGINE = Null
COMMENT 'cdc fanout fc3598726cccc3db';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`customers_mv` TO `inventory`.`customers_final` AS
WITH JSONExtract(__cdc_row.image, 'Tuple(`id` Nullable(Int32), `first_name` Nullable(String), `last_name` Nullable(String), `email` Nullable(String))') AS __cdc_tuple
SELECT
    assumeNotNull(tupleElement(__cdc_tuple, 1)) AS `id`,
    assumeNotNull(tupleElement(__cdc_tuple, 2)) AS `first_name`,
    assumeNotNull(tupleElement(__cdc_tuple, 3)) AS `last_name`,
    assumeNotNull(tupleElement(__cdc_tuple, 4)) AS `email`,
    if(__cdc_row.op = 'r', 1, __cdc_row.version) AS _version,
    __cdc_row.op = 'd' AS _deleted,
    __cdc_row.committed_at AS _committed_at
FROM `inventory`.`customers_queue_rows` AS __cdc_row
WHERE __cdc_row.route = 'inventory\x1Fcustomers' AND ((__cdc_row.op = 'd') * (isNull(tupleElement(__cdc_tuple, 1))) + (__cdc_row.op != 'd') * (isNull(tupleElement(__cdc_tuple, 1)) + isNull(tupleElement(__cdc_tuple, 2)) + isNull(tupleElement(__cdc_tuple, 3)) + isNull(tupleElement(__cdc_tuple, 4)))) = 0
COMMENT 'cdc materialized-view 55804ded72e0dbec';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`customers_truncate_mv` TO `cdc`.`truncates` AS
SELECT
    splitByChar('\x1F', route)[1] AS schema_name,
    splitByChar('\x1F', route)[2] AS table_name,
    version,
    committed_at
FROM `inventory`.`customers_queue_rows`
WHERE op = 't'
COMMENT 'cdc materialized-view 714821adde3b190a';

CREATE TABLE IF NOT EXISTS `inventory`.`customers_queue`
(
    before Nullable(String),
    after Nullable(String),
    op String,
    source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64, txId Nullable(UInt64)),
    ts_us Int64
)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'kafka:9092',
    kafka_topic_list = 'postgres-server.inventory.customers',
    kafka_group_name = 'clickhouse-group.inventory.customers',
    kafka_format = 'JSONEachRow',
    kafka_num_consumers = 1,
    kafka_thread_per_consumer = 1,
    kafka_handle_error_mode = 'stream',
    kafka_flush_interval_ms = 15,
    kafka_poll_timeout_ms = 20,
    kafka_consumer_reschedule_ms = 5,
    kafka_max_block_size = 65536,
    kafka_poll_max_batch_size = 65536,
    input_format_json_read_objects_as_strings = 1,
    input_format_skip_unknown_fields = 1
COMMENT 'cdc queue 2e28a1cdbd647e12';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`customers_queue_mv` TO `inventory`.`customers_queue_rows` AS
WITH
    if(op = 'd', ifNull(before, ''), ifNull(after, '')) AS the_image,
    toUInt64OrZero(splitByChar('"', source.sequence)[-2]) AS wal_position,
    -- Rows of a snapshot are older than any change since the slot was made.
    if(op = 'r' AND source.snapshot != 'incremental', 1, wal_position) AS row_version,
    multiIf(
        _error != '', concat('not JSON of the expected form: ', _error),
        op NOT IN ('c', 'u', 'r', 'd', 't'), concat('operation not known: ', op),
        the_image = '' AND op != 't', 'no image of the row',
        wal_position = 0, concat('no WAL position: ', source.sequence),
        '') AS problem,
    concat(source.schema, '\x1F', source.table) AS table_route,
    -- The row was gone as its unchanged value was looked up: its delete follows.
    op != 'd' AND position(the_image, '"__cdc_unavailable"') > 0 AS is_incomplete,
    -- No table's, when there is a problem.
    multiIf(problem != '', '', is_incomplete, concat('\x1F', table_route), table_route) AS the_route
SELECT
    the_route AS route,
    op,
    the_image AS image,
    before,
    _key AS message_key,
    source.txId AS transaction_id,
    row_version AS version,
    fromUnixTimestamp64Micro(source.ts_us, 'UTC') AS committed_at,
    fromUnixTimestamp64Micro(ts_us, 'UTC') AS captured_at,
    ifNull(toDateTime64(_timestamp_ms, 6, 'UTC'), fromUnixTimestamp64Micro(ts_us, 'UTC')) AS queued_at
FROM `inventory`.`customers_queue`
WHERE the_route != ''
COMMENT 'cdc materialized-view 8dfadc3f2816ca18';

CREATE TABLE IF NOT EXISTS `inventory`.`customers_check`
(
    before Nullable(String),
    after Nullable(String),
    op String,
    source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64, txId Nullable(UInt64)),
    ts_us Int64
)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'kafka:9092',
    kafka_topic_list = 'postgres-server.inventory.customers',
    kafka_group_name = 'clickhouse-group.inventory.customers.check',
    kafka_format = 'JSONEachRow',
    kafka_num_consumers = 1,
    kafka_thread_per_consumer = 1,
    kafka_handle_error_mode = 'stream',
    kafka_flush_interval_ms = 750,
    kafka_poll_timeout_ms = 1000,
    kafka_consumer_reschedule_ms = 500,
    kafka_max_block_size = 65536,
    kafka_poll_max_batch_size = 65536,
    input_format_json_read_objects_as_strings = 1,
    input_format_skip_unknown_fields = 1
COMMENT 'cdc queue 5ef27813130745dd';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`customers_check_mv` TO `cdc`.`dead_letters` AS
SELECT topic, partition, offset, schema_name, table_name, op, image, raw, version,
    [problem, '', 'no such table', 'a value does not fit its column', ''][indexOf([
        problem != '',
        op = 't' OR route IN ('', 'cdc\x1Fheartbeat'),
        nth = 0,
        lost != 0,
        1], 1)] AS reason
FROM
(
    SELECT *,
        indexOf(['inventory\x1Fcustomers'], route) AS nth,
        [
            (op = 'd') * (isNull(tupleElement(__cdc_tuple_0, 1))) + (op != 'd') * (isNull(tupleElement(__cdc_tuple_0, 1)) + isNull(tupleElement(__cdc_tuple_0, 2)) + isNull(tupleElement(__cdc_tuple_0, 3)) + isNull(tupleElement(__cdc_tuple_0, 4)))][nth] AS lost
    FROM
    (
        SELECT *,
            JSONExtract(if(route = 'inventory\x1Fcustomers', image, ''), 'Tuple(`id` Nullable(Int32), `first_name` Nullable(String), `last_name` Nullable(String), `email` Nullable(String))') AS __cdc_tuple_0
        FROM
        (
            WITH
    if(op = 'd', ifNull(before, ''), ifNull(after, '')) AS the_image,
    toUInt64OrZero(splitByChar('"', source.sequence)[-2]) AS wal_position,
    -- Rows of a snapshot are older than any change since the slot was made.
    if(op = 'r' AND source.snapshot != 'incremental', 1, wal_position) AS row_version,
    multiIf(
        _error != '', concat('not JSON of the expected form: ', _error),
        op NOT IN ('c', 'u', 'r', 'd', 't'), concat('operation not known: ', op),
        the_image = '' AND op != 't', 'no image of the row',
        wal_position = 0, concat('no WAL position: ', source.sequence),
        '') AS problem,
    concat(source.schema, '\x1F', source.table) AS table_route,
    -- The row was gone as its unchanged value was looked up: its delete follows.
    op != 'd' AND position(the_image, '"__cdc_unavailable"') > 0 AS is_incomplete,
    -- No table's, when there is a problem.
    multiIf(problem != '', '', is_incomplete, concat('\x1F', table_route), table_route) AS the_route
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
            FROM `inventory`.`customers_check`
        )
    )
)
WHERE reason != ''
COMMENT 'cdc materialized-view af5689a5d034ea0b';

CREATE TABLE IF NOT EXISTS `inventory`.`orders_queue_rows`
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
ENGINE = Null
COMMENT 'cdc fanout ed4428d6998c07ed';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`orders_mv` TO `inventory`.`orders_final` AS
WITH JSONExtract(__cdc_row.image, 'Tuple(`id` Nullable(Int32), `order_date` Nullable(String), `purchaser` Nullable(Int32), `quantity` Nullable(Int32), `product_id` Nullable(Int32))') AS __cdc_tuple
SELECT
    assumeNotNull(tupleElement(__cdc_tuple, 1)) AS `id`,
    assumeNotNull(toDate32OrNull(extract(tupleElement(__cdc_tuple, 2), '^((?:19|20|21|22)\\d\\d-\\d\\d-\\d\\d)Z?$'))) AS `order_date`,
    assumeNotNull(tupleElement(__cdc_tuple, 3)) AS `purchaser`,
    assumeNotNull(tupleElement(__cdc_tuple, 4)) AS `quantity`,
    assumeNotNull(tupleElement(__cdc_tuple, 5)) AS `product_id`,
    if(__cdc_row.op = 'r', 1, __cdc_row.version) AS _version,
    __cdc_row.op = 'd' AS _deleted,
    __cdc_row.committed_at AS _committed_at
FROM `inventory`.`orders_queue_rows` AS __cdc_row
WHERE __cdc_row.route = 'inventory\x1Forders' AND ((__cdc_row.op = 'd') * (isNull(tupleElement(__cdc_tuple, 1))) + (__cdc_row.op != 'd') * (isNull(tupleElement(__cdc_tuple, 1)) + isNull(toDate32OrNull(extract(tupleElement(__cdc_tuple, 2), '^((?:19|20|21|22)\\d\\d-\\d\\d-\\d\\d)Z?$'))) + isNull(tupleElement(__cdc_tuple, 3)) + isNull(tupleElement(__cdc_tuple, 4)) + isNull(tupleElement(__cdc_tuple, 5)))) = 0
COMMENT 'cdc materialized-view dbf3e29c23b466e0';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`orders_truncate_mv` TO `cdc`.`truncates` AS
SELECT
    splitByChar('\x1F', route)[1] AS schema_name,
    splitByChar('\x1F', route)[2] AS table_name,
    version,
    committed_at
FROM `inventory`.`orders_queue_rows`
WHERE op = 't'
COMMENT 'cdc materialized-view 5504c7a716071584';

CREATE TABLE IF NOT EXISTS `inventory`.`orders_queue`
(
    before Nullable(String),
    after Nullable(String),
    op String,
    source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64, txId Nullable(UInt64)),
    ts_us Int64
)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'kafka:9092',
    kafka_topic_list = 'postgres-server.inventory.orders',
    kafka_group_name = 'clickhouse-group.inventory.orders',
    kafka_format = 'JSONEachRow',
    kafka_num_consumers = 1,
    kafka_thread_per_consumer = 1,
    kafka_handle_error_mode = 'stream',
    kafka_flush_interval_ms = 15,
    kafka_poll_timeout_ms = 20,
    kafka_consumer_reschedule_ms = 5,
    kafka_max_block_size = 65536,
    kafka_poll_max_batch_size = 65536,
    input_format_json_read_objects_as_strings = 1,
    input_format_skip_unknown_fields = 1
COMMENT 'cdc queue 5e961b437b45ec55';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`orders_queue_mv` TO `inventory`.`orders_queue_rows` AS
WITH
    if(op = 'd', ifNull(before, ''), ifNull(after, '')) AS the_image,
    toUInt64OrZero(splitByChar('"', source.sequence)[-2]) AS wal_position,
    -- Rows of a snapshot are older than any change since the slot was made.
    if(op = 'r' AND source.snapshot != 'incremental', 1, wal_position) AS row_version,
    multiIf(
        _error != '', concat('not JSON of the expected form: ', _error),
        op NOT IN ('c', 'u', 'r', 'd', 't'), concat('operation not known: ', op),
        the_image = '' AND op != 't', 'no image of the row',
        wal_position = 0, concat('no WAL position: ', source.sequence),
        '') AS problem,
    concat(source.schema, '\x1F', source.table) AS table_route,
    -- The row was gone as its unchanged value was looked up: its delete follows.
    op != 'd' AND position(the_image, '"__cdc_unavailable"') > 0 AS is_incomplete,
    -- No table's, when there is a problem.
    multiIf(problem != '', '', is_incomplete, concat('\x1F', table_route), table_route) AS the_route
SELECT
    the_route AS route,
    op,
    the_image AS image,
    before,
    _key AS message_key,
    source.txId AS transaction_id,
    row_version AS version,
    fromUnixTimestamp64Micro(source.ts_us, 'UTC') AS committed_at,
    fromUnixTimestamp64Micro(ts_us, 'UTC') AS captured_at,
    ifNull(toDateTime64(_timestamp_ms, 6, 'UTC'), fromUnixTimestamp64Micro(ts_us, 'UTC')) AS queued_at
FROM `inventory`.`orders_queue`
WHERE the_route != ''
COMMENT 'cdc materialized-view 68a519c82ef70287';

CREATE TABLE IF NOT EXISTS `inventory`.`orders_check`
(
    before Nullable(String),
    after Nullable(String),
    op String,
    source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64, txId Nullable(UInt64)),
    ts_us Int64
)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'kafka:9092',
    kafka_topic_list = 'postgres-server.inventory.orders',
    kafka_group_name = 'clickhouse-group.inventory.orders.check',
    kafka_format = 'JSONEachRow',
    kafka_num_consumers = 1,
    kafka_thread_per_consumer = 1,
    kafka_handle_error_mode = 'stream',
    kafka_flush_interval_ms = 750,
    kafka_poll_timeout_ms = 1000,
    kafka_consumer_reschedule_ms = 500,
    kafka_max_block_size = 65536,
    kafka_poll_max_batch_size = 65536,
    input_format_json_read_objects_as_strings = 1,
    input_format_skip_unknown_fields = 1
COMMENT 'cdc queue 07f4500d9943e5c2';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`orders_check_mv` TO `cdc`.`dead_letters` AS
SELECT topic, partition, offset, schema_name, table_name, op, image, raw, version,
    [problem, '', 'no such table', 'a value does not fit its column', ''][indexOf([
        problem != '',
        op = 't' OR route IN ('', 'cdc\x1Fheartbeat'),
        nth = 0,
        lost != 0,
        1], 1)] AS reason
FROM
(
    SELECT *,
        indexOf(['inventory\x1Forders'], route) AS nth,
        [
            (op = 'd') * (isNull(tupleElement(__cdc_tuple_0, 1))) + (op != 'd') * (isNull(tupleElement(__cdc_tuple_0, 1)) + isNull(toDate32OrNull(extract(tupleElement(__cdc_tuple_0, 2), '^((?:19|20|21|22)\\d\\d-\\d\\d-\\d\\d)Z?$'))) + isNull(tupleElement(__cdc_tuple_0, 3)) + isNull(tupleElement(__cdc_tuple_0, 4)) + isNull(tupleElement(__cdc_tuple_0, 5)))][nth] AS lost
    FROM
    (
        SELECT *,
            JSONExtract(if(route = 'inventory\x1Forders', image, ''), 'Tuple(`id` Nullable(Int32), `order_date` Nullable(String), `purchaser` Nullable(Int32), `quantity` Nullable(Int32), `product_id` Nullable(Int32))') AS __cdc_tuple_0
        FROM
        (
            WITH
    if(op = 'd', ifNull(before, ''), ifNull(after, '')) AS the_image,
    toUInt64OrZero(splitByChar('"', source.sequence)[-2]) AS wal_position,
    -- Rows of a snapshot are older than any change since the slot was made.
    if(op = 'r' AND source.snapshot != 'incremental', 1, wal_position) AS row_version,
    multiIf(
        _error != '', concat('not JSON of the expected form: ', _error),
        op NOT IN ('c', 'u', 'r', 'd', 't'), concat('operation not known: ', op),
        the_image = '' AND op != 't', 'no image of the row',
        wal_position = 0, concat('no WAL position: ', source.sequence),
        '') AS problem,
    concat(source.schema, '\x1F', source.table) AS table_route,
    -- The row was gone as its unchanged value was looked up: its delete follows.
    op != 'd' AND position(the_image, '"__cdc_unavailable"') > 0 AS is_incomplete,
    -- No table's, when there is a problem.
    multiIf(problem != '', '', is_incomplete, concat('\x1F', table_route), table_route) AS the_route
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
            FROM `inventory`.`orders_check`
        )
    )
)
WHERE reason != ''
COMMENT 'cdc materialized-view 47c0383658d37900';

CREATE TABLE IF NOT EXISTS `inventory`.`products_queue_rows`
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
ENGINE = Null
COMMENT 'cdc fanout 4c82600a648e5de9';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`products_mv` TO `inventory`.`products_final` AS
WITH JSONExtract(__cdc_row.image, 'Tuple(`id` Nullable(Int32), `name` Nullable(String), `description` Nullable(String), `weight` Nullable(Float64))') AS __cdc_tuple
SELECT
    assumeNotNull(tupleElement(__cdc_tuple, 1)) AS `id`,
    assumeNotNull(tupleElement(__cdc_tuple, 2)) AS `name`,
    tupleElement(__cdc_tuple, 3) AS `description`,
    tupleElement(__cdc_tuple, 4) AS `weight`,
    if(__cdc_row.op = 'r', 1, __cdc_row.version) AS _version,
    __cdc_row.op = 'd' AS _deleted,
    __cdc_row.committed_at AS _committed_at
FROM `inventory`.`products_queue_rows` AS __cdc_row
WHERE __cdc_row.route = 'inventory\x1Fproducts' AND ((__cdc_row.op = 'd') * (isNull(tupleElement(__cdc_tuple, 1))) + (__cdc_row.op != 'd') * ((((isNull(tupleElement(__cdc_tuple, 1)) + isNull(tupleElement(__cdc_tuple, 2)) + isNull(tupleElement(__cdc_tuple, 3)) + isNull(tupleElement(__cdc_tuple, 4))) AS __cdc_nulls) != 0 AND __cdc_nulls != arrayCount(p -> p.2 = 'null' AND has(['description', 'weight'], p.1), JSONExtractKeysAndValuesRaw(__cdc_row.image))))) = 0
COMMENT 'cdc materialized-view 305a1f1607d93d17';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`products_truncate_mv` TO `cdc`.`truncates` AS
SELECT
    splitByChar('\x1F', route)[1] AS schema_name,
    splitByChar('\x1F', route)[2] AS table_name,
    version,
    committed_at
FROM `inventory`.`products_queue_rows`
WHERE op = 't'
COMMENT 'cdc materialized-view 0059565699f4d63b';

CREATE TABLE IF NOT EXISTS `inventory`.`products_queue`
(
    before Nullable(String),
    after Nullable(String),
    op String,
    source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64, txId Nullable(UInt64)),
    ts_us Int64
)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'kafka:9092',
    kafka_topic_list = 'postgres-server.inventory.products',
    kafka_group_name = 'clickhouse-group.inventory.products',
    kafka_format = 'JSONEachRow',
    kafka_num_consumers = 1,
    kafka_thread_per_consumer = 1,
    kafka_handle_error_mode = 'stream',
    kafka_flush_interval_ms = 15,
    kafka_poll_timeout_ms = 20,
    kafka_consumer_reschedule_ms = 5,
    kafka_max_block_size = 65536,
    kafka_poll_max_batch_size = 65536,
    input_format_json_read_objects_as_strings = 1,
    input_format_skip_unknown_fields = 1
COMMENT 'cdc queue 5d5d4b3fa1e6a4b0';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`products_queue_mv` TO `inventory`.`products_queue_rows` AS
WITH
    if(op = 'd', ifNull(before, ''), ifNull(after, '')) AS the_image,
    toUInt64OrZero(splitByChar('"', source.sequence)[-2]) AS wal_position,
    -- Rows of a snapshot are older than any change since the slot was made.
    if(op = 'r' AND source.snapshot != 'incremental', 1, wal_position) AS row_version,
    multiIf(
        _error != '', concat('not JSON of the expected form: ', _error),
        op NOT IN ('c', 'u', 'r', 'd', 't'), concat('operation not known: ', op),
        the_image = '' AND op != 't', 'no image of the row',
        wal_position = 0, concat('no WAL position: ', source.sequence),
        '') AS problem,
    concat(source.schema, '\x1F', source.table) AS table_route,
    -- The row was gone as its unchanged value was looked up: its delete follows.
    op != 'd' AND position(the_image, '"__cdc_unavailable"') > 0 AS is_incomplete,
    -- No table's, when there is a problem.
    multiIf(problem != '', '', is_incomplete, concat('\x1F', table_route), table_route) AS the_route
SELECT
    the_route AS route,
    op,
    the_image AS image,
    before,
    _key AS message_key,
    source.txId AS transaction_id,
    row_version AS version,
    fromUnixTimestamp64Micro(source.ts_us, 'UTC') AS committed_at,
    fromUnixTimestamp64Micro(ts_us, 'UTC') AS captured_at,
    ifNull(toDateTime64(_timestamp_ms, 6, 'UTC'), fromUnixTimestamp64Micro(ts_us, 'UTC')) AS queued_at
FROM `inventory`.`products_queue`
WHERE the_route != ''
COMMENT 'cdc materialized-view df69076ee87997d0';

CREATE TABLE IF NOT EXISTS `inventory`.`products_check`
(
    before Nullable(String),
    after Nullable(String),
    op String,
    source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64, txId Nullable(UInt64)),
    ts_us Int64
)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'kafka:9092',
    kafka_topic_list = 'postgres-server.inventory.products',
    kafka_group_name = 'clickhouse-group.inventory.products.check',
    kafka_format = 'JSONEachRow',
    kafka_num_consumers = 1,
    kafka_thread_per_consumer = 1,
    kafka_handle_error_mode = 'stream',
    kafka_flush_interval_ms = 750,
    kafka_poll_timeout_ms = 1000,
    kafka_consumer_reschedule_ms = 500,
    kafka_max_block_size = 65536,
    kafka_poll_max_batch_size = 65536,
    input_format_json_read_objects_as_strings = 1,
    input_format_skip_unknown_fields = 1
COMMENT 'cdc queue 94162eee1ef411c0';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`products_check_mv` TO `cdc`.`dead_letters` AS
SELECT topic, partition, offset, schema_name, table_name, op, image, raw, version,
    [problem, '', 'no such table', 'a value does not fit its column', ''][indexOf([
        problem != '',
        op = 't' OR route IN ('', 'cdc\x1Fheartbeat'),
        nth = 0,
        lost != 0,
        1], 1)] AS reason
FROM
(
    SELECT *,
        indexOf(['inventory\x1Fproducts'], route) AS nth,
        [
            (op = 'd') * (isNull(tupleElement(__cdc_tuple_0, 1))) + (op != 'd') * ((((isNull(tupleElement(__cdc_tuple_0, 1)) + isNull(tupleElement(__cdc_tuple_0, 2)) + isNull(tupleElement(__cdc_tuple_0, 3)) + isNull(tupleElement(__cdc_tuple_0, 4))) AS __cdc_nulls_0) != 0 AND __cdc_nulls_0 != arrayCount(p -> p.2 = 'null' AND has(['description', 'weight'], p.1), JSONExtractKeysAndValuesRaw(if(route = 'inventory\x1Fproducts', image, '')))))][nth] AS lost
    FROM
    (
        SELECT *,
            JSONExtract(if(route = 'inventory\x1Fproducts', image, ''), 'Tuple(`id` Nullable(Int32), `name` Nullable(String), `description` Nullable(String), `weight` Nullable(Float64))') AS __cdc_tuple_0
        FROM
        (
            WITH
    if(op = 'd', ifNull(before, ''), ifNull(after, '')) AS the_image,
    toUInt64OrZero(splitByChar('"', source.sequence)[-2]) AS wal_position,
    -- Rows of a snapshot are older than any change since the slot was made.
    if(op = 'r' AND source.snapshot != 'incremental', 1, wal_position) AS row_version,
    multiIf(
        _error != '', concat('not JSON of the expected form: ', _error),
        op NOT IN ('c', 'u', 'r', 'd', 't'), concat('operation not known: ', op),
        the_image = '' AND op != 't', 'no image of the row',
        wal_position = 0, concat('no WAL position: ', source.sequence),
        '') AS problem,
    concat(source.schema, '\x1F', source.table) AS table_route,
    -- The row was gone as its unchanged value was looked up: its delete follows.
    op != 'd' AND position(the_image, '"__cdc_unavailable"') > 0 AS is_incomplete,
    -- No table's, when there is a problem.
    multiIf(problem != '', '', is_incomplete, concat('\x1F', table_route), table_route) AS the_route
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
            FROM `inventory`.`products_check`
        )
    )
)
WHERE reason != ''
COMMENT 'cdc materialized-view 6db0e36f985fdad8';

CREATE TABLE IF NOT EXISTS `inventory`.`products_on_hand_queue_rows`
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
ENGINE = Null
COMMENT 'cdc fanout 660989bc9d433577';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`products_on_hand_mv` TO `inventory`.`products_on_hand_final` AS
WITH JSONExtract(__cdc_row.image, 'Tuple(`product_id` Nullable(Int32), `quantity` Nullable(Int32))') AS __cdc_tuple
SELECT
    assumeNotNull(tupleElement(__cdc_tuple, 1)) AS `product_id`,
    assumeNotNull(tupleElement(__cdc_tuple, 2)) AS `quantity`,
    if(__cdc_row.op = 'r', 1, __cdc_row.version) AS _version,
    __cdc_row.op = 'd' AS _deleted,
    __cdc_row.committed_at AS _committed_at
FROM `inventory`.`products_on_hand_queue_rows` AS __cdc_row
WHERE __cdc_row.route = 'inventory\x1Fproducts_on_hand' AND ((__cdc_row.op = 'd') * (isNull(tupleElement(__cdc_tuple, 1))) + (__cdc_row.op != 'd') * (isNull(tupleElement(__cdc_tuple, 1)) + isNull(tupleElement(__cdc_tuple, 2)))) = 0
COMMENT 'cdc materialized-view eddf43fdfada4950';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`products_on_hand_truncate_mv` TO `cdc`.`truncates` AS
SELECT
    splitByChar('\x1F', route)[1] AS schema_name,
    splitByChar('\x1F', route)[2] AS table_name,
    version,
    committed_at
FROM `inventory`.`products_on_hand_queue_rows`
WHERE op = 't'
COMMENT 'cdc materialized-view 1c8a6fed89cb9dec';

CREATE TABLE IF NOT EXISTS `inventory`.`products_on_hand_queue`
(
    before Nullable(String),
    after Nullable(String),
    op String,
    source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64, txId Nullable(UInt64)),
    ts_us Int64
)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'kafka:9092',
    kafka_topic_list = 'postgres-server.inventory.products_on_hand',
    kafka_group_name = 'clickhouse-group.inventory.products_on_hand',
    kafka_format = 'JSONEachRow',
    kafka_num_consumers = 1,
    kafka_thread_per_consumer = 1,
    kafka_handle_error_mode = 'stream',
    kafka_flush_interval_ms = 15,
    kafka_poll_timeout_ms = 20,
    kafka_consumer_reschedule_ms = 5,
    kafka_max_block_size = 65536,
    kafka_poll_max_batch_size = 65536,
    input_format_json_read_objects_as_strings = 1,
    input_format_skip_unknown_fields = 1
COMMENT 'cdc queue 8802b82db035e32b';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`products_on_hand_queue_mv` TO `inventory`.`products_on_hand_queue_rows` AS
WITH
    if(op = 'd', ifNull(before, ''), ifNull(after, '')) AS the_image,
    toUInt64OrZero(splitByChar('"', source.sequence)[-2]) AS wal_position,
    -- Rows of a snapshot are older than any change since the slot was made.
    if(op = 'r' AND source.snapshot != 'incremental', 1, wal_position) AS row_version,
    multiIf(
        _error != '', concat('not JSON of the expected form: ', _error),
        op NOT IN ('c', 'u', 'r', 'd', 't'), concat('operation not known: ', op),
        the_image = '' AND op != 't', 'no image of the row',
        wal_position = 0, concat('no WAL position: ', source.sequence),
        '') AS problem,
    concat(source.schema, '\x1F', source.table) AS table_route,
    -- The row was gone as its unchanged value was looked up: its delete follows.
    op != 'd' AND position(the_image, '"__cdc_unavailable"') > 0 AS is_incomplete,
    -- No table's, when there is a problem.
    multiIf(problem != '', '', is_incomplete, concat('\x1F', table_route), table_route) AS the_route
SELECT
    the_route AS route,
    op,
    the_image AS image,
    before,
    _key AS message_key,
    source.txId AS transaction_id,
    row_version AS version,
    fromUnixTimestamp64Micro(source.ts_us, 'UTC') AS committed_at,
    fromUnixTimestamp64Micro(ts_us, 'UTC') AS captured_at,
    ifNull(toDateTime64(_timestamp_ms, 6, 'UTC'), fromUnixTimestamp64Micro(ts_us, 'UTC')) AS queued_at
FROM `inventory`.`products_on_hand_queue`
WHERE the_route != ''
COMMENT 'cdc materialized-view 8643a8cde553317e';

CREATE TABLE IF NOT EXISTS `inventory`.`products_on_hand_check`
(
    before Nullable(String),
    after Nullable(String),
    op String,
    source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64, txId Nullable(UInt64)),
    ts_us Int64
)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'kafka:9092',
    kafka_topic_list = 'postgres-server.inventory.products_on_hand',
    kafka_group_name = 'clickhouse-group.inventory.products_on_hand.check',
    kafka_format = 'JSONEachRow',
    kafka_num_consumers = 1,
    kafka_thread_per_consumer = 1,
    kafka_handle_error_mode = 'stream',
    kafka_flush_interval_ms = 750,
    kafka_poll_timeout_ms = 1000,
    kafka_consumer_reschedule_ms = 500,
    kafka_max_block_size = 65536,
    kafka_poll_max_batch_size = 65536,
    input_format_json_read_objects_as_strings = 1,
    input_format_skip_unknown_fields = 1
COMMENT 'cdc queue cadd7f3331269aa8';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`products_on_hand_check_mv` TO `cdc`.`dead_letters` AS
SELECT topic, partition, offset, schema_name, table_name, op, image, raw, version,
    [problem, '', 'no such table', 'a value does not fit its column', ''][indexOf([
        problem != '',
        op = 't' OR route IN ('', 'cdc\x1Fheartbeat'),
        nth = 0,
        lost != 0,
        1], 1)] AS reason
FROM
(
    SELECT *,
        indexOf(['inventory\x1Fproducts_on_hand'], route) AS nth,
        [
            (op = 'd') * (isNull(tupleElement(__cdc_tuple_0, 1))) + (op != 'd') * (isNull(tupleElement(__cdc_tuple_0, 1)) + isNull(tupleElement(__cdc_tuple_0, 2)))][nth] AS lost
    FROM
    (
        SELECT *,
            JSONExtract(if(route = 'inventory\x1Fproducts_on_hand', image, ''), 'Tuple(`product_id` Nullable(Int32), `quantity` Nullable(Int32))') AS __cdc_tuple_0
        FROM
        (
            WITH
    if(op = 'd', ifNull(before, ''), ifNull(after, '')) AS the_image,
    toUInt64OrZero(splitByChar('"', source.sequence)[-2]) AS wal_position,
    -- Rows of a snapshot are older than any change since the slot was made.
    if(op = 'r' AND source.snapshot != 'incremental', 1, wal_position) AS row_version,
    multiIf(
        _error != '', concat('not JSON of the expected form: ', _error),
        op NOT IN ('c', 'u', 'r', 'd', 't'), concat('operation not known: ', op),
        the_image = '' AND op != 't', 'no image of the row',
        wal_position = 0, concat('no WAL position: ', source.sequence),
        '') AS problem,
    concat(source.schema, '\x1F', source.table) AS table_route,
    -- The row was gone as its unchanged value was looked up: its delete follows.
    op != 'd' AND position(the_image, '"__cdc_unavailable"') > 0 AS is_incomplete,
    -- No table's, when there is a problem.
    multiIf(problem != '', '', is_incomplete, concat('\x1F', table_route), table_route) AS the_route
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
            FROM `inventory`.`products_on_hand_check`
        )
    )
)
WHERE reason != ''
COMMENT 'cdc materialized-view 17adf91a7a6e604b';
