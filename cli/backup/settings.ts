import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { type LoadedConfig, loadConfig, resolveFrom } from '../config/load.ts';
import { Problem } from '../core/problems.ts';
import { fileProblem, writeFileAtomic } from '../lib/files.ts';
import { secret } from '../runtimes/resolve.ts';
import { createLayout, layoutOf, SOURCE_PASSWORD_FILE } from '../stack/layout.ts';
import { copyFile, treeOf } from './files.ts';
import { type SecretFiles, seal, unseal } from './secrets.ts';
import { readText } from './store.ts';

/** cdc.yaml and what belongs to it, in the folder of a backup. */
export const SETTINGS = 'settings';
const SECRETS_FILE = join(SETTINGS, 'secrets.json');
const VIEWS = join('sql', 'clickhouse', 'views');
const CONFIG = 'cdc.yaml';

type Loaded = Pick<LoadedConfig, 'config' | 'directory' | 'file'>;
type Env = Readonly<Record<string, string | undefined>>;

export function passphraseOf(
  { config, directory }: Pick<Loaded, 'config' | 'directory'>,
  env: Env,
): string | undefined {
  return (
    secret({ directory, env }, 'CDC_BACKUP_PASSPHRASE', config.backup.passphrase_file) || undefined
  );
}

/** The same where a restored cdc.yaml may name a file that no backup has. */
export function passphraseIfThere(
  loaded: Pick<Loaded, 'config' | 'directory'>,
  env: Env,
): string | undefined {
  const file = loaded.config.backup.passphrase_file;
  const isThere = file === undefined || existsSync(resolveFrom(loaded.directory, file));
  return isThere || env.CDC_BACKUP_PASSPHRASE !== undefined ? passphraseOf(loaded, env) : undefined;
}

/** Nothing that it writes in clear holds a password. */
export async function saveSettings(
  loaded: Loaded,
  folder: string,
  passphrase: string | undefined,
  signal: AbortSignal,
): Promise<'encrypted' | 'left out'> {
  const { directory } = loaded;
  const layout = layoutOf(directory);
  const to = join(folder, SETTINGS);
  try {
    await mkdir(to, { recursive: true, mode: 0o700 });
    const config = loaded.file === undefined ? '' : (readText(loaded.file) ?? '');
    const save = (path: string, text: string) =>
      writeFile(join(folder, path), text, { mode: 0o600, flush: true });
    await save(join(SETTINGS, CONFIG), withoutPasswords(config));
    const names = readText(layout.namesFile);
    if (names !== undefined) await save(join(SETTINGS, 'names.json'), names);
    const views = viewsOf(loaded);
    if (views !== undefined)
      for (const path of (await treeOf(views)).files)
        await copyFile(join(views, path), join(to, 'views', path), signal);
    if (passphrase === undefined) return 'left out';
    const secrets = { ...secretFilesOf(loaded), ...(config === '' ? {} : { [CONFIG]: config }) };
    await save(SECRETS_FILE, seal(secrets, passphrase));
    return 'encrypted';
  } catch (error) {
    throw fileProblem(folder, error);
  }
}

/** Of `.cdc/` and those that cdc.yaml names beside itself. */
function secretFilesOf({ config, directory }: Loaded): SecretFiles {
  const layout = layoutOf(directory);
  const named = [
    ...[config.source, config.kafka, config.connect, config.clickhouse, config.agent].map(
      (part) => part.password_file,
    ),
    config.connect.token_file,
    config.clickhouse.token_file,
  ].filter((file) => file !== undefined);
  const paths = [
    layout.secretsFile,
    join(layout.root, SOURCE_PASSWORD_FILE),
    ...named.map((file) => resolveFrom(directory, file)),
  ];
  return Object.fromEntries(
    paths.flatMap((path) => {
      const inside = relative(directory, path);
      const text = inside.startsWith('..') ? undefined : readText(path);
      return text === undefined ? [] : [[inside, text]];
    }),
  );
}

/** A folder elsewhere is its owner's. */
function viewsOf({ config, directory }: Loaded): string | undefined {
  const folder = resolveFrom(directory, config.clickhouse.views ?? VIEWS);
  return existsSync(folder) && !relative(directory, folder).startsWith('..') ? folder : undefined;
}

function withoutPasswords(yaml: string): string {
  return yaml
    .replaceAll(/(\b[a-z][a-z0-9+.-]*:\/\/[^:@/\s'"]*):[^@/\s]*@/gi, '$1@')
    .replaceAll(/(\bpassword\s*=\s*)('(\\.|[^'\\])*'|[^\s&'"]*)/g, '$1');
}

/** The secrets of a backup; undefined where it has none, or nobody gave a passphrase. Throws BACKUP_PASSPHRASE. */
export function openSecrets(
  folder: string,
  backup: string,
  passphrase: string | undefined,
): SecretFiles | undefined {
  const sealed = readText(join(folder, SECRETS_FILE));
  if (sealed === undefined || passphrase === undefined) return undefined;
  const files = unseal(sealed, passphrase);
  if (!files) throw new Problem('BACKUP_PASSPHRASE', { backup });
  return files;
}

/** Puts them into a folder. Files beside `.cdc/` that are there stay: their owner wrote them. */
export async function restoreSettings(
  directory: string,
  folder: string,
  secrets: SecretFiles | undefined,
  env: Env,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const layout = layoutOf(directory);
  createLayout(layout);
  const stayed: string[] = [];
  const put = (path: string, text: string) => {
    const to = join(directory, path);
    if (!existsSync(to)) writeFileAtomic(to, text, 0o600);
    else if (readText(to) !== text && path === CONFIG) stayed.push(path);
  };
  const saved = join(folder, SETTINGS);
  for (const [path, text] of Object.entries(secrets ?? {})) put(path, text);
  const config = readText(join(saved, CONFIG));
  if (config && !existsSync(join(directory, CONFIG))) put(CONFIG, config);
  const names = readText(join(saved, 'names.json'));
  if (names !== undefined) writeFileAtomic(layout.namesFile, names);
  const views = join(saved, 'views');
  if (existsSync(views)) {
    const { config } = loadConfig({ cwd: directory, env });
    const folder = resolveFrom(directory, config.clickhouse.views ?? VIEWS);
    for (const path of (await treeOf(views)).files) {
      const to = join(folder, path);
      if (!existsSync(to)) await copyFile(join(views, path), to, signal);
    }
  }
  return stayed;
}
