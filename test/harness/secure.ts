import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeFileAtomic } from '../../cli/lib/files.ts';
import { freePort } from '../../cli/lib/ports.ts';
import { propertiesText } from '../../cli/lib/properties.ts';
import { waitFor } from '../../cli/lib/wait.ts';
import { ensureJars } from '../../cli/runtimes/embedded/jars.ts';
import { clickhouseServer } from '../../cli/runtimes/embedded/servers/clickhouse.ts';
import { connectServer } from '../../cli/runtimes/embedded/servers/connect.ts';
import { jvmLaunch } from '../../cli/runtimes/embedded/servers/jvm.ts';
import { kafkaServer, serverProperties } from '../../cli/runtimes/embedded/servers/kafka.ts';
import { runToEnd } from '../../cli/runtimes/embedded/servers/run.ts';
import type {
  EmbeddedServer,
  Launch,
  ServerSetting,
} from '../../cli/runtimes/embedded/servers/server.ts';
import { findJava } from '../../cli/runtimes/embedded/toolchain.ts';
import { plainJaas } from '../../cli/runtimes/settings/jvm.ts';
import type { KafkaEndpoint } from '../../cli/stack/endpoints.ts';
import { createLayout, ensureSecrets, layoutOf, type Secrets } from '../../cli/stack/layout.ts';
import { cleanEnvironment } from './cli.ts';
import type { Certificate } from './tls.ts';

/** A Kafka, a Connect and a ClickHouse that are somebody else's, as strict as those that are paid for. */

export interface ForeignServer extends AsyncDisposable {
  readonly port: number;
  readonly secrets: Secrets;
}

export interface SecureKafka extends ForeignServer {
  /** SASL in clear text, as within a data centre. */
  readonly plainPort: number;
  /** TLS that asks for a certificate, and no login. */
  readonly mutualPort: number;
}

async function settingFor(prefix: string, kafka?: KafkaEndpoint) {
  const directory = mkdtempSync(join(tmpdir(), `cdc-${prefix}-`));
  const layout = layoutOf(directory);
  createLayout(layout);
  const env = cleanEnvironment();
  const ports = {
    kafka: await freePort(),
    kafka_controller: await freePort(),
    connect: await freePort(),
    clickhouse: await freePort(),
    clickhouse_native: await freePort(),
  };
  const setting = {
    layout,
    secrets: ensureSecrets(layout),
    ports,
    env,
    kafka,
    own: 'cdc',
    workerGroup: 'theirs',
    source: { sslmode: undefined, tls: {} },
    java: findJava(env),
    jars: await ensureJars(env, new AbortController().signal, () => {}),
    observed: false,
    profile: 'low-latency',
  } as unknown as ServerSetting;
  return { directory, setting };
}

async function started(
  directory: string,
  setting: ServerSetting,
  launch: Launch,
  server: EmbeddedServer,
): Promise<AsyncDisposable> {
  const child = spawn(launch.command, [...launch.args], {
    cwd: setting.layout.root,
    env: { ...setting.env, ...launch.env } as NodeJS.ProcessEnv,
    stdio: 'ignore',
  });
  await waitFor(`the foreign ${server.name}`, { timeoutMs: 300_000 }, async () => {
    if (child.exitCode !== null) throw new Error(`${server.name} ended with ${child.exitCode}`);
    const answer = await server.ready(setting).catch((error: Error) => error.message);
    return answer === true ? { ready: true } : { seen: answer };
  });
  return {
    [Symbol.asyncDispose]: async () => {
      await ended(child);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

/** Its user `app` logs in with SCRAM-SHA-512 over TLS, or shows a certificate. */
export async function secureKafka(
  password: string,
  { cert, key }: Certificate,
  clientCa: string,
): Promise<SecureKafka> {
  const { directory, setting } = await settingFor('kafka');
  const port = await freePort();
  const mutualPort = await freePort();
  const plain = serverProperties(setting);
  const file = setting.layout.etc('kafka.properties');
  const pem = (listener: string, auth: string) => ({
    [`listener.name.${listener}.ssl.keystore.type`]: 'PEM',
    [`listener.name.${listener}.ssl.keystore.certificate.chain`]: cert,
    [`listener.name.${listener}.ssl.keystore.key`]: key,
    [`listener.name.${listener}.ssl.truststore.type`]: 'PEM',
    [`listener.name.${listener}.ssl.truststore.certificates`]: clientCa,
    [`listener.name.${listener}.ssl.client.auth`]: auth,
  });
  const more = {
    listeners: `${plain.listeners},SECURE://127.0.0.1:${port},MUTUAL://127.0.0.1:${mutualPort}`,
    'advertised.listeners': `${plain['advertised.listeners']},SECURE://localhost:${port},MUTUAL://localhost:${mutualPort}`,
    'listener.security.protocol.map': `${plain['listener.security.protocol.map']},SECURE:SASL_SSL,MUTUAL:SSL`,
    'listener.name.secure.sasl.enabled.mechanisms': 'SCRAM-SHA-512,PLAIN',
    'listener.name.secure.plain.sasl.jaas.config': plainJaas({ username: 'app', password }, true),
    'listener.name.secure.scram-sha-512.sasl.jaas.config':
      'org.apache.kafka.common.security.scram.ScramLoginModule required;',
    ...pem('secure', 'none'),
    ...pem('mutual', 'required'),
  };
  writeFileAtomic(file, propertiesText({ ...plain, ...more }), 0o600);
  const jvm = { heapMb: 256, args: [file] };
  const format = jvmLaunch(setting, {
    ...jvm,
    mainClass: 'kafka.tools.StorageTool',
    args: [
      'format',
      `--cluster-id=${setting.secrets.kafkaClusterId}`,
      '-c',
      file,
      '--add-scram',
      `SCRAM-SHA-512=[name=app,password=${password}]`,
    ],
  });
  await runToEnd('kafka', format, setting, new AbortController().signal);
  const launch = jvmLaunch(setting, { ...jvm, mainClass: 'kafka.Kafka' });
  const server = await started(directory, setting, launch, kafkaServer);
  return { ...server, port, mutualPort, plainPort: setting.ports.kafka, secrets: setting.secrets };
}

export async function foreignConnect(kafka: KafkaEndpoint): Promise<ForeignServer> {
  const { directory, setting } = await settingFor('connect', kafka);
  const launch = await connectServer.prepare(setting, new AbortController().signal);
  const server = await started(directory, setting, launch, connectServer);
  return { ...server, port: setting.ports.connect, secrets: setting.secrets };
}

/** It knows nothing of anybody's Kafka. */
export async function foreignClickHouse(): Promise<ForeignServer> {
  const { directory, setting } = await settingFor('clickhouse', {
    sasl: undefined,
    tls: undefined,
  } as unknown as KafkaEndpoint);
  mkdirSync(setting.layout.data('clickhouse'), { recursive: true });
  const launch = await clickhouseServer.prepare(setting, new AbortController().signal);
  // Its administrator lets people keep certificates in it.
  const users = setting.layout.etc('clickhouse-users.xml');
  const granted = /(<cdc>[\s\S]*?)<grants>[\s\S]*?<\/grants>/;
  const rights =
    '<access_management>1</access_management><named_collection_control>1</named_collection_control>';
  writeFileAtomic(users, readFileSync(users, 'utf8').replace(granted, `$1${rights}`), 0o600);
  const server = await started(directory, setting, launch, clickhouseServer);
  return { ...server, port: setting.ports.clickhouse, secrets: setting.secrets };
}
