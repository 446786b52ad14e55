import { createHash } from 'node:crypto';
import { CH_CDC } from '../../core/names.ts';
import { securityProtocol } from '../../core/sasl.ts';
import { chIdent } from '../../lib/sql.ts';
import { xml } from '../../lib/xml.ts';
import { hasPeers } from '../../stack/brokers.ts';
import type { KafkaEndpoint } from '../../stack/endpoints.ts';
import { CLICKHOUSE_READER, CLICKHOUSE_USER } from '../../stack/users.ts';

/**
 * Figures for Prometheus at `/metrics` of the HTTP port. The server’s own endpoint asks for no password;
 * its SQL interface does. The names are those of the endpoint.
 */
export function figuresXml(): string {
  return `  <http_handlers>
    <rule><url>/metrics</url><methods>GET</methods><handler><type>predefined_query_handler</type><query>${xml(FIGURES)}</query></handler></rule>
    <defaults/>
  </http_handlers>`;
}

/** The library has no asynchronous metrics, the server has: `merge` reads what is there. */
const FIGURES = `SELECT * FROM (
SELECT concat(if(_table = 'metrics', 'ClickHouseMetrics_', 'ClickHouseAsyncMetrics_'), replaceRegexpAll(metric, '[^a-zA-Z0-9_]', '_')) AS name, toFloat64(value) AS value, description AS help, 'gauge' AS type
FROM merge('system', '^(asynchronous_)?metrics$')
UNION ALL
SELECT concat('ClickHouseProfileEvents_', event) AS name, toFloat64(value) AS value, description AS help, 'counter' AS type FROM system.events
) ORDER BY name FORMAT Prometheus`;

/** Pools and caches for a small machine; and what has to be granted, is asked for. */
export function poolsXml(): string {
  return `  <background_pool_size>4</background_pool_size>
  <background_schedule_pool_size>16</background_schedule_pool_size>
  <background_message_broker_schedule_pool_size>32</background_message_broker_schedule_pool_size>
  <mark_cache_size>67108864</mark_cache_size>
  <index_mark_cache_size>16777216</index_mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <mmap_cache_size>100</mmap_cache_size>
  <max_server_memory_usage>1500000000</max_server_memory_usage>
  <max_concurrent_queries>100</max_concurrent_queries>
  <merge_tree><old_parts_lifetime>30</old_parts_lifetime></merge_tree>
  <access_control_improvements>
    <table_engines_require_grant>true</table_engines_require_grant>
    <select_from_system_db_requires_grant>true</select_from_system_db_requires_grant>
  </access_control_improvements>`;
}

/** Kafka's credentials stand here, so that no table definition carries a password. */
export function kafkaClientXml(kafka: KafkaEndpoint): string {
  return `  <kafka>
${clientXml(kafka)}<session_timeout_ms>6000</session_timeout_ms>
    <heartbeat_interval_ms>1000</heartbeat_interval_ms>
    <topic_metadata_refresh_interval_ms>5000</topic_metadata_refresh_interval_ms>
    <reconnect_backoff_max_ms>1000</reconnect_backoff_max_ms>
    <statistics_interval_ms>10000</statistics_interval_ms>${hasPeers(kafka) ? HANGS : ''}
  </kafka>`;
}

/** A broker that hangs keeps its connections: the others are asked when it has not answered for so long. */
const HANGS = '\n    <socket_timeout_ms>10000</socket_timeout_ms>';

/** Names of librdkafka, whose dots are underscores here. */
function clientXml({ sasl, tls }: KafkaEndpoint): string {
  const lines = Object.entries({
    ...(sasl || tls
      ? {
          security_protocol: securityProtocol(sasl !== undefined, tls !== undefined).toLowerCase(),
        }
      : {}),
    ...(sasl
      ? {
          sasl_mechanism: sasl.mechanism,
          sasl_username: sasl.username,
          sasl_password: sasl.password,
        }
      : {}),
    ...(tls?.ca === undefined ? {} : { ssl_ca_pem: tls.ca }),
    ...(tls?.cert === undefined ? {} : { ssl_certificate_pem: tls.cert }),
    ...(tls?.key === undefined ? {} : { ssl_key_pem: tls.key }),
  }).map(([key, value]) => `    <${key}>${xml(value)}</${key}>\n`);
  return `${lines.join('')}    `;
}

/**
 * What the pipeline does in ClickHouse, and no more: it has no way to files, addresses or programs of its machine but
 * PostgreSQL and Kafka.
 */
