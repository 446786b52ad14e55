import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type LoadedConfig, loadConfig } from '../../config/load.ts';
import { configTemplate } from '../../config/template.ts';
import type { Finding } from '../../core/findings.ts';
import { tableLabel } from '../../core/names.ts';
import { Problem } from '../../core/problems.ts';
import type { SourceTable } from '../../core/source.ts';
import { escapePattern } from '../../core/tableFilter.ts';
import { fileProblem, writeFileAtomic } from '../../lib/files.ts';
import { formatBytes, formatCount } from '../../lib/format.ts';
import { postgresEndpoint } from '../../runtimes/resolve.ts';
import { createLayout, layoutOf, SOURCE_PASSWORD_FILE } from '../../stack/layout.ts';
import { namesOf } from '../../stack/names.ts';
import { OF_RIGHTS } from './ownerSql.ts';
import { inspectSource } from './source.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** A table that was found; what the catalog does not know is absent. */
export interface FoundTable {
  readonly table: string;
  readonly key: readonly string[];
  /** The planner's estimate. */
  readonly rows: number | undefined;
  readonly bytes: number | undefined;
  readonly excluded: boolean;
  /** Why it is left out. */
  readonly why: readonly Finding[];
}

export interface InitResult {
  readonly file: string;
  readonly tables: readonly FoundTable[];
  /** What stands between this file and `cdc up`. */
  readonly findings: readonly Finding[];
  /** Where a password from the URL was put; absent when it carried none. */
  readonly password_file: string | undefined;
}

const PASSWORD_FILE = join('.cdc', SOURCE_PASSWORD_FILE);

/** Writes a commented cdc.yaml; reads the source and changes nothing in it. */
export async function writeConfig(
  path: string,
  shown: string,
  url: string | undefined,
  env: Env,
): Promise<InitResult> {
  if (existsSync(path)) throw new Problem('CONFIG_EXISTS', { file: shown });
  const template = {
    values: new Map<string, unknown>(),
    notes: new Map<string, string[]>(),
    entryNotes: new Map<string, string>(),
  };
  template.values.set('name', 'cdc');
  if (url === undefined) {
    for (const key of ['runtime', 'profile'])
      template.values.set(key, key === 'runtime' ? 'auto' : 'low-latency');
    template.values.set('source.include', ['*.*']);
    template.values.set('source.exclude', []);
    writeNew(path, configTemplate(template));
    return { file: shown, tables: [], findings: [], password_file: undefined };
  }
  const login = withoutPassword(url);
  const { tables, findings } = await readSource(dirname(path), url, env);
  template.values.set('source.url', login.url);
  if (login.password !== undefined) template.values.set('source.password_file', PASSWORD_FILE);
  template.values.set('source.include', ['*.*']);
  template.notes.set('source.include', tableNotes(tables));
  const excluded = tables.filter((found) => found.excluded);
  template.values.set(
    'source.exclude',
    excluded.map((found) => escapePattern(found.table)),
  );
  for (const { table, why } of excluded) {
    template.entryNotes.set(
      escapePattern(table),
      why.map((f) => `${f.subject}: ${f.message} [${f.id}]`).join('; '),
    );
  }
  if (login.password !== undefined) {
    const layout = layoutOf(dirname(path));
    createLayout(layout);
    writeFileAtomic(join(dirname(path), PASSWORD_FILE), `${login.password}\n`, 0o600);
  }
  writeNew(path, configTemplate(template));
  return {
    file: shown,
    tables,
    findings,
    password_file: login.password === undefined ? undefined : PASSWORD_FILE,
  };
}

function writeNew(path: string, text: string): void {
  try {
    writeFileAtomic(path, text);
  } catch (error) {
    throw fileProblem(path, error);
  }
}

/** The URL as it may stand in a file, and the password it carried. */
function withoutPassword(text: string): { url: string; password: string | undefined } {
  const url = new URL(text);
  const password = url.password
    ? decodeURIComponent(url.password)
    : (url.searchParams.get('password') ?? undefined);
  url.password = '';
  url.searchParams.delete('password');
  return { url: url.href, password };
}

/** Tables and findings, the latter as `cdc up` will see them with the unfit tables left out. */
async function readSource(
  directory: string,
  url: string,
  env: Env,
): Promise<{ tables: FoundTable[]; findings: readonly Finding[] }> {
  const { CDC_CONFIG: _none, ...rest } = env;
  const load = (flags: Record<string, unknown>): LoadedConfig =>
    loadConfig({ cwd: directory, env: rest, flags: { ...flags, 'source.url': url } });
  const inspect = ({ config }: LoadedConfig) =>
    inspectSource({
      config,
      names: namesOf({ config, directory }),
      endpoints: {
        postgres: postgresEndpoint({
          config,
          directory,
          env,
          ports: undefined,
          secrets: undefined,
        }),
      },
    });
  const all = await inspect(load({ 'source.include': ['*.*'], 'source.exclude': [] }));
  const tables = all.tables.map((table) => foundTable(table, all.ofTable.get(table) ?? []));
  const exclude = tables
    .filter((found) => found.excluded)
    .map((found) => escapePattern(found.table));
  const { findings } =
    exclude.length === 0
      ? all
      : await inspect(load({ 'source.include': ['*.*'], 'source.exclude': exclude }));
  return { tables, findings };
}

function foundTable(table: SourceTable, findings: readonly Finding[]): FoundTable {
  const why = findings.filter(
    (finding) => finding.severity === 'error' && !OF_RIGHTS.has(finding.id),
  );
  return {
    table: tableLabel(table),
    key: table.key,
    // 0 is also what the catalog says of a table that was never analyzed.
    rows: table.estimatedRows > 0 ? table.estimatedRows : undefined,
    // The rows of a partitioned table are in its partitions.
    bytes: table.kind === 'p' ? undefined : table.bytes,
    excluded: why.length > 0,
    why,
  };
}

function tableNotes(tables: readonly FoundTable[]): string[] {
  if (tables.length === 0) return ['No table was found.'];
  const width = Math.min(50, Math.max(...tables.map((found) => found.table.length)));
  return [
    'Found (rows as estimated by the last ANALYZE):',
    ...tables.map((found) => `  ${found.table.padEnd(width)}  ${describeTable(found)}`),
  ];
}

export function describeTable(found: FoundTable): string {
  const parts = [
    found.key.length === 0 ? 'no key' : `key ${found.key.join(', ')}`,
    found.rows === undefined ? undefined : `~${formatCount(found.rows)} rows`,
    found.bytes === undefined ? undefined : formatBytes(found.bytes),
    found.excluded ? 'left out' : undefined,
  ];
  return parts.filter((part) => part !== undefined).join(', ');
}
