import { chIdent, chLiteral, pgIdent, pgLiteral } from '../lib/sql.ts';
import { type ColumnPlan, canonicalRowSource, canonicalRowTarget } from './columns.ts';
import type { TablePlan } from './ddl.ts';

/**
 * How `verify` compares: a row is its canonical text, hashed with MD5 (both databases have it) to
 * 64 bits; rows are grouped into buckets, and a bucket is its count and the sum of its hashes.
 * Equal sums of equal counts mean equal rows, but for a chance of 2^-64 a bucket.
 */

/** How a table's rows are put into buckets. */
export type Bucketing =
  /** By an integer leading key column: bucket = key div width. Late rows then share few buckets. */
  | { readonly kind: 'range'; readonly column: ColumnPlan; readonly width: bigint }
  /** By the hash of the key, for any other key. */
  | { readonly kind: 'hash'; readonly buckets: number };

const INTEGER_KEYS = new Set(['int2', 'int4', 'int8']);

/** Rows that one bucket should have: small enough to list, large enough to be few. */
export const ROWS_PER_BUCKET = 10_000;

const LAST_BIGINT = 2n ** 63n - 1n;

export function integerKey(plan: TablePlan): ColumnPlan | undefined {
  const first = plan.key[0];
  const { array, carry, type } = first?.source ?? {};
  return type && !array && !carry && INTEGER_KEYS.has(type) ? first : undefined;
}

export function chooseBucketing(
  plan: TablePlan,
  stats: { rows: number; minKey: bigint | undefined; maxKey: bigint | undefined },
): Bucketing {
  const buckets = Math.max(1, Math.ceil(stats.rows / ROWS_PER_BUCKET));
  const column = integerKey(plan);
  if (column && stats.minKey !== undefined && stats.maxKey !== undefined) {
    const span = stats.maxKey - stats.minKey + 1n;
    // By a divisor that is no bigint, PostgreSQL would divide as numeric.
    const width = span / BigInt(buckets) + 1n;
    return { kind: 'range', column, width: width > LAST_BIGINT ? LAST_BIGINT : width };
  }
  return { kind: 'hash', buckets };
}

/** Alias of the source's row in every condition made here. */
export const SOURCE = 's';

function sourceHash(text: string): string {
  return `('x' || left(md5(${text}), 16))::bit(64)::bigint`;
}

/** The first eight bytes, read as PostgreSQL reads them: big-endian, signed. */
function targetHash(text: string): string {
  return `reinterpretAsInt64(reverse(substring(MD5(${text}), 1, 8)))`;
}

function sourceKey(plan: TablePlan): string {
  return canonicalRowSource(plan.key, SOURCE);
}

function sourceBucket(plan: TablePlan, bucketing: Bucketing): string {
  return bucketing.kind === 'range'
    ? `${SOURCE}.${pgIdent(bucketing.column.name)}::bigint / ${bucketing.width}`
    : `abs(${sourceHash(sourceKey(plan))} % ${bucketing.buckets})`;
}

function targetBucket(plan: TablePlan, bucketing: Bucketing): string {
  return bucketing.kind === 'range'
    ? `intDiv(toInt64(${chIdent(bucketing.column.name)}), ${bucketing.width})`
    : `abs(${targetHash(canonicalRowTarget(plan.key))} % ${bucketing.buckets})`;
}

/** A partitioned table's rows are its partitions'; those of a table that inherits are its own. */
export function sourceRelation(plan: TablePlan): string {
  const only = plan.source.kind === 'p' ? '' : 'ONLY ';
  return copiedRows(plan, `${only}${pgIdent(plan.schema, plan.table)}`);
}

/**
 * What stands after FROM for the rows of a relation that are copied: the one place where a filter
 * gets into what is read from the source. Pages are chosen by ctid, which is not among `*`.
 */
export function copiedRows({ source: { where } }: TablePlan, relation: string): string {
  return where === undefined ? relation : `(SELECT ctid, * FROM ${relation} WHERE (${where}))`;
}

function sourceFrom(plan: TablePlan): string {
  return `FROM ${sourceRelation(plan)} ${SOURCE}`;
}

/** Current rows: what the view shows, without what the view hides of the storage. */
function targetFrom(plan: TablePlan): string {
  return `FROM ${chIdent(plan.names.database, plan.names.view)}`;
}

/** A condition on the leading key that an index can serve, where buckets are ranges. */
function sourceWhere(
  plan: TablePlan,
  bucketing: Bucketing,
  buckets: readonly bigint[] | undefined,
): string {
  if (buckets === undefined) return '';
  if (bucketing.kind === 'hash')
    return ` WHERE ${sourceBucket(plan, bucketing)} IN (${buckets.join(', ')})`;
  const column = `${SOURCE}.${pgIdent(bucketing.column.name)}`;
  return ` WHERE ${rangesOf(bucketing.width, buckets)
    .map(([from, to]) => `(${column} >= ${bound(from)} AND ${column} <= ${bound(to)})`)
    .join(' OR ')}`;
}

function targetWhere(
  plan: TablePlan,
  bucketing: Bucketing,
  buckets: readonly bigint[] | undefined,
): string {
  if (buckets === undefined) return '';
  if (bucketing.kind === 'hash')
    return ` WHERE ${targetBucket(plan, bucketing)} IN (${buckets.join(', ')})`;
  const column = chIdent(bucketing.column.name);
  return ` WHERE ${rangesOf(bucketing.width, buckets)
    .map(([from, to]) => `(${column} >= ${from} AND ${column} <= ${to})`)
    .join(' OR ')}`;
}

