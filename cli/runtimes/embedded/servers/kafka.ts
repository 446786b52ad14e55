import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { Problem } from '../../../core/problems.ts';
import { writeFileAtomic } from '../../../lib/files.ts';
import { propertiesText } from '../../../lib/properties.ts';
import { PEER_BROKERS, PEER_NAMES, type PeerBroker } from '../../../stack/brokers.ts';
import { KAFKA_USER } from '../../../stack/users.ts';
import { plainJaas } from '../../settings/jvm.ts';
import { jvmLaunch } from './jvm.ts';
import { runToEnd } from './run.ts';
import type { EmbeddedServer, ServerSetting } from './server.ts';

/** One of the brokers that cdc runs, all of them controllers, too. */
interface Broker {
  readonly name: 'kafka' | PeerBroker;
  readonly node: number;
  readonly port: number;
  readonly controllerPort: number;
  readonly jmxPort: number;
}

function brokersOf({ ports }: Pick<ServerSetting, 'ports'>): Broker[] {
  const { kafka: port, kafka_controller: controllerPort, kafka_jmx: jmxPort } = ports;
  const peers = PEER_NAMES.flatMap((name): Broker[] => {
    const { node, client, controller, jmx } = PEER_BROKERS[name];
    const [at, controllerAt, jmxAt] = [ports[client], ports[controller], ports[jmx]];
    if (at === undefined || controllerAt === undefined || jmxAt === undefined) return [];
    return [{ name, node, port: at, controllerPort: controllerAt, jmxPort: jmxAt }];
  });
  return [{ name: 'kafka', node: 1, port, controllerPort, jmxPort }, ...peers];
}

function brokerOf(setting: ServerSetting, name: Broker['name']): Broker {
  const found = brokersOf(setting).find((broker) => broker.name === name);
  if (!found) throw new RangeError(`${name} has no ports`);
  return found;
}

export function serverProperties(
  setting: ServerSetting,
  name: Broker['name'] = 'kafka',
): Record<string, string | number> {
  const { secrets, layout } = setting;
  const brokers = brokersOf(setting);
  const { node, port, controllerPort } = brokerOf(setting, name);
  const jaas = plainJaas({ username: KAFKA_USER, password: secrets.kafka }, true);
  const inSync = Math.max(1, brokers.length - 1);
  return {
    'process.roles': 'broker,controller',
    'node.id': node,
    [VOTERS]: brokers.map((one) => `${one.node}@127.0.0.1:${one.controllerPort}`).join(','),
    listeners: `CLIENT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `CLIENT://127.0.0.1:${port}`,
    'listener.security.protocol.map': 'CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT',
    'inter.broker.listener.name': 'CLIENT',
    'controller.listener.names': 'CONTROLLER',
    'sasl.enabled.mechanisms': 'PLAIN',
    'sasl.mechanism.inter.broker.protocol': 'PLAIN',
    'sasl.mechanism.controller.protocol': 'PLAIN',
    'listener.name.client.plain.sasl.jaas.config': jaas,
    'listener.name.controller.plain.sasl.jaas.config': jaas,
    'log.dirs': layout.data(name),
    'num.network.threads': 2,
    'num.io.threads': 4,
    'num.recovery.threads.per.data.dir': 1,
    'offsets.topic.replication.factor': brokers.length,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': brokers.length,
    'transaction.state.log.min.isr': inSync,
    'share.coordinator.state.topic.replication.factor': brokers.length,
    'share.coordinator.state.topic.min.isr': inSync,
    ...(brokers.length > 1 ? PEER_SETTINGS : {}),
    'auto.create.topics.enable': 'false',
    // One consumer a group: waiting for more members only delays the first change.
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    'log.cleaner.dedupe.buffer.size': 8 * 1024 * 1024,
    'log.segment.bytes': 128 * 1024 * 1024,
    'log.retention.hours': 168,
  };
}

const PEER_SETTINGS = {
  'default.replication.factor': 3,
  // What was acknowledged is on two of three brokers.
  'min.insync.replicas': 2,
  // The others lead a dead broker's partitions after this; the heartbeat fits it.
  'broker.session.timeout.ms': 3000,
  'broker.heartbeat.interval.ms': 500,
  // All of them are stopped at once: the last would ask a quorum that is gone.
  'controlled.shutdown.enable': 'false',
};

const VOTERS = 'controller.quorum.voters';

/** @param file what the broker was started with before. */
function requireSameVoters(file: string, voters: string): void {
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const made = before
    .split('\n')
    .find((line) => line.startsWith(`${VOTERS}=`))
    ?.slice(VOTERS.length + 1);
  const count = (list: string) => list.split(',').length;
  if (made === undefined || count(made) === count(voters)) return;
  const brokers = (n: number) => (n === 1 ? 'one broker' : `${n} brokers`);
  throw new Problem('KAFKA_OTHER_BROKERS', {
    made: brokers(count(made)),
    wanted: brokers(count(voters)),
    count: count(made),
  });
}

/** Which of a stack's brokers this is; each of them has its own data folder, log and settings. */
function broker(name: Broker['name']): EmbeddedServer {
  return {
    name,
    needs: [],
    uses: [],
    stopSignal: 'SIGTERM',
    async prepare(setting, signal) {
      const file = setting.layout.etc(`${name}.properties`);
      const properties = serverProperties(setting, name);
      const isMade = existsSync(join(setting.layout.data(name), 'meta.properties'));
      if (isMade) requireSameVoters(file, String(properties[VOTERS]));
      writeFileAtomic(file, propertiesText(properties), 0o600);
      if (!isMade) {
        // One word: an id that begins with a dash would be taken for another option.
        const cluster = `--cluster-id=${setting.secrets.kafkaClusterId}`;
        const format = jvmLaunch(setting, {
          heapMb: 128,
          mainClass: 'kafka.tools.StorageTool',
          args: ['format', '--ignore-formatted', cluster, '-c', file],
        });
        await runToEnd(name, format, setting, signal);
      }
      return jvmLaunch(setting, {
        jmx: { rules: 'kafka', port: brokerOf(setting, name).jmxPort },
        heapMb: 256,
        mainClass: 'kafka.Kafka',
        args: [file],
      });
    },
    async ready(setting) {
      const kafka = new Kafka({
        clientId: 'cdc-agent',
        brokers: [`127.0.0.1:${brokerOf(setting, name).port}`],
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
}

export const kafkaServer = broker('kafka');
export const peerBroker: (name: PeerBroker) => EmbeddedServer = broker;
