import type pg from 'pg';
import type { ClickHouse } from '../../components/clickhouse/client.ts';
import { walPosition } from '../../components/postgres/observe.ts';
import { loadVersion } from '../../components/postgres/prepare.ts';
import type { OnWait } from '../../components/postgres/transactions.ts';
import { versionAt } from '../../core/lineage.ts';
import { readEpoch } from './owner.ts';

/** The version above which no change has any yet. */
export async function currentVersion(
  clickhouse: ClickHouse,
  source: pg.ClientBase,
): Promise<bigint> {
  return versionAt(await readEpoch(clickhouse), await walPosition(source));
}

/** The version of rows that are read from now on (components/postgres/prepare.ts). */
export async function nextLoadVersion(
  clickhouse: ClickHouse,
  source: pg.ClientBase,
  signal: AbortSignal,
  onWait?: OnWait,
): Promise<bigint> {
  const epoch = await readEpoch(clickhouse);
  return versionAt(epoch, await loadVersion(source, signal, onWait));
}
