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
WHERE _deleted = 0
COMMENT 'cdc view f214b95159fd99ff';

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
WHERE _deleted = 0
COMMENT 'cdc view b86804d3c97c4994';

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
WHERE _deleted = 0
COMMENT 'cdc view 864c61aea5302552';

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
WHERE _deleted = 0
COMMENT 'cdc view 78804223b6061e9f';

CREATE TABLE IF NOT EXISTS `inventory`.`customers_queue_rows`
(
    schema_name String,
    table_name String,
    op String,
    image String,
    unavailable Bool,
    version UInt64,
    committed_at DateTime64(6, 'UTC'),
    captured_at DateTime64(6, 'UTC'),
    queued_at DateTime64(6, 'UTC'),
    problem String,
    raw String,
    topic String,
    partition UInt64,
    offset UInt64
)
ENGINE = Null
COMMENT 'cdc fanout 4fce85f50ca66672';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`customers_mv` TO `inventory`.`customers_final` AS
WITH JSONExtract(__cdc_row.image, 'Tuple(`id` Nullable(Int32), `first_name` Nullable(String), `last_name` Nullable(String), `email` Nullable(String))') AS __cdc_tuple
SELECT
    assumeNotNull(tupleElement(__cdc_tuple, 1)) AS `id`,
    ifNull(tupleElement(__cdc_tuple, 2), defaultValueOfTypeName('String')) AS `first_name`,
    ifNull(tupleElement(__cdc_tuple, 3), defaultValueOfTypeName('String')) AS `last_name`,
    ifNull(tupleElement(__cdc_tuple, 4), defaultValueOfTypeName('String')) AS `email`,
    __cdc_row.version AS _version,
    __cdc_row.op = 'd' AS _deleted,
    __cdc_row.committed_at AS _committed_at
FROM `inventory`.`customers_queue_rows` AS __cdc_row
WHERE __cdc_row.schema_name = 'inventory' AND __cdc_row.table_name = 'customers' AND __cdc_row.problem = '' AND NOT __cdc_row.unavailable AND NOT (if(__cdc_row.op = 'd', isNull(tupleElement(__cdc_tuple, 1)), isNull(tupleElement(__cdc_tuple, 1)) OR isNull(tupleElement(__cdc_tuple, 2)) OR isNull(tupleElement(__cdc_tuple, 3)) OR isNull(tupleElement(__cdc_tuple, 4))))
COMMENT 'cdc materialized-view 0d2bd2acb148c364';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`customers_queue_rows_dead` TO `cdc`.`dead_letters` AS
SELECT topic, partition, offset, schema_name, table_name, op, image, raw, version, reason
FROM
(
    SELECT *, multiIf(
        problem != '', problem,
        schema_name = 'inventory' AND table_name = 'customers', if(if(op = 'd', isNull(tupleElement(JSONExtract(image, 'Tuple(`id` Nullable(Int32), `first_name` Nullable(String), `last_name` Nullable(String), `email` Nullable(String))'), 1)), isNull(tupleElement(JSONExtract(image, 'Tuple(`id` Nullable(Int32), `first_name` Nullable(String), `last_name` Nullable(String), `email` Nullable(String))'), 1)) OR isNull(tupleElement(JSONExtract(image, 'Tuple(`id` Nullable(Int32), `first_name` Nullable(String), `last_name` Nullable(String), `email` Nullable(String))'), 2)) OR isNull(tupleElement(JSONExtract(image, 'Tuple(`id` Nullable(Int32), `first_name` Nullable(String), `last_name` Nullable(String), `email` Nullable(String))'), 3)) OR isNull(tupleElement(JSONExtract(image, 'Tuple(`id` Nullable(Int32), `first_name` Nullable(String), `last_name` Nullable(String), `email` Nullable(String))'), 4))), 'a value does not fit its column', ''),
        'no such table') AS reason
    FROM `inventory`.`customers_queue_rows`
)
WHERE reason != ''
COMMENT 'cdc materialized-view b2e35ba2d50b7d6a';

