import { canonicalRowTarget, EXACT, ownAlias } from '../../core/columns.ts';
import { extraction, ownRows, type TablePlan } from '../../core/ddl.ts';
import { LETTER_REASONS } from '../../core/deadLetterReasons.ts';
import { CH_CDC } from '../../core/names.ts';
import { chIdent, chLiteral } from '../../lib/sql.ts';
import type { ClickHouse } from './client.ts';

/** A message that is no row of a table of the copy. */
export interface DeadLetter {
  /** `topic:partition:offset`; of a load, `load of schema.table:0:hash of the key`. */
  readonly id: string;
  /** As far as the message names one. */
  readonly table: string;
  /** The message's key as JSON: the key's columns and their values; empty when it has none. */
  readonly key: string;
  readonly op: string;
  readonly reason: string;
  readonly version: string;
  readonly arrived_at: string;
  /** The row as JSON; empty when the message was none. */
  readonly image: string;
  /** The message, when it could not be read. */
  readonly raw: string;
}

const tableOf = (clickhouse: ClickHouse) => chIdent(clickhouse.own, CH_CDC.deadLetters);
const ID = `concat(topic, ':', toString(partition), ':', toString(offset))`;

function condition(ids: readonly string[]): string {
  return ids.length === 0 ? '' : ` WHERE ${ID} IN (${ids.map(chLiteral).join(', ')})`;
}

/** The latest first. */
export async function deadLetters(
  clickhouse: ClickHouse,
  ids: readonly string[],
  limit: number,
): Promise<DeadLetter[]> {
  return clickhouse.rows<DeadLetter>(
    `SELECT ${ID} AS id, concat(schema_name, '.', table_name) AS table, key, op, reason, toString(version) AS version,
            toString(arrived_at) AS arrived_at, image, raw
       FROM ${tableOf(clickhouse)} FINAL${condition(ids)} ORDER BY dead_letters.arrived_at DESC, id LIMIT ${limit}`,
  );
}

/** A letter's image may be anything. */
function keyIsThere(plan: TablePlan, image: string): string {
  return plan.key
    .map((c) => `JSONType(${image}, ${chLiteral(c.source.name)}) NOT IN ('Null', '')`)
    .join(' AND ');
}

/** For each letter of a table whose image has a readable key, that key's canonical text. */
export async function keysOfDeadLetters(
  clickhouse: ClickHouse,
  plan: TablePlan,
  ids: readonly string[],
): Promise<Map<string, string>> {
  if (plan.multiset) return new Map(ids.map((id) => [id, '']));
  // Key columns become aliases: what they are made of is named as no column is.
  const own = ownAlias(plan.columns);
  const { named, values, exact } = extraction(plan, own);
  const key = plan.key.map((c) => `${values[plan.columns.indexOf(c)]} AS ${chIdent(c.name)}`);
  const rows = await clickhouse.rows<{ __cdc_id: string; __cdc_key: string }>(
    `SELECT ${own}id AS __cdc_id, ${canonicalRowTarget(plan.key)} AS __cdc_key
       FROM (WITH ${named}
             SELECT ${own}id, ${key.join(', ')}, ${exact} AS ${EXACT.name}
               FROM (SELECT ${ID} AS ${own}id, '' AS ${own}op, image AS ${own}image FROM ${tableOf(clickhouse)} FINAL
                      WHERE ${ownRows(plan)}
                        AND image != '' AND ${own}id IN (${ids.map(chLiteral).join(', ')}))
              WHERE ${keyIsThere(plan, `${own}image`)})`,
  );
  return new Map(rows.map((row) => [row.__cdc_id, row.__cdc_key]));
}

/** DeadLetters whose rows no message could hold, or was given; none where there is no pipeline yet. */
export async function deadLettersToRead(clickhouse: ClickHouse): Promise<string[]> {
  const there = await clickhouse.rows(
    'SELECT 1 FROM system.tables WHERE database = {database:String} AND name = {name:String}',
    { database: clickhouse.own, name: CH_CDC.deadLetters },
  );
  if (there.length === 0) return [];
  const rows = await clickhouse.rows<{ id: string }>(
    `SELECT ${ID} AS id FROM ${tableOf(clickhouse)} FINAL
      WHERE ${[LETTER_REASONS.too_large, LETTER_REASONS.unread].map((reason) => `startsWith(reason, ${chLiteral(reason)})`).join(' OR ')} ORDER BY dead_letters.arrived_at LIMIT 100`,
  );
  return rows.map(({ id }) => id);
}

export async function forgetDeadLetters(
  clickhouse: ClickHouse,
  ids: readonly string[],
): Promise<void> {
  if (ids.length === 0) return;
  await clickhouse.command(`DELETE FROM ${tableOf(clickhouse)}${condition(ids)}`);
}

/** DeadLetters of changes that a load has overtaken; not those of the load itself. */
export async function forgetOvertakenDeadLetters(
  clickhouse: ClickHouse,
  plan: TablePlan,
  version: bigint,
): Promise<void> {
  await clickhouse.command(
    `DELETE FROM ${tableOf(clickhouse)} WHERE ${ownRows(plan)} AND version < ${version}`,
  );
}
