import { type ClickHouse, withClickHouse } from '../../components/clickhouse/client.ts';
import { queuesOfOthers } from '../../components/clickhouse/queues.ts';
import { recordsOf } from '../../components/clickhouse/records.ts';
import { Connect, type ConnectorConfig } from '../../components/connect/client.ts';
import { withPostgres } from '../../components/postgres/client.ts';
import {
  isPublished,
  observeOwnership,
  type SourceOwnership,
} from '../../components/postgres/identity.ts';
import type { LoadedConfig } from '../../config/load.ts';
import { CH_CDC, DEFAULT_PIPELINE, heartbeatOf, type PipelineNames } from '../../core/names.ts';
import type { DesiredTarget, ObservedObject } from '../../core/plan.ts';
import { objectKey, objectsOf } from '../../core/plan.ts';
import { Problem } from '../../core/problems.ts';
import { chIdent } from '../../lib/sql.ts';
import type { Endpoints, PostgresEndpoint } from '../../stack/endpoints.ts';
import { namesOf, rememberShared } from '../../stack/names.ts';
import { type Owner, readOwner, recordOwner } from '../state/owner.ts';
import type { Lineage } from './lineage.ts';

/** What is looked at where several pipelines may share servers. */
interface Sharing {
  readonly names: PipelineNames;
  readonly endpoints: Pick<Endpoints, 'postgres' | 'clickhouse'>;
}

interface SharingConnect extends Sharing {
  readonly endpoints: Pick<Endpoints, 'postgres' | 'clickhouse' | 'connect'>;
}

/** Something that this pipeline would use, and that is another one's. */
interface Conflict {
  readonly object: string;
  readonly owner: string;
  /** For cdc.yaml, or a statement. */
  readonly fix: string;
}

/**
 * A pipeline with a name that an earlier cdc made has the names of the one without: its publication tells so. They
 * stay, and with them its copy.
 */
export async function settleNames(
  loaded: Pick<LoadedConfig, 'config' | 'directory'>,
  postgres: PostgresEndpoint,
): Promise<void> {
  const { own, publication } = namesOf(loaded);
  if (own === DEFAULT_PIPELINE) return;
  const isShared = await withPostgres(
    postgres,
    async (client) =>
      (await isPublished(client, publication, heartbeatOf(DEFAULT_PIPELINE))) &&
      !(await isPublished(client, publication, heartbeatOf(own))),
  );
  if (isShared) rememberShared(loaded.directory);
}

/**
 * Refuses to go on where the source or ClickHouse has something of another pipeline under a name of this one's: the
 * records of a pipeline of this name and another source, a slot of another database, a publication, topics, groups.
 */
export async function refuseOtherPipelines(
  stack: Sharing,
  options: { readonly newSource?: boolean | undefined } = {},
): Promise<void> {
  const { names, endpoints } = stack;
  const source = await sourceOwnership(stack);
  const isNew = options.newSource === true;
  const found = await withClickHouse(endpoints.clickhouse, async (clickhouse) => [
    ...(await recordConflicts(clickhouse, stack, source, isNew)),
    ...sourceConflicts(names, endpoints.postgres.database, source),
    ...(await queueConflicts(clickhouse, names)),
  ]);
  refuse(found);
}

/** The same of Connect's connectors; and of a slot that one elsewhere reads. */
export async function refuseOtherConnectors(stack: SharingConnect): Promise<void> {
  const { names, endpoints } = stack;
  const found: Conflict[] = [];
  const configs = await new Connect(endpoints.connect).configs();
  for (const [name, config] of configs) {
    const shared = name === names.connector ? undefined : sharedOption(stack, config);
    if (shared) found.push({ ...shared, owner: `connector ${name}` });
  }
  const own = configs.get(names.connector);
  // Somewhere else it is where cdc has moved it, if it is this pipeline's.
  const isKnown = () => withClickHouse(endpoints.clickhouse, readOwner).then(Boolean);
  if (own && !endpoints.connect.managed && !isOfSource(endpoints.postgres, own)) {
    if (!(await isKnown())) found.push(connectorConflict(stack, own));
  } else if (!own && (await sourceOwnership(stack)).slot?.active && !(await isKnown())) {
    found.push({
      object: `slot ${names.slot}`,
      owner: 'a pipeline in another Kafka Connect, which reads it',
      fix: nameYaml(stack),
    });
  }
  refuse(found);
}

