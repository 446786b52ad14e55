import { EXIT, entry } from './problemEntry.ts';

/** What a user can meet with ClickHouse, and with what cdc.yaml wants there. */
export const CLICKHOUSE_PROBLEMS = {
  CLICKHOUSE_UNREACHABLE: entry(
    EXIT.unreachable,
    'ClickHouse at {endpoint} cannot be reached.',
    '{detail}',
    'cdc status && cdc logs clickhouse',
  ),
  CLICKHOUSE_AUTH: entry(
    EXIT.refused,
    'ClickHouse at {endpoint} refused user {user}.',
    '{detail}',
    'Put the right password into the environment (CDC_CLICKHOUSE_PASSWORD) or into clickhouse.password_file.',
  ),
  CLICKHOUSE_REFUSED: entry(
    EXIT.refused,
    'ClickHouse refused a statement: {detail}',
    'Statement: {statement}',
    'cdc logs clickhouse',
  ),
  VIEW_INVALID: entry(
    EXIT.configuration,
    '{file} declares no view that cdc can keep: {detail}.',
    'Files in clickhouse.views hold CREATE VIEW and CREATE MATERIALIZED VIEW … REFRESH EVERY … AS SELECT.',
    'Edit {file}, then run the same command again; docs/aggregates.md has examples.',
  ),
  VIEW_REFUSED: entry(
    EXIT.refused,
    'ClickHouse refused {view} of {file}: {detail}',
    'Everything else is applied.',
    'Edit {file}, then: cdc apply',
  ),
  RECORD_UNREADABLE: entry(
    EXIT.refused,
    'cdc.loads has something about {subject} that this cdc cannot read ({kind}).',
    '{detail}',
    "Run the cdc that wrote it, or a newer one; the record: SELECT * FROM cdc.loads FINAL WHERE chunk = '{kind}'",
  ),
  STORAGE_REFUSED: entry(
    EXIT.configuration,
    'ClickHouse cannot store {table} as cdc.yaml says.',
    '{detail}',
    'Change order_by, partition_by, ttl, settings or codec of {table} under tables: in cdc.yaml; nothing was changed.',
  ),
} as const;
