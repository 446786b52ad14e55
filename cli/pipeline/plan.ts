import { ClickHouse } from '../components/clickhouse/client.ts';
import { observeTarget, readLoadStates } from '../components/clickhouse/observe.ts';
import { databasesOf, reshapedTables, targetChanges } from '../components/clickhouse/prepare.ts';
import { Connect } from '../components/connect/client.ts';
import { withKafkaAdmin } from '../components/kafka/client.ts';
import { readCatalog } from '../components/postgres/catalog.ts';
import { checkSource, checkTable } from '../components/postgres/check.ts';
import { withPostgres } from '../components/postgres/client.ts';
import { parseFilters } from '../components/postgres/filter.ts';
import {
  isUsable,
  type ObservedSource,
  observeSource,
  tableRights,
} from '../components/postgres/observe.ts';
import {
  alterPublicationStatement,
  createPublicationStatement,
  dropSlotStatement,
  filterPublicationStatement,
  ownTableStatements,
  publishGeneratedStatement,
} from '../components/postgres/prepare.ts';
import type { Finding } from '../core/findings.ts';
import {
  CDC_SCHEMA,
  CH_CDC,
  OWN_TABLES,
  type TableId,
  tableLabel,
  tableLabelKey,
  topicCollision,
  topicName,
} from '../core/names.ts';
import { applyOverrides } from '../core/overrides.ts';
import {
  type Change,
  connectorDiff,
  objectKey,
  publicationDiff,
  tableObject,
} from '../core/plan.ts';
import { Problem, plural } from '../core/problems.ts';
import { selectTables } from '../core/select.ts';
import type { SourceTable } from '../core/source.ts';
import { pgLiteral } from '../lib/sql.ts';
import { type AggregatePlan, planAggregates } from './aggregates.ts';
import { type Desired, desiredOf } from './desired.ts';
import { slotFloor, tableFloor } from './floor.ts';
import { reloadState } from './reload.ts';
import { historyState } from './rowHistory.ts';
import type { Stack } from './stack.ts';

export interface SourceReport {
  readonly observed: ObservedSource;
  readonly tables: readonly SourceTable[];
  /** All of them: of the server, the role, and every table. */
  readonly findings: readonly Finding[];
  /** Those that are about one table. */
  readonly ofTable: ReadonlyMap<SourceTable, readonly Finding[]>;
  /** What is wrong with tables that are left out for it. */
  readonly leftOut?: readonly Finding[];
}

/** What reading the source takes; a source can be looked at before any stack runs. */
export interface SourceAccess {
  readonly config: Stack['config'];
  readonly names: Stack['names'];
  readonly endpoints: Pick<Stack['endpoints'], 'postgres'>;
}

/** Reads the source and everything that is wrong with it; changes nothing. */
export async function inspectSource(stack: SourceAccess): Promise<SourceReport> {
  const { config, endpoints, names } = stack;
  return withPostgres(endpoints.postgres, async (client) => {
    const observed = await observeSource(client, names);
    const chosen = selectTables(
      await readCatalog(client),
      config.source.include,
      config.source.exclude,
    );
    const changed = applyOverrides(chosen, config.tables);
    const ownNames = {
      slot: names.slot,
      publication: names.publication,
      database: endpoints.postgres.database,
    };
    const { tables, findings: ofFilters } = await parseFilters(client, {
      observed,
      tables: changed.tables,
      names: ownNames,
    });
    const rights = await tableRights(
      client,
      tables.map((t) => t.oid),
    );
    const input = { observed, tables, rights, names: ownNames };
    const ofTable = new Map(
      tables.map((table) => [
        table,
        [...checkTable(table, input), ...(ofFilters.get(table.oid) ?? [])],
      ]),
    );
    const findings = [...changed.findings, ...checkSource(input), ...[...ofTable.values()].flat()];
    return { observed, tables, findings, ofTable };
  });
}

/** Errors among findings end a command before it changes anything. */
export function refuseOnErrors(findings: readonly Finding[]): void {
  const errors = findings.filter((f) => f.severity === 'error');
  if (errors.length === 0) return;
  throw new Problem('SOURCE_NOT_READY', {
    count: plural(errors.length, 'finding'),
    detail: errors.map((f) => `${f.subject}: ${f.message} [${f.id}]\n  ${f.fix}`).join('\n'),
  });
}

/**
 * Rows read by a filter that the publication does not have yet would be wrong: those that are newly
 * inside would have no changes.
 */
