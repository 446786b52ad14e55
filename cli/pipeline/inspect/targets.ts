import { type ClickHouse, withClickHouse } from '../../components/clickhouse/client.ts';
import { recordsOf, writeRecord } from '../../components/clickhouse/records.ts';
import type { TablePlan } from '../../core/ddl.ts';
import {
  DEFAULT_PIPELINE,
  type KnownNames,
  RESERVED_DATABASES,
  type TakenNames,
  tableLabelKey,
  wantedName,
} from '../../core/names.ts';
import { isOwnedSql, objectKey } from '../../core/plan.ts';
import { current, readIsolations } from '../state/isolate.ts';
import type { Stack } from '../state/stack.ts';
import { type Desired, desiredOf } from './desired.ts';
import type { ComparedSource } from './source.ts';

export async function readTaken(clickhouse: ClickHouse): Promise<TakenNames> {
  const databases = RESERVED_DATABASES.filter((name) => name !== DEFAULT_PIPELINE);
  const objects = await clickhouse.rows<{ database: string; name: string; ours: number }>(
    `SELECT database, name, ${isOwnedSql(clickhouse.own)} AS ours FROM system.tables
      WHERE NOT is_temporary AND database NOT IN ({databases:Array(String)})`,
    { databases },
  );
  const isolations = await readIsolations(clickhouse);
  const foreign = objects.filter(({ ours }) => ours === 0);
  return {
    known: await readNames(clickhouse),
    isolated: new Set(current(isolations).keys()),
    foreign: new Set(foreign.map(objectKey)),
  };
}

/** By tableLabelKey. */
export async function readNames(clickhouse: ClickHouse): Promise<Map<string, KnownNames>> {
  const records = await recordsOf(clickhouse, 'names');
  return new Map(records.map(({ id, record }) => [tableLabelKey(id), record]));
}

/** The tables as they stand: a name that cdc.yaml wants and nobody applied yet is not there. */
export async function standing(stack: Stack, source: ComparedSource): Promise<Desired> {
  const taken = await withClickHouse(stack.endpoints.clickhouse, readTaken);
  const { epoch } = source.lineage;
  return desiredOf(stack, source.tables, source.chosen, { ...taken, stay: true }, epoch);
}

/** Tables whose names are not recorded, or have changed. */
export function unrecorded(
  stack: Stack,
  tables: readonly TablePlan[],
  { known }: TakenNames,
): TablePlan[] {
  return tables.filter((plan) => {
    const given = known.get(tableLabelKey(plan));
    return JSON.stringify(given) !== JSON.stringify(recordOf(stack, plan));
  });
}

/** Remembered, a name that was given is never taken away by a table that joins later. */
export async function recordNames(
  stack: Stack,
  clickhouse: ClickHouse,
  tables: readonly TablePlan[],
): Promise<void> {
  for (const plan of tables) await writeRecord(clickhouse, plan, 'names', recordOf(stack, plan));
}

function recordOf({ config }: Stack, { source, names }: TablePlan): KnownNames {
  const { database, view, final, mv, historyStem } = names;
  const wanted = wantedName(source, config.clickhouse.database).key;
  return { database, view, final, mv, historyStem, wanted };
}
