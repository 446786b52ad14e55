import axios from 'axios';
import { writeFileAtomic } from '../../../lib/files.ts';
import { propertiesText } from '../../../lib/properties.ts';
import { hasPeers, PEER_NAMES } from '../../../stack/brokers.ts';
import { CONNECT_USER } from '../../../stack/users.ts';
import { kafkaClientProperties, workerJaas } from '../../settings/jvm.ts';
import { jvmLaunch } from './jvm.ts';
import type { EmbeddedServer, ServerSetting } from './server.ts';

/** Connectors take what nobody else shall know from a file (core/connectSecrets.ts). */
const FILE_PROVIDER = {
  'config.providers': 'file',
  'config.providers.file.class': 'org.apache.kafka.common.config.provider.FileConfigProvider',
};

export function workerProperties(setting: ServerSetting): Record<string, string | number> {
  const client = Object.entries({
    ...kafkaClientProperties(setting.kafka),
    // A broker that hangs keeps its connections: the others are asked when it has not answered for so long.
    ...(hasPeers(setting.kafka) ? { 'request.timeout.ms': 10_000 } : {}),
  });
  const security = (prefix: string) =>
    Object.fromEntries(client.map(([key, value]) => [`${prefix}${key}`, value]));
  return {
    'bootstrap.servers': setting.kafka.brokers.join(','),
    ...security(''),
    ...security('producer.'),
    ...security('consumer.'),
    ...security('admin.'),
    'group.id': setting.workerGroup,
    'group.protocol': 'classic',
    listeners: `http://127.0.0.1:${setting.ports.connect}`,
    'rest.advertised.host.name': '127.0.0.1',
    'rest.extension.classes':
      'org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension',
    'plugin.path': setting.jars.plugins,
    // Nothing scans class files then: two seconds less of start-up.
    'plugin.discovery': 'service_load',
    ...FILE_PROVIDER,
    'config.storage.topic': `${setting.workerGroup}-configs`,
    'offset.storage.topic': `${setting.workerGroup}-offsets`,
    'offset.storage.partitions': 1,
    'status.storage.topic': `${setting.workerGroup}-status`,
    'status.storage.partitions': 1,
    ...replicated(['config.storage', 'offset.storage', 'status.storage'], setting),
    'key.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'key.converter.schemas.enable': 'false',
    'value.converter.schemas.enable': 'false',
    'connector.client.config.override.policy': 'All',
    // The slot's confirmed position follows this; a restart repeats at most this much.
    'offset.flush.interval.ms': 1000,
    'scheduled.rebalance.max.delay.ms': 0,
    'session.timeout.ms': 6000,
    'heartbeat.interval.ms': 2000,
    'worker.sync.timeout.ms': 3000,
  };
}

/** Of the worker's own topics: on each broker where cdc runs them. */
function replicated(topics: readonly string[], { kafka }: ServerSetting) {
  const replication = hasPeers(kafka) ? kafka.brokers.length : 1;
  return Object.fromEntries(topics.map((topic) => [`${topic}.replication.factor`, replication]));
}

export const connectServer: EmbeddedServer = {
  name: 'connect',
  needs: ['kafka', ...PEER_NAMES],
  uses: ['kafka', ...PEER_NAMES, 'postgres'],
  stopSignal: 'SIGTERM',
  async prepare(setting) {
    const { layout, secrets } = setting;
    const file = layout.etc('connect.properties');
    const users = layout.etc('connect.users');
    const jaas = layout.etc('connect.jaas');
    writeFileAtomic(file, propertiesText(workerProperties(setting)), 0o600);
    writeFileAtomic(users, propertiesText({ [CONNECT_USER]: secrets.connect }), 0o600);
    writeFileAtomic(jaas, workerJaas(users), 0o600);
    return jvmLaunch(setting, {
      jmx: { rules: 'connect', port: setting.ports.connect_jmx },
      heapMb: 512,
      // A batch of changes and their messages die in it.
      youngMb: 96,
      mainClass: 'org.apache.kafka.connect.cli.ConnectDistributed',
      args: [file],
      properties: {
        'java.security.auth.login.config': jaas,
        // PostgreSQL prints times with a zone in the zone of the client, which the driver takes from here.
        'user.timezone': 'UTC',
      },
    });
  },
  async ready(setting) {
    const answer = await axios.get(`http://127.0.0.1:${setting.ports.connect}/connectors`, {
      auth: { username: CONNECT_USER, password: setting.secrets.connect },
      timeout: 3000,
      proxy: false,
      validateStatus: () => true,
    });
    return answer.status === 200 ? true : `HTTP ${answer.status}`;
  },
};
