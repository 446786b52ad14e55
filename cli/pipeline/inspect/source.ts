import { readCatalog } from '../../components/postgres/catalog.ts';
import { checkSource, checkTable } from '../../components/postgres/check.ts';
import { checkServer } from '../../components/postgres/checkServer.ts';
import { withPostgres } from '../../components/postgres/client.ts';
import { listColumns } from '../../components/postgres/columnLists.ts';
import { parseFilters } from '../../components/postgres/filter.ts';
import {
  type ObservedSource,
  observeSource,
  tableRights,
} from '../../components/postgres/observe.ts';
import { refusePooler } from '../../components/postgres/pooler.ts';
import { type Finding, findingOf } from '../../core/findings.ts';
import type { Remembered } from '../../core/followRules.ts';
import { divideTables, type LeftOut, leftOutFindings, leftOutFor } from '../../core/leftOut.ts';
import {
  ownTablesOf,
  type TableId,
  tableLabel,
  tableLabelKey,
  topicCollision,
  topicName,
} from '../../core/names.ts';
import { applyOverrides } from '../../core/overrides.ts';
import { publicationDiff } from '../../core/plan.ts';
import { Problem, plural } from '../../core/problems.ts';
import type { SourceTable } from '../../core/source.ts';
import { ownSchemas, selectTables } from '../../core/tableFilter.ts';
import { excludeYaml } from '../../core/yaml.ts';
import { readRules } from '../state/columnRules.ts';
import type { Stack } from '../state/stack.ts';
import { type Lineage, lineageOf, passedBy } from './lineage.ts';
import { refuseOtherPipelines } from './others.ts';

export interface SourceReport {
  readonly observed: ObservedSource;
  readonly tables: readonly SourceTable[];
  /** All of them: of the server, the role, and every table. */
  readonly findings: readonly Finding[];
  /** Rules that keep values back, as they were given. */
  readonly remembered: Remembered;
  /** Those that are about one table. */
  readonly ofTable: ReadonlyMap<SourceTable, readonly Finding[]>;
}

/** The source as far as it can be copied. */
export interface CapturedSource extends SourceReport {
  /** All tables that cdc.yaml chooses: names of the copied ones must not depend on who is left out. */
  readonly chosen: readonly SourceTable[];
  readonly leftOut: readonly LeftOut[];
}

/** The same, of a source that was compared with what is remembered of it. */
export interface ComparedSource extends CapturedSource {
  readonly lineage: Lineage;
}

export interface CaptureOptions {
  readonly strict?: boolean | undefined;
  /** For who makes another slot and loads all tables, a source that is not the one of before is no problem. */
  readonly mends?: boolean;
  /** Another server or database is the source of this pipeline from now on. */
  readonly newSource?: boolean | undefined;
}

/** What reading the source takes; a source can be looked at before any stack runs. */
export interface SourceAccess {
  readonly config: Stack['config'];
  readonly names: Stack['names'];
  readonly endpoints: Pick<Stack['endpoints'], 'postgres'>;
}

/**
 * Reads the source and everything that is wrong with it; changes nothing.
 *
 * @param options.forOwner what is found is for the publication's owner to make so, whoever is connected.
 */
export async function inspectSource(
  stack: SourceAccess,
  remembered: Remembered = new Map(),
  options: { readonly forOwner?: boolean } = {},
): Promise<SourceReport> {
  const { config, endpoints, names } = stack;
  return withPostgres(endpoints.postgres, async (client) => {
    await refusePooler(client, endpoints.postgres);
    const observed = await observeSource(client, names);
    const catalog = await readCatalog(client);
    const { include, exclude } = config.source;
    const chosen = selectTables(catalog, include, exclude, ownSchemas(catalog, names.own));
    const changed = applyOverrides(chosen, config.tables, remembered);
    const ownNames = {
      slot: names.slot,
      publication: names.publication,
      own: names.own,
      database: endpoints.postgres.database,
    };
    const filtered = await parseFilters(client, {
      observed,
      tables: changed.tables,
      names: ownNames,
    });
    const { tables, findings: ofLists } = await listColumns(client, {
      observed,
      tables: filtered.tables,
      publication: names.publication,
      isOn: config.source.column_lists,
      forOwner: options.forOwner === true,
    });
    const rights = await tableRights(
      client,
      tables.map((t) => t.oid),
    );
    const input = { observed, tables, rights, names: ownNames };
    const ofTable = new Map(
      tables.map((table) => [
        table,
        [
          ...checkTable(table, input),
          ...[changed.ofTable, filtered.findings, ofLists].flatMap((of) => of.get(table.oid) ?? []),
        ],
      ]),
    );
    const findings = [...changed.findings, ...checkSource(input), ...[...ofTable.values()].flat()];
    return { observed, tables, findings, ofTable, remembered };
  });
}

/**
 * Reads the source and leaves out the tables that cannot be copied, so that none stops the others.
 * What is wrong with the server, the role or cdc.yaml is refused, and tables of which none can be copied.
 */
