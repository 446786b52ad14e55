import type { ClickHouse } from '../components/clickhouse/client.ts';
import { type LoadStates, recordState } from '../components/clickhouse/observe.ts';
import type { SourceTable } from '../core/source.ts';

/**
 * The floor of a slot: no change that it streams has a WAL position at or below it. Loaded rows
 * carry a floor as their version, so that every streamed change outranks them. (The position at
 * which a range is read would be wrong: a transaction that was open then has earlier positions and
 * is not in what was read.)
 *
 * A table that joins the publication later has a floor of its own, the position before it joined:
 * it outranks what an earlier table of the same name left in the copy.
 */
const CHUNK = 'floor';
const FORGOTTEN = '';

export function slotFloor(states: LoadStates, slot: string): bigint | undefined {
  const floor = states.whole({ schema: '', table: slot }).get(CHUNK);
  return floor === undefined || floor === FORGOTTEN ? undefined : BigInt(floor);
}

/** For a slot that is made anew: until its own floor is known, there is none. */
export async function forgetSlotFloor(clickhouse: ClickHouse, slot: string): Promise<void> {
  await recordState(clickhouse, { schema: '', table: slot }, CHUNK, FORGOTTEN);
}

export async function recordSlotFloor(
  clickhouse: ClickHouse,
  slot: string,
  floor: bigint,
): Promise<void> {
  await recordState(clickhouse, { schema: '', table: slot }, CHUNK, floor.toString());
}

/** The floor of a table's present load; absent when none was begun for this very table and slot. */
export function tableFloor(
  states: LoadStates,
  table: SourceTable,
  ofSlot: bigint,
): bigint | undefined {
  const [floor, oid] = states.whole(table).get(CHUNK)?.split(':') ?? [];
  // A table that was dropped and made again has another oid: it is another table.
  if (floor === undefined || Number(oid) !== table.oid || BigInt(floor) < ofSlot) return undefined;
  return BigInt(floor);
}

export async function recordTableFloor(
  clickhouse: ClickHouse,
  table: SourceTable,
  floor: bigint,
): Promise<void> {
  await recordState(clickhouse, table, CHUNK, `${floor}:${table.oid}`);
}
