import { createHash } from 'node:crypto';

/**
 * Every name in the pipeline is computed here, and nowhere else: slot, publication, topic,
 * consumer group, ClickHouse databases and tables.
 */

/** A table in the source: unquoted parts, as in the catalog. */
export interface TableId {
  readonly schema: string;
  readonly table: string;
}

/** `schema.table`, for people and for JSON; not SQL. */
export function tableLabel(id: TableId): string {
  return `${id.schema}.${id.table}`;
}

/** Kafka accepts these characters only; Debezium replaces every other UTF-16 unit by `_`. */
const TOPIC_UNSAFE = /[^A-Za-z0-9._-]/g;

/**
 * The topic that Debezium writes a table's changes to. Different tables can share one ("a b" and
 * "a_b"): views therefore select by `source.schema` and `source.table`, never by topic.
 */
export function topicName(prefix: string, id: TableId): string {
  return `${prefix}.${id.schema}.${id.table}`.replace(TOPIC_UNSAFE, '_');
}

/**
 * A topic beside which Kafka will not make this one: it takes names that differ only in `.` and `_`
 * for the same (`x.y_z` and `x_y.z`).
 */
export function topicCollision(topic: string, present: Iterable<string>): string | undefined {
  const unified = (name: string) => name.replaceAll('.', '_');
  for (const other of present) {
    if (other !== topic && unified(other) === unified(topic)) return other;
  }
  return undefined;
}

/** The pipeline that nobody has named. Its names are those that all pipelines had before they had some of their own. */
export const DEFAULT_PIPELINE = 'cdc';

/** What a pipeline calls its parts in the servers, so that several can share them. */
export interface PipelineNames {
  readonly pipeline: string;
  readonly slot: string;
  readonly publication: string;
  readonly connector: string;
  readonly topicPrefix: string;
  readonly group: string;
  /** Its own schema in the source, and its own database in ClickHouse, whose objects carry it in their comments. */
  readonly own: string;
}

export interface NamedPipeline {
  readonly name: string;
  readonly source: {
    readonly slot?: string | undefined;
    readonly publication?: string | undefined;
  };
  readonly connect: { readonly topic_prefix?: string | undefined };
  readonly clickhouse: { readonly consumer_group?: string | undefined };
}

/** @param isOld an earlier cdc made it, when pipelines with a name shared these with the one that has none. */
export function pipelineNames(config: NamedPipeline, isOld = false): PipelineNames {
  const { name, source, connect, clickhouse } = config;
  const isShared = isOld || name === DEFAULT_PIPELINE;
  return {
    pipeline: name,
    slot: source.slot ?? slotNameFor(name),
    publication: source.publication ?? slotNameFor(name),
    connector: `${name}-postgres`,
    topicPrefix: connect.topic_prefix ?? (isShared ? 'postgres-server' : name),
    group: clickhouse.consumer_group ?? (isShared ? 'clickhouse-group' : name),
    own: isShared ? DEFAULT_PIPELINE : slotNameFor(name),
  };
}

/**
 * The group of the workers of a Kafka Connect that cdc runs, and how their topics begin. Workers of one group have one
 * another's connectors, so on brokers of somebody else's it is the pipeline's own.
 */
export function workerGroup({ own }: Pick<PipelineNames, 'own'>, ownsKafka: boolean): string {
  const pipeline = ownsKafka || own === DEFAULT_PIPELINE ? DEFAULT_PIPELINE : own;
  return `${pipeline.replaceAll('_', '-')}-connect`;
}

/** The row that the agent keeps updating, to prove that the pipeline flows. */
export function heartbeatOf(own: string): TableId {
  return { schema: own, table: 'heartbeat' };
}

/** Rows written here tell Debezium to read tables again; it marks its progress here, too. */
export function signalOf(own: string): TableId {
  return { schema: own, table: 'signal' };
}

/** Tables of our own in the source; the publication always has them. */
export function ownTablesOf(own: string): readonly TableId[] {
  return [heartbeatOf(own), signalOf(own)];
}

/** The topic to which Debezium writes how its snapshots get on. */
export function notificationTopic(prefix: string): string {
  return `${prefix}${NOTIFICATIONS}`;
}

const NOTIFICATIONS = '.cdc.notifications';

export function isNotificationTopic(topic: string): boolean {
  return topic.endsWith(NOTIFICATIONS);
}

/** Tables of our own in ClickHouse, in the pipeline's own database. */
export const CH_CDC = {
  deadLetters: 'dead_letters',
  exceptions: 'exceptions',
  loads: 'loads',
  heartbeats: 'heartbeats',
  truncates: 'truncates',
  generations: 'generations',
  history: 'history',
  verifications: 'verifications',
} as const;

/** Stems of the objects of our own that exist while Debezium reads a table's rows. */
export function snapshotNames(id: TableId, own: string): TargetNames {
  const view = `snapshot_${digest(tableLabelKey(id))}`;
  return { database: own, view, final: '', mv: `${view}_mv`, historyStem: '' };
}

