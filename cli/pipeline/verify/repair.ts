import { takeOutFuture } from '../../components/clickhouse/generations.ts';
import {
  endStatement,
  loadStatement,
  pulledSource,
  rowsOfKeys,
  takeOutFutureStatements,
} from '../../components/clickhouse/load.ts';
import { runStatements } from '../../components/clickhouse/objects.ts';
import { type HashRow, sourceRowsByKey } from '../../core/checksum.ts';
import { keyBatches } from '../../core/keys.ts';
import { loadGeneration } from '../load/generations.ts';
import { withApplyLock } from '../state/applyLock.ts';
import { currentVersion, nextLoadVersion } from '../state/versions.ts';
import type { CheckContext } from './rowDiff.ts';

/**
 * Writes what the source has for these keys into the copy: rows as they are there, the others
 * ended. Both get the version of a load that begins now (nextLoadVersion), so that they outrank every
 * change until now and none that is made later.
 */
export async function repairRows(context: CheckContext, keys: readonly string[]): Promise<void> {
  const { stack, plan, source, clickhouse, signal, events } = context;
  events.phase('waiting for transactions that have written to end');
  if (plan.multiset) {
    // Rows that cannot be told apart are not repaired one by one: all of them are read again.
    await withApplyLock(stack, signal, events.phase, async () => {
      await takeOutFuture(clickhouse, plan, await currentVersion(clickhouse, source));
      const version = await nextLoadVersion(clickhouse, source, signal, events.phase);
      const silent = { step: (text: string) => events.phase(text), loading: () => {} };
      await loadGeneration(stack, plan, version, { method: 'pull', signal, events: silent });
    });
    return;
  }
  const version = await nextLoadVersion(clickhouse, source, signal, events.phase);
  const pulled = pulledSource(stack.endpoints.postgres, stack.endpoints.clickhouse);
  let begun = 0;
  for (const some of keyBatches(keys)) {
    signal.throwIfAborted();
    events.phase(`repairing row ${begun + 1} of ${keys.length}`);
    begun += some.length;
    const future = takeOutFutureStatements(plan, some, await currentVersion(clickhouse, source));
    await runStatements(clickhouse, future);
    const there = await source.query<HashRow>(sourceRowsByKey(plan, some));
    const present = new Set(there.rows.map((row) => row.__cdc_key));
    const absent = some.filter((key) => !present.has(key));
    if (present.size > 0) {
      await clickhouse.command(loadStatement(plan, rowsOfKeys(plan, some), pulled, version));
    }
    if (absent.length > 0) await clickhouse.command(endStatement(plan, absent, version));
  }
}
