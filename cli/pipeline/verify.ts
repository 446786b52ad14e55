import { ClickHouse } from '../components/clickhouse/client.ts';
import { connectPostgres } from '../components/postgres/client.ts';
import {
  type Bucketing,
  type BucketSum,
  chooseBucketing,
  differingBuckets,
  differingKeys,
  integerKey,
  type RowDifference,
  sourceChecksums,
  sourceRelation,
  sourceRows,
  targetChecksums,
  targetRows,
} from '../core/checksum.ts';
import type { TablePlan } from '../core/ddl.ts';
import type { Lane } from '../core/lanes.ts';
import { tableLabel, tableLabelKey } from '../core/names.ts';
import { Problem } from '../core/problems.ts';
import { matchesPattern } from '../core/select.ts';
import { pgIdent } from '../lib/sql.ts';
import { WaitTimeout } from '../lib/wait.ts';
import { passBarrier } from './barrier.ts';
import { desiredOf } from './desired.ts';
import { inspectSource, refuseOnErrors, refuseOtherFilters } from './plan.ts';
import { repairRows } from './repair.ts';
import { type CheckContext, hashesOf, type RowHash, type VerifyEvents } from './rows.ts';
import { settleRows } from './settle.ts';
import type { Stack } from './stack.ts';

export interface TableVerdict {
  readonly table: string;
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
  /** Rows that differed and were mended; the counts above are of what still differs. */
  readonly repaired: number;
  /** Buckets of rows that were looked at more than once, because they were late. */
  readonly late_buckets: number;
  /** Up to ten keys that differ. */
  readonly examples: readonly { readonly key: string; readonly how: RowDifference }[];
  readonly seconds: number;
}

/** Nothing missing, extra or different, and nothing that could not be compared. */
export function isEqual(table: TableVerdict): boolean {
  return table.missing + table.extra + table.different + table.unsettled === 0;
}

export interface Verification {
  readonly ok: boolean;
  /** False when no heartbeat crossed while differences were settled: they may be lag. */
  readonly flowing: boolean;
  readonly tables: readonly TableVerdict[];
  readonly rows: number;
  readonly seconds: number;
}

/** Looks at what differs this often before single rows are compared. */
const BUCKET_ROUNDS = 2;
const BARRIER_TIMEOUT_MS = 20_000;
/** Listing rows takes memory: this many buckets at a time. */
const BUCKETS_AT_ONCE = 20;
/** More buckets than this are summed by reading the whole table again. */
const BUCKET_LIST_LIMIT = 500;
const EXAMPLES = 10;

/** Compares source and copy by value, telling what is only late from what is lost. */
export async function verify(
  stack: Stack,
  patterns: readonly string[],
  options: { repair: boolean; signal: AbortSignal },
  events: VerifyEvents,
): Promise<Verification> {
  const { repair, signal } = options;
  const startedAtMs = performance.now();
  const source = await inspectSource(stack);
  refuseOnErrors(source.findings);
  const desired = desiredOf(stack, source.tables);
  const chosen = chooseTables(desired.tables, patterns);
  refuseOtherFilters(source, chosen);
  const client = await connectPostgres(stack.endpoints.postgres);
  const clickhouse = new ClickHouse(stack.endpoints.clickhouse, { requestTimeoutMs: 3_600_000 });
  try {
    const tables: TableVerdict[] = [];
    let flowing = true;
    for (const [index, plan] of chosen.entries()) {
      signal.throwIfAborted();
      events.table(tableLabel(plan), index, chosen.length);
      const lane = laneOf(desired.lanes, plan);
      const check = new TableCheck({
        stack,
        plan,
        lane,
        source: client,
        clickhouse,
        signal,
        events,
      });
      tables.push(await check.run(repair));
      flowing &&= check.flowing;
    }
    return {
      ok: tables.every(isEqual),
      flowing,
      tables,
      rows: tables.reduce((sum, t) => sum + t.source_rows, 0),
      seconds: (performance.now() - startedAtMs) / 1000,
    };
  } finally {
    await client.end().catch(() => {});
    await clickhouse.close();
  }
}

export function chooseTables(
  tables: readonly TablePlan[],
  patterns: readonly string[],
): TablePlan[] {
  for (const pattern of patterns) {
    if (tables.some((t) => matchesPattern(t, pattern))) continue;
    throw new Problem('TABLE_UNKNOWN', {
      table: pattern,
      known: tables.map(tableLabel).join(', ') || 'none',
    });
  }
  return tables.filter((t) => patterns.length === 0 || patterns.some((p) => matchesPattern(t, p)));
}

export function laneOf(lanes: readonly Lane[], plan: TablePlan): Lane {
  const key = tableLabelKey(plan);
  const lane = lanes.find((l) => l.tables.some((id) => tableLabelKey(id) === key));
  if (!lane) throw new RangeError(`no lane for ${tableLabel(plan)}`);
  return lane;
}

class TableCheck {
  flowing = true;
  private readonly c: CheckContext;
  private readonly startedAtMs = performance.now();

  constructor(context: CheckContext) {
    this.c = context;
  }

