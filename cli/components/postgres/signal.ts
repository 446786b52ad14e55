import type pg from 'pg';
import { type PipelineNames, signalOf } from '../../core/names.ts';
import type { DebeziumSignal } from '../../core/signals.ts';
import { pgIdent } from '../../lib/sql.ts';

type Names = Pick<PipelineNames, 'own'>;

function tableOf({ own }: Names): string {
  const { schema, table } = signalOf(own);
  return pgIdent(schema, table);
}

/** Tells Debezium something; the same signal is sent once, however often this is called. */
export async function sendSignal(
  client: pg.ClientBase,
  names: Names,
  signal: DebeziumSignal,
): Promise<void> {
  await client.query(
    `INSERT INTO ${tableOf(names)} (id, type, data) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING`,
    [signal.id, signal.type, JSON.stringify(signal.data)],
  );
}

/** Debezium reads signals from the WAL: once it has, their rows are of no use. */
export async function removeSignal(client: pg.ClientBase, names: Names, id: string): Promise<void> {
  await client.query(`DELETE FROM ${tableOf(names)} WHERE id = $1`, [id]);
}
