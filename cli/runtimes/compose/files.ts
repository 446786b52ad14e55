import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import { connectorSecrets } from '../../core/connector.ts';
import { withEarlierNames } from '../../core/connectSecrets.ts';
import { propertiesText } from '../../lib/properties.ts';
import type { KafkaEndpoint, PostgresEndpoint } from '../../stack/endpoints.ts';
import { CONTAINER_SECRETS, type Secrets } from '../../stack/layout.ts';
import { CONNECT_USER, KAFKA_USER } from '../../stack/users.ts';
import {
  clickhouseUsersXml,
  figuresXml,
  kafkaClientXml,
  poolsXml,
} from '../settings/clickhouse.ts';
import { jmxRules, plainJaas, workerJaas } from '../settings/jvm.ts';
import { webConfig } from '../settings/web.ts';

/** Of the Kafka exporter. */
export const EXPORTER_CERT = 'kafka_exporter.crt';
export const EXPORTER_KEY = 'kafka_exporter.key';

/** A file that one container reads; below `.cdc/`. */
export interface ContainerFile {
  readonly path: string;
  /** The user of that container, who alone may read it. */
  readonly uid: number;
  readonly text: string;
}

/** Users that the images run as; docker-compose.yml says the same, and a test holds them equal. */
export const CONTAINER_USERS: Readonly<Record<string, number>> = {
  postgres: 999,
  kafka: 1000,
  connect: 1001,
  clickhouse: 101,
  prometheus: 65_534,
  alertmanager: 65_534,
  grafana: 472,
  'node-exporter': 65_534,
  'postgres-exporter': 65_534,
  'kafka-exporter': 65_534,
  kafdrop: 65_534,
  portainer: 0,
};

/** What the connector reads. */
export const CONNECTOR_FILE = `secrets/connect/${basename(CONTAINER_SECRETS)}`;

/** The user of the agent's image. */
export const AGENT_USER = 1000;

/** Passwords of what only containers have. */
export interface ToolPasswords {
  readonly grafana: string;
  readonly portainer: string;
}

/**
 * The Kafka exporter knows no passwords, but certificates: it and who reads it show each other this one,
 * which is its own authority. PEM.
 */
export interface ExporterCertificate {
  readonly cert: string;
  readonly key: string;
}

export function newToolPasswords(): ToolPasswords {
  const word = () => randomBytes(18).toString('base64url');
  return { grafana: word(), portainer: word() };
}

export interface FilesInput {
  readonly secrets: Secrets;
  readonly tools: ToolPasswords;
  readonly exporter: ExporterCertificate;
  /** As the containers reach it; need not be the stack's own. */
  readonly kafka: KafkaEndpoint;
  /** The PostgreSQL that is copied. */
  readonly source: Pick<PostgresEndpoint, 'password' | 'sslmode' | 'tls'>;
  /** The database of the pipeline's own tables in ClickHouse. */
  readonly own: string;
  /** What CONNECTOR_FILE holds; empty where there is none. */
  readonly connectorFile: string;
}

