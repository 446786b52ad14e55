import type { ClickHouse } from '../components/clickhouse/client.ts';
import { forgetOvertakenLetters } from '../components/clickhouse/deadLetters.ts';
import { type LoadStates, readLoadStates, recordState } from '../components/clickhouse/observe.ts';
import { withPostgres } from '../components/postgres/client.ts';
import { loadVersion } from '../components/postgres/prepare.ts';
import type { TablePlan } from '../core/ddl.ts';
import { mayDiffer, type SourceTable, shapeText } from '../core/source.ts';
import { passBarrier } from './barrier.ts';
import { type ExistingEvents, type ExistingLoad, loadExisting, type Method } from './existing.ts';
import type { Stack } from './stack.ts';

/**
 * Loading a table again while changes flow. Both kinds are kept among the loads, as records of floor
 * 0: what is to be done, and the form that the table had when the copy was last loaded.
 */
const RECORD = 'snapshot';
const SHAPE = 'shape';
/** To be loaded again; at which version is decided when nothing stores the old form any more. */
const NEEDED = 'needed';
/** A loading that `apply` began, after a change of the table's form. */
const OF_APPLY = 'apply';
const FLOW_MS = 600_000;

export interface ReloadOptions {
  readonly method: Method;
  readonly signal: AbortSignal;
  readonly events: ExistingEvents;
}

/** What the copy lacks of a table that was loaded before; the shape is absent in older copies. */
export function reloadState(
  states: LoadStates,
  table: SourceTable,
): { needed: boolean; shapeKnown: boolean } {
  const known = states.whole(table);
  const loaded = known.get(SHAPE);
  const [begun, oid, by] = known.get(RECORD)?.split(':') ?? [];
  const pending = Number(oid) === table.oid && (begun === NEEDED || by === OF_APPLY);
  const [shape = '', ofOid] = loaded?.split(':') ?? [];
  // Another table's of the same name, which was dropped: this one is loaded for the first time.
  const shapeKnown = Number(ofOid) === table.oid;
  return { needed: pending || (shapeKnown && mayDiffer(table, shape)), shapeKnown };
}

/** The form of the table as it was before its rows were read. */
export async function recordShape(clickhouse: ClickHouse, table: SourceTable): Promise<void> {
  const state = `${shapeText(table)}:${table.oid}`;
  await recordState(clickhouse, table, SHAPE, state);
}

/** Before storage changes its form: should this command end, the next one loads the table again. */
export async function requireReload(clickhouse: ClickHouse, table: SourceTable): Promise<void> {
  await recordState(clickhouse, table, RECORD, `${NEEDED}:${table.oid}`);
}

/** Loads a table again after its form has changed; goes on with what an earlier command began. */
export async function reloadTable(
  stack: Stack,
  clickhouse: ClickHouse,
  plan: TablePlan,
  floor: bigint,
  options: ReloadOptions,
): Promise<{ loaded: ExistingLoad; version: bigint }> {
  const { loaded, version } = await loadAgain(stack, clickhouse, plan, floor, {
    ...options,
    by: OF_APPLY,
  });
  await forgetOldForm(stack, clickhouse, plan, version, options.signal);
  await recordShape(clickhouse, plan.source);
  await recordDone(clickhouse, plan.source);
  return { loaded, version };
}

/**
 * Loads a table's rows with a version that outranks what was stored before. One that was begun and
 * not finished is gone on with: what it has read stays right, since every change since then
 * outranks it.
 */
export async function loadAgain(
  stack: Stack,
  clickhouse: ClickHouse,
  plan: TablePlan,
  floor: bigint,
  options: ReloadOptions & { by?: string },
): Promise<{ loaded: ExistingLoad; version: bigint; resumed: boolean }> {
  const begun = await unfinished(clickhouse, plan, floor);
  const version = begun ?? (await begin(stack, clickhouse, plan, options));
  const loaded = await loadExisting(stack, plan, version, options);
  return { loaded, version, resumed: begun !== undefined };
}

export async function recordDone(clickhouse: ClickHouse, table: SourceTable): Promise<void> {
  await recordState(clickhouse, table, RECORD, 'done');
}

/** Version of a loading of this very table that was begun and not finished. */
async function unfinished(
  clickhouse: ClickHouse,
  plan: TablePlan,
  floor: bigint,
): Promise<bigint | undefined> {
  const found = (await readLoadStates(clickhouse, plan)).whole(plan).get(RECORD);
  const [version, oid] = found?.split(':') ?? [];
  if (version === undefined || version === NEEDED || Number(oid) !== plan.source.oid)
    return undefined;
  return BigInt(version) > floor ? BigInt(version) : undefined;
}

async function begin(
  stack: Stack,
  clickhouse: ClickHouse,
  plan: TablePlan,
  { signal, events, by }: ReloadOptions & { by?: string },
): Promise<bigint> {
  events.step('waiting for transactions that have written to end');
  const version = await withPostgres(stack.endpoints.postgres, (client) =>
    loadVersion(client, signal),
  );
  const parts = [version, plan.source.oid, ...(by === undefined ? [] : [by])];
  await recordState(clickhouse, plan.source, RECORD, parts.join(':'));
  return version;
}

/** Changes that met no view of the table are dead letters: the load has put right what they were about. */
export async function forgetOldForm(
  stack: Stack,
  clickhouse: ClickHouse,
  plan: TablePlan,
  version: bigint,
  signal: AbortSignal,
): Promise<void> {
  const options = { timeoutMs: FLOW_MS, signal };
  await withPostgres(stack.endpoints.postgres, (source) =>
    passBarrier(stack, plan, source, clickhouse, options),
  );
  await forgetOvertakenLetters(clickhouse, plan, version);
}
