import { type TableId, tableLabel } from '../../core/names.ts';
import { type DesiredTarget, digestOf, type ObservedObject, objectKey } from '../../core/plan.ts';
import { Problem } from '../../core/problems.ts';
import { viewTrial } from '../../core/queue-ddl.ts';
import type { SharedQueue } from '../../core/sharedQueues.ts';
import { partitionTrial, trialStatement } from '../../core/storage.ts';
import type { ClickHouse } from './client.ts';

/**
 * Asks ClickHouse whether it would take what cdc.yaml says of how tables are stored, before anything is
 * changed: a temporary table of each is gone with its statement.
 */
export async function tryStorages(clickhouse: ClickHouse, target: DesiredTarget): Promise<void> {
  for (const { plan, storage } of target.tables) {
    const { layout, options } = storage.marks;
    if (layout === '' && options === '') continue;
    await trial(clickhouse, plan, trialStatement(storage), '');
    if (plan.source.storage?.partitionBy !== undefined) await checkPartitionLimit(clickhouse, plan);
    const alone = partitionTrial(plan);
    const why = `partition_by may use columns of the sorting key only (${plan.key.map((c) => c.name).join(', ')}): of a row whose partition changes, ClickHouse would keep both versions. `;
    if (alone !== undefined) await trial(clickhouse, plan, alone, why);
  }
}

/**
 * The same of the views that write into tables, of those that are new or changed: one that ClickHouse refuses
 * leaves out its table, and no other.
 *
 * @returns what ClickHouse says, by tableLabel.
 */
export async function tryViews(
  clickhouse: ClickHouse,
  {
    target,
    sharedQueues,
  }: { readonly target: DesiredTarget; readonly sharedQueues: readonly SharedQueue[] },
  observed: ReadonlyMap<string, ObservedObject>,
): Promise<Map<string, string>> {
  const refused = new Map<string, string>();
  for (const { plan } of target.tables) {
    const { database, mv: name } = plan.names;
    for (const [index, { behind }] of target.sharedQueues.entries()) {
      const view = behind.find((part) => part.database === database && part.name === name);
      const sharedQueue = sharedQueues[index];
      if (!view || !sharedQueue || observed.get(objectKey(view))?.digest === digestOf(view))
        continue;
      const said = await refusal(() => clickhouse.explain('PLAN', viewTrial(view, sharedQueue)));
      if (said !== undefined) refused.set(tableLabel(plan), said);
    }
  }
  return refused;
}

async function refusal(ask: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await ask();
    return undefined;
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== 'CLICKHOUSE_REFUSED') throw error;
    return error.message.replace(/^ClickHouse refused a statement: /, '');
  }
}

/** A block with more partitions would be refused each time it is read: its queue would stand, for all its tables. */
async function checkPartitionLimit(clickhouse: ClickHouse, table: TableId): Promise<void> {
  const setting = 'max_partitions_per_insert_block';
  const [found] = await clickhouse.rows<{ value: string }>(
    'SELECT value FROM system.settings WHERE name = {setting:String}',
    { setting },
  );
  if (found === undefined || found.value === '0') return;
  throw new Problem('STORAGE_REFUSED', {
    table: tableLabel(table),
    detail: `This ClickHouse stores at most ${found.value} partitions of a block, and a queue that reads a block with more would stand for all of its tables. Set ${setting} to 0 in the server's profile \`default\` first, or do without partition_by.`,
  });
}

async function trial(
  clickhouse: ClickHouse,
  table: TableId,
  statement: string,
  why: string,
): Promise<void> {
  const said = await refusal(() => clickhouse.command(statement));
  if (said === undefined) return;
  const detail = `${why}ClickHouse says: ${said}`;
  throw new Problem('STORAGE_REFUSED', { table: tableLabel(table), detail });
}
