import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { writeFileAtomic } from '../../../lib/files.ts';
import { packageRoot } from '../../../lib/packageRoot.ts';
import { AGENT_USER, type Launch, type ServerSetting } from './server.ts';

/** Kafka's user: brokers and clients log in with it (SASL/PLAIN on loopback). */
export const KAFKA_USER = 'cdc';

interface JvmOptions {
  readonly name: string;
  /** Where the JVM shows its figures, when it is observed; rules are in `connectors/jmx/`. */
  readonly jmx?: { readonly rules: 'kafka' | 'connect'; readonly port: number };
  readonly heapMb: number;
  readonly mainClass: string;
  readonly args: readonly string[];
  readonly properties?: Readonly<Record<string, string>>;
}

/** A JVM of ours: small heap, serial collector (two cores, short pauses), log4j to standard output. */
export function jvmLaunch(setting: ServerSetting, options: JvmOptions): Launch {
  const log4j = setting.layout.etc('log4j2.properties');
  writeFileAtomic(log4j, LOG4J);
  const properties = Object.entries({ 'log4j2.configurationFile': log4j, ...options.properties });
  return {
    command: setting.java,
    args: [
      `-Xms${Math.min(64, options.heapMb)}m`,
      `-Xmx${options.heapMb}m`,
      '-XX:+UseSerialGC',
      '-XX:MaxMetaspaceSize=160m',
      '-XX:ReservedCodeCacheSize=96m',
      '-XX:+ExitOnOutOfMemoryError',
      '-Xshare:auto',
      ...(options.name === 'kafka' ? ['-XX:TieredStopAtLevel=1'] : []),
      '-Djava.awt.headless=true',
      ...(setting.observed && options.jmx ? [jmxAgent(setting, options.jmx)] : []),
      ...properties.map(([key, value]) => `-D${key}=${value}`),
      '-cp',
      join(setting.jars.kafka, '*'),
      options.mainClass,
      ...options.args,
    ],
  };
}

function jmxAgent(
  { layout, secrets, jars }: ServerSetting,
  { rules, port }: NonNullable<JvmOptions['jmx']>,
): string {
  const file = layout.etc(`jmx-${rules}.yml`);
  writeFileAtomic(file, jmxRules(rules, secrets.agent), 0o600);
  return `-javaagent:${jars.jmxAgent}=127.0.0.1:${port}:${file}`;
}

/** What a JVM shows, of `connectors/jmx/`, and who may see it: a digest, as the JMX agent reads it. */
export function jmxRules(rules: 'kafka' | 'connect', password: string): string {
  const shared = readFileSync(join(packageRoot(), 'connectors', 'jmx', `${rules}.yml`), 'utf8');
  // The password has 144 random bits; what is added is only for form.
  const salt = AGENT_USER.repeat(8);
  const passwordHash = createHash('sha256').update(`${salt}:${password}`).digest('hex');
  const basic = { username: AGENT_USER, passwordHash, algorithm: 'SHA-256', salt };
  return `${stringify({ httpServer: { authentication: { basic } } })}${shared}`;
}

/** The text of a .properties file. */
export function propertiesText(values: Readonly<Record<string, string | number>>): string {
  const escaped = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return `${Object.entries(values)
    .map(([key, value]) => `${key}=${escaped(String(value))}`)
    .join('\n')}\n`;
}

/** JAAS line of SASL/PLAIN; a server's also lists the one user it knows. */
export function plainJaas(login: { username: string; password: string }, server = false): string {
  const quote = (text: string) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  const users = server ? ` user_${login.username}=${quote(login.password)}` : '';
  return `org.apache.kafka.common.security.plain.PlainLoginModule required username=${quote(login.username)} password=${quote(login.password)}${users};`;
}

const LOG4J = `rootLogger.level=INFO
rootLogger.appenderRefs=stdout
rootLogger.appenderRef.stdout.ref=STDOUT
appender.console.type=Console
appender.console.name=STDOUT
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601}{UTC}Z %p %c{1}: %m%n
logger.quiet1.name=org.apache.kafka.clients
logger.quiet1.level=WARN
logger.quiet2.name=org.apache.kafka.common
logger.quiet2.level=WARN
logger.quiet3.name=org.glassfish
logger.quiet3.level=ERROR
logger.quiet4.name=kafka.server.KafkaConfig
logger.quiet4.level=WARN
logger.quiet5.name=org.apache.kafka.connect.runtime.distributed.DistributedConfig
logger.quiet5.level=WARN
logger.quiet6.name=org.apache.kafka.connect.json.JsonConverterConfig
logger.quiet6.level=WARN
`;