CREATE TABLE IF NOT EXISTS `inventory`.`customers_queue`
(
    before Nullable(String),
    after Nullable(String),
    op String,
    source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64),
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
    kafka_flush_interval_ms = 20,
    kafka_poll_timeout_ms = 10,
    kafka_consumer_reschedule_ms = 5,
    kafka_max_block_size = 65536,
    kafka_poll_max_batch_size = 65536,
    input_format_json_read_objects_as_strings = 1,
    input_format_skip_unknown_fields = 1
COMMENT 'cdc queue 1ff011ed9f67ff0b';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`customers_queue_mv` TO `inventory`.`customers_queue_rows` AS
WITH
    if(op = 'd', ifNull(before, ''), ifNull(after, '')) AS the_image,
    toUInt64OrZero(splitByChar('"', source.sequence)[-2]) AS wal_position
SELECT
    source.schema AS schema_name,
    source.table AS table_name,
    op,
    the_image AS image,
    -- The row was gone when its unchanged value was looked up: its delete follows.
    op != 'd' AND position(the_image, '"__cdc_unavailable"') > 0 AS unavailable,
    -- Rows of a snapshot are older than any change since the slot was made.
    if(op = 'r' AND source.snapshot != 'incremental', 1, wal_position) AS version,
    fromUnixTimestamp64Micro(source.ts_us, 'UTC') AS committed_at,
    fromUnixTimestamp64Micro(ts_us, 'UTC') AS captured_at,
    ifNull(toDateTime64(_timestamp_ms, 6, 'UTC'), fromUnixTimestamp64Micro(ts_us, 'UTC')) AS queued_at,
    multiIf(
        _error != '', concat('not JSON of the expected form: ', _error),
        op NOT IN ('c', 'u', 'r', 'd'), concat('operation not known: ', op),
        the_image = '', 'no image of the row',
        wal_position = 0, concat('no WAL position: ', source.sequence),
        '') AS problem,
    if(_error != '', _raw_message, '') AS raw,
    _topic AS topic,
    _partition AS partition,
    _offset AS offset
FROM `inventory`.`customers_queue`
COMMENT 'cdc materialized-view a13563eec720b56f';

CREATE TABLE IF NOT EXISTS `inventory`.`orders_queue_rows`
(
    schema_name String,
    table_name String,
    op String,
    image String,
    unavailable Bool,
    version UInt64,
    committed_at DateTime64(6, 'UTC'),
    captured_at DateTime64(6, 'UTC'),
    queued_at DateTime64(6, 'UTC'),
    problem String,
    raw String,
    topic String,
    partition UInt64,
    offset UInt64
)
ENGINE = Null
COMMENT 'cdc fanout 10f74f8eef001d39';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`orders_mv` TO `inventory`.`orders_final` AS
WITH JSONExtract(__cdc_row.image, 'Tuple(`id` Nullable(Int32), `order_date` Nullable(String), `purchaser` Nullable(Int32), `quantity` Nullable(Int32), `product_id` Nullable(Int32))') AS __cdc_tuple
SELECT
    assumeNotNull(tupleElement(__cdc_tuple, 1)) AS `id`,
    ifNull(if(isNotNull(tupleElement(__cdc_tuple, 2)) AND match(trimRight(assumeNotNull(tupleElement(__cdc_tuple, 2)), 'Z'), '^(19|20|21|22)\\d\\d-\\d\\d-\\d\\d$'), toDate32OrNull(trimRight(assumeNotNull(tupleElement(__cdc_tuple, 2)), 'Z')), NULL), defaultValueOfTypeName('Date32')) AS `order_date`,
    ifNull(tupleElement(__cdc_tuple, 3), defaultValueOfTypeName('Int32')) AS `purchaser`,
    ifNull(tupleElement(__cdc_tuple, 4), defaultValueOfTypeName('Int32')) AS `quantity`,
    ifNull(tupleElement(__cdc_tuple, 5), defaultValueOfTypeName('Int32')) AS `product_id`,
    __cdc_row.version AS _version,
    __cdc_row.op = 'd' AS _deleted,
    __cdc_row.committed_at AS _committed_at
