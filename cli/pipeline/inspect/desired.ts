import { MAX_MESSAGE_BYTES, replicationOf } from '../../components/kafka/topics.ts';
import { connectorConfig, type SecretsPlace } from '../../core/connector.ts';
import { planTable, storageObject, type TablePlan, tableView, viewObject } from '../../core/ddl.ts';
import { privatePatterns, ruledTables } from '../../core/followRules.ts';
import { historyObjects, historyViews } from '../../core/history-ddl.ts';
import { kafkaCollection } from '../../core/kafkaCollection.ts';
import { multisetRowView, multisetStorage, multisetView } from '../../core/multiset-ddl.ts';
import {
  CH_CDC,
  heartbeatOf,
  type NamedTable,
  notificationTopic,
  signalOf,
  type TableId,
  type TakenNames,
  type TargetNames,
  tableLabel,
  tableLabelKey,
  targetNames,
  topicName,
} from '../../core/names.ts';
import { ownTables } from '../../core/own-tables.ts';
import type { DesiredSharedQueue, DesiredTarget } from '../../core/plan.ts';
import { sharedProfile } from '../../core/profiles.ts';
import {
  exceptionObjects,
  exceptionsView,
  fanoutObject,
  heartbeatView,
  type KafkaLogin,
  queueObject,
  sharedQueueView,
} from '../../core/queue-ddl.ts';
import { planSharedQueues, type SharedQueue } from '../../core/sharedQueues.ts';
import { isMultiset, type SourceColumn, type SourceTable } from '../../core/source.ts';
import type { Endpoints, PostgresEndpoint } from '../../stack/endpoints.ts';
import type { Stack } from '../state/stack.ts';

/** Everything that should stand in the servers, computed from the catalog and the configuration. */
export interface Desired {
  readonly tables: readonly TablePlan[];
  readonly sharedQueues: readonly SharedQueue[];
  readonly topics: readonly string[];
  readonly target: DesiredTarget;
  readonly connector: Readonly<Record<string, string>>;
}

/**
 * `taken`: names that were given before, and those that are somebody else's.
 * `chosen`: all tables that cdc.yaml chooses. Names can collide, and a table must not get another one
 * because its neighbour cannot be copied any more.
 * `epoch`: the source's (core/lineage.ts).
 */
export function desiredOf(
  stack: Stack,
  captured: readonly SourceTable[],
  chosen: readonly NamedTable[] = captured,
  taken?: TakenNames,
  epoch = 0,
): Desired {
  const { topicPrefix: prefix, group, own } = stack.names;
  const names = targetNames(chosen, stack.config.clickhouse.database, taken);
  const tables = captured.map((source) => {
    const given = names.get(tableLabelKey(source));
    if (!given) throw new RangeError(`no names for ${source.table}`);
    return planTable(source, given, own);
  });
  const options = { prefix, group, own, isolated: taken?.isolated };
  const heartbeat = heartbeatOf(own);
  names.set(tableLabelKey(heartbeat), heartbeatNames(heartbeat));
  const sharedQueues = planSharedQueues([...tables, heartbeat], names, options);
  return {
    tables,
    sharedQueues,
    topics: [
      ...sharedQueues.flatMap((sharedQueue) => sharedQueue.topics),
      topicName(stack.names.topicPrefix, signalOf(own)),
      notificationTopic(stack.names.topicPrefix),
    ],
    target: desiredTarget(stack, tables, sharedQueues, epoch),
    connector: connectorConfig({
      own,
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
      message: stack.config.kafka.message,
      replication: replicationOf(stack.endpoints.kafka),
      database: databaseOf(stack.endpoints.postgres),
      secrets: secretsPlace(stack),
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

/** Where the connector's worker reads the source's password; absent where cdc does not run it. */
export function secretsPlace({ endpoints, secrets }: Stack): SecretsPlace | undefined {
  const file = endpoints.connect.secretsFile;
  // Known to nobody who sees what Connect shows.
  return file === undefined ? undefined : { file, key: secrets.postgres };
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

/** How queues log in to the brokers. A ClickHouse that cdc runs has it in its own configuration. */
export function queueLogin({ clickhouse, kafka }: Endpoints): KafkaLogin | undefined {
  if (clickhouse.managed) return undefined;
  const collection = kafka.tls && kafkaCollection(kafka.tls)?.name;
  return { sasl: kafka.sasl, isTls: kafka.tls !== undefined, collection };
}

function databaseOf(endpoint: PostgresEndpoint) {
  const { internal, user, password, database, sslmode, tls } = endpoint;
  return { ...internal, user, password, database, sslmode, tls };
}

/**
 * The heartbeat crosses the pipeline like any table and in one of their queues, so that it tells how
 * late they are. It has no storage of a table's: its view keeps every beat.
 */
function heartbeatNames({ schema: own, table }: TableId): TargetNames {
  return {
    database: own,
    view: table,
    final: CH_CDC.heartbeats,
    mv: `${table}_mv`,
    historyStem: '',
  };
}

function desiredTarget(
  stack: Stack,
  tables: readonly TablePlan[],
  sharedQueues: readonly SharedQueue[],
  epoch: number,
): DesiredTarget {
  const queueOptions = {
    brokers: stack.endpoints.kafka.internalBrokers.join(','),
    profile: sharedQueues.some((sharedQueue) => sharedQueue.topics.length > 1)
      ? sharedProfile(stack.profile)
      : stack.profile,
    login: queueLogin(stack.endpoints),
  };
  const queueOf = (sharedQueue: SharedQueue): DesiredSharedQueue => ({
    queue: queueObject(sharedQueue, queueOptions),
    behind: [
      fanoutObject(sharedQueue),
      ...own(sharedQueue).map((plan) =>
        (plan.multiset ? multisetRowView : tableView)(plan, sharedQueue),
      ),
      ...own(sharedQueue)
        .filter((plan) => plan.history)
        .flatMap((plan) => historyViews(plan, sharedQueue, stack.secrets.toastPlaceholder)),
      exceptionsView(sharedQueue),
      ...(sharedQueue.tables.some(isHeartbeat) ? [heartbeatView(sharedQueue)] : []),
    ],
    reader: sharedQueueView(sharedQueue, stack.secrets.toastPlaceholder, epoch),
  });
  const { own: database } = stack.names;
  const heartbeat = tableLabelKey(heartbeatOf(database));
  const isHeartbeat = (id: TableId) => tableLabelKey(id) === heartbeat;
  const own = (sharedQueue: SharedQueue): TablePlan[] =>
    sharedQueue.tables
      .filter((id) => !isHeartbeat(id))
      .map((id) => {
        const plan = tables.find((t) => tableLabelKey(t) === tableLabelKey(id));
        if (!plan) throw new RangeError(`no plan for ${id.table}`);
        return plan;
      });
  return {
    database,
    databases: [...new Set([database, ...tables.map((t) => t.names.database)])],
    own: [...ownTables(database), ...exceptionObjects(database)],
    tables: tables.map((plan) => ({
      plan,
      storage: (plan.multiset ? multisetStorage : storageObject)(plan),
      view: (plan.multiset ? multisetView : viewObject)(plan),
      history: plan.history ? historyObjects(plan) : undefined,
    })),
    sharedQueues: sharedQueues.map(queueOf),
  };
}
