import {
  endStatement,
  loadStatement,
  pulledSource,
  rowsOfKeys,
  takeOutFutureStatements,
} from '../components/clickhouse/load.ts';
import { runStatements } from '../components/clickhouse/prepare.ts';
import { walPosition } from '../components/postgres/observe.ts';
import { loadVersion } from '../components/postgres/prepare.ts';
import { sourceRowsByKey } from '../core/checksum.ts';
import type { CheckContext, RowHash } from './rows.ts';

/** Rows mended by one statement. */
const BATCH = 500;

/**
 * Writes what the source has for these keys into the copy: rows as they are there, the others
 * ended. Both get the version of a load that begins now (loadVersion), so that they outrank every
 * change until now and none that is made later.
 */
export async function repairRows(context: CheckContext, keys: readonly string[]): Promise<void> {
  const { stack, plan, source, clickhouse, signal, events } = context;
  events.phase('waiting for transactions that have written to end');
  const version = await loadVersion(source, signal);
  const pulled = pulledSource(stack.endpoints.postgres, stack.endpoints.clickhouse);
  for (let i = 0; i < keys.length; i += BATCH) {
    signal.throwIfAborted();
    events.phase(`mending row ${i + 1} of ${keys.length}`);
    const some = keys.slice(i, i + BATCH);
    const future = takeOutFutureStatements(plan, some, await walPosition(source));
    await runStatements(clickhouse, future);
    const there = await source.query<RowHash>(sourceRowsByKey(plan, some));
    const present = new Set(there.rows.map((row) => row.key));
    const absent = some.filter((key) => !present.has(key));
    if (present.size > 0) {
      const options = { floor: version, onMisfit: 'leave-out' } as const;
      await clickhouse.command(loadStatement(plan, rowsOfKeys(plan, some), pulled, options));
    }
    if (absent.length > 0) await clickhouse.command(endStatement(plan, absent, version));
  }
}