const PIPELINE_GRANTS = [
  'GRANT SHOW, SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE TEMPORARY TABLE, DROP DATABASE, DROP TABLE, DROP VIEW, TRUNCATE, OPTIMIZE, CHECK, KILL QUERY, SYSTEM VIEWS ON *.*',
  // Of people, on copies; a file outside of ClickHouse's own folder is refused to them by itself.
  'GRANT CREATE DICTIONARY, DROP DICTIONARY, dictGet, SYSTEM RELOAD DICTIONARY ON *.*',
  'GRANT READ ON POSTGRES',
  'GRANT READ, WRITE ON KAFKA',
  ...[
    ...['Atomic', 'Memory', 'Null', 'Buffer', 'Kafka', 'Merge', 'View', 'MaterializedView'],
    ...['Join', 'Set', 'Log', 'StripeLog', 'TinyLog'],
    ...['', 'Replacing', 'Summing', 'Aggregating', 'Collapsing', 'VersionedCollapsing'].map(
      (kind) => `${kind}MergeTree`,
    ),
  ].map((engine) => `GRANT TABLE ENGINE ON ${chIdent(engine)}`),
];

/** Only where cdc.yaml names a place for backups: to S3 they would be a way out, and libchdb ends when it is asked for one. */
const BACKUP_GRANT = 'GRANT BACKUP ON *.*';

/** Tables of the pipeline's own database that views of the copy read. */
const READ_BY_VIEWS = [CH_CDC.truncates, CH_CDC.loads, CH_CDC.generations];

/** Everything that was copied, and figures for Prometheus. */
function readerGrants(own: string): string[] {
  return [
    'GRANT SHOW, SELECT ON *.*',
    'REVOKE SELECT ON system.*',
    `REVOKE SELECT ON ${chIdent(own)}.*`,
    ...READ_BY_VIEWS.map((table) => `GRANT SELECT ON ${chIdent(own, table)}`),
    ...['metrics', 'asynchronous_metrics', 'events'].map(
      (table) => `GRANT SELECT ON system.${table}`,
    ),
  ];
}

/** What a disk in a table's settings would open a way to; what would take messages away from the copy. */
const CONSTRAINTS = ['merge_tree_disk', 'merge_tree_storage_policy'];
const READER_CONSTRAINTS = ['stream_like_engine_allow_direct_select'];

export interface ClickHouseUsers {
  /** Password of the pipeline. */
  readonly password: string;
  /** Password of people, who read. */
  readonly readerPassword: string;
  /** Where they connect from. */
  readonly network: string;
  /** The database of the pipeline's own tables. */
  readonly own: string;
  /** Backups are made. */
  readonly backsUp: boolean;
}

/**
 * Compiling expressions pays for millions of rows; a view here sees a few at a time, and each
 * compilation would hold up a flush by 100 ms. A block of more partitions than ClickHouse takes by itself
 * would hold up its queue for good, as would a table of more columns than its parser expects. The library's own session logs in as `default`, without a
 * password: it may start listeners. An image's own `default`, who may do everything, is replaced.
 */
export function clickhouseUsersXml(users: ClickHouseUsers): string {
  const fixed = (names: readonly string[]) =>
    `<constraints>${names.map((name) => `<${name}><readonly/></${name}>`).join('')}</constraints>`;
  const user = (name: string, password: string, profile: string, grants: readonly string[]) => {
    const digest = createHash('sha256').update(password).digest('hex');
    return `    <${name}>
      <password_sha256_hex>${digest}</password_sha256_hex><networks><ip>${xml(users.network)}</ip></networks>
      <profile>${profile}</profile><quota>default</quota>
${grantsXml(grants)}
    </${name}>`;
  };
  return `<clickhouse>
  <profiles>
    <default><max_threads>4</max_threads><compile_expressions>0</compile_expressions><max_partitions_per_insert_block>0</max_partitions_per_insert_block><max_ast_elements>2000000</max_ast_elements><max_expanded_ast_elements>20000000</max_expanded_ast_elements>${fixed(CONSTRAINTS)}</default>
    <reader><profile>default</profile><readonly>2</readonly>${fixed(READER_CONSTRAINTS)}</reader>
  </profiles>
  <quotas><default/></quotas>
  <users>
    <default replace="replace">
      <password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
${grantsXml(['GRANT SYSTEM LISTEN ON *.*', 'GRANT SELECT ON system.numbers'])}
    </default>
${user(CLICKHOUSE_USER, users.password, 'default', [...PIPELINE_GRANTS, ...(users.backsUp ? [BACKUP_GRANT] : [])])}
${user(CLICKHOUSE_READER, users.readerPassword, 'reader', readerGrants(users.own))}
  </users>
</clickhouse>
`;
}

function grantsXml(grants: readonly string[]): string {
  const queries = grants.map((grant) => `        <query>${xml(grant)}</query>`);
  return `      <grants>\n${queries.join('\n')}\n      </grants>`;
}