FROM `inventory`.`orders_queue_rows` AS __cdc_row
WHERE __cdc_row.schema_name = 'inventory' AND __cdc_row.table_name = 'orders' AND __cdc_row.problem = '' AND NOT __cdc_row.unavailable AND NOT (if(__cdc_row.op = 'd', isNull(tupleElement(__cdc_tuple, 1)), isNull(tupleElement(__cdc_tuple, 1)) OR isNull(if(isNotNull(tupleElement(__cdc_tuple, 2)) AND match(trimRight(assumeNotNull(tupleElement(__cdc_tuple, 2)), 'Z'), '^(19|20|21|22)\\d\\d-\\d\\d-\\d\\d$'), toDate32OrNull(trimRight(assumeNotNull(tupleElement(__cdc_tuple, 2)), 'Z')), NULL)) OR isNull(tupleElement(__cdc_tuple, 3)) OR isNull(tupleElement(__cdc_tuple, 4)) OR isNull(tupleElement(__cdc_tuple, 5))))
COMMENT 'cdc materialized-view 3fc230b95cb240ba';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`orders_queue_rows_dead` TO `cdc`.`dead_letters` AS
SELECT topic, partition, offset, schema_name, table_name, op, image, raw, version, reason
FROM
(
    SELECT *, multiIf(
        problem != '', problem,
        schema_name = 'inventory' AND table_name = 'orders', if(if(op = 'd', isNull(tupleElement(JSONExtract(image, 'Tuple(`id` Nullable(Int32), `order_date` Nullable(String), `purchaser` Nullable(Int32), `quantity` Nullable(Int32), `product_id` Nullable(Int32))'), 1)), isNull(tupleElement(JSONExtract(image, 'Tuple(`id` Nullable(Int32), `order_date` Nullable(String), `purchaser` Nullable(Int32), `quantity` Nullable(Int32), `product_id` Nullable(Int32))'), 1)) OR isNull(if(isNotNull(tupleElement(JSONExtract(image, 'Tuple(`id` Nullable(Int32), `order_date` Nullable(String), `purchaser` Nullable(Int32), `quantity` Nullable(Int32), `product_id` Nullable(Int32))'), 2)) AND match(trimRight(assumeNotNull(tupleElement(JSONExtract(image, 'Tuple(`id` Nullable(Int32), `order_date` Nullable(String), `purchaser` Nullable(Int32), `quantity` Nullable(Int32), `product_id` Nullable(Int32))'), 2)), 'Z'), '^(19|20|21|22)\\d\\d-\\d\\d-\\d\\d$'), toDate32OrNull(trimRight(assumeNotNull(tupleElement(JSONExtract(image, 'Tuple(`id` Nullable(Int32), `order_date` Nullable(String), `purchaser` Nullable(Int32), `quantity` Nullable(Int32), `product_id` Nullable(Int32))'), 2)), 'Z')), NULL)) OR isNull(tupleElement(JSONExtract(image, 'Tuple(`id` Nullable(Int32), `order_date` Nullable(String), `purchaser` Nullable(Int32), `quantity` Nullable(Int32), `product_id` Nullable(Int32))'), 3)) OR isNull(tupleElement(JSONExtract(image, 'Tuple(`id` Nullable(Int32), `order_date` Nullable(String), `purchaser` Nullable(Int32), `quantity` Nullable(Int32), `product_id` Nullable(Int32))'), 4)) OR isNull(tupleElement(JSONExtract(image, 'Tuple(`id` Nullable(Int32), `order_date` Nullable(String), `purchaser` Nullable(Int32), `quantity` Nullable(Int32), `product_id` Nullable(Int32))'), 5))), 'a value does not fit its column', ''),
        'no such table') AS reason
    FROM `inventory`.`orders_queue_rows`
)
WHERE reason != ''
COMMENT 'cdc materialized-view 3d75b761e63d59bf';

