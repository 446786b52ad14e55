import { chIdent, chLiteral, pgIdent, pgLiteral } from '../lib/sql.ts';
import { type ColumnPlan, canonicalRowSource, canonicalRowTarget, EXACT } from './columns.ts';
import type { TablePlan } from './ddl.ts';
import { keptAsText } from './kept.ts';
import {
  integerKey,
  SOURCE,
  sourceKey,
  sourceKeyCondition,
  targetKey,
  targetKeyCondition,
} from './keys.ts';
import { sourceFrom, targetFrom } from './rowScope.ts';

/**
 * How `verify` compares: a row is its canonical text, hashed with MD5 (both databases have it) to
 * 64 bits. Rows are grouped into buckets, and a bucket is its count and the sum of its hashes modulo
 * 2^64. Equal sums of equal counts mean equal rows, but for a chance of 2^-64 a bucket. A bucket
 * that differs is cut into slices by the hash of its keys, and rows are listed of slices that differ.
 */

/** How a table's rows are put into buckets. */
export type Bucketing =
  /** By an integer leading key column: bucket = key div width. Late rows then share few buckets. */
  | {
      readonly kind: 'range';
      readonly column: ColumnPlan;
      readonly width: bigint;
      /** Of the source's rows; the copy can have others. */
      readonly first: bigint;
      readonly last: bigint;
    }
  /** By the hash of the key, for any other key. */
  | { readonly kind: 'hash'; readonly buckets: number };

/** Rows that one bucket should have: small enough to list, large enough to be few. */
export const ROWS_PER_BUCKET = 10_000;
/** Rows that one slice of a bucket should have. */
export const ROWS_PER_SLICE = 100;

/** The first integer above those of bigint. */
const LIMIT = 2n ** 63n;

export interface TableStatistics {
  readonly rows: number;
  readonly minKey: bigint | undefined;
  readonly maxKey: bigint | undefined;
}

export function chooseBucketing(
  plan: TablePlan,
  stats: TableStatistics,
  rowsPerBucket = ROWS_PER_BUCKET,
): Bucketing {
  const buckets = Math.max(1, Math.ceil(stats.rows / rowsPerBucket));
  const column = integerKey(plan);
  if (!column || stats.minKey === undefined || stats.maxKey === undefined)
    return { kind: 'hash', buckets };
  const span = stats.maxKey - stats.minKey + 1n;
  // Few values of the first of several key columns would make few and large buckets.
  if (plan.key.length > 1 && span < BigInt(buckets)) return { kind: 'hash', buckets };
  // By a divisor that is no bigint, PostgreSQL would divide as numeric.
  const wanted = span / BigInt(buckets) + 1n;
  const width = wanted < LIMIT ? wanted : LIMIT - 1n;
  return {
    kind: 'range',
    column,
    width,
    first: stats.minKey / width,
    last: stats.maxKey / width,
  };
}

/** Buckets that the source's rows can be in. */
export function bucketCount(bucketing: Bucketing): number {
  return bucketing.kind === 'hash'
    ? bucketing.buckets
    : Number(bucketing.last - bucketing.first) + 1;
}

/** The n-th of them. */
export function bucketAt(bucketing: Bucketing, n: number): bigint {
  return bucketing.kind === 'hash' ? BigInt(n) : bucketing.first + BigInt(n);
}

/**
 * Cells: buckets, or slices of buckets. A cell is written as `bucket` or `bucket/slice`.
 * Absent buckets mean all; absent cells mean all of the buckets.
 */
export interface Scope {
  readonly buckets?: readonly bigint[] | undefined;
  /** What lies beyond the first and the last bucket, such as rows that only the copy has, too. */
  readonly withEnds?: boolean;
  readonly slices?: number | undefined;
  readonly cells?: readonly string[] | undefined;
}

export function bucketOf(cell: string): bigint {
  return BigInt(cell.split('/')[0] ?? '');
}

function sourceHash(text: string): string {
  return `('x' || left(md5(${text}), 16))::bit(64)::bigint`;
}

/** The first eight bytes, read as PostgreSQL reads them: big-endian, signed. */
function targetHash(text: string): string {
  return `reinterpretAsInt64(halfMD5(${text}))`;
}