/** Every file that holds a password or needs one, for each container. */
export function containerFiles(input: FilesInput): ContainerFile[] {
  const { secrets, tools, exporter, kafka } = input;
  const file = (service: string, name: string, text: string): ContainerFile => ({
    path: `secrets/${service}/${name}`,
    uid: CONTAINER_USERS[service] ?? 0,
    text,
  });
  const certificate = (service: string) => [
    file(service, EXPORTER_CERT, exporter.cert),
    file(service, EXPORTER_KEY, exporter.key),
  ];
  const broker = plainJaas({ username: KAFKA_USER, password: secrets.kafka }, true);
  const client = kafkaClientProperties(kafka);
  const connector = connectorSecrets(input.source, {
    file: CONTAINER_SECRETS,
    key: secrets.postgres,
  });
  return [
    file('postgres', 'postgres_password', secrets.postgres),
    file(
      'kafka',
      'server.properties',
      propertiesText({
        'listener.name.inside.plain.sasl.jaas.config': broker,
        'listener.name.outside.plain.sasl.jaas.config': broker,
        'listener.name.controller.plain.sasl.jaas.config': broker,
      }),
    ),
    file('kafka', 'jmx.yml', jmxRules('kafka', secrets.agent)),
    file(
      'connect',
      'kafka.properties',
      propertiesText({
        protocol: kafka.sasl ? 'SASL_PLAINTEXT' : 'PLAINTEXT',
        // Read even where no login is made.
        jaas: plainJaas(kafka.sasl ?? { username: KAFKA_USER, password: '' }),
      }),
    ),
    file(
      'connect',
      basename(CONTAINER_SECRETS),
      propertiesText(withEarlierNames(input.connectorFile, connector.entries)),
    ),
    file('connect', 'connect.users', propertiesText({ [CONNECT_USER]: secrets.connect })),
    file('connect', 'connect.jaas', workerJaas('/run/secrets/connect.users')),
    file('connect', 'jmx.yml', jmxRules('connect', secrets.agent)),
    file('connect', 'curl.conf', `user = "${CONNECT_USER}:${secrets.connect}"\n`),
    file('clickhouse', 'config.d/cdc.xml', clickhouseConfig(kafka)),
    file(
      'clickhouse',
      'users.d/cdc.xml',
      clickhouseUsersXml({
        backsUp: false,
        password: secrets.clickhouse,
        readerPassword: secrets.clickhouseReader,
        network: '::/0',
        own: input.own,
      }),
    ),
    file('prometheus', 'agent_password', secrets.agent),
    file('prometheus', 'clickhouse_password', secrets.clickhouseReader),
    ...certificate('prometheus'),
    file('alertmanager', 'agent_password', secrets.agent),
    ...['prometheus', 'alertmanager', 'node-exporter', 'postgres-exporter'].map((service) =>
      file(service, 'web.yml', webConfig(secrets.agent)),
    ),
    file('grafana', 'grafana_password', tools.grafana),
    file('grafana', 'clickhouse_password', secrets.clickhouseReader),
    file('grafana', 'agent_password', secrets.agent),
    file('postgres-exporter', 'postgres_password', input.source.password),
    file('kafka-exporter', 'arguments', `${exporterArguments(kafka).join('\n')}\n`),
    ...certificate('kafka-exporter'),
    file('kafdrop', 'kafka.properties', client),
    file('portainer', 'portainer_password', tools.portainer),
    { path: 'agent/secrets.json', uid: AGENT_USER, text: `${JSON.stringify(secrets, null, 2)}\n` },
  ];
}

function kafkaClientProperties({ sasl }: KafkaEndpoint): string {
  if (!sasl) return '';
  return propertiesText({
    'security.protocol': 'SASL_PLAINTEXT',
    'sasl.mechanism': 'PLAIN',
    'sasl.jaas.config': plainJaas(sasl),
  });
}

function exporterArguments({ internalBrokers, sasl }: KafkaEndpoint): string[] {
  const login = sasl
    ? [
        '--sasl.enabled',
        '--sasl.mechanism=plain',
        `--sasl.username=${sasl.username}`,
        `--sasl.password=${sasl.password}`,
      ]
    : [];
  const files = { ca: EXPORTER_CERT, cert: EXPORTER_CERT, key: EXPORTER_KEY };
  return [
    ...internalBrokers.map((broker) => `--kafka.server=${broker}`),
    ...login,
    '--server.tls.enabled',
    '--server.tls.mutual-auth-enabled',
    ...Object.entries(files).map(
      ([what, name]) => `--server.tls.${what}-file=/run/secrets/${name}`,
    ),
  ];
}

/** Beside the image's own config.xml; in the place of its config.d. */
function clickhouseConfig(kafka: KafkaEndpoint): string {
  return `<clickhouse>
  <listen_host>0.0.0.0</listen_host>
  <listen_host>::</listen_host>
  <listen_try>1</listen_try>
  <logger><level>information</level><console>1</console></logger>
${poolsXml()}
${figuresXml()}
${kafkaClientXml(kafka)}
</clickhouse>
`;
}
