import pg from 'pg';
import type { ClickHouse } from '../../components/clickhouse/client.ts';
import { alterPublicationStatement } from '../../components/postgres/prepare.ts';
import { type TableId, tableLabel, tableLabelKey } from '../../core/names.ts';
import { tableObject } from '../../core/plan.ts';
import type { SourceTable } from '../../core/source.ts';
import type { ShownStep, StepOf } from '../../core/steps.ts';
import { requireResnapshot } from '../load/resnapshot.ts';

/**
 * A table that is in the publication and cannot be copied any more leaves it: of one without a key
 * PostgreSQL would refuse every UPDATE and DELETE, to whoever writes. Its copy stays as it is. When it
 * can be copied again it joins like a new one, and is loaded: nothing of what it missed stays missing.
 */
export function withdrawalsOf(
  publication: string,
  tables: {
    readonly published: readonly TableId[];
    readonly chosen: readonly SourceTable[];
    readonly copied: readonly SourceTable[];
  },
): StepOf<'withdrawal'>[] {
  const { published, chosen, copied } = tables;
  const has = new Set(published.map(tableLabelKey));
  return chosen
    .filter((table) => has.has(tableLabelKey(table)) && !copied.includes(table))
    .map((source) => ({
      kind: 'withdrawal',
      source,
      ...removalOf(publication, source),
      reason: 'it cannot be copied any more',
    }));
}

export function removalOf(publication: string, id: TableId): ShownStep {
  return {
    component: 'postgres',
    action: 'remove',
    object: `${tableObject(id)} from publication ${publication}`,
    table: tableLabel(id),
    sql: [alterPublicationStatement(publication, 'DROP', id)],
  };
}

/** Of somebody else's publication it cannot be taken; then it has to be loaded when it is back. */
export async function withdraw(
  client: pg.ClientBase,
  clickhouse: ClickHouse,
  withdrawals: readonly StepOf<'withdrawal'>[],
): Promise<void> {
  for (const { source, sql } of withdrawals) {
    try {
      for (const statement of sql) await client.query(statement);
    } catch (error) {
      const isRefused = error instanceof pg.DatabaseError && error.code === '42501';
      if (!isRefused) throw error;
      await requireResnapshot(clickhouse, source);
    }
  }
}