function sourceBucket(plan: TablePlan, bucketing: Bucketing): string {
  return bucketing.kind === 'range'
    ? `${SOURCE}.${pgIdent(bucketing.column.name)}::bigint / ${bound(bucketing.width)}`
    : `abs(${sourceHash(sourceKey(plan))} % ${bucketing.buckets})`;
}

function targetBucket(plan: TablePlan, bucketing: Bucketing): string {
  return bucketing.kind === 'range'
    ? `intDiv(toInt64(${chIdent(bucketing.column.name)}), ${bucketing.width})`
    : `abs(${targetHash(targetKey(plan))} % ${bucketing.buckets})`;
}

/** Which cell a row is in, as text. What a bucket takes of the hash, its slices cannot use again. */
function sourceCell(plan: TablePlan, bucketing: Bucketing, slices: number | undefined): string {
  const bucket = `(${sourceBucket(plan, bucketing)})::text`;
  if (slices === undefined) return bucket;
  const used = bucketing.kind === 'hash' ? ` / ${bucketing.buckets}` : '';
  return `${bucket} || '/' || abs(${sourceHash(sourceKey(plan))}${used} % ${slices})::text`;
}

function targetCell(plan: TablePlan, bucketing: Bucketing, slices: number | undefined): string {
  const bucket = `toString(${targetBucket(plan, bucketing)})`;
  if (slices === undefined) return bucket;
  const hash = targetHash(targetKey(plan));
  const rest = bucketing.kind === 'hash' ? `intDiv(${hash}, ${bucketing.buckets})` : hash;
  return `concat(${bucket}, '/', toString(abs(${rest} % ${slices})))`;
}

/** A bare literal beyond int4 makes PostgreSQL use numeric; the column's index serves bigint. */
function bound(value: bigint): string {
  return `'${value}'::bigint`;
}

interface Dialect {
  readonly column: (bucketing: Bucketing & { kind: 'range' }) => string;
  readonly literal: (value: bigint) => string;
  readonly text: (value: string) => string;
  readonly bucket: (plan: TablePlan, bucketing: Bucketing) => string;
  readonly cell: (plan: TablePlan, bucketing: Bucketing, slices: number | undefined) => string;
}

const SOURCE_SQL: Dialect = {
  column: ({ column }) => `${SOURCE}.${pgIdent(column.source.name)}`,
  literal: bound,
  text: pgLiteral,
  bucket: sourceBucket,
  cell: sourceCell,
};

const TARGET_SQL: Dialect = {
  column: ({ column }) => chIdent(column.name),
  literal: String,
  text: chLiteral,
  bucket: targetBucket,
  cell: targetCell,
};

/** Up to this many ranges are conditions of their own, which an index can serve. */
const RANGES = 50;

function conditions(
  sql: Dialect,
  plan: TablePlan,
  bucketing: Bucketing,
  { buckets, withEnds = false, slices, cells }: Scope,
): string[] {
  const found: string[] = [];
  if (buckets !== undefined) {
    const list = () => `${sql.bucket(plan, bucketing)} IN (${buckets.join(', ')})`;
    if (bucketing.kind === 'range') {
      const ranges = rangesOf(bucketing, buckets, withEnds);
      const isOne = ranges.length <= RANGES;
      const shown = isOne ? ranges : [{ from: ranges[0]?.from, to: ranges.at(-1)?.to }];
      const each = shown.map(({ from, to }) => rangeCondition(sql, bucketing, from, to));
      found.push(each.map((c) => (each.length > 1 ? `(${c})` : c)).join(' OR '));
      if (!isOne) found.push(withEnds ? `${list()} OR ${beyond(sql, bucketing)}` : list());
    } else found.push(list());
  }
  if (cells !== undefined)
    found.push(`${sql.cell(plan, bucketing, slices)} IN (${cells.map(sql.text).join(', ')})`);
  return found;
}

interface KeyRange {
  /** Inclusive; absent where the range has no end. */
  readonly from: bigint | undefined;
  readonly to: bigint | undefined;
}

function rangeCondition(
  sql: Dialect,
  bucketing: Bucketing & { kind: 'range' },
  from: bigint | undefined,
  to: bigint | undefined,
): string {
  const column = sql.column(bucketing);
  const ends = [
    ...(from === undefined ? [] : [`${column} >= ${sql.literal(from)}`]),
    ...(to === undefined ? [] : [`${column} <= ${sql.literal(to)}`]),
  ];
  return ends.join(' AND ') || (sql === SOURCE_SQL ? 'true' : '1');
}