CREATE TABLE IF NOT EXISTS `inventory`.`orders_queue`
(
    before Nullable(String),
    after Nullable(String),
    op String,
    source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64),
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
    kafka_flush_interval_ms = 20,
    kafka_poll_timeout_ms = 10,
    kafka_consumer_reschedule_ms = 5,
    kafka_max_block_size = 65536,
    kafka_poll_max_batch_size = 65536,
    input_format_json_read_objects_as_strings = 1,
    input_format_skip_unknown_fields = 1
COMMENT 'cdc queue 1da7b6d2de81dbce';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`orders_queue_mv` TO `inventory`.`orders_queue_rows` AS
WITH
    if(op = 'd', ifNull(before, ''), ifNull(after, '')) AS the_image,
    toUInt64OrZero(splitByChar('"', source.sequence)[-2]) AS wal_position
SELECT
    source.schema AS schema_name,
    source.table AS table_name,
    op,
    the_image AS image,
    -- The row was gone when its unchanged value was looked up: its delete follows.
    op != 'd' AND position(the_image, '"__cdc_unavailable"') > 0 AS unavailable,
    -- Rows of a snapshot are older than any change since the slot was made.
    if(op = 'r' AND source.snapshot != 'incremental', 1, wal_position) AS version,
    fromUnixTimestamp64Micro(source.ts_us, 'UTC') AS committed_at,
    fromUnixTimestamp64Micro(ts_us, 'UTC') AS captured_at,
    ifNull(toDateTime64(_timestamp_ms, 6, 'UTC'), fromUnixTimestamp64Micro(ts_us, 'UTC')) AS queued_at,
    multiIf(
        _error != '', concat('not JSON of the expected form: ', _error),
        op NOT IN ('c', 'u', 'r', 'd'), concat('operation not known: ', op),
        the_image = '', 'no image of the row',
        wal_position = 0, concat('no WAL position: ', source.sequence),
        '') AS problem,
    if(_error != '', _raw_message, '') AS raw,
    _topic AS topic,
    _partition AS partition,
    _offset AS offset
FROM `inventory`.`orders_queue`
COMMENT 'cdc materialized-view c5a3051f6006e9a3';

CREATE TABLE IF NOT EXISTS `inventory`.`products_queue_rows`
(
    schema_name String,
    table_name String,
    op String,
    image String,
    unavailable Bool,
    version UInt64,
    committed_at DateTime64(6, 'UTC'),
    captured_at DateTime64(6, 'UTC'),
    queued_at DateTime64(6, 'UTC'),
    problem String,
    raw String,
    topic String,
    partition UInt64,
    offset UInt64
)
ENGINE = Null
COMMENT 'cdc fanout baffdaf23730c493';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`products_mv` TO `inventory`.`products_final` AS
WITH JSONExtract(__cdc_row.image, 'Tuple(`id` Nullable(Int32), `name` Nullable(String), `description` Nullable(String), `weight` Nullable(Float64))') AS __cdc_tuple
SELECT
    assumeNotNull(tupleElement(__cdc_tuple, 1)) AS `id`,
    ifNull(tupleElement(__cdc_tuple, 2), defaultValueOfTypeName('String')) AS `name`,
    tupleElement(__cdc_tuple, 3) AS `description`,
    tupleElement(__cdc_tuple, 4) AS `weight`,
    __cdc_row.version AS _version,
    __cdc_row.op = 'd' AS _deleted,
    __cdc_row.committed_at AS _committed_at
