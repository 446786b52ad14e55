import { type Admin, Kafka, logLevel } from 'kafkajs';
import { Problem } from '../../core/problems.ts';
import type { KafkaEndpoint } from '../../stack/endpoints.ts';

export function kafkaClient(endpoint: KafkaEndpoint): Kafka {
  return new Kafka({
    clientId: 'cdc',
    brokers: [...endpoint.brokers],
    connectionTimeout: 5000,
    requestTimeout: 15_000,
    retry: { retries: 3, initialRetryTime: 200 },
    logLevel: logLevel.NOTHING,
    ...(endpoint.sasl ? { sasl: { mechanism: 'plain' as const, ...endpoint.sasl } } : {}),
  });
}

export async function withKafkaAdmin<T>(
  endpoint: KafkaEndpoint,
  work: (admin: Admin) => Promise<T>,
): Promise<T> {
  const admin = kafkaClient(endpoint).admin();
  try {
    await admin.connect();
    return await work(admin);
  } catch (error) {
    throw kafkaProblem(endpoint, error);
  } finally {
    await admin.disconnect().catch(() => {});
  }
}

export function kafkaProblem(endpoint: KafkaEndpoint, error: unknown): unknown {
  if (error instanceof Problem) return error;
  const { name, message = String(error) } = error as Error;
  if (
    name === 'KafkaJSConnectionError' ||
    name === 'KafkaJSNumberOfRetriesExceeded' ||
    name === 'KafkaJSRequestTimeoutError' ||
    name === 'KafkaJSBrokerNotFound'
  ) {
    return new Problem(
      'KAFKA_UNREACHABLE',
      { endpoint: endpoint.brokers.join(','), detail: message },
      { cause: error },
    );
  }
  // A connection that ends without an answer: the driver reads the answer all the same.
  if (error instanceof TypeError && /[\\/]kafkajs[\\/]/.test(error.stack ?? ''))
    return new Problem(
      'KAFKA_UNREACHABLE',
      { endpoint: endpoint.brokers.join(','), detail: 'it gave no answer' },
      { cause: error },
    );
  if (name?.startsWith('KafkaJS'))
    return new Problem('KAFKA_REFUSED', { detail: message }, { cause: error });
  return error;
}