export async function captureSource(
  stack: Stack,
  options: CaptureOptions = {},
): Promise<ComparedSource> {
  await refuseOtherPipelines(stack, options);
  const remembered = await readRules(stack.endpoints.clickhouse);
  const report = await inspectSource(stack, remembered);
  const lineage = await lineageOf(stack);
  if (lineage.broken !== undefined && !options.mends)
    throw new Problem('SOURCE_BROKEN', { detail: `${lineage.broken}.` });
  const { slot } = report.observed;
  const passed = lineage.broken ?? passedBy(slot, lineage.acknowledged);
  const observed = slot
    ? { ...report.observed, slot: { ...slot, passedBy: passed } }
    : report.observed;
  const source = withoutUnfit({ ...report, observed }, stack.config.source.include);
  const isStrict = options.strict === true || source.tables.length === 0;
  refuseOnErrors([...source.findings, ...(isStrict ? asErrors(source.leftOut) : [])]);
  return { ...source, lineage };
}

/** For who wants all or nothing. */
export function refuseLeftOut(leftOut: readonly LeftOut[]): void {
  refuseOnErrors(asErrors(leftOut));
}

function asErrors(leftOut: readonly LeftOut[]): Finding[] {
  return leftOutFindings(leftOut).map((finding) => ({ ...finding, severity: 'error' }));
}

/** What is left among the findings is of the whole, and of tables that are copied. */
export function withoutUnfit(source: SourceReport, include: readonly string[]): CapturedSource {
  const { tables, ofTable, observed } = source;
  const published = observed.publication ?? [];
  const { planned, leftOut } = divideTables({ tables, ofTable, include, published });
  const labels = new Set(leftOut.map(({ table }) => table));
  const unfit = tables.filter((table) => labels.has(tableLabel(table)));
  const theirs = new Set(unfit.flatMap((table) => ofTable.get(table) ?? []));
  return {
    ...source,
    tables: planned,
    chosen: tables,
    findings: source.findings.filter((finding) => !theirs.has(finding)),
    leftOut,
  };
}

/**
 * Before anything is started: that there is such a database, and that its server can be a source.
 *
 * @returns what does not keep it from being one.
 */
export async function askServer({
  endpoints,
  names,
}: Pick<SourceAccess, 'endpoints' | 'names'>): Promise<Finding[]> {
  const { postgres } = endpoints;
  const own = { ...names, database: postgres.database };
  const observed = await withPostgres(postgres, async (client) => {
    await refusePooler(client, postgres);
    return observeSource(client, names);
  });
  const found = checkServer({ observed, names: own });
  refuseOnErrors(found);
  return found;
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
 * Of the tables that a command is to read, those whose copy is not there yet as cdc.yaml says. Rows
 * read by a filter that the publication does not have yet would be wrong: those that are newly inside
 * would have no changes.
 */
export function notApplied(
  source: CapturedSource,
  chosen: readonly TableId[],
  own: string,
): TableId[] {
  const { publication = [] } = source.observed;
  const { add, filter } = publicationDiff(publication, source.tables, ownTablesOf(own));
  const other = new Set([...add, ...filter].map(tableLabelKey));
  return chosen.filter((id) => other.has(tableLabelKey(id)));
}

/** Without tables whose topics Kafka would not make beside those that are there. */
export function withoutCollisions(
  stack: Stack,
  source: ComparedSource,
  topics: ReadonlySet<string>,
  strict: boolean,
): ComparedSource {
  const { topicPrefix } = stack.names;
  const found = source.tables.flatMap((table) => {
    const topic = topicName(topicPrefix, table);
    const existing = topics.has(topic) ? undefined : topicCollision(topic, topics);
    if (existing === undefined) return [];
    const other = source.chosen.find((id) => topicName(topicPrefix, id) === existing);
    const label = tableLabel(table);
    const problem = new Problem('TOPIC_COLLISION', {
      table: label,
      other: other ? tableLabel(other) : existing,
      topic,
      existing,
      exclude: excludeYaml([table]),
    });
    return [{ table, finding: findingOf(label, problem) }];
  });
  return without(stack, source, found, strict);
}

/** Without tables whose view ClickHouse refuses; what it says, by tableLabel. */
export function withoutRefused(
  stack: Stack,
  source: ComparedSource,
  refused: ReadonlyMap<string, string>,
  strict: boolean,
): ComparedSource {
  const found = source.tables.flatMap((table) => {
    const label = tableLabel(table);
    const said = refused.get(label);
    if (said === undefined) return [];
    const message = `ClickHouse refuses the view that would store its changes: ${said}`;
    const fix = `Keep back or carry as text the column that it names (tables: in cdc.yaml), or leave it out: ${excludeYaml([table])}`;
    const finding: Finding = {
      id: 'view-refused',
      severity: 'error',
      subject: label,
      message,
      fix,
    };
    return [{ table, finding }];
  });
  return found.length === 0 ? source : without(stack, source, found, strict);
}

function without(
  stack: Stack,
  source: ComparedSource,
  found: readonly { readonly table: SourceTable; readonly finding: Finding }[],
  strict: boolean,
): ComparedSource {
  if (strict) refuseOnErrors(found.map(({ finding }) => finding));
  const { include } = stack.config.source;
  const out = new Set(found.map(({ table }) => table));
  return {
    ...source,
    tables: source.tables.filter((table) => !out.has(table)),
    leftOut: [
      ...source.leftOut,
      ...found.map(({ table, finding }) => leftOutFor(table, [finding], include)),
    ],
  };
}
