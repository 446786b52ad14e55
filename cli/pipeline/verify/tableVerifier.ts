import { relationsOf } from '../../components/postgres/pages.ts';
import {
  type Bucketing,
  bucketAt,
  bucketCount,
  chooseBucketing,
  type HashRow,
  ROWS_PER_BUCKET,
  type Scope,
  type SumRow,
  sourceChecksums,
  sourceKeyBounds,
  sourceRows,
  targetChecksums,
  targetKept,
  targetRows,
} from '../../core/checksum.ts';
import {
  bucketsOf,
  type CellSum,
  chooseSlices,
  type DifferingCell,
  differingCells,
  differingKeys,
  hashesOf,
  keptOf,
  listable,
  type RowDifference,
  rowCount,
  sumsOf,
} from '../../core/differences.ts';
import { integerKey } from '../../core/keys.ts';
import { tableLabel } from '../../core/names.ts';
import { sample } from '../../core/sample.ts';
import { WaitTimeout } from '../../lib/wait.ts';
import { waitUntilCaughtUp } from '../inspect/caughtUp.ts';
import { countRows, describeCounted } from './counted.ts';
import { recheckRows } from './recheckRows.ts';
import { repairRows } from './repair.ts';
import type { CheckContext } from './rowDiff.ts';
import { type DifferingRow, describeRows, type FoundRow } from './valueDiff.ts';

export interface TableVerdict {
  readonly table: string;
  /** Rows that were compared. */
  readonly source_rows: number;
  readonly target_rows: number;
  /** Rows of the source that the copy lacks. */
  readonly missing: number;
  /** Rows of the copy that the source lacks. */
  readonly extra: number;
  /** Rows that both have, with other values. */
  readonly different: number;
  /** Rows that changed so fast that no two looks could be compared. */
  readonly unsettled: number;
  /** Rows that differed and were repaired; the counts above are of what still differs. */
  readonly repaired: number;
  /** Buckets of rows that were looked at more than once, because they were late or differed. */
  readonly late_buckets: number;
  /** Values of the copy that their type cannot hold, compared by the exact text beside them. */
  readonly kept: number;
  /** Part of the table's buckets that was compared; 1 unless a sample was asked for. */
  readonly sampled: number;
  /** Some of the rows that differ. */
  readonly rows: readonly DifferingRow[];
  readonly seconds: number;
}

/** Nothing missing, extra or different, and nothing that could not be compared. */
export function isEqual(table: TableVerdict): boolean {
  return table.missing + table.extra + table.different + table.unsettled === 0;
}

export interface CheckOptions {
  readonly repair: boolean;
  /** Rows whose values are given; all are counted. */
  readonly rows: number;
  readonly sample: { readonly fraction: number; readonly seed: number } | undefined;
}

const BARRIER_TIMEOUT_MS = 20_000;
/** Rows listed at a time: listing them takes memory. */
const ROWS_AT_ONCE = 200_000;
const BYTES_PER_ROW = 200;
const PAGE_BYTES = 8192;
/** Cells, and buckets, that one statement names: ClickHouse parses 256 KiB of one. */
const CELLS_AT_ONCE = 2000;
/** A sample has this many buckets at least, however large the table is. */
const SAMPLED_BUCKETS = 40;
/** Buckets read at a time where the load is to be low. */
const LOW_PRIORITY_BUCKETS = 20;

/** Compares one table: checksums of buckets, then of slices of buckets that differ, then rows. */
export class TableCheck {
  /** False once no heartbeat crossed: differences may be lag then. */
  flowing = true;
  private readonly c: CheckContext;
  private readonly options: CheckOptions;
  private readonly startedAtMs = performance.now();
  private readonly counts = { missing: 0, extra: 0, different: 0, unsettled: 0, repaired: 0 };
  private readonly found: FoundRow[] = [];
  private rows = 0;
  private kept = 0;

  constructor(context: CheckContext, options: CheckOptions) {
    this.c = context;
    this.options = options;
  }

