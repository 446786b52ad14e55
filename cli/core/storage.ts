import { createHash } from 'node:crypto';
import { chIdent, chLiteral, pgIdent } from '../lib/sql.ts';
import type { SourceTable, StorageOptions, Ttl } from './source.ts';

/**
 * Digests, to tell from a table that stands how it is stored; empty where nothing is said of it. A
 * layout cannot be altered: the rows are written anew. The other options can.
 */
export interface StorageMarks {
  readonly layout: string;
  readonly options: string;
}

const UNITS = ['SECOND', 'MINUTE', 'HOUR', 'DAY', 'WEEK', 'MONTH', 'QUARTER', 'YEAR'];
/** Longer ones reach beyond what ClickHouse's TTL can count to. */
const YEARS = 50;
const DAYS_OF_UNIT: Readonly<Record<string, number>> = {
  SECOND: 1 / 86_400,
  MINUTE: 1 / 1440,
  HOUR: 1 / 24,
  DAY: 1,
  WEEK: 7,
  MONTH: 31,
  QUARTER: 92,
  YEAR: 366,
};

/**
 * `created_at + INTERVAL 90 DAY`, as ClickHouse writes a TTL; undefined when it is of another form. Only
 * of this one both databases can be asked alike which rows it leaves.
 */
export function parseTtl(text: string): Ttl | undefined {
  const form = new RegExp(
    `^(?:"((?:[^"]|"")+)"|\`([^\`]+)\`|([\\p{L}_][\\p{L}\\p{N}_$]*))\\s*\\+\\s*INTERVAL\\s+(\\d{1,9})\\s+(${UNITS.join('|')})S?$`,
    'iu',
  );
  const [, quoted, ticked, plain, count = '', unit = ''] = form.exec(text.trim()) ?? [];
  const column = quoted?.replaceAll('""', '"') ?? ticked ?? plain;
  const ttl = { column: column ?? '', count: Number(count), unit: unit.toUpperCase() };
  const days = ttl.count * (DAYS_OF_UNIT[ttl.unit] ?? 0);
  return column !== undefined && days > 0 && days <= YEARS * 366 ? ttl : undefined;
}

const TIMES: ReadonlySet<string> = new Set(['date', 'timestamp', 'timestamptz']);

/** Types whose values a TTL can count from. */
export function isTime({ type, array, carry }: SourceTable['columns'][number]): boolean {
  return TIMES.has(type) && !array && carry === undefined;
}

const utc = (value: string) => `toDateTime64(${value}, 6, 'UTC')`;

/**
 * Condition on a row of the copy: its time is not over. The view asks it, since ClickHouse deletes such
 * rows some time later, as parts are merged.
 */
export function targetAlive({ storage }: SourceTable, row = ''): string | undefined {
  if (storage?.ttl === undefined) return undefined;
  const { column, count, unit } = storage.ttl;
  const isOver = `${utc(row + chIdent(column))} <= now64(6, 'UTC') - INTERVAL ${count} ${unit}`;
  // Of a NULL there is no time that could be over.
  return `ifNull(${isOver}, 0) = 0`;
}

/** The same of a row of the source; the current time and a column without a zone are taken as UTC. */
export function sourceAlive({ storage, columns }: SourceTable, row: string): string | undefined {
  if (storage?.ttl === undefined) return undefined;
  const { column, count, unit } = storage.ttl;
  const length = unit === 'QUARTER' ? `${count * 3} MONTH` : `${count} ${unit}`;
  const limit = `(now() AT TIME ZONE 'UTC') - INTERVAL '${length}'`;
  const isZoned = columns.find((c) => c.name === column)?.type === 'timestamptz';
  const last = isZoned ? `(${limit}) AT TIME ZONE 'UTC'` : limit;
  return `(${row}.${pgIdent(column)} <= ${last}) IS NOT TRUE`;
}

/** Settings of a MergeTree that no ALTER changes. */
const FIXED_SETTINGS =
  /^(index_granularity|enable_mixed_granularity_parts|min_index_granularity|add_minmax_index_for|table_disk$|disk$)/;

export function isFixedSetting(name: string): boolean {
  return FIXED_SETTINGS.test(name);
}

const SLACK: Readonly<Record<string, string>> = { MONTH: '4 DAY', QUARTER: '4 DAY', YEAR: '4 DAY' };

/**
 * When ClickHouse may delete a row. Its TTL counts in 32 bits of seconds, so what lies beyond is cut off; and
 * what it deletes has to be hidden before: a month is not added as it is taken away (31 January).
 */
