import type { ClickHouse } from '../../components/clickhouse/client.ts';
import { forgetRecord, type Records, writeRecord } from '../../components/clickhouse/records.ts';
import type { SourceTable } from '../../core/source.ts';

/**
 * The baseline of a slot: no change that it streams has a WAL position at or below it. Loaded rows
 * carry a baseline as their version, so that every streamed change outranks them. (The position at
 * which a range is read would be wrong: a transaction that was open then has earlier positions and
 * is not in what was read.)
 *
 * A table that joins the publication later has a baseline of its own, the position before it joined:
 * it outranks what an earlier table of the same name left in the copy.
 */

/** No table has an empty schema. */
const idOf = (slot: string) => ({ schema: '', table: slot });

export function slotBaseline(records: Records, slot: string): bigint | undefined {
  return records.get(idOf(slot), 'floor')?.position;
}

/** For a slot that is recreated: until its own baseline is known, there is none. */
export async function forgetSlotBaseline(clickhouse: ClickHouse, slot: string): Promise<void> {
  await forgetRecord(clickhouse, idOf(slot), 'floor');
}

export async function recordSlotBaseline(
  clickhouse: ClickHouse,
  slot: string,
  position: bigint,
): Promise<void> {
  await writeRecord(clickhouse, idOf(slot), 'floor', { position });
}

/** The baseline of a table's present load; absent when none was begun for this very table and slot. */
export function tableBaseline(
  records: Records,
  table: SourceTable,
  ofSlot: bigint,
): bigint | undefined {
  const baseline = records.get(table, 'floor');
  return baseline?.oid === table.oid && baseline.position >= ofSlot ? baseline.position : undefined;
}

export async function recordTableBaseline(
  clickhouse: ClickHouse,
  { schema, table, oid }: SourceTable,
  position: bigint,
): Promise<void> {
  await writeRecord(clickhouse, { schema, table }, 'floor', { position, oid });
}
