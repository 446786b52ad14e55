import {
  type HashRow,
  sourceRowsByKey,
  sourceValues,
  targetRowsByKey,
  targetValues,
} from '../../core/checksum.ts';
import { hashesOf } from '../../core/differences.ts';
import { keyBatches } from '../../core/keys.ts';
import type { CheckContext } from './rowDiff.ts';
import type { DifferingRow, FoundRow } from './valueDiff.ts';

/** Rows of tables without a key that differ: there are more of them on one side. */

export interface CountedRow extends FoundRow {
  readonly how: 'missing' | 'extra';
  readonly rows: number;
}

/** How many rows of each kind one side has more than the other. */
export async function countRows(
  { plan, source, read }: CheckContext,
  keys: readonly string[],
): Promise<CountedRow[]> {
  const found: CountedRow[] = [];
  for (const batch of keyBatches(keys)) {
    const [ours, theirs] = await Promise.all([
      source.query<HashRow>(sourceRowsByKey(plan, batch)).then((r) => hashesOf(r.rows)),
      read<HashRow>(targetRowsByKey(plan, batch)).then(hashesOf),
    ]);
    for (const key of batch) {
      const more = Number(ours.get(key) ?? 0) - Number(theirs.get(key) ?? 0);
      // It differed when it was decided about, whatever has become of it since.
      if (more >= 0) found.push({ key, how: 'missing', rows: Math.max(1, more) });
      else found.push({ key, how: 'extra', rows: -more });
    }
  }
  return found;
}

const CHARACTERS = 200;

/** Such a row has no name but its values. */
export async function describeCounted(
  { plan, source, read }: CheckContext,
  found: readonly FoundRow[],
): Promise<DifferingRow[]> {
  type Row = Record<string, string | null>;
  const values = new Map<string, Row>();
  for (const keys of keyBatches(found.map(({ key }) => key))) {
    const distinct = (sql: string) => `SELECT DISTINCT * FROM (${sql}) AS r`;
    const [ours, theirs] = await Promise.all([
      source.query<Row>(distinct(sourceValues(plan, plan.columns, keys, CHARACTERS))),
      read<Row>(distinct(targetValues(plan, plan.columns, keys, CHARACTERS))),
    ]);
    for (const row of [...theirs, ...ours.rows]) values.set(row.__cdc_key ?? '', row);
  }
  return found.map(({ key, how }) => ({
    key: plan.columns.map(({ name }, i) => ({
      name,
      text: values.get(key)?.[`__cdc_v${i}`] ?? 'NULL',
    })),
    how,
    columns: [],
    moreColumns: 0,
  }));
}