/** Before something is done to the connector: that it is of the same database. Asks Connect alone, whatever else is down. */
export async function refuseOthersConnector(stack: SharingConnect): Promise<void> {
  const { names, endpoints } = stack;
  const config = await new Connect(endpoints.connect).config(names.connector);
  if (config && config['database.dbname'] !== endpoints.postgres.database)
    refuse([connectorConflict(stack, config)]);
}

function connectorConflict(stack: SharingConnect, config: ConnectorConfig): Conflict {
  return {
    object: `connector ${stack.names.connector}`,
    owner: `a pipeline of database ${config['database.dbname']} at ${config['database.hostname']}:${config['database.port']}`,
    fix: nameYaml(stack),
  };
}

/** Objects of the target that are to be made or altered, and stand there as another pipeline's. */
export function refuseOtherObjects(
  { names, endpoints }: Sharing,
  target: DesiredTarget,
  observed: ReadonlyMap<string, ObservedObject>,
): void {
  refuse(
    objectsOf(target).flatMap((object) => {
      const otherOwn = observed.get(objectKey(object))?.otherOwn;
      if (otherOwn === undefined) return [];
      return [
        {
          object: `${object.kind} ${object.database}.${object.name}`,
          owner: `pipeline ${nameOf(otherOwn)}`,
          fix: `${nameYaml({ names, endpoints })}; or another database for its tables: clickhouse: { database: ${names.own}_copy }`,
        },
      ];
    }),
  );
}

/** Whose the records are from now on. */
export async function claimPipeline(
  stack: Sharing,
  clickhouse: ClickHouse,
  { epoch, timeline }: Pick<Lineage, 'epoch' | 'timeline'>,
): Promise<void> {
  const { source } = await sourceOwnership(stack);
  await recordOwner(clickhouse, {
    name: stack.names.pipeline,
    source,
    epoch,
    ...(timeline === undefined ? {} : { timeline }),
  });
}

function sourceOwnership({ names, endpoints }: Sharing): Promise<SourceOwnership> {
  return withPostgres(endpoints.postgres, (client) =>
    observeOwnership(client, names, heartbeatOf(names.own).table),
  );
}

async function recordConflicts(
  clickhouse: ClickHouse,
  stack: Sharing,
  { source }: SourceOwnership,
  isNew: boolean,
): Promise<Conflict[]> {
  const { pipeline, own, slot } = stack.names;
  const object = `database ${own} in ClickHouse`;
  const owner = await readOwner(clickhouse);
  if (owner === undefined) {
    // An earlier cdc has not said whose they are; its slot does.
    const slots = (await recordsOf(clickhouse, 'floor')).filter(({ id }) => id.schema === '');
    const names = slots.map(({ id }) => id.table);
    return names.length === 0 || names.includes(slot)
      ? []
      : [{ object, owner: `the pipeline of slot ${names.join(', ')}`, fix: nameYaml(stack) }];
  }
  if (owner.name === pipeline && (isNew || owner.source === source)) return [];
  const fix = owner.name === pipeline ? NEW_SOURCE : takeOver(own, owner);
  return [{ object, owner: describe(owner), fix: `${nameYaml(stack)}\n${fix}` }];
}

function describe({ name, source }: Owner): string {
  const [server, database] = source.split(/\/(.*)/s);
  return `pipeline ${name} of database ${database} (PostgreSQL ${server})`;
}

/** A source that was upgraded or made again from a dump has another number. */
const NEW_SOURCE =
  'If it is this one, and its source was upgraded, moved or made again: cdc apply --new-source   # loads every table again, deletes included';

function takeOver(own: string, { name }: Owner): string {
  return `If it is this one, and was renamed, in ClickHouse: DELETE FROM ${chIdent(own, CH_CDC.loads)} WHERE chunk = 'pipeline'   -- forgets that it is ${name}'s; then: cdc up`;
}