  async run(): Promise<TableVerdict> {
    const { events, throttle, plan } = this.c;
    const { bucketing, sampled, scopes } = await this.layout();
    const differing: DifferingCell[] = [];
    for (const [i, scope] of scopes.entries()) {
      this.c.signal.throwIfAborted();
      events.phase(
        scopes.length === 1 ? 'checksums' : `checksums, part ${i + 1} of ${scopes.length}`,
      );
      const [ours, theirs, kept] = await throttle.work(() => this.sums(bucketing, scope));
      this.rows += rowCount(ours);
      this.kept += kept;
      differing.push(...differingCells(ours, theirs));
    }
    const late = differing.length;
    if (late > 0) {
      for (const some of listable(differing, { rows: Infinity, cells: CELLS_AT_ONCE })) {
        const slices = chooseSlices(some);
        await this.compareRows(bucketing, await this.slices(bucketing, some, slices), slices);
      }
    }
    // Rows that were late are in the copy by now.
    const kept = late > 0 ? await this.countKept(bucketing, scopes) : this.kept;
    const { missing, extra, different, unsettled, repaired } = this.counts;
    const rows =
      this.found.length === 0
        ? []
        : await (plan.multiset ? describeCounted : describeRows)(this.c, this.found);
    return {
      table: tableLabel(plan),
      source_rows: this.rows,
      target_rows: this.rows - missing + extra,
      missing,
      extra,
      different,
      unsettled,
      repaired,
      late_buckets: late,
      kept,
      sampled,
      rows,
      seconds: (performance.now() - this.startedAtMs) / 1000,
    };
  }

  /** How rows are put into buckets, and which of these are read together. */
  private async layout(): Promise<{ bucketing: Bucketing; sampled: number; scopes: Scope[] }> {
    const { plan, source, throttle } = this.c;
    const column = integerKey(plan);
    const bounds = column
      ? (
          await throttle.work(() =>
            source.query<{ lo: string | null; hi: string | null }>(sourceKeyBounds(plan, column)),
          )
        ).rows[0]
      : undefined;
    const rows = await this.estimatedRows();
    const { sample: wanted } = this.options;
    const perBucket = wanted
      ? Math.max(100, Math.min(ROWS_PER_BUCKET, (rows * wanted.fraction) / SAMPLED_BUCKETS))
      : ROWS_PER_BUCKET;
    const stats = {
      rows,
      minKey: bounds?.lo ? BigInt(bounds.lo) : undefined,
      maxKey: bounds?.hi ? BigInt(bounds.hi) : undefined,
    };
    const bucketing = chooseBucketing(plan, stats, perBucket);
    const count = bucketCount(bucketing);
    // What fits into one bucket is not worth choosing from.
    const chosen =
      wanted && rows > ROWS_PER_BUCKET
        ? sample(count, wanted.fraction, wanted.seed, tableLabel(plan))
        : undefined;
    const sampled = chosen ? chosen.length / count : 1;
    const inParts = throttle.lowPriority && bucketing.kind === 'range';
    if (!chosen && !inParts) return { bucketing, sampled, scopes: [{}] };
    const buckets = (chosen ?? [...Array(count).keys()]).map((n) => bucketAt(bucketing, n));
    const scopes: Scope[] = [];
    const together = inParts ? LOW_PRIORITY_BUCKETS : CELLS_AT_ONCE;
    for (let i = 0; i < buckets.length; i += together)
      scopes.push({ buckets: buckets.slice(i, i + together), withEnds: true });
    return { bucketing, sampled, scopes };
  }

  /** Statistics are missing before the first ANALYZE; then a row is taken to have 200 bytes. */
  private async estimatedRows(): Promise<number> {
    const { estimatedRows, bytes, kind } = this.c.plan.source;
    if (kind === 'r') return Math.max(estimatedRows, bytes / BYTES_PER_ROW, 1);
    const partitions = await relationsOf(this.c.source, this.c.plan.source);
    return partitions.reduce(
      (sum, p) => sum + Math.max(p.estimatedRows, (p.pages * PAGE_BYTES) / BYTES_PER_ROW),
      1,
    );
  }

  private async countKept(bucketing: Bucketing, scopes: readonly Scope[]): Promise<number> {
    const { plan, read, throttle } = this.c;
    let kept = 0;
    for (const scope of scopes) {
      const sql = targetKept(plan, bucketing, scope);
      const [row] = await throttle.work(() => read<{ __cdc_kept: string }>(sql));
      kept += Number(row?.__cdc_kept ?? 0);
    }
    return kept;
  }

