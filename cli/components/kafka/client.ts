import { type Admin, Kafka, logLevel, type SASLOptions } from 'kafkajs';
import { Problem } from '../../core/problems.ts';
import { tlsFault, tlsWanted } from '../../core/tlsProblems.ts';
import { speaksTls, tlsOptions } from '../../lib/tls.ts';
import type { KafkaEndpoint, SaslLogin } from '../../stack/endpoints.ts';

export function kafkaClient(endpoint: KafkaEndpoint): Kafka {
  return new Kafka({
    clientId: 'cdc',
    brokers: [...endpoint.brokers],
    connectionTimeout: 5000,
    requestTimeout: 15_000,
    retry: { retries: 3, initialRetryTime: 200 },
    logLevel: logLevel.NOTHING,
    ...(endpoint.sasl ? { sasl: saslOptions(endpoint.sasl) } : {}),
    ...(endpoint.tls ? { ssl: tlsOptions(endpoint.tls) } : {}),
  });
}

const MECHANISMS = {
  PLAIN: 'plain',
  'SCRAM-SHA-256': 'scram-sha-256',
  'SCRAM-SHA-512': 'scram-sha-512',
} as const satisfies Record<SaslLogin['mechanism'], string>;

function saslOptions({ mechanism, username, password }: SaslLogin): SASLOptions {
  return { mechanism: MECHANISMS[mechanism], username, password } as SASLOptions;
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
    const problem = kafkaProblem(endpoint, error);
    const isCut = problem instanceof Problem && problem.code === 'KAFKA_UNREACHABLE';
    throw isCut && !endpoint.tls && (await isTlsOnly(endpoint)) ? wanted(endpoint) : problem;
  } finally {
    await admin.disconnect().catch(() => {});
  }
}

async function isTlsOnly({ brokers: [broker = ''] }: KafkaEndpoint): Promise<boolean> {
  const at = broker.lastIndexOf(':');
  return speaksTls(broker.slice(0, at), Number(broker.slice(at + 1)));
}

function wanted({ brokers }: KafkaEndpoint): Problem {
  const { code, params } = tlsWanted('kafka', brokers.join(','));
  return new Problem(code, params);
}

export function kafkaProblem(endpoint: KafkaEndpoint, error: unknown): unknown {
  if (error instanceof Problem) return error;
  const { name, message = String(error) } = error as Error;
  const fault = tlsFault('kafka', endpoint.brokers.join(','), error);
  if (fault) return new Problem(fault.code, fault.params, { cause: error });
  if (name === 'KafkaJSSASLAuthenticationError')
    return new Problem(
      'KAFKA_AUTH',
      {
        endpoint: endpoint.brokers.join(','),
        user: endpoint.sasl?.username ?? '',
        detail: message,
      },
      { cause: error },
    );
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
