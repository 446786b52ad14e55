import { MAX_MESSAGE_BYTES, replicationOf } from '../components/kafka/topics.ts';
import { connectorConfig } from '../core/connector.ts';
import { planTable, storageObject, type TablePlan, tableView, viewObject } from '../core/ddl.ts';
import { privatePatterns, ruledTables } from '../core/followRules.ts';
import { historyObjects, historyViews } from '../core/history-ddl.ts';
import {
  exceptionObjects,
  exceptionsView,
  fanoutObject,
  heartbeatView,
  laneView,
  queueObject,
} from '../core/lane-ddl.ts';
import { type Lane, planLanes } from '../core/lanes.ts';
import { multisetRowView, multisetStorage, multisetView } from '../core/multiset-ddl.ts';
import {
  CDC_SCHEMA,
  CH_CDC,
  HEARTBEAT,
  type NamedTable,
  notificationTopic,
  SIGNAL,
  type TableId,
  type TakenNames,
  type TargetNames,
  tableLabel,
  tableLabelKey,
  targetNames,
  topicName,
} from '../core/names.ts';
import { ownTables } from '../core/own-tables.ts';
import type { DesiredLane, DesiredTarget } from '../core/plan.ts';
import { sharedProfile } from '../core/profiles.ts';
import { isMultiset, type SourceColumn, type SourceTable } from '../core/source.ts';
import type { PostgresEndpoint } from '../runtimes/endpoints.ts';
import type { Stack } from './stack.ts';

/** Everything that should stand in the servers, computed from the catalog and the configuration. */
export interface Desired {
  readonly tables: readonly TablePlan[];
  readonly lanes: readonly Lane[];
  readonly topics: readonly string[];
  readonly target: DesiredTarget;
  readonly connector: Readonly<Record<string, string>>;
}

/**
 * `taken`: names that were given before, and those that are somebody else's.
 * `chosen`: all tables that cdc.yaml chooses. Names can collide, and a table must not get another one
 * because its neighbour cannot be copied any more.
 */
export function desiredOf(
  stack: Stack,
  captured: readonly SourceTable[],
  chosen: readonly NamedTable[] = captured,
  taken?: TakenNames,
): Desired {
  const names = targetNames(chosen, stack.config.clickhouse.database, taken);
  const tables = captured.map((source) => {
    const own = names.get(tableLabelKey(source));
    if (!own) throw new RangeError(`no names for ${source.table}`);
    return planTable(source, own);
  });
  const options = { prefix: stack.names.topicPrefix, group: stack.names.group };
  names.set(tableLabelKey(HEARTBEAT), HEARTBEAT_NAMES);
  const lanes = planLanes([...tables, HEARTBEAT], names, options);
  return {
    tables,
    lanes,
    topics: [
      ...lanes.flatMap((lane) => lane.topics),
      topicName(stack.names.topicPrefix, SIGNAL),
      notificationTopic(stack.names.topicPrefix),
    ],
    target: desiredTarget(stack, tables, lanes),
    connector: connectorConfig({
      topicPrefix: stack.names.topicPrefix,
      slot: stack.names.slot,
      publication: stack.names.publication,
      tables: [
        ...tables.map(({ schema, table, source }) =>
          source.keyIsPrimary || isMultiset(source)
            ? { schema, table }
            : { schema, table, messageKey: ownKey(source) },
        ),
      ],
      include: stack.config.source.include,
      profile: stack.profile,
      toastPlaceholder: stack.secrets.toastPlaceholder,
      maxMessageBytes: MAX_MESSAGE_BYTES,
      replication: replicationOf(stack.endpoints.kafka),
      database: databaseOf(stack.endpoints.postgres),
      columns: {
        excluded: captured.flatMap((t) => t.excluded.map((name) => `${tableLabel(t)}.${name}`)),
        asText: carried(captured, 'text'),
        masked: carried(captured, 'mask'),
        ruled: ruledTables(captured),
        private: privatePatterns(stack.config.tables),
      },
    }),
  };
}

/** The source's key, without what order_by adds to it. */
function ownKey({ key, widenedBy = [] }: SourceTable): string[] {
  return key.filter((name) => !widenedBy.includes(name));
}

function carried(tables: readonly SourceTable[], how: SourceColumn['carry']): string[] {
  return tables.flatMap((table) =>
    table.columns.filter((c) => c.carry === how).map((c) => `${tableLabel(table)}.${c.name}`),
  );
}

function databaseOf(endpoint: PostgresEndpoint) {
  const { inner, user, password, database, sslmode } = endpoint;
  return { ...inner, user, password, database, sslmode };
}

/**
 * The heartbeat crosses the pipeline like any table and in one of their lanes, so that it tells how
 * late they are. It has no storage of a table's: its view keeps every beat.
 */
const HEARTBEAT_NAMES: TargetNames = {
  database: CDC_SCHEMA,
  view: HEARTBEAT.table,
  final: CH_CDC.heartbeats,
  mv: `${HEARTBEAT.table}_mv`,
  historyStem: '',
};

function isHeartbeat(id: TableId): boolean {
  return tableLabelKey(id) === tableLabelKey(HEARTBEAT);
}

function desiredTarget(
  stack: Stack,
  tables: readonly TablePlan[],
  lanes: readonly Lane[],
): DesiredTarget {
  const queueOptions = {
    brokers: stack.endpoints.kafka.innerBrokers.join(','),
    profile: lanes.some((lane) => lane.topics.length > 1)
      ? sharedProfile(stack.profile)
      : stack.profile,
    // The embedded ClickHouse has the credentials in its own configuration.
    sasl: stack.endpoints.clickhouse.managed ? undefined : stack.endpoints.kafka.sasl,
  };
  const laneOf = (lane: Lane): DesiredLane => ({
    queue: queueObject(lane, queueOptions),
    behind: [
      fanoutObject(lane),
      ...own(lane).map((plan) => (plan.multiset ? multisetRowView : tableView)(plan, lane)),
      ...own(lane)
        .filter((plan) => plan.history)
        .flatMap((plan) => historyViews(plan, lane, stack.secrets.toastPlaceholder)),
      exceptionsView(lane),
      ...(lane.tables.some(isHeartbeat) ? [heartbeatView(lane)] : []),
    ],
    reader: laneView(lane, stack.secrets.toastPlaceholder),
  });
  const own = (lane: Lane): TablePlan[] =>
    lane.tables
      .filter((id) => !isHeartbeat(id))
      .map((id) => {
        const plan = tables.find((t) => tableLabelKey(t) === tableLabelKey(id));
        if (!plan) throw new RangeError(`no plan for ${id.table}`);
        return plan;
      });
  return {
    databases: [...new Set([CH_CDC.database, ...tables.map((t) => t.names.database)])],
    own: [...ownTables(), ...exceptionObjects()],
    tables: tables.map((plan) => ({
      plan,
      storage: (plan.multiset ? multisetStorage : storageObject)(plan),
      view: (plan.multiset ? multisetView : viewObject)(plan),
      history: plan.history ? historyObjects(plan) : undefined,
    })),
    lanes: lanes.map(laneOf),
  };
}
