import { bucketOf, type HashRow, ROWS_PER_SLICE, type SumRow } from './checksum.ts';

/** What tells two sets of checksums, or of rows, from each other. */
export interface CellSum {
  readonly rows: number;
  /** Modulo 2^64, signed. */
  readonly sum: bigint;
}

/** PostgreSQL adds up without a limit, ClickHouse modulo 2^64. */
export function sumsOf(rows: readonly SumRow[]): Map<string, CellSum> {
  return new Map(
    rows.map((r) => [
      String(r.__cdc_cell),
      { rows: Number(r.__cdc_rows), sum: BigInt.asIntN(64, BigInt(r.__cdc_sum)) },
    ]),
  );
}

/** Values of the copy, among the rows of some sums, whose exact text stands beside them. */
export function keptOf(rows: readonly SumRow[]): number {
  return rows.reduce((sum, row) => sum + Number(row.__cdc_kept ?? 0), 0);
}

export function hashesOf(rows: readonly HashRow[]): Map<string, string> {
  return new Map(rows.map((row) => [row.__cdc_key, row.__cdc_hash]));
}

export function rowCount(sums: ReadonlyMap<string, CellSum>): number {
  let rows = 0;
  for (const sum of sums.values()) rows += sum.rows;
  return rows;
}

/** A cell whose count or sum differs, with the rows of the side that has more. */
export interface DifferingCell {
  readonly cell: string;
  readonly rows: number;
}

/** In the order of their buckets. */
export function differingCells(
  source: ReadonlyMap<string, CellSum>,
  target: ReadonlyMap<string, CellSum>,
): DifferingCell[] {
  const found: DifferingCell[] = [];
  for (const cell of new Set([...source.keys(), ...target.keys()])) {
    const a = source.get(cell);
    const b = target.get(cell);
    if (a?.rows === b?.rows && a?.sum === b?.sum) continue;
    found.push({ cell, rows: Math.max(a?.rows ?? 0, b?.rows ?? 0) });
  }
  const order = (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0);
  return found.sort((a, b) => order(bucketOf(a.cell), bucketOf(b.cell)));
}

/** The buckets of cells, each once, in the cells' order. */
export function bucketsOf(cells: readonly DifferingCell[]): bigint[] {
  return [...new Set(cells.map(({ cell }) => cell.split('/')[0] ?? ''))].map(BigInt);
}

/** Sums that one statement may give. */
const SUMS_LIMIT = 200_000;

/** How many slices buckets are cut into: so that the largest has few rows in each. */
export function chooseSlices(cells: readonly DifferingCell[]): number {
  const largest = cells.reduce((most, { rows }) => Math.max(most, rows), 1);
  const wanted = Math.ceil(largest / ROWS_PER_SLICE);
  return Math.max(1, Math.min(wanted, Math.floor(SUMS_LIMIT / Math.max(1, cells.length))));
}

/** Cells in groups of so many rows that they can be listed, and so few that a statement names them. */
export function listable(
  cells: readonly DifferingCell[],
  limits: { readonly rows: number; readonly cells: number },
): DifferingCell[][] {
  const groups: DifferingCell[][] = [];
  let rows = Number.POSITIVE_INFINITY;
  for (const cell of cells) {
    const group = groups.at(-1);
    if (!group || rows + cell.rows > limits.rows || group.length >= limits.cells) {
      groups.push([cell]);
      rows = cell.rows;
    } else {
      group.push(cell);
      rows += cell.rows;
    }
  }
  return groups;
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
