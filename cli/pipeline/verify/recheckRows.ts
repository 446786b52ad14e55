import type pg from 'pg';
import { connectPostgres } from '../../components/postgres/client.ts';
import { type HashRow, sourceRowsByKey, targetRowsByKey } from '../../core/checksum.ts';
import { hashesOf, type RowDifference } from '../../core/differences.ts';
import { keyBatches } from '../../core/keys.ts';
import type { CheckContext } from './rowDiff.ts';

/** Rows that are decided about together: waiting for the copy takes longer than reading some rows. */
const TOGETHER = 20_000;
/** A row that still changes between two looks after this many is reported as unsettled. */
const ROUNDS = 40;
/** A difference must be seen this often, with the source's row unchanged, to count. */
const SIGHTINGS = 2;

const ABSENT = '';

/**
 * Decides about rows that differed at first sight. A round reads the source, waits until the copy
 * has passed that moment, and reads the copy: it must then hold what the source held at some moment
 * of the round. So a row that changes all the time is settled by any of its values since the round
 * began, and never by an older one; a row that rests and differs again and again is a difference.
 */
export async function recheckRows(
  context: CheckContext,
  keys: readonly string[],
  barrier: () => Promise<boolean>,
): Promise<{ confirmed: Map<string, RowDifference>; unsettled: number }> {
  const confirmed = new Map<string, RowDifference>();
  let unsettled = 0;
  for (let i = 0; i < keys.length; i += TOGETHER) {
    context.events.phase(`looking again at row ${i + 1} of ${keys.length} that differ or are late`);
    const some = keys.slice(i, i + TOGETHER);
    const startedAtMs = performance.now();
    let waitedMs = 0;
    const waiting = async () => {
      const sinceMs = performance.now();
      const flowing = await barrier();
      waitedMs += performance.now() - sinceMs;
      return flowing;
    };
    unsettled += await recheckSome(context, some, waiting, confirmed);
    // Waiting for the copy is no load.
    await context.throttle.rest(performance.now() - startedAtMs - waitedMs);
  }
  return { confirmed, unsettled };
}

async function recheckSome(
  context: CheckContext,
  keys: readonly string[],
  barrier: () => Promise<boolean>,
  confirmed: Map<string, RowDifference>,
): Promise<number> {
  const { source, stack } = context;
  const sightings = new Map<string, number>();
  let open = [...keys];
  for (let round = 0; round < ROUNDS && open.length > 0; round += 1) {
    context.signal.throwIfAborted();
    const before = await readSource(context, source, open);
    const seen = new Map(open.map((key) => [key, new Set([before.get(key) ?? ABSENT])]));
    // Rows that change many times a second are followed on a connection of their own.
    const sampler = round < 2 ? undefined : await connectPostgres(stack.endpoints.postgres);
    let sampling = sampler !== undefined;
    const samples = (async () => {
      while (sampling && sampler) add(seen, await readSource(context, sampler, open));
    })();
    let flowing: boolean;
    let target: Map<string, string>;
    try {
      flowing = await barrier();
      target = await readTarget(context, open);
    } finally {
      sampling = false;
      await samples.catch(() => {});
      await sampler?.end().catch(() => {});
    }
    const after = await readSource(context, source, open);
    add(seen, after);
    open = open.filter((key) => {
      const copy = target.get(key) ?? ABSENT;
      const values = seen.get(key);
      if (flowing && values?.has(copy)) return false;
      if (values && values.size > 1 && flowing) return true;
      const count = (sightings.get(key) ?? 0) + 1;
      sightings.set(key, count);
      if (count < SIGHTINGS && flowing) return true;
      if (copy !== (after.get(key) ?? ABSENT))
        confirmed.set(key, differenceOf(after.get(key), target.get(key)));
      return false;
    });
  }
  return open.length;
}

async function readSource(
  { plan }: CheckContext,
  client: pg.ClientBase,
  keys: readonly string[],
): Promise<Map<string, string>> {
  const found: HashRow[] = [];
  for (const batch of keyBatches(keys))
    found.push(...(await client.query<HashRow>(sourceRowsByKey(plan, batch))).rows);
  return hashesOf(found);
}

async function readTarget(
  { plan, read }: CheckContext,
  keys: readonly string[],
): Promise<Map<string, string>> {
  const found: HashRow[] = [];
  for (const batch of keyBatches(keys))
    found.push(...(await read<HashRow>(targetRowsByKey(plan, batch))));
  return hashesOf(found);
}

function add(seen: Map<string, Set<string>>, values: ReadonlyMap<string, string>): void {
  for (const [key, set] of seen) set.add(values.get(key) ?? ABSENT);
}

function differenceOf(source: string | undefined, target: string | undefined): RowDifference {
  return source === undefined ? 'extra' : target === undefined ? 'missing' : 'different';
}
