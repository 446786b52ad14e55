import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { securityProtocol } from '../../core/sasl.ts';
import { packageRoot } from '../../lib/packageRoot.ts';
import type { KafkaEndpoint, SaslLogin } from '../../stack/endpoints.ts';
import { AGENT_USER } from '../../stack/users.ts';

/** What a JVM shows, of `connectors/jmx/`, and who may see it: a digest, as the JMX agent reads it. */
export function jmxRules(rules: 'kafka' | 'connect', password: string): string {
  const shared = readFileSync(join(packageRoot(), 'connectors', 'jmx', `${rules}.yml`), 'utf8');
  // The password has 144 random bits; what is added is only for form.
  const salt = AGENT_USER.repeat(8);
  const digest = createHash('sha256').update(`${salt}:${password}`).digest('hex');
  // The agent writes a digest as a number, without the zeros that it begins with, and compares texts.
  const passwordHash = digest.replace(/^0+/, '');
  const basic = { username: AGENT_USER, passwordHash, algorithm: 'SHA-256', salt };
  return `${stringify({ httpServer: { authentication: { basic } } })}${shared}`;
}

/** How a Java client of these brokers connects and logs in. */
export function kafkaClientProperties({
  sasl,
  tls,
}: Pick<KafkaEndpoint, 'sasl' | 'tls'>): Record<string, string> {
  if (!sasl && !tls) return {};
  return {
    'security.protocol': securityProtocol(sasl !== undefined, tls !== undefined),
    ...(sasl ? { 'sasl.mechanism': sasl.mechanism, 'sasl.jaas.config': clientJaas(sasl) } : {}),
    ...(tls?.ca === undefined
      ? {}
      : { 'ssl.truststore.type': 'PEM', 'ssl.truststore.certificates': tls.ca }),
    ...(tls?.cert === undefined || tls.key === undefined
      ? {}
      : {
          'ssl.keystore.type': 'PEM',
          'ssl.keystore.certificate.chain': tls.cert,
          'ssl.keystore.key': tls.key,
        }),
  };
}

export function clientJaas({ mechanism, username, password }: SaslLogin): string {
  if (mechanism === 'PLAIN') return plainJaas({ username, password });
  return `org.apache.kafka.common.security.scram.ScramLoginModule required username=${quote(username)} password=${quote(password)};`;
}

const quote = (text: string) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;

/** JAAS line of SASL/PLAIN; a server's also lists the one user it knows. */
export function plainJaas(login: { username: string; password: string }, server = false): string {
  const users = server ? ` user_${login.username}=${quote(login.password)}` : '';
  return `org.apache.kafka.common.security.plain.PlainLoginModule required username=${quote(login.username)} password=${quote(login.password)}${users};`;
}

/** Who may speak with the worker stands in a file of `name=password`. */
export function workerJaas(users: string): string {
  const path = users.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  return `KafkaConnect {\n  org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule required\n  file="${path}";\n};\n`;
}
