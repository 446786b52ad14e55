import { chIdent } from '../lib/sql.ts';
import type { TargetObject } from './ddl.ts';
import { CH_CDC } from './names.ts';
import { tableBody } from './storage.ts';

/**
 * Tables of our own: dead letters, progress of loads, last truncates, history, comparisons, and
 * heartbeats that arrived.
 */
export function ownTables(own: string): TargetObject[] {
  const object = (name: string, definitions: readonly string[], clauses: string): TargetObject => ({
    own,
    database: own,
    name,
    kind: 'storage',
    definitions,
    create: `CREATE TABLE IF NOT EXISTS ${chIdent(own, name)}\n${tableBody(definitions, clauses)}`,
  });
  return [
    object(
      CH_CDC.deadLetters,
      [
        'topic LowCardinality(String)',
        'partition UInt64',
        'offset UInt64',
        'schema_name String',
        'table_name String',
        'op LowCardinality(String)',
        'key String',
        'image String',
        'raw String',
        'version UInt64',
        'reason String',
        "arrived_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')",
      ],
      `ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset)`,
    ),
    object(
      CH_CDC.loads,
      [
        'schema_name String',
        'table_name String',
        'floor UInt64',
        'chunk String',
        'state LowCardinality(String)',
        'rows UInt64',
        "at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')",
      ],
      `ENGINE = ReplacingMergeTree(at)
ORDER BY (schema_name, table_name, floor, chunk)`,
    ),
    object(
      CH_CDC.truncates,
      [
        'schema_name String',
        'table_name String',
        'version UInt64',
        "committed_at DateTime64(6, 'UTC')",
        'transaction_id UInt64',
      ],
      `ENGINE = ReplacingMergeTree(version)
ORDER BY (schema_name, table_name)`,
    ),
    // Of tables without a key: the load whose rows count, and which transactions it has seen.
    object(
      CH_CDC.generations,
      [
        'schema_name String',
        'table_name String',
        'generation UInt64',
        'seen UInt64',
        'after UInt64',
        'xmax UInt64',
        'xips Array(UInt64)',
        "at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')",
      ],
      `ENGINE = ReplacingMergeTree(generation)
ORDER BY (schema_name, table_name)`,
    ),
    object(
      CH_CDC.history,
      [
        "at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')",
        'by LowCardinality(String)',
        'changes Array(String)',
        'statements Array(String)',
        'seconds Float64',
        'result String',
      ],
      `ENGINE = MergeTree
ORDER BY at`,
    ),
    object(
      CH_CDC.verifications,
      [
        "at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')",
        'ok Bool',
        'flowing Bool',
        'tables Array(String)',
        'captured UInt32',
        'differing Array(String)',
        'rows UInt64',
        'sampled Float64',
        'seconds Float64',
      ],
      `ENGINE = MergeTree
ORDER BY at
TTL toDateTime(at) + INTERVAL 1 YEAR`,
    ),
    object(
      CH_CDC.heartbeats,
      [
        'beat Int64',
        'version UInt64',
        "committed_at DateTime64(6, 'UTC')",
        "captured_at DateTime64(6, 'UTC')",
        "queued_at DateTime64(6, 'UTC')",
        "written_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC')",
      ],
      `ENGINE = MergeTree
ORDER BY committed_at
TTL toDateTime(committed_at) + INTERVAL 1 DAY`,
    ),
  ];
}
