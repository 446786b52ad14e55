import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { writeFileAtomic } from '../../../lib/files.ts';
import { propertiesText } from '../../../lib/properties.ts';
import { KAFKA_USER } from '../../../stack/users.ts';
import { plainJaas } from '../../settings/jvm.ts';
import { jvmLaunch } from './jvm.ts';
import { runToEnd } from './run.ts';
import type { EmbeddedServer, ServerSetting } from './server.ts';

export function serverProperties(setting: ServerSetting): Record<string, string | number> {
  const { ports, secrets, layout } = setting;
  const jaas = plainJaas({ username: KAFKA_USER, password: secrets.kafka }, true);
  return {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${ports.kafka_controller}`,
    listeners: `CLIENT://127.0.0.1:${ports.kafka},CONTROLLER://127.0.0.1:${ports.kafka_controller}`,
    'advertised.listeners': `CLIENT://127.0.0.1:${ports.kafka}`,
    'listener.security.protocol.map': 'CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT',
    'inter.broker.listener.name': 'CLIENT',
    'controller.listener.names': 'CONTROLLER',
    'sasl.enabled.mechanisms': 'PLAIN',
    'sasl.mechanism.inter.broker.protocol': 'PLAIN',
    'sasl.mechanism.controller.protocol': 'PLAIN',
    'listener.name.client.plain.sasl.jaas.config': jaas,
    'listener.name.controller.plain.sasl.jaas.config': jaas,
    'log.dirs': layout.data('kafka'),
    'num.network.threads': 2,
    'num.io.threads': 4,
    'num.recovery.threads.per.data.dir': 1,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'auto.create.topics.enable': 'false',
    // One consumer a group: waiting for more members only delays the first change.
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    'log.cleaner.dedupe.buffer.size': 8 * 1024 * 1024,
    'log.segment.bytes': 128 * 1024 * 1024,
    'log.retention.hours': 168,
  };
}

export const kafkaServer: EmbeddedServer = {
  name: 'kafka',
  needs: [],
  uses: [],
  stopSignal: 'SIGTERM',
  async prepare(setting, signal) {
    const file = setting.layout.etc('kafka.properties');
    writeFileAtomic(file, propertiesText(serverProperties(setting)), 0o600);
    if (!existsSync(join(setting.layout.data('kafka'), 'meta.properties'))) {
      // One word: an id that begins with a dash would be taken for another option.
      const cluster = `--cluster-id=${setting.secrets.kafkaClusterId}`;
      const format = jvmLaunch(setting, {
        name: 'kafka-format',
        heapMb: 128,
        mainClass: 'kafka.tools.StorageTool',
        args: ['format', '--ignore-formatted', cluster, '-c', file],
      });
      await runToEnd('kafka', format, setting, signal);
    }
    return jvmLaunch(setting, {
      name: 'kafka',
      jmx: { rules: 'kafka', port: setting.ports.kafka_jmx },
      heapMb: 256,
      mainClass: 'kafka.Kafka',
      args: [file],
    });
  },
  async ready(setting) {
    const kafka = new Kafka({
      clientId: 'cdc-agent',
      brokers: [`127.0.0.1:${setting.ports.kafka}`],
      sasl: { mechanism: 'plain', username: KAFKA_USER, password: setting.secrets.kafka },
      connectionTimeout: 1000,
      requestTimeout: 2000,
      retry: { retries: 0 },
      logLevel: logLevel.NOTHING,
    });
    const admin = kafka.admin();
    try {
      await admin.connect();
      const cluster = await admin.describeCluster();
      return cluster.brokers.length > 0 ? true : 'no broker is registered yet';
    } finally {
      await admin.disconnect();
    }
  },
};
