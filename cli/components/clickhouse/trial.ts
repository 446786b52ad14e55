import { type TableId, tableLabel } from '../../core/names.ts';
import type { DesiredTarget } from '../../core/plan.ts';
import { Problem } from '../../core/problems.ts';
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
  try {
    await clickhouse.command(statement);
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== 'CLICKHOUSE_REFUSED') throw error;
    const said = error.message.replace(/^ClickHouse refused a statement: /, '');
    const detail = `${why}ClickHouse says: ${said}`;
    throw new Problem('STORAGE_REFUSED', { table: tableLabel(table), detail });
  }
}