function beyond(sql: Dialect, bucketing: Bucketing & { kind: 'range' }): string {
  const [first] = rangesOf(bucketing, [bucketing.first], false);
  const [last] = rangesOf(bucketing, [bucketing.last], false);
  const column = sql.column(bucketing);
  return `${column} < ${sql.literal(first?.from ?? 0n)} OR ${column} > ${sql.literal(last?.to ?? 0n)}`;
}

/** Ranges of keys that buckets are, neighbours as one. Buckets must be in order. */
export function rangesOf(
  bucketing: Bucketing & { kind: 'range' },
  buckets: readonly bigint[],
  withEnds: boolean,
): KeyRange[] {
  const clamp = (value: bigint) => (value < -LIMIT ? -LIMIT : value >= LIMIT ? LIMIT - 1n : value);
  const { width, first, last } = bucketing;
  const ranges: { from: bigint | undefined; to: bigint | undefined }[] = [];
  let next: bigint | undefined;
  for (const bucket of buckets) {
    // Division cuts towards zero, so bucket 0 has keys of both signs.
    const start = bucket > 0n ? bucket * width : (bucket - 1n) * width + 1n;
    const end = bucket < 0n ? bucket * width : (bucket + 1n) * width - 1n;
    const from = withEnds && bucket === first ? undefined : clamp(start);
    const to = withEnds && bucket === last ? undefined : clamp(end);
    const latest = ranges.at(-1);
    if (latest && next === bucket) latest.to = to;
    else ranges.push({ from, to });
    next = bucket + 1n;
  }
  return ranges;
}

/** Names of results: what reads a table must not call anything as one of its columns is called. */
export interface SumRow {
  readonly __cdc_cell: string;
  readonly __cdc_rows: string;
  readonly __cdc_sum: string;
  /** Of the copy: values whose exact text stands beside them. */
  readonly __cdc_kept?: string;
}

export interface HashRow {
  readonly __cdc_key: string;
  /** Of a table without a key: how many such rows there are. */
  readonly __cdc_hash: string;
}

/**
 * Count and sum of every cell.
 *
 * The OFFSET keeps PostgreSQL's planner from looking into the subquery. It would expect as many groups
 * as there are keys, and sort all rows before it adds up. (A bare 0 is an integer that has yet to be
 * cast when the planner decides whether several processes may work; then it takes one.)
 */
export function sourceChecksums(plan: TablePlan, bucketing: Bucketing, scope: Scope = {}): string {
  const row = sourceHash(canonicalRowSource(plan.columns, SOURCE));
  const cell =
    scope.slices === undefined
      ? sourceBucket(plan, bucketing)
      : sourceCell(plan, bucketing, scope.slices);
  const rows = `SELECT ${cell} AS cell, ${row} AS hash ${sourceFrom(plan, conditions(SOURCE_SQL, plan, bucketing, scope))} OFFSET '0'::bigint`;
  return `SELECT cell AS __cdc_cell, count(*) AS __cdc_rows, sum(hash) AS __cdc_sum FROM (${rows}) r GROUP BY cell`;
}

export function targetChecksums(plan: TablePlan, bucketing: Bucketing, scope: Scope = {}): string {
  const row = targetHash(canonicalRowTarget(plan.columns));
  const cell =
    scope.slices === undefined
      ? targetBucket(plan, bucketing)
      : targetCell(plan, bucketing, scope.slices);
  return `SELECT ${cell} AS __cdc_cell, count() AS __cdc_rows, sum(${row}) AS __cdc_sum, sum(${keptAsText('')}) AS __cdc_kept ${targetFrom(plan, conditions(TARGET_SQL, plan, bucketing, scope))} GROUP BY __cdc_cell`;
}

/** Values of the copy whose exact text stands beside them. Column: __cdc_kept. */
export function targetKept(plan: TablePlan, bucketing: Bucketing, scope: Scope): string {
  const some = [`notEmpty(${EXACT.name})`, ...conditions(TARGET_SQL, plan, bucketing, scope)];
  return `SELECT sum(${keptAsText('')}) AS __cdc_kept ${targetFrom(plan, some)}`;
}

/** Key and hash of every row in some cells. */
export function sourceRows(plan: TablePlan, bucketing: Bucketing, scope: Scope): string {
  return sourceKeysAndHashes(plan, conditions(SOURCE_SQL, plan, bucketing, scope));
}

