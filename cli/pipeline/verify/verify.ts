import type pg from 'pg';
import { ClickHouse } from '../../components/clickhouse/client.ts';
import { connectPostgres, withPostgres } from '../../components/postgres/client.ts';
import type { LeftOut } from '../../core/leftOut.ts';
import { tableLabel } from '../../core/names.ts';
import type { PostgresEndpoint } from '../../stack/endpoints.ts';
import { chooseTables, withoutUnready } from '../inspect/choose.ts';
import { captureSource, refuseLeftOut } from '../inspect/source.ts';
import { standing } from '../inspect/targets.ts';
import { dutyCycle, FULL_SPEED } from '../load/throttle.ts';
import type { Stack } from '../state/stack.ts';
import { recordVerification } from '../state/verifications.ts';
import type { VerifyEvents } from './rowDiff.ts';
import { type CheckOptions, isEqual, TableCheck, type TableVerdict } from './tableVerifier.ts';

export interface Verification {
  /** Every table that was compared is equal, and some was. */
  readonly ok: boolean;
  /** Tables that were asked for and are not in the proof. */
  readonly left_out: readonly LeftOut[];
  /** False when no heartbeat crossed while differences were settled: they may be lag. */
  readonly flowing: boolean;
  /** Of a sample: the part that was asked for, and what makes the same choice again. */
  readonly sampled?: number;
  readonly seed?: number;
  readonly tables: readonly TableVerdict[];
  /** Rows that were compared. */
  readonly rows: number;
  readonly seconds: number;
}

export interface VerifyOptions extends CheckOptions {
  /** A table that cannot be compared is an error. */
  readonly strict?: boolean | undefined;
  /** Part of the time that may be spent on the work; as fast as can be when absent. */
  readonly budget?: number | undefined;
  readonly signal: AbortSignal;
}

/** All that was asked for was compared, and is equal. */
export function isProven({ ok, left_out }: Verification): boolean {
  return ok && left_out.length === 0;
}

/** Compares source and copy by value, telling what is only late from what is lost. */
export async function verify(
  stack: Stack,
  patterns: readonly string[],
  options: VerifyOptions,
  events: VerifyEvents & { verdict?(table: TableVerdict, flowing: boolean): void },
): Promise<Verification> {
  const { signal, budget } = options;
  const startedAtMs = performance.now();
  const throttle = budget === undefined ? FULL_SPEED : dutyCycle(budget, signal);
  const source = await throttle.work(() => captureSource(stack));
  const desired = await standing(stack, source);
  const asked = chooseTables(source, desired, patterns);
  const client = await connectPostgres(stack.endpoints.postgres);
  const clickhouse = new ClickHouse(stack.endpoints.clickhouse, { requestTimeoutMs: 3_600_000 });
  const forget = cancelWith(signal, stack.endpoints.postgres, client);
  try {
    const { include } = stack.config.source;
    const { plans: chosen, leftOut } = await withoutUnready(clickhouse, source, include, asked);
    if (options.strict === true) refuseLeftOut(leftOut);
    if (throttle.lowPriority) await client.query('SET max_parallel_workers_per_gather = 0');
    const settings = throttle.lowPriority ? { max_threads: 1 } : {};
    const tables: TableVerdict[] = [];
    let flowing = true;
    for (const [index, plan] of chosen.entries()) {
      signal.throwIfAborted();
      events.table(tableLabel(plan), index, chosen.length);
      const check = new TableCheck(
        {
          stack,
          plan,
          source: client,
          clickhouse,
          read: (sql) => clickhouse.rows(sql, {}, settings, signal),
          throttle,
          signal,
          events,
        },
        options,
      );
      const verdict = await check.run();
      tables.push(verdict);
      flowing &&= check.flowing;
      events.verdict?.(verdict, check.flowing);
    }
    const result: Verification = {
      ok: tables.length > 0 && tables.every(isEqual),
      left_out: leftOut,
      flowing,
      ...(options.sample ? { sampled: options.sample.fraction, seed: options.sample.seed } : {}),
      tables,
      rows: tables.reduce((sum, t) => sum + t.source_rows, 0),
      seconds: (performance.now() - startedAtMs) / 1000,
    };
    if (tables.length === 0) return result;
    // A ClickHouse that is read-only, or full: the result is worth more than its record.
    await recordVerification(clickhouse, {
      ok: result.ok,
      flowing,
      tables: tables.map((t) => t.table),
      captured: source.chosen.length,
      differing: tables.filter((t) => !isEqual(t)).map((t) => t.table),
      rows: result.rows,
      sampled: options.sample?.fraction ?? 1,
      seconds: result.seconds,
    }).catch(() => {});
    return result;
  } finally {
    await forget();
    await client.end().catch(() => {});
    await clickhouse.close();
  }
}

/**
 * A statement that runs when the signal comes is ended in the server, too.
 *
 * @returns what is to be called, and waited for, when the connection is not used any more.
 */
function cancelWith(
  signal: AbortSignal,
  endpoint: PostgresEndpoint,
  client: pg.Client,
): () => Promise<void> {
  const { processID } = client as pg.Client & { readonly processID: number };
  let cancelled = Promise.resolve();
  const cancel = () => {
    cancelled = withPostgres(endpoint, async (other) => {
      await other.query('SELECT pg_cancel_backend($1)', [processID]);
    }).catch(() => {});
  };
  signal.addEventListener('abort', cancel, { once: true });
  return async () => {
    signal.removeEventListener('abort', cancel);
    await cancelled;
  };
}
