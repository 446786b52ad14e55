import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { LoadedConfig } from '../../config/load.ts';
import { Problem } from '../../core/problems.ts';
import { readJson, writeFileIfOther } from '../../lib/files.ts';
import { createLayout, ensureSecrets, layoutOf, SOURCE_PASSWORD_FILE } from '../../stack/layout.ts';
import { writePublished } from '../../stack/state.ts';
import { publishedPorts, resolveEndpoints } from '../resolve.ts';
import { ensureCertificate } from './certificate.ts';
import {
  AGENT_USER,
  CONNECTOR_FILE,
  CONTAINER_USERS,
  containerFiles,
  newToolPasswords,
  type ToolPasswords,
} from './files.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** Passwords of servers elsewhere that were given in the environment; the agent's container has another. */
export const GIVEN_PASSWORDS_FILE = 'passwords.json';

export function givenPasswords(directory: string): Record<string, string> {
  return (
    readJson<Record<string, string>>(join(layoutOf(directory).root, GIVEN_PASSWORDS_FILE)) ?? {}
  );
}

/**
 * Makes what is missing below `.cdc/`: passwords, and for each container a folder that only its user
 * can read. Runs as root in a container; everything else stays with the owner of the stack's folder.
 *
 * @returns how many files were written.
 */
export async function writeContainerFiles(
  loaded: LoadedConfig,
  env: Env,
  now: Date,
): Promise<number> {
  const { config, directory } = loaded;
  const layout = layoutOf(directory);
  requireReadable(loaded);
  createLayout(layout);
  const secrets = ensureSecrets(layout);
  const toolsFile = join(layout.root, 'tools.json');
  const tools: ToolPasswords = { ...newToolPasswords(), ...readJson<ToolPasswords>(toolsFile) };
  writeFileIfOther(toolsFile, `${JSON.stringify(tools, null, 2)}\n`, 0o600);
  const exporter = await ensureCertificate(layout.root, now);
  const ports = publishedPorts(config);
  const endpoints = resolveEndpoints({
    config,
    directory,
    env: { ...env, ...givenPasswords(directory) },
    ports,
    view: 'network',
    secrets,
  });
  const files = containerFiles({
    secrets,
    tools,
    exporter,
    kafka: endpoints.kafka,
    source: endpoints.postgres,
    own: endpoints.clickhouse.own,
    connectorFile: readIfThere(join(layout.root, CONNECTOR_FILE)),
  });
  let written = 0;
  for (const [service, uid] of Object.entries(CONTAINER_USERS))
    ownFolder(join(layout.root, 'secrets', service), uid, 0o700);
  ownFolder(join(layout.root, 'agent'), AGENT_USER, 0o755);
  for (const file of files) {
    const path = join(layout.root, file.path);
    ownFolder(dirname(path), file.uid, file.path.startsWith('agent/') ? 0o755 : 0o700);
    if (writeFileIfOther(path, file.text, 0o600)) written += 1;
    chownSync(path, file.uid, file.uid);
  }
  for (const name of [SOURCE_PASSWORD_FILE, GIVEN_PASSWORDS_FILE]) {
    if (!existsSync(join(layout.root, name))) continue;
    const copy = join(layout.root, 'agent', name);
    writeFileIfOther(copy, readFileSync(join(layout.root, name), 'utf8'), 0o600);
    chownSync(copy, AGENT_USER, AGENT_USER);
  }
  writePublished(layout, { profile: config.profile, ports, project: env.CDC_COMPOSE_PROJECT }, now);
  giveBack(directory, layout.root);
  return written;
}

function readIfThere(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/** Throws STACK_UNREADABLE when the agent's user may not read cdc.yaml. */
export function requireReadable({
  directory,
  file,
}: Pick<LoadedConfig, 'directory' | 'file'>): void {
  const wanted = [
    { path: directory, bits: 0o5, mode: 'o+rx' },
    ...(file ? [{ path: file, bits: 0o4, mode: 'o+r' }] : []),
  ];
  for (const { path, bits, mode } of wanted) {
    const found = statSync(path);
    const shift = found.uid === AGENT_USER ? 6 : found.gid === AGENT_USER ? 3 : 0;
    if (((found.mode >> shift) & bits) !== bits)
      throw new Problem('STACK_UNREADABLE', { path, mode, uid: AGENT_USER });
  }
}

/** Deletes what containers read and the stack's owner may not delete. */
export function removeContainerFiles(directory: string): void {
  const { root } = layoutOf(directory);
  for (const name of ['secrets', 'agent'])
    rmSync(join(root, name), { recursive: true, force: true });
}

function ownFolder(path: string, uid: number, mode: number): void {
  mkdirSync(path, { recursive: true });
  chmodSync(path, mode);
  chownSync(path, uid, uid);
}

/** What no container reads belongs to who owns the stack's folder, whom the CLI runs as. */
function giveBack(directory: string, root: string): void {
  const { uid, gid } = statSync(directory);
  chownSync(root, uid, gid);
  for (const name of readdirSync(root)) {
    if (name !== 'agent') chownSync(join(root, name), uid, gid);
  }
}