function sourceConflicts(
  names: PipelineNames,
  database: string,
  { slot, published }: SourceOwnership,
): Conflict[] {
  const found: Conflict[] = [];
  if (slot && slot.database !== database)
    found.push({
      object: `slot ${names.slot}`,
      owner: `a pipeline of database ${slot.database}`,
      fix: `In cdc.yaml: name: ${suggestedName(names, database)}   # or source: { slot: … }`,
    });
  const other = published.find((schema) => schema !== names.own && isOwnSchema(schema));
  if (other !== undefined)
    found.push({
      object: `publication ${names.publication}`,
      owner: `pipeline ${nameOf(other)}`,
      fix:
        other === DEFAULT_PIPELINE && !published.includes(names.own)
          ? 'cdc up   # an earlier cdc made it: its names are found, and stay'
          : 'In cdc.yaml: source: { publication: … }   # one of its own',
    });
  return found;
}

async function queueConflicts(clickhouse: ClickHouse, names: PipelineNames): Promise<Conflict[]> {
  const queues = await queuesOfOthers(clickhouse);
  const owner = ({ name, own }: (typeof queues)[number]) =>
    `pipeline ${nameOf(own)} (its queue ${name})`;
  const group = queues.find((queue) => queue.group.startsWith(`${names.group}.`));
  const topics = queues.find((queue) =>
    queue.topics.some((topic) => topic.startsWith(`${names.topicPrefix}.`)),
  );
  return [
    ...(group
      ? [
          {
            object: `consumer group ${names.group}`,
            owner: owner(group),
            fix: 'In cdc.yaml: clickhouse: { consumer_group: … }   # one of its own',
          },
        ]
      : []),
    ...(topics
      ? [
          {
            object: `topic prefix ${names.topicPrefix}`,
            owner: owner(topics),
            fix: 'In cdc.yaml: connect: { topic_prefix: … }   # one of its own',
          },
        ]
      : []),
  ];
}

/** What another connector has in common with this pipeline's that no two may have. */
function sharedOption(
  { names, endpoints }: SharingConnect,
  config: ConnectorConfig,
): Omit<Conflict, 'owner'> | undefined {
  const of = (key: string, yaml: string) => ({
    object: `${key} ${config[key]}`,
    fix: `In cdc.yaml: ${yaml}   # one of its own`,
  });
  if (config['topic.prefix'] === names.topicPrefix)
    return of('topic.prefix', 'connect: { topic_prefix: … }');
  if (!isOfSource(endpoints.postgres, config)) return undefined;
  if (config['slot.name'] === names.slot) return of('slot.name', 'source: { slot: … }');
  return config['publication.name'] === names.publication
    ? of('publication.name', 'source: { publication: … }')
    : undefined;
}

function isOfSource({ internal, database }: PostgresEndpoint, config: ConnectorConfig): boolean {
  return (
    config['database.dbname'] === database &&
    config['database.hostname'] === internal.host &&
    config['database.port'] === String(internal.port)
  );
}

function refuse(found: readonly Conflict[]): void {
  const [first] = found;
  if (!first) return;
  const all = found.map(({ object, owner }) => `${object} belongs to ${owner}`);
  throw new Problem('OTHER_PIPELINE', {
    object: first.object,
    owner: first.owner,
    detail: `Nothing was changed. ${all.join('; ')}.`,
    fix: [...new Set(found.map(({ fix }) => fix))].join('\n'),
  });
}

function nameYaml({ names, endpoints }: Sharing): string {
  return `In cdc.yaml: name: ${suggestedName(names, endpoints.postgres.database)}   # a name that no other pipeline on these servers has`;
}

function suggestedName({ pipeline }: PipelineNames, database: string): string {
  const plain = database.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  return `${pipeline}-${plain}`.slice(0, 40).replace(/-$/, '');
}

function isOwnSchema(schema: string): boolean {
  return schema === DEFAULT_PIPELINE || schema.startsWith(`${DEFAULT_PIPELINE}_`);
}

/** Of the pipeline that keeps its own there, but for its dashes. */
function nameOf(own: string): string {
  return own === DEFAULT_PIPELINE ? own : own.slice(`${DEFAULT_PIPELINE}_`.length);
}