FROM `inventory`.`products_queue_rows` AS __cdc_row
WHERE __cdc_row.schema_name = 'inventory' AND __cdc_row.table_name = 'products' AND __cdc_row.problem = '' AND NOT __cdc_row.unavailable AND NOT (if(__cdc_row.op = 'd', isNull(tupleElement(__cdc_tuple, 1)), isNull(tupleElement(__cdc_tuple, 1)) OR isNull(tupleElement(__cdc_tuple, 2)) OR (isNull(tupleElement(__cdc_tuple, 3)) AND JSONExtractRaw(__cdc_row.image, 'description') != 'null') OR (isNull(tupleElement(__cdc_tuple, 4)) AND JSONExtractRaw(__cdc_row.image, 'weight') != 'null')))
COMMENT 'cdc materialized-view e5309c6ec9094c8e';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`products_queue_rows_dead` TO `cdc`.`dead_letters` AS
SELECT topic, partition, offset, schema_name, table_name, op, image, raw, version, reason
FROM
(
    SELECT *, multiIf(
        problem != '', problem,
        schema_name = 'inventory' AND table_name = 'products', if(if(op = 'd', isNull(tupleElement(JSONExtract(image, 'Tuple(`id` Nullable(Int32), `name` Nullable(String), `description` Nullable(String), `weight` Nullable(Float64))'), 1)), isNull(tupleElement(JSONExtract(image, 'Tuple(`id` Nullable(Int32), `name` Nullable(String), `description` Nullable(String), `weight` Nullable(Float64))'), 1)) OR isNull(tupleElement(JSONExtract(image, 'Tuple(`id` Nullable(Int32), `name` Nullable(String), `description` Nullable(String), `weight` Nullable(Float64))'), 2)) OR (isNull(tupleElement(JSONExtract(image, 'Tuple(`id` Nullable(Int32), `name` Nullable(String), `description` Nullable(String), `weight` Nullable(Float64))'), 3)) AND JSONExtractRaw(image, 'description') != 'null') OR (isNull(tupleElement(JSONExtract(image, 'Tuple(`id` Nullable(Int32), `name` Nullable(String), `description` Nullable(String), `weight` Nullable(Float64))'), 4)) AND JSONExtractRaw(image, 'weight') != 'null')), 'a value does not fit its column', ''),
        'no such table') AS reason
    FROM `inventory`.`products_queue_rows`
)
WHERE reason != ''
COMMENT 'cdc materialized-view f8e6bc66373f1b90';

CREATE TABLE IF NOT EXISTS `inventory`.`products_queue`
(
    before Nullable(String),
    after Nullable(String),
    op String,
    source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64),
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
    kafka_flush_interval_ms = 20,
    kafka_poll_timeout_ms = 10,
    kafka_consumer_reschedule_ms = 5,
    kafka_max_block_size = 65536,
    kafka_poll_max_batch_size = 65536,
    input_format_json_read_objects_as_strings = 1,
    input_format_skip_unknown_fields = 1
COMMENT 'cdc queue 6095fe87f8fe59c3';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`products_queue_mv` TO `inventory`.`products_queue_rows` AS
WITH
    if(op = 'd', ifNull(before, ''), ifNull(after, '')) AS the_image,
    toUInt64OrZero(splitByChar('"', source.sequence)[-2]) AS wal_position
SELECT
    source.schema AS schema_name,
    source.table AS table_name,
    op,
    the_image AS image,
    -- The row was gone when its unchanged value was looked up: its delete follows.
    op != 'd' AND position(the_image, '"__cdc_unavailable"') > 0 AS unavailable,
    -- Rows of a snapshot are older than any change since the slot was made.
    if(op = 'r' AND source.snapshot != 'incremental', 1, wal_position) AS version,
    fromUnixTimestamp64Micro(source.ts_us, 'UTC') AS committed_at,
    fromUnixTimestamp64Micro(ts_us, 'UTC') AS captured_at,
    ifNull(toDateTime64(_timestamp_ms, 6, 'UTC'), fromUnixTimestamp64Micro(ts_us, 'UTC')) AS queued_at,
    multiIf(
        _error != '', concat('not JSON of the expected form: ', _error),
        op NOT IN ('c', 'u', 'r', 'd'), concat('operation not known: ', op),
        the_image = '', 'no image of the row',
        wal_position = 0, concat('no WAL position: ', source.sequence),
        '') AS problem,
    if(_error != '', _raw_message, '') AS raw,
    _topic AS topic,
    _partition AS partition,
    _offset AS offset
FROM `inventory`.`products_queue`
COMMENT 'cdc materialized-view 29ebd4fef3b3ae4a';