export function refuseOtherFilters(source: SourceReport, chosen: readonly TableId[]): void {
  const { filter } = publicationDiff(source.observed.publication ?? [], source.tables);
  const other = new Set(filter.map(tableLabelKey));
  const table = chosen.find((id) => other.has(tableLabelKey(id)));
  if (!table) return;
  const detail = 'Its filter in cdc.yaml (where) is another than that of the publication.';
  throw new Problem('TABLE_NOT_APPLIED', { table: tableLabel(table), detail });
}

export interface Plan {
  readonly source: SourceReport;
  readonly desired: Desired;
  readonly changes: readonly Change[];
  /** Tables whose existing rows are not loaded, or not completely. */
  readonly toLoad: readonly string[];
  /** Tables whose storage has to change its columns or its key. */
  readonly reshaped: readonly string[];
  /** Tables whose rows are to be loaded again, since their form has changed. */
  readonly toReload: readonly string[];
  /** Tables that are in the publication with another filter. */
  readonly refiltered: readonly string[];
  /** Tables of which is not known which form they had when they were loaded. */
  readonly unknownShape: readonly string[];
  /** Tables whose history has to begin, is to be answered for once rows are loaded, or has to end. */
  readonly history: HistoryPlan;
  /** Views that files declare. */
  readonly views: AggregatePlan;
}

interface HistoryPlan {
  readonly begin: readonly string[];
  readonly complete: readonly string[];
  readonly end: readonly string[];
}

export interface PlanOptions {
  /** Go on without new tables that cannot be copied, instead of refusing all. */
  readonly leaveOut?: boolean;
}

/** Tables that are not copied yet and have errors are left out; their findings turn to warnings. */
function withoutRefused(source: SourceReport): SourceReport {
  const copied = new Set((source.observed.publication ?? []).map(tableLabelKey));
  const refused = source.tables.filter(
    (table) =>
      !copied.has(tableLabelKey(table)) &&
      source.ofTable.get(table)?.some((finding) => finding.severity === 'error'),
  );
  const theirs = refused.flatMap((table) => source.ofTable.get(table) ?? []);
  const key = (finding: Finding) => JSON.stringify([finding.id, finding.subject]);
  const keys = new Set(theirs.map(key));
  return {
    ...source,
    tables: source.tables.filter((table) => !refused.includes(table)),
    findings: source.findings.filter((finding) => !keys.has(key(finding))),
    leftOut: theirs.filter((finding) => finding.severity === 'error'),
  };
}

/** What `apply` would do. Servers that are empty yet are fine; none is changed. */
export async function makePlan(stack: Stack, options: PlanOptions = {}): Promise<Plan> {
  const inspected = await inspectSource(stack);
  const source = options.leaveOut ? withoutRefused(inspected) : inspected;
  refuseOnErrors(source.findings);
  const desired = desiredOf(stack, source.tables);
  const clickhouse = new ClickHouse(stack.endpoints.clickhouse);
  try {
    const databases = await databasesOf(clickhouse);
    const observed = await observeTarget(clickhouse, desired.target.databases);
    const reshaped = reshapedTables(desired.target, observed).map(tableLabel);
    const refiltered = publicationDiff(source.observed.publication ?? [], source.tables).filter.map(
      tableLabel,
    );
    const toLoad: string[] = [];
    const toReload: string[] = [];
    const unknownShape: string[] = [];
    const history = { begin: [] as string[], complete: [] as string[], end: [] as string[] };
    const hasLoads = observed.has(objectKey({ database: CH_CDC.database, name: CH_CDC.loads }));
    const states = hasLoads ? await readLoadStates(clickhouse) : undefined;
    const floor =
      states && isUsable(source.observed.slot) ? slotFloor(states, stack.names.slot) : undefined;
    for (const table of desired.tables) {
      const own =
        states && floor !== undefined ? tableFloor(states, table.source, floor) : undefined;
      const load = own === undefined ? undefined : states?.load(table, own);
      const label = tableLabel(table);
      const isLoaded = load === 'done';
      if (!isLoaded) toLoad.push(label);
      const { isDue, isBegun, isToEnd } = states
        ? historyState(states, table, observed)
        : { isDue: table.history, isBegun: false, isToEnd: false };
      if (isDue) history.complete.push(label);
      if (isToEnd) history.end.push(label);
      const state = states && own !== undefined ? reloadState(states, table.source) : undefined;
      const isAgain = state?.needed === true || [...reshaped, ...refiltered].includes(label);
      // What an earlier command has loaded without it would be missing in the history.
      const lacksRows = isDue && load !== undefined && !(isBegun && (isAgain || !isLoaded));
      if (isDue && (!isBegun || lacksRows)) history.begin.push(label);
      if (own === undefined) continue;
      if (isAgain || lacksRows) toReload.push(label);
      else if (!state?.shapeKnown) unknownShape.push(label);
    }
    const loads = [...new Set([...toLoad, ...toReload])];
    const views = await planAggregates(stack, clickhouse, desired, observed);
    const [fault] = views.faults;
    if (fault && !options.leaveOut) throw new Problem('VIEW_INVALID', { ...fault });
    const changes = [
      ...targetChanges(desired.target, observed, databases),
      ...sourceChanges(stack, source),
      ...(await topicChanges(stack, desired)),
      ...(await connectorChanges(stack, desired)),
      ...desired.tables
        .filter((table) => loads.includes(tableLabel(table)))
        .map(
          (table): Change => ({
            component: 'clickhouse',
            action: 'load',
            object: tableObject(table),
            sql: [],
          }),
        ),
      ...views.changes,
    ];
    return {
      source,
      desired,
      changes,
      toLoad,
      reshaped,
      toReload,
      refiltered,
      unknownShape,
      history,
      views,
    };
  } finally {
    await clickhouse.close();
  }
}