/** A bare literal beyond int4 makes PostgreSQL use numeric or bigint; the column's index serves bigint. */
function bound(value: bigint): string {
  return `'${value}'::bigint`;
}

/** First and last key of buckets; division cuts towards zero, so bucket 0 has both signs. */
export function rangesOf(width: bigint, buckets: readonly bigint[]): [bigint, bigint][] {
  const limit = 2n ** 63n;
  const clamp = (value: bigint) => (value < -limit ? -limit : value >= limit ? limit - 1n : value);
  return buckets.map((bucket) => {
    const from = bucket > 0n ? bucket * width : (bucket - 1n) * width + 1n;
    const to = bucket < 0n ? bucket * width : (bucket + 1n) * width - 1n;
    return [clamp(from), clamp(to)];
  });
}

/** Count and sum of every bucket, or of the given ones. Columns: bucket, rows, sum. */
export function sourceChecksums(
  plan: TablePlan,
  bucketing: Bucketing,
  buckets?: readonly bigint[],
): string {
  const row = canonicalRowSource(plan.columns, SOURCE);
  return `SELECT ${sourceBucket(plan, bucketing)} AS bucket, count(*) AS rows, sum(${sourceHash(row)}) AS sum ${sourceFrom(plan)}${sourceWhere(plan, bucketing, buckets)} GROUP BY 1`;
}

export function targetChecksums(
  plan: TablePlan,
  bucketing: Bucketing,
  buckets?: readonly bigint[],
): string {
  const row = canonicalRowTarget(plan.columns);
  return `SELECT ${targetBucket(plan, bucketing)} AS bucket, count() AS rows, sum(toInt128(${targetHash(row)})) AS sum ${targetFrom(plan)}${targetWhere(plan, bucketing, buckets)} GROUP BY bucket`;
}

/** Key and hash of every row in some buckets. Columns: key, hash. */
export function sourceRows(
  plan: TablePlan,
  bucketing: Bucketing,
  buckets: readonly bigint[],
): string {
  return `SELECT ${sourceKey(plan)} AS key, ${sourceHash(canonicalRowSource(plan.columns, SOURCE))} AS hash ${sourceFrom(plan)}${sourceWhere(plan, bucketing, buckets)}`;
}

export function targetRows(
  plan: TablePlan,
  bucketing: Bucketing,
  buckets: readonly bigint[],
): string {
  return `SELECT ${canonicalRowTarget(plan.key)} AS key, ${targetHash(canonicalRowTarget(plan.columns))} AS hash ${targetFrom(plan)}${targetWhere(plan, bucketing, buckets)}`;
}

/** An integer key is compared as such, so that indexes serve it; any other by its canonical text. */
export function sourceKeyCondition(plan: TablePlan, keys: readonly string[]): string {
  const [only] = plan.key;
  return plan.key.length === 1 && only && integerKey(plan)
    ? `${SOURCE}.${pgIdent(only.name)} IN (${keys.map((key) => bound(BigInt(key))).join(', ')})`
    : `${sourceKey(plan)} IN (${keys.map(pgLiteral).join(', ')})`;
}

export function targetKeyCondition(plan: TablePlan, keys: readonly string[]): string {
  const [only] = plan.key;
  return plan.key.length === 1 && only && integerKey(plan)
    ? `${chIdent(only.name)} IN (${keys.join(', ')})`
    : `${canonicalRowTarget(plan.key)} IN (${keys.map(chLiteral).join(', ')})`;
}

/** Key and hash of the rows with the given keys. */
export function sourceRowsByKey(plan: TablePlan, keys: readonly string[]): string {
  return `SELECT ${sourceKey(plan)} AS key, ${sourceHash(canonicalRowSource(plan.columns, SOURCE))} AS hash ${sourceFrom(plan)} WHERE ${sourceKeyCondition(plan, keys)}`;
}

export function targetRowsByKey(plan: TablePlan, keys: readonly string[]): string {
  return `SELECT ${canonicalRowTarget(plan.key)} AS key, ${targetHash(canonicalRowTarget(plan.columns))} AS hash ${targetFrom(plan)} WHERE ${targetKeyCondition(plan, keys)}`;
}

/** What distinguishes two sets of checksums: the buckets whose count or sum differ. */
export interface BucketSum {
  readonly rows: number;
  readonly sum: string;
}

export function differingBuckets(
  source: ReadonlyMap<string, BucketSum>,
  target: ReadonlyMap<string, BucketSum>,
): bigint[] {
  const all = new Set([...source.keys(), ...target.keys()]);
  return [...all]
    .filter((bucket) => {
      const a = source.get(bucket);
      const b = target.get(bucket);
      return a?.rows !== b?.rows || a?.sum !== b?.sum;
    })
    .map(BigInt)
    .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

export type RowDifference = 'missing' | 'extra' | 'different';

/** Keys whose rows differ, with how. */
export function differingKeys(
  source: ReadonlyMap<string, string>,
  target: ReadonlyMap<string, string>,
): Map<string, RowDifference> {
  const found = new Map<string, RowDifference>();
  for (const [key, hash] of source) {
    const other = target.get(key);
    if (other === undefined) found.set(key, 'missing');
    else if (other !== hash) found.set(key, 'different');
  }
  for (const key of target.keys()) if (!source.has(key)) found.set(key, 'extra');
  return found;
}
