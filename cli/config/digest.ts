import { createHash } from 'node:crypto';
import { pipelineNames } from '../core/names.ts';
import type { Config } from './schema.ts';

/** A digest of the settings that servers take only at their start. No password goes into it. */
export function settingsDigest(config: Config): string {
  const { runtime, profile, ports, kafka, connect, clickhouse, observability, agent } = config;
  const { url: address, ca_file, cert_file, key_file } = config.source;
  const url = address ? withoutPassword(address) : null;
  const { topicPrefix: topic_prefix, group: consumer_group } = pipelineNames(config);
  const relevant = [
    runtime,
    profile,
    ports,
    kafka,
    { ...connect, topic_prefix },
    { ...clickhouse, consumer_group },
    url,
    { ca_file, cert_file, key_file },
    observability,
    agent.listen,
    agent.password_file,
    config.alerts,
    // What ClickHouse's user may do.
    ...(config.backup.to === undefined ? [] : ['backup']),
  ];
  return createHash('sha256').update(JSON.stringify(relevant)).digest('hex').slice(0, 16);
}

function withoutPassword(url: string): string {
  return url
    .replace(/^([a-z]+:\/\/[^:@/]*):[^@/]*@/, '$1@')
    .replace(/\bpassword\s*=\s*('(\\.|[^'\\])*'|[^\s&]*)/g, '');
}