export function targetRows(plan: TablePlan, bucketing: Bucketing, scope: Scope): string {
  return targetKeysAndHashes(plan, conditions(TARGET_SQL, plan, bucketing, scope));
}

/** Key and hash of the rows with the given keys. */
export function sourceRowsByKey(plan: TablePlan, keys: readonly string[]): string {
  return sourceKeysAndHashes(plan, [sourceKeyCondition(plan, keys)]);
}

export function targetRowsByKey(plan: TablePlan, keys: readonly string[]): string {
  return targetKeysAndHashes(plan, [targetKeyCondition(plan, keys)]);
}

function sourceKeysAndHashes(plan: TablePlan, where: readonly string[]): string {
  if (plan.multiset)
    return `SELECT ${sourceKey(plan)} AS __cdc_key, count(*) AS __cdc_hash ${sourceFrom(plan, where)} GROUP BY 1`;
  const row = sourceHash(canonicalRowSource(plan.columns, SOURCE));
  return `SELECT ${sourceKey(plan)} AS __cdc_key, ${row} AS __cdc_hash ${sourceFrom(plan, where)}`;
}

function targetKeysAndHashes(plan: TablePlan, where: readonly string[]): string {
  if (plan.multiset)
    return `SELECT ${targetKey(plan)} AS __cdc_key, count() AS __cdc_hash ${targetFrom(plan, where)} GROUP BY __cdc_key`;
  const row = targetHash(canonicalRowTarget(plan.columns));
  return `SELECT ${targetKey(plan)} AS __cdc_key, ${row} AS __cdc_hash ${targetFrom(plan, where)}`;
}

/** The lowest and the highest leading key, for buckets that are ranges. */
export function sourceKeyBounds(plan: TablePlan, column: ColumnPlan): string {
  const name = `${SOURCE}.${pgIdent(column.source.name)}`;
  return `SELECT min(${name}) AS lo, max(${name}) AS hi ${sourceFrom(plan)}`;
}

/** The hash of every column of rows, as `{1,2}` or `[1,2]`. Columns: __cdc_key, __cdc_hashes. */
export function sourceColumnHashes(plan: TablePlan, keys: readonly string[]): string {
  const hashes = plan.columns.map((c) =>
    sourceHash(c.canonicalSource(`${SOURCE}.${pgIdent(c.source.name)}`)),
  );
  return `SELECT ${sourceKey(plan)} AS __cdc_key, ARRAY[${hashes.join(', ')}]::text AS __cdc_hashes ${sourceFrom(plan, [sourceKeyCondition(plan, keys)])}`;
}

export function targetColumnHashes(plan: TablePlan, keys: readonly string[]): string {
  const hashes = plan.columns.map((c) => targetHash(c.canonicalTarget(chIdent(c.name))));
  return `SELECT ${targetKey(plan)} AS __cdc_key, toString([${hashes.join(', ')}]) AS __cdc_hashes ${targetFrom(plan, [targetKeyCondition(plan, keys)])}`;
}

/**
 * Values as people read them, their beginnings, and their lengths in characters: `__cdc_v0` and
 * `__cdc_l0` for the first of the columns, and so on.
 */
export function sourceValues(
  plan: TablePlan,
  columns: readonly ColumnPlan[],
  keys: readonly string[],
  characters: number,
): string {
  const values = columns.map((c, i) => {
    const text = c.shownSource(`${SOURCE}.${pgIdent(c.source.name)}`);
    return `left(${text}, ${characters}) AS __cdc_v${i}, char_length(${text}) AS __cdc_l${i}`;
  });
  return `SELECT ${[`${sourceKey(plan)} AS __cdc_key`, ...values].join(', ')} ${sourceFrom(plan, [sourceKeyCondition(plan, keys)])}`;
}

export function targetValues(
  plan: TablePlan,
  columns: readonly ColumnPlan[],
  keys: readonly string[],
  characters: number,
): string {
  const values = columns.map((c, i) => {
    const text = c.shownTarget(chIdent(c.name));
    return `substringUTF8(${text}, 1, ${characters}) AS __cdc_v${i}, lengthUTF8(${text}) AS __cdc_l${i}`;
  });
  return `SELECT ${[`${targetKey(plan)} AS __cdc_key`, ...values].join(', ')} ${targetFrom(plan, [targetKeyCondition(plan, keys)])}`;
}