function ttlExpression({ column, count, unit }: Ttl): string {
  const length = `INTERVAL ${count} ${unit}`;
  const first = utc("'1970-01-02 00:00:00'");
  const last = `${utc("'2105-12-31 00:00:00'")} - ${length}`;
  const time = `least(greatest(ifNull(${utc(chIdent(column))}, ${last}), ${first}), ${last})`;
  return `toDateTime(${time}, 'UTC') + ${length} + INTERVAL ${SLACK[unit] ?? '1 HOUR'}`;
}

/** Whether a TTL, as ClickHouse writes it, is one that cdc.yaml says. */
export function isOwnTtl(expression: string): boolean {
  return /^\(*toDateTime\(least\(greatest\(ifNull\(toDateTime64\(/.test(expression);
}

const digest = (value: unknown) =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 8);

export interface StorageColumn {
  readonly name: string;
  readonly type: string;
  /** From cdc.yaml. */
  readonly codec?: string | undefined;
}

/** Columns of the source and what is kept beside them, as a statement defines them. */
export function columnDefinition({ name, type, codec }: StorageColumn): string {
  return `${chIdent(name)} ${type}${codec === undefined ? '' : ` CODEC(${codec})`}`;
}

/** What follows the name of a table in its statement. */
export function tableBody(definitions: readonly string[], clauses: string): string {
  return `(
${definitions.map((definition) => `    ${definition}`).join(',\n')}
)
${clauses}`;
}

/** Of columns whose codec cdc.yaml says. */
export function codecMark(
  columns: readonly { name: string; codec?: string | undefined }[],
): string {
  const codecs = columns.flatMap(({ name, codec }) => (codec === undefined ? [] : [[name, codec]]));
  return codecs.length === 0 ? '' : digest(codecs);
}

/** What follows the columns in a storage's statement, and what it is told by from one that stands. */
export function storageClauses(
  { source }: { readonly source: SourceTable },
  own: {
    readonly engine: string;
    readonly order: readonly string[];
    readonly columns: readonly { name: string; codec?: string | undefined }[];
  },
): {
  clauses: string;
  ttl: string | undefined;
  settings: StorageOptions['settings'];
  marks: StorageMarks;
} {
  const { partitionBy, settings = {} } = source.storage ?? {};
  const ttl = source.storage?.ttl && ttlExpression(source.storage.ttl);
  const names = Object.keys(settings).sort();
  const clauses = [
    `ENGINE = ${own.engine}`,
    ...(partitionBy === undefined ? [] : [partitionClause(partitionBy)]),
    `ORDER BY (${own.order.join(', ')})`,
    ...(ttl === undefined ? [] : [`TTL ${ttl}`]),
    ...(names.length === 0
      ? []
      : [`SETTINGS ${names.map((name) => settingText(name, settings[name])).join(', ')}`]),
  ];
  const fixed = names.filter(isFixedSetting).map((name) => [name, settings[name]]);
  const altered = names
    .filter((name) => !isFixedSetting(name))
    .map((name) => [name, settings[name]]);
  const layout = [source.orderBy ?? null, partitionBy ?? null, fixed];
  const options = [ttl ?? null, altered, codecMark(own.columns)];
  return {
    clauses: clauses.join('\n'),
    ttl,
    settings: source.storage?.settings,
    marks: {
      layout: source.orderBy || partitionBy || fixed.length > 0 ? digest(layout) : '',
      options: ttl || altered.length > 0 || codecMark(own.columns) !== '' ? digest(options) : '',
    },
  };
}

/** On one line, as ever: the statement's digest is what tables that stand are compared by. */
function partitionClause(expression: string): string {
  return `PARTITION BY (${expression.replaceAll('\n', ' ')})`;
}

export function settingText(name: string, value: string | number | boolean | undefined): string {
  return `${name} = ${typeof value === 'string' ? chLiteral(value) : Number(value)}`;
}

/**
 * What ClickHouse is asked before anything is changed: a table of that form, which lives as long as the
 * statement.
 */
export function trialStatement({ body }: { readonly body: string }): string {
  return `CREATE TEMPORARY TABLE cdc_trial\n${body}`;
}

/** The same with the partition's expression and the columns that it may use alone. */
export function partitionTrial({
  source,
  key,
}: {
  readonly source: SourceTable;
  readonly key: readonly { name: string; type: string }[];
}): string | undefined {
  const partitionBy = source.storage?.partitionBy;
  if (partitionBy === undefined || key.length === 0) return undefined;
  const columns = key.map(({ name, type }) => `${chIdent(name)} ${type}`).join(', ');
  return `CREATE TEMPORARY TABLE cdc_trial (${columns})\nENGINE = MergeTree\n${partitionClause(partitionBy)}\nORDER BY tuple()`;
}
