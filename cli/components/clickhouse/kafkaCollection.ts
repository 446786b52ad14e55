import { kafkaCollection } from '../../core/kafkaCollection.ts';
import { Problem } from '../../core/problems.ts';
import { chIdent } from '../../lib/sql.ts';
import type { KafkaEndpoint } from '../../stack/endpoints.ts';
import type { ClickHouse } from './client.ts';

/** Makes the named collection that queues of a ClickHouse elsewhere read the brokers' certificates from. */
export async function ensureKafkaCollection(
  clickhouse: ClickHouse,
  { tls }: KafkaEndpoint,
): Promise<void> {
  const { managed, user } = clickhouse.endpoint;
  const collection = managed || !tls ? undefined : kafkaCollection(tls);
  if (!collection) return;
  try {
    await clickhouse.command(collection.create);
  } catch (error) {
    if (!(error instanceof Problem) || !/ACCESS_DENIED/.test(error.message)) throw error;
    throw new Problem(
      'CLICKHOUSE_REFUSED',
      { detail: error.message, statement: `CREATE NAMED COLLECTION ${chIdent(collection.name)}` },
      {
        cause: error,
        fix: `GRANT CREATE NAMED COLLECTION, NAMED COLLECTION ON ${chIdent(collection.name)} TO ${chIdent(user)}   -- in ClickHouse; its queues read the brokers' CA from there`,
      },
    );
  }
}
