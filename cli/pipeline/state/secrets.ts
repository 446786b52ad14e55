import { readFileSync } from 'node:fs';
import { type LoadedConfig, resolveFrom } from '../../config/load.ts';
import { layoutOf, readSecrets } from '../../stack/layout.ts';

type Env = Readonly<Record<string, string | undefined>>;

const HIDDEN = '[HIDDEN]';
const PASSWORD_VARIABLES = [
  'CDC_SOURCE_PASSWORD',
  'CDC_KAFKA_PASSWORD',
  'CDC_CONNECT_PASSWORD',
  'CDC_CLICKHOUSE_PASSWORD',
  'CDC_AGENT_PASSWORD',
  'CDC_BACKUP_PASSPHRASE',
  'PGPASSWORD',
];

/**
 * A function that hides every password this stack knows: those generated for it, and those of
 * servers elsewhere. A password that is also the user's own name is left: that name is everywhere,
 * and a log without it says nothing.
 */
export function secretHider(loaded: LoadedConfig, env: Env): (text: string) => string {
  const { config, directory } = loaded;
  const { kafkaClusterId: _notSecret, ...generated } = readSecrets(layoutOf(directory)) ?? {};
  const files = [
    ...[config.source, config.kafka, config.connect, config.clickhouse, config.agent].map(
      (part) => part.password_file,
    ),
    config.backup.passphrase_file,
  ];
  const fromUrls = [config.source.url, config.connect.url, config.clickhouse.url].map(loginOf);
  const users = new Set([
    ...fromUrls.map((login) => login.user),
    config.kafka.username,
    config.connect.username,
    config.clickhouse.username,
  ]);
  const given = [
    ...PASSWORD_VARIABLES.map((name) => env[name]),
    ...files.map((file) =>
      file === undefined ? undefined : readPassword(resolveFrom(directory, file)),
    ),
    ...fromUrls.map((login) => login.password),
  ].filter((password) => !users.has(password));
  const words = [...Object.values(generated), ...given].filter((word): word is string =>
    Boolean(word),
  );
  const forms = [
    ...new Set(
      words.flatMap((word) => [word, encodeURIComponent(word), JSON.stringify(word).slice(1, -1)]),
    ),
  ];
  // The longest first: one secret can be a part of another.
  forms.sort((a, b) => b.length - a.length);
  return (text) => forms.reduce((hidden, form) => hidden.replaceAll(form, HIDDEN), text);
}

function readPassword(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch {
    return undefined;
  }
}

function loginOf(url: string | undefined): { user?: string; password?: string } {
  try {
    const { username, password } = new URL(url ?? '');
    return { user: decodeURIComponent(username), password: decodeURIComponent(password) };
  } catch {
    return {};
  }
}
