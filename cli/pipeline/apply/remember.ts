import type { ClickHouse } from '../../components/clickhouse/client.ts';
import { storageUuids } from '../../components/clickhouse/observe.ts';
import { objectKey } from '../../core/plan.ts';
import { recordFingerprint } from '../load/resnapshot.ts';
import { recordStorages } from '../state/storages.ts';
import type { Plan } from './plan.ts';

/** The form in which tables were loaded, and into which storages, once all of it stands. */
export async function rememberCopies(clickhouse: ClickHouse, { tables }: Plan): Promise<void> {
  for (const { plan, isShapeUnknown } of tables)
    if (isShapeUnknown) await recordFingerprint(clickhouse, plan.source);
  const uuids = await storageUuids(clickhouse);
  await recordStorages(
    clickhouse,
    new Map(
      tables.flatMap(({ plan: { source, names } }) => {
        const uuid = uuids.get(objectKey({ database: names.database, name: names.final }));
        return uuid === undefined ? [] : [[source, uuid] as const];
      }),
    ),
  );
}
