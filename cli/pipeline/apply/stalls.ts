import type { ClickHouse } from '../../components/clickhouse/client.ts';
import {
  dependentsOf,
  readSetAside,
  recordSetAside,
  setAside,
} from '../../components/clickhouse/dependents.ts';
import { type Stall, stalledQueues } from '../../components/clickhouse/stalls.ts';
import type { TablePlan } from '../../core/ddl.ts';
import {
  columnsChanged,
  culprits,
  type Dependent,
  usersOf,
  viewsNamed,
} from '../../core/dependents.ts';
import { type KnownNames, tableLabel } from '../../core/names.ts';
import { Problem } from '../../core/problems.ts';
import {
  constraintOf,
  isPassing,
  type ObjectName,
  shortError,
  viewsOf,
} from '../../core/stalls.ts';
import { chIdent } from '../../lib/sql.ts';
import { pause } from '../../lib/wait.ts';
import { readNames } from '../inspect/targets.ts';
import { requireResnapshot } from '../load/resnapshot.ts';
import { current, readIsolations, recordIsolation, tableOf } from '../state/isolate.ts';

/** Failures in a row after which a queue is taken for standing. */
const STANDS = 2;
/** A queue that stands reads its block again this often. */
const FAILS_EVERY_MS = 1000;
/** How long a table that was isolated must flow before it shares a queue again; longer each time. */
const FLOWS_MS = 60_000;
const LONGEST_MS = 3_600_000;

export interface Answer {
  /** What stands, and why, for people. */
  readonly standing: readonly string[];
  /** What was done about it. */
  readonly done: readonly string[];
  /** Queues for which something was done: it shows at their next failure, or there is none. */
  readonly answered: readonly Stall[];
  /** Tables that are to get a queue of their own. */
  readonly isolated: readonly string[];
}

export async function answerStalls(
  clickhouse: ClickHouse,
  stalls: readonly (Stall & { readonly looks: number })[],
): Promise<Answer> {
  const standing: string[] = [];
  const done: string[] = [];
  const alone: string[] = [];
  const answered: Stall[] = [];
  if (stalls.length === 0) return { standing, done, answered, isolated: alone };
  const known = await readNames(clickhouse);
  const isolations = await readIsolations(clickhouse);
  for (const stall of stalls) {
    const { queue, error, looks } = stall;
    if (looks < STANDS) continue;
    const key = tableIn(known, error);
    const id = key === undefined ? undefined : idOf(key);
    standing.push(`${nameOf(key, queue)} stands: ${shortError(error)}`);
    const removed = await setAsideCulprits(clickhouse, known, error);
    if (removed.length > 0) {
      answered.push(stall);
      done.push(...removed);
      continue;
    }
    const before = key === undefined ? undefined : isolations.get(key);
    if (before && before.why !== '') {
      // Nothing in its error is known, and it stands alone: what somebody made there goes one by one.
      const tried = await setAsideNext(clickhouse, known, error);
      if (tried !== undefined) {
        answered.push(stall);
        done.push(tried);
      }
      continue;
    }
    if (!id) continue;
    await recordIsolation(clickhouse, id, {
      why: shortError(error),
      since_ms: Date.now(),
      times: (before?.times ?? 0) + 1,
    });
    answered.push(stall);
    alone.push(tableLabel(id));
    done.push(`${tableLabel(id)} gets a queue of its own`);
  }
  return { standing, done, answered, isolated: alone };
}

/**
 * Takes a table out of its queue without touching anything else: what it misses is loaded by the next apply, which makes
 * its view again.
 */
export async function withholdTable(
  clickhouse: ClickHouse,
  { source, names }: TablePlan,
): Promise<void> {
  await requireResnapshot(clickhouse, source);
  await clickhouse.command(`DROP VIEW IF EXISTS ${chIdent(names.database, names.mv)} SYNC`);
}

/**
 * Whether its queue fails on a table once more. One that somebody's apply has repaired in the meantime must keep its
 * view: nobody would make it again.
 */
export async function failsAnew(
  clickhouse: ClickHouse,
  table: string,
  signal: AbortSignal,
): Promise<boolean> {
  const known = await readNames(clickhouse);
  let before: number | undefined;
  for (;;) {
    const stall = (await stalledQueues(clickhouse)).find(
      ({ queue, error }) => nameOf(tableIn(known, error), queue) === table,
    );
    if (!stall) return false;
    before ??= stall.failed_s;
    if (stall.failed_s > before) return true;
    await pause(FAILS_EVERY_MS / 2, signal);
  }
}

/** Tables whose own queue has not stood for long enough. */
export async function endIsolations(
  clickhouse: ClickHouse,
  stalls: readonly Stall[],
): Promise<string[]> {
  const ended: string[] = [];
  const isolations = current(await readIsolations(clickhouse));
  if (isolations.size === 0) return ended;
  const known = await readNames(clickhouse);
  for (const [key, { table, ...state }] of isolations) {
    const names = known.get(key);
    const isStanding = stalls.some(
      ({ queue, error }) =>
        names !== undefined &&
        queue.database === names.database &&
        (queue.name === `${names.mv.slice(0, -'mv'.length)}queue` || error.includes(names.mv)),
    );
    const agoMs = Date.now() - state.since_ms;
    if (isStanding) {
      // A look every two seconds would be a record every two seconds.
      if (agoMs > FLOWS_MS / 3)
        await recordIsolation(clickhouse, table, { ...state, since_ms: Date.now() });
      continue;
    }
    const restMs = Math.min(LONGEST_MS, FLOWS_MS * 2 ** (state.times - 1));
    if (agoMs < restMs) continue;
    await recordIsolation(clickhouse, table, { ...state, why: '', since_ms: Date.now() });
    ended.push(tableLabel(table));
  }
  return ended;
}

