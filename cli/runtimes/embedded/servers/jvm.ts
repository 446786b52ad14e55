import { join } from 'node:path';
import { writeFileAtomic } from '../../../lib/files.ts';
import { jmxRules } from '../../settings/jvm.ts';
import { classArchive } from './classArchive.ts';
import type { Launch, ServerSetting } from './server.ts';

interface JvmOptions {
  /** Where the JVM shows its figures, when it is observed; rules are in `connectors/jmx/`. */
  readonly jmx?: { readonly rules: 'kafka' | 'connect'; readonly port: number };
  readonly heapMb: number;
  /** Of these for objects that have just been made; the JVM's own choice where absent. */
  readonly youngMb?: number;
  readonly mainClass: string;
  readonly args: readonly string[];
  readonly properties?: Readonly<Record<string, string>>;
}

/** A JVM of ours: small heap, serial collector (two cores, short pauses), log4j to standard output. */
export function jvmLaunch(setting: ServerSetting, options: JvmOptions): Launch {
  const log4j = setting.layout.etc('log4j2.properties');
  writeFileAtomic(log4j, LOG4J);
  const archive = classArchive(setting, options.mainClass);
  const properties = Object.entries({ 'log4j2.configurationFile': log4j, ...options.properties });
  return {
    command: setting.java,
    args: [
      `-Xms${Math.min(64 + (options.youngMb ?? 0), options.heapMb)}m`,
      `-Xmx${options.heapMb}m`,
      ...(options.youngMb === undefined ? [] : [`-Xmn${options.youngMb}m`]),
      '-XX:+UseSerialGC',
      '-XX:MaxMetaspaceSize=160m',
      '-XX:ReservedCodeCacheSize=96m',
      '-XX:+ExitOnOutOfMemoryError',
      '-Xshare:auto',
      ...archive.args,
      ...(options.mainClass === 'kafka.Kafka' ? ['-XX:TieredStopAtLevel=1'] : []),
      '-Djava.awt.headless=true',
      ...(setting.observed && options.jmx ? [jmxAgent(setting, options.jmx)] : []),
      ...properties.map(([key, value]) => `-D${key}=${value}`),
      '-cp',
      join(setting.jars.kafka, '*'),
      options.mainClass,
      ...options.args,
    ],
    ended: archive.ended,
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
