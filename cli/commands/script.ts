import { loadConfig } from '../config/load.ts';
import { plural } from '../core/problems.ts';
import type { Session } from '../kernel/program.ts';
import { visible } from '../kernel/visible.ts';
import { ownerSql } from '../pipeline/inspect/ownerSql.ts';

/** Prints the script for the owner of the source, and on standard output nothing else: it is piped into psql. */
export async function printScript(
  session: Session,
  options: { readonly source?: string | undefined; readonly role?: string | undefined },
): Promise<undefined> {
  const { context, printer } = session;
  const load = (flags: Record<string, unknown>) =>
    loadConfig({ cwd: context.cwd, env: context.env, file: session.configFile, flags });
  const { source, role } = options;
  const loaded = load(source === undefined ? {} : { 'source.url': source });
  const result = await printer.during('reading the catalog of the source', () =>
    ownerSql(loaded, context.env, { role, configured: load({}).config.source.url }),
  );
  printer.note(
    `for role ${visible(result.role)}, ${plural(result.tables, 'table')}; run it as the owner`,
  );
  printer.script(result, () => result.sql.trimEnd());
  return undefined;
}
