import {
  type HashRow,
  sourceColumnHashes,
  sourceValues,
  targetColumnHashes,
  targetValues,
} from '../../core/checksum.ts';
import type { ColumnPlan } from '../../core/columns.ts';
import type { RowDifference } from '../../core/differences.ts';
import { keyBatches, keyParts } from '../../core/keys.ts';
import type { ShownValue } from '../../core/shown.ts';
import type { CheckContext } from './rowDiff.ts';

/** A row that differs, with the columns in which it does. */
export interface DifferingRow {
  readonly key: readonly { readonly name: string; readonly text: string }[];
  readonly how: RowDifference;
  /** Of a row that both have; none when it has become equal since. */
  readonly columns: readonly DifferingColumn[];
  /** Columns that differ as well and are not listed. */
  readonly moreColumns: number;
}

export interface DifferingColumn {
  readonly name: string;
  readonly source: ShownValue;
  readonly copy: ShownValue;
}

export interface FoundRow {
  readonly key: string;
  readonly how: RowDifference;
}

/** Of a value no more than this is read: enough to find where two differ, mostly. */
const CHARACTERS = 4000;
/** Columns of one row that are listed. */
const COLUMNS = 20;
/** Columns that one statement reads; a result has a limit. */
const COLUMNS_AT_ONCE = 100;

/** Reads the values of some rows from both sides, as far as they differ. */
export async function describeRows(
  context: CheckContext,
  found: readonly FoundRow[],
): Promise<DifferingRow[]> {
  const both = found.filter(({ how }) => how === 'different').map(({ key }) => key);
  const differing = new Map<string, Map<string, DifferingColumn>>();
  const counts = new Map<string, number>();
  for (const keys of keyBatches(both)) {
    const columns = await differingColumns(context, keys);
    for (const [key, list] of columns) counts.set(key, list.length);
    for (const [key, values] of await valuesOf(context, columns)) differing.set(key, values);
  }
  return found.map(({ key, how }) => {
    const columns = [...(differing.get(key)?.values() ?? [])];
    return {
      key: keyParts(context.plan.key, key).map((text, i) => ({
        name: context.plan.key[i]?.name ?? '',
        text,
      })),
      how,
      columns,
      moreColumns: (counts.get(key) ?? 0) - columns.length,
    };
  });
}

/** Which columns of rows differ, by key. */
async function differingColumns(
  { plan, source, read }: CheckContext,
  keys: readonly string[],
): Promise<Map<string, ColumnPlan[]>> {
  type Row = Pick<HashRow, '__cdc_key'> & { readonly __cdc_hashes: string };
  const [ours, theirs] = await Promise.all([
    source.query<Row>(sourceColumnHashes(plan, keys)).then((r) => r.rows),
    read<Row>(targetColumnHashes(plan, keys)),
  ]);
  const hashes = (row: Row | undefined) => row?.__cdc_hashes.match(/-?\d+/g) ?? [];
  const found = new Map<string, ColumnPlan[]>();
  for (const row of ours) {
    const own = hashes(row);
    const copy = hashes(theirs.find((r) => r.__cdc_key === row.__cdc_key));
    if (copy.length === 0) continue;
    found.set(
      row.__cdc_key,
      plan.columns.filter((_, i) => own[i] !== copy[i]),
    );
  }
  return found;
}

async function valuesOf(
  { plan, source, read }: CheckContext,
  wanted: ReadonlyMap<string, readonly ColumnPlan[]>,
): Promise<Map<string, Map<string, DifferingColumn>>> {
  const listed = new Map([...wanted].map(([key, columns]) => [key, columns.slice(0, COLUMNS)]));
  const keys = [...listed.keys()];
  const found = new Map(keys.map((key) => [key, new Map<string, DifferingColumn>()]));
  const columns = [...new Set([...listed.values()].flat())];
  type Row = Record<string, string | null>;
  for (let i = 0; i < columns.length; i += COLUMNS_AT_ONCE) {
    const some = columns.slice(i, i + COLUMNS_AT_ONCE);
    const [ours, theirs] = await Promise.all([
      source.query<Row>(sourceValues(plan, some, keys, CHARACTERS)).then((r) => r.rows),
      read<Row>(targetValues(plan, some, keys, CHARACTERS)),
    ]);
    for (const [key, values] of found) {
      const own = ours.find((row) => row.__cdc_key === key);
      const copy = theirs.find((row) => row.__cdc_key === key);
      if (!own || !copy) continue;
      for (const [n, column] of some.entries()) {
        if (!listed.get(key)?.includes(column)) continue;
        const { name } = column;
        values.set(name, { name, source: shownOf(own, n), copy: shownOf(copy, n) });
      }
    }
  }
  return found;
}

function shownOf(row: Record<string, string | null>, n: number): ShownValue {
  return { text: row[`__cdc_v${n}`] ?? null, length: Number(row[`__cdc_l${n}`] ?? 0) };
}
