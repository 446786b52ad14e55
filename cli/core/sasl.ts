/** How a client of Kafka logs in. */
export const SASL_MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;

/** `security.protocol` of a client; Java's spelling, of which librdkafka's is the lower case. */
export function securityProtocol(hasLogin: boolean, hasTls: boolean): string {
  return `${hasLogin ? 'SASL_' : ''}${hasTls ? 'SSL' : 'PLAINTEXT'}`;
}