function sourceChanges(stack: Stack, source: SourceReport): Change[] {
  const { publication, slot } = stack.names;
  const { observed, tables } = source;
  const changes: Change[] = [];
  const change = (action: Change['action'], object: string, sql: string[]): Change => ({
    component: 'postgres',
    action,
    object,
    sql,
  });
  if (!observed.ownTables)
    changes.push(change('create', `schema ${CDC_SCHEMA}`, ownTableStatements()));
  const generated = tables.some((table) => table.hasGenerated);
  if (!observed.publication) {
    const all = [...tables, ...OWN_TABLES];
    changes.push(
      change('create', `publication ${publication}`, [
        createPublicationStatement(publication, all, generated),
      ]),
    );
  } else {
    if (generated && !observed.publishesGenerated) {
      changes.push(
        change('update', `publication ${publication} (generated columns)`, [
          publishGeneratedStatement(publication),
        ]),
      );
    }
    const { add, remove, filter } = publicationDiff(observed.publication, tables);
    for (const id of filter) {
      changes.push(
        change('update', `filter of ${tableObject(id)} in publication ${publication}`, [
          filterPublicationStatement(publication, id),
        ]),
      );
    }
    for (const id of add) {
      changes.push(
        change('add', `${tableObject(id)} to publication ${publication}`, [
          alterPublicationStatement(publication, 'ADD', id),
        ]),
      );
    }
    for (const id of remove) {
      changes.push(
        change('remove', `${tableObject(id)} from publication ${publication}`, [
          alterPublicationStatement(publication, 'DROP', id),
        ]),
      );
    }
  }
  if (!isUsable(observed.slot)) {
    const create = `SELECT pg_create_logical_replication_slot(${pgLiteral(slot)}, 'pgoutput')`;
    changes.push(
      observed.slot
        ? change('replace', `slot ${slot} (it lost WAL)`, [dropSlotStatement(slot), create])
        : change('create', `slot ${slot}`, [create]),
    );
  }
  return changes;
}

async function topicChanges(stack: Stack, desired: Desired): Promise<Change[]> {
  const present = new Set(
    await withKafkaAdmin(stack.endpoints.kafka, (admin) => admin.listTopics()),
  );
  const missing = desired.topics.filter((topic) => !present.has(topic));
  for (const topic of missing) {
    const existing = topicCollision(topic, present);
    if (existing === undefined) continue;
    const tables = desired.lanes.flatMap((lane) => lane.tables);
    const ofTopic = (name: string) =>
      tables.find((id) => topicName(stack.names.topicPrefix, id) === name);
    const table = ofTopic(topic);
    const other = ofTopic(existing);
    throw new Problem('TOPIC_COLLISION', {
      table: table ? tableLabel(table) : topic,
      other: other ? tableLabel(other) : existing,
      topic,
      existing,
    });
  }
  return missing.map((topic) => ({
    component: 'kafka',
    action: 'create',
    object: `topic ${topic}`,
    sql: [],
  }));
}

async function connectorChanges(stack: Stack, desired: Desired): Promise<Change[]> {
  const connect = new Connect(stack.endpoints.connect);
  const present = await connect.config(stack.names.connector);
  const different = connectorDiff(present, desired.connector);
  if (different.length === 0) return [];
  const object = present
    ? `connector ${stack.names.connector} (${different.join(', ')})`
    : `connector ${stack.names.connector}`;
  return [{ component: 'connect', action: present ? 'update' : 'create', object, sql: [] }];
}
