import { mkdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { rootCertificates } from 'node:tls';
import axios from 'axios';
import { NO_TIMEOUTS } from '../../../core/sessions.ts';
import { writeFileAtomic } from '../../../lib/files.ts';
import { packageRoot } from '../../../lib/packageRoot.ts';
import { isVerified } from '../../../lib/tlsMaterial.ts';
import { xml } from '../../../lib/xml.ts';
import { PEER_NAMES } from '../../../stack/brokers.ts';
import { CLICKHOUSE_USER } from '../../../stack/users.ts';
import {
  clickhouseUsersXml,
  figuresXml,
  kafkaClientXml,
  poolsXml,
} from '../../settings/clickhouse.ts';
import { libchdb } from '../packages.ts';
import type { EmbeddedServer, ServerSetting } from './server.ts';

function configXml(setting: ServerSetting, users: string): string {
  return `<clickhouse>
  <path>${xml(setting.layout.data('clickhouse'))}/</path>
  <logger><log>${xml(setting.layout.log('clickhouse-server'))}</log><errorlog>${xml(setting.layout.log('clickhouse-errors'))}</errorlog><size>20M</size><count>2</count></logger>
  <users_config>${xml(users)}</users_config>
  <backups><allowed_path>${xml(setting.layout.backups)}</allowed_path></backups>
  <user_directories><users_xml><path>${xml(users)}</path></users_xml></user_directories>
${poolsXml()}
${figuresXml()}
${kafkaClientXml(setting.kafka)}
</clickhouse>
`;
}

/**
 * `postgresql()` has no argument for TLS; its libpq reads these. What it connects to is the source alone.
 */
function sourceTls({ layout, source }: ServerSetting): Record<string, string> {
  const { sslmode, tls } = source;
  const file = (name: string, text: string) => {
    const path = layout.etc(name);
    writeFileAtomic(path, text, 0o600);
    return path;
  };
  const ca = tls.ca ?? (isVerified(sslmode) ? rootCertificates.join('\n') : undefined);
  return {
    ...(sslmode === undefined ? {} : { PGSSLMODE: sslmode }),
    ...(ca === undefined ? {} : { PGSSLROOTCERT: file('source-ca.pem', ca) }),
    ...(tls.cert === undefined ? {} : { PGSSLCERT: file('source-client.pem', tls.cert) }),
    ...(tls.key === undefined ? {} : { PGSSLKEY: file('source-client.key', tls.key) }),
  };
}

export const clickhouseServer: EmbeddedServer = {
  name: 'clickhouse',
  needs: [],
  uses: ['kafka', ...PEER_NAMES, 'postgres'],
  stopSignal: 'SIGTERM',
  async prepare(setting) {
    const { layout, ports } = setting;
    const config = layout.etc('clickhouse.xml');
    const users = layout.etc('clickhouse-users.xml');
    writeFileAtomic(config, configXml(setting, users), 0o600);
    const { clickhouse: password, clickhouseReader: readerPassword } = setting.secrets;
    const who = {
      password,
      readerPassword,
      network: '127.0.0.1',
      own: setting.own,
      backsUp: setting.backsUp,
    };
    writeFileAtomic(users, clickhouseUsersXml(who), 0o600);
    mkdirSync(layout.data('clickhouse'), { recursive: true, mode: 0o700 });
    return {
      command: process.execPath,
      args: [
        join(packageRoot(), 'dist', 'runtimes', 'embedded', 'clickhouse-host.js'),
        libchdb(),
        `--http_port=${ports.clickhouse}`,
        `--tcp_port=${ports.clickhouse_native}`,
        '--listen_host=127.0.0.1',
        // As seen from the stack's folder: ClickHouse takes a dash of any kind in an argument for an option.
        `--config-file=${relative(layout.root, config)}`,
        // The level in the configuration file is not heeded; every block read would be traced.
        '--log-level=information',
      ],
      env: { TZ: 'UTC', PGOPTIONS: NO_TIMEOUTS, ...sourceTls(setting) },
    };
  },
  async ready(setting) {
    const answer = await axios.get(`http://127.0.0.1:${setting.ports.clickhouse}/`, {
      params: { query: 'SELECT 1' },
      headers: {
        'X-ClickHouse-User': CLICKHOUSE_USER,
        'X-ClickHouse-Key': setting.secrets.clickhouse,
      },
      timeout: 3000,
      proxy: false,
      validateStatus: () => true,
    });
    return answer.status === 200
      ? true
      : `HTTP ${answer.status}: ${String(answer.data).slice(0, 200)}`;
  },
};