CREATE TABLE IF NOT EXISTS `inventory`.`products_on_hand_queue_rows`
(
    schema_name String,
    table_name String,
    op String,
    image String,
    unavailable Bool,
    version UInt64,
    committed_at DateTime64(6, 'UTC'),
    captured_at DateTime64(6, 'UTC'),
    queued_at DateTime64(6, 'UTC'),
    problem String,
    raw String,
    topic String,
    partition UInt64,
    offset UInt64
)
ENGINE = Null
COMMENT 'cdc fanout 697fbf6e7d2ae428';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`products_on_hand_mv` TO `inventory`.`products_on_hand_final` AS
WITH JSONExtract(__cdc_row.image, 'Tuple(`product_id` Nullable(Int32), `quantity` Nullable(Int32))') AS __cdc_tuple
SELECT
    assumeNotNull(tupleElement(__cdc_tuple, 1)) AS `product_id`,
    ifNull(tupleElement(__cdc_tuple, 2), defaultValueOfTypeName('Int32')) AS `quantity`,
    __cdc_row.version AS _version,
    __cdc_row.op = 'd' AS _deleted,
    __cdc_row.committed_at AS _committed_at
FROM `inventory`.`products_on_hand_queue_rows` AS __cdc_row
WHERE __cdc_row.schema_name = 'inventory' AND __cdc_row.table_name = 'products_on_hand' AND __cdc_row.problem = '' AND NOT __cdc_row.unavailable AND NOT (if(__cdc_row.op = 'd', isNull(tupleElement(__cdc_tuple, 1)), isNull(tupleElement(__cdc_tuple, 1)) OR isNull(tupleElement(__cdc_tuple, 2))))
COMMENT 'cdc materialized-view baab2033fefe1d3d';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`products_on_hand_queue_rows_dead` TO `cdc`.`dead_letters` AS
SELECT topic, partition, offset, schema_name, table_name, op, image, raw, version, reason
FROM
(
    SELECT *, multiIf(
        problem != '', problem,
        schema_name = 'inventory' AND table_name = 'products_on_hand', if(if(op = 'd', isNull(tupleElement(JSONExtract(image, 'Tuple(`product_id` Nullable(Int32), `quantity` Nullable(Int32))'), 1)), isNull(tupleElement(JSONExtract(image, 'Tuple(`product_id` Nullable(Int32), `quantity` Nullable(Int32))'), 1)) OR isNull(tupleElement(JSONExtract(image, 'Tuple(`product_id` Nullable(Int32), `quantity` Nullable(Int32))'), 2))), 'a value does not fit its column', ''),
        'no such table') AS reason
    FROM `inventory`.`products_on_hand_queue_rows`
)
WHERE reason != ''
COMMENT 'cdc materialized-view 26592b89e766ea16';

CREATE TABLE IF NOT EXISTS `inventory`.`products_on_hand_queue`
(
    before Nullable(String),
    after Nullable(String),
    op String,
    source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64),
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
    kafka_flush_interval_ms = 20,
    kafka_poll_timeout_ms = 10,
    kafka_consumer_reschedule_ms = 5,
    kafka_max_block_size = 65536,
    kafka_poll_max_batch_size = 65536,
    input_format_json_read_objects_as_strings = 1,
    input_format_skip_unknown_fields = 1
COMMENT 'cdc queue 1fba3c281c12a210';

CREATE MATERIALIZED VIEW IF NOT EXISTS `inventory`.`products_on_hand_queue_mv` TO `inventory`.`products_on_hand_queue_rows` AS
WITH
    if(op = 'd', ifNull(before, ''), ifNull(after, '')) AS the_image,
    toUInt64OrZero(splitByChar('"', source.sequence)[-2]) AS wal_position
SELECT
    source.schema AS schema_name,
    source.table AS table_name,
    op,
    the_image AS image,
    -- The row was gone when its unchanged value was looked up: its delete follows.
    op != 'd' AND position(the_image, '"__cdc_unavailable"') > 0 AS unavailable,
    -- Rows of a snapshot are older than any change since the slot was made.
    if(op = 'r' AND source.snapshot != 'incremental', 1, wal_position) AS version,
    fromUnixTimestamp64Micro(source.ts_us, 'UTC') AS committed_at,
    fromUnixTimestamp64Micro(ts_us, 'UTC') AS captured_at,
    ifNull(toDateTime64(_timestamp_ms, 6, 'UTC'), fromUnixTimestamp64Micro(ts_us, 'UTC')) AS queued_at,
    multiIf(
        _error != '', concat('not JSON of the expected form: ', _error),
        op NOT IN ('c', 'u', 'r', 'd'), concat('operation not known: ', op),
        the_image = '', 'no image of the row',
        wal_position = 0, concat('no WAL position: ', source.sequence),
        '') AS problem,
    if(_error != '', _raw_message, '') AS raw,
    _topic AS topic,
    _partition AS partition,
    _offset AS offset
