import { connectPostgres } from '../components/postgres/client.ts';
import { type RowDifference, sourceRowsByKey, targetRowsByKey } from '../core/checksum.ts';
import { type CheckContext, hashesOf, type RowHash } from './rows.ts';

/** Rows compared by one statement. */
const BATCH = 1000;
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
export async function settleRows(
  context: CheckContext,
  keys: readonly string[],
  barrier: () => Promise<boolean>,
): Promise<{ confirmed: Map<string, RowDifference>; unsettled: number }> {
  const confirmed = new Map<string, RowDifference>();
  let unsettled = 0;
  for (let i = 0; i < keys.length; i += BATCH) {
    const left = await settleBatch(context, keys.slice(i, i + BATCH), barrier, confirmed);
    unsettled += left;
  }
  return { confirmed, unsettled };
}

async function settleBatch(
  context: CheckContext,
  keys: readonly string[],
  barrier: () => Promise<boolean>,
  confirmed: Map<string, RowDifference>,
): Promise<number> {
  const { plan, source, clickhouse, stack } = context;
  const sightings = new Map<string, number>();
  let open = [...keys];
  for (let round = 0; round < ROUNDS && open.length > 0; round += 1) {
    context.signal.throwIfAborted();
    const readSource = async (client = source) =>
      hashesOf((await client.query<RowHash>(sourceRowsByKey(plan, open))).rows);
    const before = await readSource();
    const seen = new Map(open.map((key) => [key, new Set([before.get(key) ?? ABSENT])]));
    // Rows that change many times a second are followed on a connection of their own.
    const sampler = round < 2 ? undefined : await connectPostgres(stack.endpoints.postgres);
    let sampling = sampler !== undefined;
    const samples = (async () => {
      while (sampling && sampler) add(seen, await readSource(sampler));
    })();
    let flowing: boolean;
    let target: Map<string, string>;
    try {
      flowing = await barrier();
      target = hashesOf(await clickhouse.rows<RowHash>(targetRowsByKey(plan, open)));
    } finally {
      sampling = false;
      await samples.catch(() => {});
      await sampler?.end().catch(() => {});
    }
    const after = await readSource();
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

function add(seen: Map<string, Set<string>>, values: ReadonlyMap<string, string>): void {
  for (const [key, set] of seen) set.add(values.get(key) ?? ABSENT);
}

function differenceOf(source: string | undefined, target: string | undefined): RowDifference {
  return source === undefined ? 'extra' : target === undefined ? 'missing' : 'different';
}
