import { lackingFull } from '../../components/postgres/checkMultiset.ts';
import { ownerScript } from '../../components/postgres/ownerScript.ts';
import type { LoadedConfig } from '../../config/load.ts';
import { tableLabel } from '../../core/names.ts';
import { Problem } from '../../core/problems.ts';
import { isMultiset, type SourceTable } from '../../core/source.ts';
import { pgIdent } from '../../lib/sql.ts';
import { postgresEndpoint } from '../../runtimes/resolve.ts';
import { namesOf } from '../../stack/names.ts';
import { inspectSource } from './source.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** What a script grants or alters: no reason to leave a table out of it. */
export const OF_RIGHTS: ReadonlySet<string> = new Set([
  'table-select',
  'table-owner',
  'identity-not-full',
  'filter-owner',
  'list-owner',
  'publication-generated',
  'publication-partitions',
]);

/** The name of the role where neither the option nor cdc.yaml says one. */
const ROLE = 'cdc';

/**
 * The script for the owner of the source that cdc.yaml names, for the tables that it chooses and that can be
 * copied. Reads the catalog, as whoever is connected, and changes nothing.
 *
 * @param role who shall run the pipeline; by default the user of source.url in cdc.yaml.
 */
export async function ownerSql(
  loaded: LoadedConfig,
  env: Env,
  options: { readonly role: string | undefined; readonly configured: string | undefined },
): Promise<{ role: string; tables: number; sql: string }> {
  const { config, directory } = loaded;
  if (config.source.url === undefined)
    throw new Problem('SOURCE_NOT_NAMED', { detail: 'Neither cdc.yaml nor --source names one.' });
  const named = options.configured && decodeURIComponent(new URL(options.configured).username);
  const role = options.role ?? (named || ROLE);
  const postgres = postgresEndpoint({
    config,
    directory,
    env,
    ports: undefined,
    secrets: undefined,
  });
  const names = namesOf(loaded);
  const access = { config, names, endpoints: { postgres } };
  const { observed, tables, ofTable } = await inspectSource(access, new Map(), { forOwner: true });
  const obstacles = (table: SourceTable) =>
    (ofTable.get(table) ?? []).filter((f) => f.severity === 'error' && !OF_RIGHTS.has(f.id));
  const copied = tables.filter((table) => obstacles(table).length === 0);
  if (copied.length === 0)
    throw new Problem('SOURCE_NOT_NAMED', { detail: 'It has no table that can be copied.' });
  const sql = ownerScript({
    role,
    database: postgres.database,
    publication: names.publication,
    slot: names.slot,
    own: names.own,
    tables: copied,
    identities: copied
      .filter((table) => isMultiset(table) && table.mode !== 'append')
      .flatMap((table) => lackingFull(table, pgIdent)),
    omitted: tables
      .filter((table) => !copied.includes(table))
      .map((table) => ({
        table: tableLabel(table),
        why: obstacles(table)
          .map(({ message }) => message)
          .join('; '),
      })),
    version: observed.version,
    generated: copied.some((table) => table.hasGenerated),
  });
  return { role, tables: copied.length, sql };
}
