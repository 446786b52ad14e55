import { createHash } from 'node:crypto';
import { chIdent, chLiteral } from '../lib/sql.ts';
import type { TlsMaterial } from '../lib/tlsMaterial.ts';

/**
 * Certificates cannot stand in a Kafka table's settings, and files would have to be on ClickHouse's machine: a named
 * collection has them (librdkafka's options, after `kafka.`). Its name follows from them, so that others make other queues.
 */
export interface KafkaCollection {
  readonly name: string;
  readonly create: string;
}

export function kafkaCollection({ ca, cert, key }: TlsMaterial): KafkaCollection | undefined {
  const options = Object.entries({
    ssl_ca_pem: ca,
    ssl_certificate_pem: cert,
    ssl_key_pem: key,
  }).filter((option): option is [string, string] => option[1] !== undefined);
  if (options.length === 0) return undefined;
  const digest = createHash('sha256').update(JSON.stringify(options)).digest('hex').slice(0, 12);
  const name = `cdc_kafka_${digest}`;
  const values = options.map(
    ([option, pem]) => `${chIdent(`kafka.${option}`)} = ${chLiteral(pem)} NOT OVERRIDABLE`,
  );
  return {
    name,
    create: `CREATE NAMED COLLECTION IF NOT EXISTS ${chIdent(name)} AS ${values.join(', ')}`,
  };
}