  /** Sums of both sides, read at the same time. */
  private async sums(
    bucketing: Bucketing,
    scope: Scope,
  ): Promise<[Map<string, CellSum>, Map<string, CellSum>, number]> {
    const { plan, source, read } = this.c;
    const [ours, theirs] = await Promise.all([
      source.query<SumRow>(sourceChecksums(plan, bucketing, scope)),
      read<SumRow>(targetChecksums(plan, bucketing, scope)),
    ]);
    return [sumsOf(ours.rows), sumsOf(theirs), keptOf(theirs)];
  }

  /**
   * Which slices of buckets that differed still differ, once the copy has caught up; and once more,
   * since rows were written meanwhile.
   */
  private async slices(
    bucketing: Bucketing,
    differing: readonly DifferingCell[],
    slices: number,
  ): Promise<DifferingCell[]> {
    const { events, throttle } = this.c;
    events.phase(`${differing.length} buckets differ or are late; looking closer`);
    await this.barrier();
    const buckets = bucketsOf(differing);
    const before = await throttle.work(() => this.sums(bucketing, { buckets, slices }));
    const cells = differingCells(before[0], before[1]);
    if (cells.length === 0 || !this.flowing) return cells;
    await this.barrier();
    const [ours, theirs] = await throttle.work(() => this.sums(bucketing, scopeOf(cells, slices)));
    return differingCells(ours, theirs);
  }

  private async compareRows(
    bucketing: Bucketing,
    cells: readonly DifferingCell[],
    slices: number,
  ): Promise<void> {
    const { plan, source, read, events, throttle } = this.c;
    const groups = listable(cells, { rows: ROWS_AT_ONCE, cells: CELLS_AT_ONCE });
    for (const [i, group] of groups.entries()) {
      this.c.signal.throwIfAborted();
      events.phase(`comparing rows, part ${i + 1} of ${groups.length}`);
      const scope = scopeOf(group, slices);
      const [ours, theirs] = await throttle.work(() =>
        Promise.all([
          source.query<HashRow>(sourceRows(plan, bucketing, scope)).then((r) => hashesOf(r.rows)),
          read<HashRow>(targetRows(plan, bucketing, scope)).then(hashesOf),
        ]),
      );
      await this.decide(differingKeys(ours, theirs));
    }
  }

  /** Rows that differ at this moment: late, or different for good? */
  private async decide(candidates: ReadonlyMap<string, RowDifference>): Promise<void> {
    if (candidates.size === 0) return;
    if (!this.flowing) {
      await this.count(candidates);
      return;
    }
    const barrier = () => this.barrier();
    const rechecked = await recheckRows(this.c, [...candidates.keys()], barrier);
    const keys = [...rechecked.confirmed.keys()];
    // While nothing flows, what differs may only be late.
    if (!this.options.repair || keys.length === 0 || !this.flowing) {
      this.counts.unsettled += rechecked.unsettled;
      await this.count(rechecked.confirmed);
      return;
    }
    await repairRows(this.c, keys);
    // What is left does not fit, or changes all the time.
    const left = await recheckRows(this.c, keys, barrier);
    this.counts.unsettled += rechecked.unsettled + left.unsettled;
    this.counts.repaired += keys.length - left.confirmed.size;
    await this.count(left.confirmed);
  }

  private async count(differences: ReadonlyMap<string, RowDifference>): Promise<void> {
    if (this.c.plan.multiset) {
      for (const { key, how, rows } of await countRows(this.c, [...differences.keys()])) {
        this.counts[how] += rows;
        if (this.found.length < this.options.rows) this.found.push({ key, how });
      }
      return;
    }
    for (const [key, how] of differences) {
      this.counts[how] += 1;
      if (this.found.length < this.options.rows) this.found.push({ key, how });
    }
  }

  /** Waits for the copy to catch up; when it does not, differences are reported as they stand. */
  private async barrier(): Promise<boolean> {
    const { stack, plan, source, clickhouse, signal } = this.c;
    if (!this.flowing) return false;
    try {
      await waitUntilCaughtUp(stack, plan, source, clickhouse, {
        timeoutMs: BARRIER_TIMEOUT_MS,
        signal,
      });
    } catch (error) {
      if (!(error instanceof WaitTimeout)) throw error;
      this.flowing = false;
    }
    return this.flowing;
  }
}

function scopeOf(cells: readonly DifferingCell[], slices: number): Scope {
  // More than a statement can name are found again among all slices of their buckets.
  const named = cells.length <= CELLS_AT_ONCE;
  return {
    buckets: bucketsOf(cells),
    slices,
    ...(named ? { cells: cells.map(({ cell }) => cell) } : {}),
  };
}