/** Databases of ClickHouse's and of our own; a schema of that name gets an underscore. */
export const RESERVED_DATABASES: readonly string[] = [
  'system',
  'information_schema',
  'INFORMATION_SCHEMA',
  '_temporary_and_external_tables',
  DEFAULT_PIPELINE,
];

export function targetDatabase(schema: string, configured: string | undefined): string {
  const name = configured ?? schema;
  return shorten(RESERVED_DATABASES.includes(name) ? `${name}_` : name, DATABASE_LENGTH);
}

/**
 * ClickHouse names files after tables: a dropped one's is `database.table.uuid.sql`, of 255 bytes
 * at most, in which all but ASCII word characters count three times. Names of 63 ASCII characters
 * stay as they are.
 */
const DATABASE_LENGTH = 90;
const VIEW_LENGTH = 96;

function escapedLength(text: string): number {
  return [...Buffer.from(text)].reduce((sum, byte) => sum + (isWord(byte) ? 1 : 3), 0);
}

function isWord(byte: number): boolean {
  return byte < 128 && /\w/.test(String.fromCharCode(byte));
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

/** A name that is too long keeps its beginning and gets a digest of the whole. */
function shorten(name: string, limit: number): string {
  if (escapedLength(name) <= limit) return name;
  const end = `_${digest(name)}`;
  let kept = '';
  for (const char of name) {
    if (escapedLength(kept + char) + end.length > limit) break;
    kept += char;
  }
  return kept + end;
}

/** What stands in ClickHouse for one source table. */
export interface TargetNames {
  readonly database: string;
  /** The view people query: current rows only. */
  readonly view: string;
  /** Storage: every version of every row. */
  readonly final: string;
  /** From the queue's Null table into storage. */
  readonly mv: string;
  /** How names of the table's history begin. */
  readonly historyStem: string;
}

/** What stands in ClickHouse for the history of one table. */
export interface HistoryNames {
  /** The view of all changes, each once, and where they are stored. */
  readonly changes: string;
  readonly log: string;
  readonly logMv: string;
  /** The view of the rows at a time; it takes the time. */
  readonly asOf: string;
  /** Storage of every version of every row. */
  readonly versions: string;
  readonly versionsMv: string;
}

export function historyNames({ historyStem: stem }: TargetNames): HistoryNames {
  return {
    changes: `${stem}changes`,
    log: `${stem}changes_log`,
    logMv: `${stem}changes_mv`,
    asOf: `${stem}as_of`,
    versions: `${stem}versions`,
    versionsMv: `${stem}versions_mv`,
  };
}

/** What is appended to a view's name for the objects that belong to it. */
const SUFFIXES = ['final', 'mv', 'queue', 'queue_rows', 'queue_mv', 'exceptions_mv'] as const;

const HISTORY_SUFFIXES = [
  'changes',
  'changes_log',
  'changes_mv',
  'as_of',
  'versions',
  'versions_mv',
] as const;

/** A table, and where cdc.yaml wants its copy. */
export interface NamedTable extends TableId {
  readonly target?: { readonly database?: string | undefined; readonly table?: string | undefined };
}

/** Names that a table has been given, and what they were given for. */
export interface KnownNames extends TargetNames {
  readonly wanted: string;
}

export interface TakenNames {
  /** Of tables by tableLabelKey, also of those that are not copied any more: what is there keeps its name. */
  readonly known: ReadonlyMap<string, KnownNames>;
  /** Tables and views that are not ours, by objectKey. */
  readonly foreign: ReadonlySet<string>;
  /** Tables, by tableLabelKey, that share a queue with no other: what they hold would hold it up. */
  readonly isolated?: ReadonlySet<string>;
  /** Names that were given are right, whatever cdc.yaml wants by now. */
  readonly stay?: boolean;
}

const NOTHING_TAKEN: TakenNames = { known: new Map(), foreign: new Set() };

/** What a table's copy is to be called: database and view, as one key. */
export function wantedName(
  table: NamedTable,
  database: string | undefined,
): { database: string; view: string; key: string } {
  const own = targetDatabase(table.schema, table.target?.database ?? database);
  const view = table.target?.table ?? table.table;
  return { database: own, view, key: JSON.stringify([own, view]) };
}

/**
 * Names for all tables. Those that were given before stay, whatever joins, so only what is new gives way:
 * to them, and to what is not ours. Among new ones names can meet, too: `orders_final` may be a table of
 * the user's, and with one database for all schemas two tables can have the same name. There the rule only
 * looks at the set of tables, so that every run computes the same names: a view keeps its table's
 * name if it can, and what belongs to a view gives way to other views, with more underscores.
 */
export function targetNames(
  tables: readonly NamedTable[],
  database: string | undefined,
  { known, foreign, stay = false }: TakenNames = NOTHING_TAKEN,
): Map<string, TargetNames> {
  const key = (db: string, name: string) => JSON.stringify([db, name]);
  const names = new Map<string, TargetNames>();
  const taken = new Set(foreign);
  for (const given of known.values()) {
    const { database: db, view, final, mv, historyStem } = given;
    const stems = [final.slice(0, -'final'.length), mv.slice(0, -'mv'.length)];
    for (const name of [view, ...stems.flatMap((stem) => SUFFIXES.map((end) => stem + end))])
      taken.add(key(db, name));
    for (const end of HISTORY_SUFFIXES) taken.add(key(db, historyStem + end));
  }
  const wanted = tables.flatMap((id) => {
    const label = tableLabelKey(id);
    const { database: db, view, key: asked } = wantedName(id, database);
    const given = known.get(label);
    if (given === undefined || (given.wanted !== asked && !stay))
      return [{ id, label, database: db, name: view, asked }];
    const { wanted: _, ...own } = given;
    names.set(label, own);
    return [];
  });
  const count = new Map<string, number>();
  for (const { asked } of wanted) count.set(asked, (count.get(asked) ?? 0) + 1);
  const ordered = wanted
    .map((entry) => {
      const { id, name, asked } = entry;
      const shared = (count.get(asked) ?? 0) > 1 || taken.has(asked);
      const view = shorten(shared ? `${id.schema}__${name}` : name, VIEW_LENGTH);
      return { ...entry, view, plain: view === name };
    })
    .sort((a, b) => Number(b.plain) - Number(a.plain) || (a.label < b.label ? -1 : 1));
  const views = ordered.map((entry) => {
    let view = entry.view;
    for (let salt = ''; taken.has(key(entry.database, view)); salt += '+') {
      view = shorten(`${entry.view}_${digest(entry.label + salt)}`, VIEW_LENGTH);
    }
    taken.add(key(entry.database, view));
    return { ...entry, view };
  });
  const stemOf = (db: string, view: string, suffixes: readonly string[]) => {
    let stem = `${view}_`;
    const own = () => suffixes.map((suffix) => key(db, `${stem}${suffix}`));
    while (own().some((name) => taken.has(name))) stem += '_';
    for (const name of own()) taken.add(name);
    return stem;
  };
  const stems = views.map((entry) => stemOf(entry.database, entry.view, SUFFIXES));
  for (const [i, { label, database: db, view }] of views.entries()) {
    // After all others, and with a stem of its own: where history is off these names change none.
    const historyStem = stemOf(db, view, HISTORY_SUFFIXES);
    names.set(label, {
      database: db,
      view,
      final: `${stems[i]}final`,
      mv: `${stems[i]}mv`,
      historyStem,
    });
  }
  return names;
}

/** A map key that no pair of names can fake (`a.b`.`c` and `a`.`b.c` differ). */
export function tableLabelKey(id: TableId): string {
  return JSON.stringify([id.schema, id.table]);
}

/** Names of a queue: one Kafka engine table, the Null table behind it, and the views between. */
export interface SharedQueueNames {
  readonly database: string;
  readonly queue: string;
  readonly fanout: string;
  readonly mv: string;
  readonly exceptionsMv: string;
  readonly group: string;
  /** The pipeline's own database, where its exceptions go. */
  readonly own: string;
}

/** Whether a group is of a second reader, which earlier versions had for each queue. */
export function isCheckGroup(group: string): boolean {
  return group.endsWith('.check');
}

/** A queue of one table is named after it (`orders_queue`); a shared one lives in the pipeline's own database. */
export function sharedQueueNames(
  { group, own }: Pick<PipelineNames, 'group' | 'own'>,
  table: TargetNames | undefined,
  index: number,
): SharedQueueNames {
  const stem = table ? table.mv.slice(0, -'mv'.length) : `lane_${index}_`;
  const ownGroup = `${group}.${table ? groupPart(table) : `lane_${index}`}`;
  return {
    own,
    database: table?.database ?? own,
    queue: `${stem}queue`,
    fanout: `${stem}queue_rows`,
    mv: `${stem}queue_mv`,
    exceptionsMv: `${stem}exceptions_mv`,
    group: ownGroup,
  };
}

/** Two queues in one group would take each other's messages: different views, different groups. */
function groupPart(own: TargetNames): string {
  const safe = [own.database, own.view].map((part) => part.replace(/[^A-Za-z0-9_-]/g, '_'));
  const exact = safe[0] === own.database && safe[1] === own.view;
  return `${safe.join('.')}${exact ? '' : `.${digest(JSON.stringify([own.database, own.view]))}`}`;
}

/** PostgreSQL slot names: lower case letters, digits and underscore, 63 bytes. */
export function slotNameFor(stack: string): string {
  return `cdc_${stack.toLowerCase().replace(/[^a-z0-9_]/g, '_')}`.slice(0, 63);
}