  async run(repair: boolean): Promise<TableVerdict> {
    const { plan, events } = this.c;
    const bucketing = await this.bucketing();
    events.phase('checksums');
    const [sums, copySums] = await Promise.all([
      this.sourceSums(bucketing),
      this.targetSums(bucketing),
    ]);
    let differing = differingBuckets(sums, copySums);
    const late = differing.length;
    for (let round = 0; round < BUCKET_ROUNDS && differing.length > 0 && this.flowing; round += 1) {
      events.phase(`${differing.length} late buckets, look ${round + 2}`);
      await this.barrier();
      differing = await this.again(bucketing, differing, sums);
    }
    const found = differing.length > 0 ? await this.compareRows(bucketing, differing) : undefined;
    const broken = found?.confirmed.size ?? 0;
    // While nothing flows, what differs may only be late.
    const mend = repair && this.flowing && found && broken > 0;
    const differences = mend ? await this.repair([...found.confirmed.keys()]) : found;
    const count = (how: RowDifference) =>
      [...(differences?.confirmed.values() ?? [])].filter((d) => d === how).length;
    const [missing, extra] = [count('missing'), count('extra')];
    const rows = [...sums.values()].reduce((sum, bucket) => sum + bucket.rows, 0);
    return {
      table: tableLabel(plan),
      source_rows: rows,
      target_rows: rows - missing + extra,
      missing,
      extra,
      different: count('different'),
      unsettled: differences?.unsettled ?? 0,
      repaired: mend ? broken - (differences?.confirmed.size ?? 0) : 0,
      late_buckets: late,
      examples: [...(differences?.confirmed ?? [])]
        .slice(0, EXAMPLES)
        .map(([key, how]) => ({ key: readableKey(key), how })),
      seconds: (performance.now() - this.startedAtMs) / 1000,
    };
  }

  private async bucketing(): Promise<Bucketing> {
    const { plan, source } = this.c;
    const column = integerKey(plan);
    const table = sourceRelation(plan);
    const name = column ? pgIdent(column.name) : undefined;
    const range = name
      ? (
          await source.query<{ lo: string | null; hi: string | null }>(
            `SELECT min(${name}) AS lo, max(${name}) AS hi FROM ${table} s`,
          )
        ).rows[0]
      : undefined;
    // Statistics are missing before the first ANALYZE; a row rarely takes less than 60 bytes.
    const rows = Math.max(plan.source.estimatedRows, plan.source.bytes / 200, 1);
    return chooseBucketing(plan, {
      rows,
      minKey: range?.lo ? BigInt(range.lo) : undefined,
      maxKey: range?.hi ? BigInt(range.hi) : undefined,
    });
  }

  private async sourceSums(
    bucketing: Bucketing,
    buckets?: readonly bigint[],
  ): Promise<Map<string, BucketSum>> {
    const found = await this.c.source.query<{ bucket: string; rows: string; sum: string }>(
      sourceChecksums(this.c.plan, bucketing, buckets),
    );
    return sumsOf(found.rows);
  }

  private async targetSums(
    bucketing: Bucketing,
    buckets?: readonly bigint[],
  ): Promise<Map<string, BucketSum>> {
    return sumsOf(await this.c.clickhouse.rows(targetChecksums(this.c.plan, bucketing, buckets)));
  }

  /** Sums the given buckets again; what the source has now replaces what it had. */
  private async again(
    bucketing: Bucketing,
    buckets: readonly bigint[],
    sums: Map<string, BucketSum>,
  ): Promise<bigint[]> {
    const list = buckets.length > BUCKET_LIST_LIMIT ? undefined : buckets;
    const [source, target] = await Promise.all([
      this.sourceSums(bucketing, list),
      this.targetSums(bucketing, list),
    ]);
    for (const bucket of list ?? sums.keys()) sums.delete(String(bucket));
    for (const [bucket, sum] of source) sums.set(bucket, sum);
    return differingBuckets(source, target);
  }

  private async compareRows(bucketing: Bucketing, buckets: readonly bigint[]) {
    const { plan, source, clickhouse, events } = this.c;
    const confirmed = new Map<string, RowDifference>();
    let unsettled = 0;
    for (let i = 0; i < buckets.length; i += BUCKETS_AT_ONCE) {
      this.c.signal.throwIfAborted();
      events.phase(`comparing rows of bucket ${i + 1} of ${buckets.length}`);
      const some = buckets.slice(i, i + BUCKETS_AT_ONCE);
      const [ours, theirs] = await Promise.all([
        source.query<RowHash>(sourceRows(plan, bucketing, some)).then((r) => hashesOf(r.rows)),
        clickhouse.rows<RowHash>(targetRows(plan, bucketing, some)).then(hashesOf),
      ]);
      const candidates = differingKeys(ours, theirs);
      if (!this.flowing) {
        for (const [key, how] of candidates) confirmed.set(key, how);
        continue;
      }
      const settled = await settleRows(this.c, [...candidates.keys()], () => this.barrier());
      for (const [key, how] of settled.confirmed) confirmed.set(key, how);
      unsettled += settled.unsettled;
    }
    return { confirmed, unsettled };
  }

  /** Mends rows and looks at them again: what is left does not fit, or changes all the time. */
  private async repair(keys: readonly string[]) {
    await repairRows(this.c, keys);
    return settleRows(this.c, keys, () => this.barrier());
  }

  /** Waits for the copy to catch up; when it does not, differences are reported as they stand. */
  private async barrier(): Promise<boolean> {
    const { stack, lane, source, clickhouse, signal } = this.c;
    try {
      await passBarrier(stack, lane, source, clickhouse, { timeoutMs: BARRIER_TIMEOUT_MS, signal });
    } catch (error) {
      if (!(error instanceof WaitTimeout)) throw error;
      this.flowing = false;
    }
    return this.flowing;
  }
}

function sumsOf(
  rows: readonly { bucket: string; rows: string; sum: string }[],
): Map<string, BucketSum> {
  return new Map(rows.map((r) => [String(r.bucket), { rows: Number(r.rows), sum: String(r.sum) }]));
}

/** Parts of a composite key are joined by a control character. */
function readableKey(key: string): string {
  return key.split('\u001f').join(', ');
}