FROM `inventory`.`products_on_hand_queue`
COMMENT 'cdc materialized-view fc30a0646a386c1c';

CREATE TABLE IF NOT EXISTS `cdc`.`heartbeat_queue_rows`
(
    schema_name String,
    table_name String,
    op String,
    image String,
    unavailable Bool,
    version UInt64,
    committed_at DateTime64(6, 'UTC'),
    captured_at DateTime64(6, 'UTC'),
    queued_at DateTime64(6, 'UTC'),
    problem String,
    raw String,
    topic String,
    partition UInt64,
    offset UInt64
)
ENGINE = Null
COMMENT 'cdc fanout b10accc302466312';

CREATE MATERIALIZED VIEW IF NOT EXISTS `cdc`.`heartbeat_mv` TO `cdc`.`heartbeats` AS
SELECT JSONExtractInt(image, 'beat') AS beat, version, committed_at, captured_at, queued_at
FROM `cdc`.`heartbeat_queue_rows`
WHERE schema_name = 'cdc' AND table_name = 'heartbeat' AND op IN ('c', 'u')
COMMENT 'cdc materialized-view 527ce480d876582d';

CREATE TABLE IF NOT EXISTS `cdc`.`heartbeat_queue`
(
    before Nullable(String),
    after Nullable(String),
    op String,
    source Tuple(schema String, table String, sequence String, snapshot String, ts_us Int64),
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
    kafka_flush_interval_ms = 20,
    kafka_poll_timeout_ms = 10,
    kafka_consumer_reschedule_ms = 5,
    kafka_max_block_size = 65536,
    kafka_poll_max_batch_size = 65536,
    input_format_json_read_objects_as_strings = 1,
    input_format_skip_unknown_fields = 1
COMMENT 'cdc queue 4c5f8d47ad50757a';

CREATE MATERIALIZED VIEW IF NOT EXISTS `cdc`.`heartbeat_queue_mv` TO `cdc`.`heartbeat_queue_rows` AS
WITH
    if(op = 'd', ifNull(before, ''), ifNull(after, '')) AS the_image,
    toUInt64OrZero(splitByChar('"', source.sequence)[-2]) AS wal_position
SELECT
    source.schema AS schema_name,
    source.table AS table_name,
    op,
    the_image AS image,
    -- The row was gone when its unchanged value was looked up: its delete follows.
    op != 'd' AND position(the_image, '"__cdc_unavailable"') > 0 AS unavailable,
    -- Rows of a snapshot are older than any change since the slot was made.
    if(op = 'r' AND source.snapshot != 'incremental', 1, wal_position) AS version,
    fromUnixTimestamp64Micro(source.ts_us, 'UTC') AS committed_at,
    fromUnixTimestamp64Micro(ts_us, 'UTC') AS captured_at,
    ifNull(toDateTime64(_timestamp_ms, 6, 'UTC'), fromUnixTimestamp64Micro(ts_us, 'UTC')) AS queued_at,
    multiIf(
        _error != '', concat('not JSON of the expected form: ', _error),
        op NOT IN ('c', 'u', 'r', 'd'), concat('operation not known: ', op),
        the_image = '', 'no image of the row',
        wal_position = 0, concat('no WAL position: ', source.sequence),
        '') AS problem,
    if(_error != '', _raw_message, '') AS raw,
    _topic AS topic,
    _partition AS partition,
    _offset AS offset
FROM `cdc`.`heartbeat_queue`
COMMENT 'cdc materialized-view 7236545e0997113d';
