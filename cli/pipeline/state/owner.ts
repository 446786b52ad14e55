import { isDeepStrictEqual } from 'node:util';
import type { ClickHouse } from '../../components/clickhouse/client.ts';
import { recordsOf, writeRecord } from '../../components/clickhouse/records.ts';
import type { RecordOf } from '../../core/records.ts';

/** Which pipeline keeps its records in this database, and of which source. */
export type Owner = RecordOf<'pipeline'>;

/** No table has an empty schema. */
const ID = { schema: '', table: 'pipeline' };

/** Undefined where none, or an earlier cdc, has applied. */
export async function readOwner(clickhouse: ClickHouse): Promise<Owner | undefined> {
  return (await recordsOf(clickhouse, 'pipeline')).at(-1)?.record;
}

export async function recordOwner(clickhouse: ClickHouse, owner: Owner): Promise<void> {
  const known = await readOwner(clickhouse);
  if (isDeepStrictEqual(known, owner)) return;
  await writeRecord(clickhouse, ID, 'pipeline', owner);
}

/** Of the versions that changes get now. */
export async function readEpoch(clickhouse: ClickHouse): Promise<number> {
  return (await readOwner(clickhouse))?.epoch ?? 0;
}
