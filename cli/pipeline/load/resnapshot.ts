import type { ClickHouse } from '../../components/clickhouse/client.ts';
import { forgetOvertakenDeadLetters } from '../../components/clickhouse/deadLetters.ts';
import {
  forgetRecord,
  type Records,
  readRecords,
  writeRecord,
} from '../../components/clickhouse/records.ts';
import { withPostgres } from '../../components/postgres/client.ts';
import type { TablePlan } from '../../core/ddl.ts';
import { knowsTypes, mayDiffer, type SourceTable, schemaFingerprint } from '../../core/source.ts';
import { waitUntilCaughtUp } from '../inspect/caughtUp.ts';
import { closeGap, type Gap, gapOf } from '../state/gaps.ts';
import type { Stack } from '../state/stack.ts';
import { nextLoadVersion } from '../state/versions.ts';
import type { LoadEvents, Method, TableLoad } from './events.ts';
import { loadRows } from './loadRows.ts';

/**
 * Loading a table again while changes flow. Remembered are what is to be done, and the form that the
 * table had when the copy was last loaded.
 */

const FLOW_MS = 600_000;

export interface ResnapshotOptions {
  readonly method: Method;
  readonly signal: AbortSignal;
  readonly events: LoadEvents;
}

/** What the copy lacks of a table that was loaded before, and the gap if it has one; the shape is absent in older copies. */
export function resnapshotState(
  records: Records,
  table: SourceTable,
): { why: string | undefined; needed: boolean; shapeKnown: boolean } {
  const snapshot = records.get(table, 'snapshot');
  const isDue = snapshot?.state === 'needed' || snapshot?.isOfApply === true;
  const loaded = records.get(table, 'shape');
  // Another table's of the same name, which was dropped: this one is loaded for the first time.
  const shape = loaded?.oid === table.oid ? loaded.shape : undefined;
  return {
    why: gapOf(records, table)?.why,
    needed:
      (isDue && snapshot?.oid === table.oid) || (shape !== undefined && mayDiffer(table, shape)),
    shapeKnown: shape !== undefined && knowsTypes(shape),
  };
}

/** The form of the table as it was before its rows were read. */
export async function recordFingerprint(clickhouse: ClickHouse, table: SourceTable): Promise<void> {
  await writeRecord(clickhouse, table, 'shape', {
    oid: table.oid,
    shape: schemaFingerprint(table),
  });
}

/** Before storage changes its form: should this command end, the next one loads the table again. */
export async function requireResnapshot(clickhouse: ClickHouse, table: SourceTable): Promise<void> {
  await writeRecord(clickhouse, table, 'snapshot', { state: 'needed', oid: table.oid });
}

/** Loads a table again after its form has changed; goes on with what an earlier command began. */
export async function resnapshotTable(
  stack: Stack,
  clickhouse: ClickHouse,
  plan: TablePlan,
  baseline: bigint,
  options: ResnapshotOptions,
): Promise<{ loaded: TableLoad; version: bigint }> {
  const { loaded, version, gap } = await resnapshot(stack, clickhouse, plan, baseline, {
    ...options,
    isOfApply: true,
  });
  await forgetOldSchema(stack, clickhouse, plan, version, options.signal);
  await recordFingerprint(clickhouse, plan.source);
  await recordDone(clickhouse, plan.source, gap);
  return { loaded, version };
}

/**
 * Loads a table's rows with a version that outranks what was stored before. One that was begun and
 * not finished is gone on with: what it has read stays right, since every change since then
 * outranks it.
 */
export async function resnapshot(
  stack: Stack,
  clickhouse: ClickHouse,
  plan: TablePlan,
  baseline: bigint,
  options: ResnapshotOptions & { isOfApply: boolean },
): Promise<{ loaded: TableLoad; version: bigint; resumed: boolean; gap: Gap | undefined }> {
  const gap = gapOf(await readRecords(clickhouse, plan), plan.source);
  const begun = await unfinished(clickhouse, plan, baseline);
  const version = begun ?? (await begin(stack, clickhouse, plan, options));
  const loaded = await loadRows(stack, plan, version, { ...options, flowed: true });
  return { loaded, version, resumed: begun !== undefined, gap };
}

/** @param gap what was known before the load began: that is closed. */
export async function recordDone(
  clickhouse: ClickHouse,
  table: SourceTable,
  gap: Gap | undefined,
): Promise<void> {
  await forgetRecord(clickhouse, table, 'snapshot');
  if (gap !== undefined) await closeGap(clickhouse, table, gap);
}

/** Version of a loading of this very table that was begun and not finished. */
async function unfinished(
  clickhouse: ClickHouse,
  plan: TablePlan,
  baseline: bigint,
): Promise<bigint | undefined> {
  const found = (await readRecords(clickhouse, plan)).get(plan, 'snapshot');
  if (found?.state !== 'begun' || found.oid !== plan.source.oid) return undefined;
  return found.version > baseline ? found.version : undefined;
}

async function begin(
  stack: Stack,
  clickhouse: ClickHouse,
  plan: TablePlan,
  { signal, events, isOfApply }: ResnapshotOptions & { isOfApply: boolean },
): Promise<bigint> {
  events.step('waiting for transactions that have written to end');
  const version = await withPostgres(stack.endpoints.postgres, (client) =>
    nextLoadVersion(clickhouse, client, signal, events.step),
  );
  const { oid } = plan.source;
  await writeRecord(clickhouse, plan, 'snapshot', { state: 'begun', oid, version, isOfApply });
  return version;
}

/** Changes that met no view of the table are dead letters: the load has put right what they were about. */
export async function forgetOldSchema(
  stack: Stack,
  clickhouse: ClickHouse,
  plan: TablePlan,
  version: bigint,
  signal: AbortSignal,
): Promise<void> {
  const options = { timeoutMs: FLOW_MS, signal };
  await withPostgres(stack.endpoints.postgres, (source) =>
    waitUntilCaughtUp(stack, plan, source, clickhouse, options),
  );
  await forgetOvertakenDeadLetters(clickhouse, plan, version);
}
