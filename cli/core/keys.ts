import { chIdent, chLiteral, pgIdent, pgLiteral } from '../lib/sql.ts';
import {
  type ColumnPlan,
  canonicalRowSource,
  canonicalRowTarget,
  FIELD_SEPARATOR,
} from './columns.ts';
import type { TablePlan } from './ddl.ts';

/** Rows by their keys. A key is known by its canonical text, which is the same on both sides. */

/** Alias of the source's row in every condition on it. */
export const SOURCE = 's';

export function sourceKey(plan: TablePlan): string {
  // Without a key a row is known by all that it has; how often it is there is what differs.
  if (plan.multiset) return `md5(${canonicalRowSource(plan.columns, SOURCE)})`;
  return canonicalRowSource(plan.key, SOURCE);
}

export function targetKey(plan: TablePlan): string {
  if (plan.multiset) return `lower(hex(MD5(${canonicalRowTarget(plan.columns)})))`;
  return canonicalRowTarget(plan.key);
}

/** The parts of a key's canonical text, in the key's order and without their lengths. */
export function keyParts(key: readonly ColumnPlan[], canonical: string): string[] {
  const bytes = Buffer.from(canonical);
  const parts: string[] = [];
  let at = 0;
  for (const column of key) {
    let end: number;
    if (column.sized) {
      const colon = bytes.indexOf(':', at);
      const length = Number(bytes.toString('latin1', at, colon));
      at = colon + 1;
      end = at + length;
    } else {
      const separator = bytes.indexOf(FIELD_SEPARATOR, at);
      end = separator === -1 ? bytes.length : separator;
    }
    parts.push(bytes.toString('utf8', at, end));
    at = end + FIELD_SEPARATOR.length;
  }
  return parts;
}

const INTEGERS: ReadonlySet<string> = new Set(['int2', 'int4', 'int8']);

/** The leading key column, where it is an integer and its order is therefore the same on both sides. */
export function integerKey(plan: TablePlan): ColumnPlan | undefined {
  const first = plan.key[0];
  return first && INTEGERS.has(plainType(first)) ? first : undefined;
}

function plainType(column: ColumnPlan): string {
  const { array, carry, type, typeKind } = column.source;
  return array || carry || typeKind === 'e' ? '' : type;
}

/** Key types whose canonical text, cast, is the value: an index can then find it. */
const CAST: Readonly<Record<string, string>> = {
  int2: 'bigint',
  int4: 'bigint',
  int8: 'bigint',
  uuid: 'uuid',
  text: 'text',
  varchar: 'text',
  numeric: 'numeric',
  date: 'date',
  timestamp: 'timestamp',
  timestamptz: 'timestamptz',
};

function castOf(column: ColumnPlan): string | undefined {
  const type = plainType(column);
  return Object.hasOwn(CAST, type) ? CAST[type] : undefined;
}

/**
 * Conditions on single columns that let an index serve a search for whole keys. They choose more
 * rows than are wanted where the key has several columns.
 */
export function sourceKeyCondition(plan: TablePlan, keys: readonly string[]): string {
  const parts = keys.map((key) => keyParts(plan.key, key));
  const conditions = plan.key.flatMap((column, i) => {
    const cast = castOf(column);
    if (!cast) return [];
    const values = new Set(parts.map((part) => `${pgLiteral(part[i] ?? '')}::${cast}`));
    return [`${SOURCE}.${pgIdent(column.source.name)} IN (${[...values].join(', ')})`];
  });
  if (plan.key.length > 1 || !integerKey(plan))
    conditions.push(`${sourceKey(plan)} IN (${keys.map(pgLiteral).join(', ')})`);
  return conditions.join(' AND ');
}

/** The same for the copy, which has its own index. */
export function targetKeyCondition(plan: TablePlan, keys: readonly string[]): string {
  const parts = keys.map((key) => keyParts(plan.key, key));
  const conditions = plan.key.flatMap((column, i) => {
    const cast = castOf(column);
    const value =
      cast === 'bigint' ? (text: string) => text : cast === 'text' ? chLiteral : undefined;
    if (!value) return [];
    const values = new Set(parts.map((part) => value(part[i] ?? '')));
    return [`${chIdent(column.name)} IN (${[...values].join(', ')})`];
  });
  if (plan.key.length > 1 || !integerKey(plan))
    conditions.push(`${targetKey(plan)} IN (${keys.map(chLiteral).join(', ')})`);
  return conditions.join(' AND ');
}

/** Keys in groups that one statement can name: ClickHouse parses 256 KiB of one. */
export function keyBatches(keys: readonly string[]): string[][] {
  const batches: string[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const key of keys) {
    // As a literal, twice in a statement, and every character escaped.
    bytes += 4 * Buffer.byteLength(key) + 40;
    if (bytes > 200_000) {
      batches.push([]);
      bytes = 4 * Buffer.byteLength(key) + 40;
    }
    batches.at(-1)?.push(key);
  }
  return batches;
}