/** What somebody made on the table's storage and that refused its rows; what was done, for people. */
async function setAsideCulprits(
  clickhouse: ClickHouse,
  known: ReadonlyMap<string, KnownNames>,
  error: string,
): Promise<string[]> {
  const names = known.get(tableIn(known, error) ?? '');
  if (names === undefined) return [];
  return setAsideOf(clickhouse, { database: names.database, name: names.final }, error);
}

async function setAsideNext(
  clickhouse: ClickHouse,
  known: ReadonlyMap<string, KnownNames>,
  error: string,
): Promise<string | undefined> {
  const names = known.get(tableIn(known, error) ?? '');
  if (names === undefined || isPassing(error)) return undefined;
  const [next] = await dependentsOf(clickhouse, { database: names.database, name: names.final });
  return next && setAside(clickhouse, next, error);
}

async function setAsideOf(
  clickhouse: ClickHouse,
  storage: ObjectName,
  error: string,
): Promise<string[]> {
  if (isPassing(error)) return [];
  const found = culprits(await dependentsOf(clickhouse, storage), error);
  const done: string[] = [];
  for (const dependent of found) done.push(await setAside(clickhouse, dependent, error));
  return done;
}

/**
 * Does what writes rows into the copy, again where something that somebody made there refused them: that is set aside.
 */
export async function pastDependents<T>(
  clickhouse: ClickHouse,
  { names }: TablePlan,
  write: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await write();
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== 'LOAD_FAILED') throw error;
      const storage = { database: names.database, name: names.final };
      if ((await setAsideOf(clickhouse, storage, error.message)).length === 0) throw error;
    }
  }
}

/**
 * The same for statements that change a storage's form: what needs a column that they drop is set aside. What a storage
 * had that is written anew, the new one gets, too.
 */
export async function alterPastDependents(
  clickhouse: ClickHouse,
  storage: ObjectName & { readonly ttl?: string },
  statements: readonly string[],
  alter: () => Promise<void>,
): Promise<void> {
  const before = await dependentsOf(clickhouse, storage);
  try {
    await alter();
  } catch (error) {
    const isRefused = error instanceof Problem && error.code === 'CLICKHOUSE_REFUSED';
    if (!isRefused || isPassing(error.message)) throw error;
    const users = usersOf(before, columnsChanged(statements));
    const found = [...new Set([...users, ...viewsNamed(before, error.message)])];
    if (found.length === 0) throw error;
    for (const dependent of found) await setAside(clickhouse, dependent, error.message);
    await alter();
  }
  if (!statements.some((statement) => statement.startsWith('EXCHANGE TABLES'))) return;
  const after = await dependentsOf(clickhouse, storage);
  const isThere = (one: Dependent) =>
    after.some(({ kind, part }) => kind === one.kind && part === one.part);
  const aside = await readSetAside(clickhouse);
  for (const dependent of before) {
    if (dependent.kind === 'view' || isThere(dependent)) continue;
    // The new storage was made with what cdc.yaml says.
    if (dependent.kind === 'ttl' && storage.ttl !== undefined) continue;
    if (aside.some((one) => one.back === dependent.back)) continue;
    await clickhouse
      .command(dependent.back)
      .catch((error: Error) => recordSetAside(clickhouse, dependent, error.message));
  }
}

/** A copied table whose changes are not stored at the moment. */
export interface StandingTable {
  /** Its queue's name where ClickHouse does not say which of the queue's tables it is. */
  readonly table: string;
  readonly why: string;
}

export async function standingTables(clickhouse: ClickHouse): Promise<StandingTable[]> {
  const [stalls, isolations] = await Promise.all([
    stalledQueues(clickhouse),
    readIsolations(clickhouse),
  ]);
  const alone = [...current(isolations)];
  if (stalls.length + alone.length === 0) return [];
  const known = await readNames(clickhouse);
  const views = await clickhouse.rows<{ database: string; name: string }>(
    "SELECT database, name FROM system.tables WHERE engine = 'MaterializedView'",
  );
  const withheld = alone.filter(([key]) => {
    const names = known.get(key);
    return !views.some(({ database, name }) => database === names?.database && name === names.mv);
  });
  return [
    ...stalls.map(({ queue, error }) => ({
      table: nameOf(tableIn(known, error), queue),
      why: shortError(error),
    })),
    ...withheld.map(([, { table, why }]) => ({ table: tableLabel(table), why })),
  ];
}

function nameOf(table: string | undefined, queue: ObjectName): string {
  return table === undefined ? `queue ${label(queue)}` : tableLabel(idOf(table));
}

/** tableLabelKey of the table whose rows an error is about: the innermost object that is one of its own. */
function tableIn(known: ReadonlyMap<string, KnownNames>, error: string): string | undefined {
  const constraint = constraintOf(error);
  const objects = [...(constraint ? [constraint.table] : []), ...viewsOf(error)];
  const missing = /Target table '(.*?)' of view/.exec(error)?.[1];
  return (
    objects.map((object) => tableOf(known, object)).find((key) => key !== undefined) ??
    [...known].find(([, { database, final }]) => `${database}.${final}` === missing)?.[0]
  );
}

function idOf(key: string): { schema: string; table: string } {
  const [schema, table] = JSON.parse(key) as [string, string];
  return { schema, table };
}

function label({ database, name }: ObjectName): string {
  return `${database}.${name}`;
}
