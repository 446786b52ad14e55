import type { Finding } from '../../core/findings.ts';
import { tableLabel } from '../../core/names.ts';
import type { SourceTable } from '../../core/source.ts';
import { pgIdentShown as pgIdent } from '../../lib/sql.ts';

/**
 * What keeps a table without a usable key from being copied row for row: its changes have to say what
 * the whole row was before.
 */
export function checkMultiset(table: SourceTable, leaveOut: string): Finding[] {
  const subject = tableLabel(table);
  const found: Finding[] = [];
  const lacking = lackingFull(table, pgIdent);
  if (lacking.length > 0 && table.mode === 'append') {
    found.push({
      id: 'append-only',
      severity: 'warning',
      subject,
      message:
        'mode: append copies what is inserted, and PostgreSQL refuses every UPDATE and DELETE of it while it is published: it has no replica identity',
      fix: `${fullStatements(lacking)}  -- if rows of it are ever changed; mode: append has no effect then`,
    });
  } else if (lacking.length > 0) {
    const why = table.keyIsDeferrable
      ? 'its primary key is deferrable, so two rows can have one key for a moment'
      : 'it has no key by which a row can be told from another';
    found.push({
      id: 'identity-not-full',
      severity: 'error',
      subject,
      message: `${why}, and its replica identity is not full, so a change does not say which row it changes`,
      fix: `${fullStatements(lacking)}  -- PostgreSQL writes the whole old row to the WAL then, and refuses UPDATE and DELETE of the table if this is taken back while it is copied; if rows are only ever added, mode: append in its entry of tables: does without; ${leaveOut}`,
    });
  }
  if (table.history)
    found.push({
      id: 'history-without-key',
      severity: 'warning',
      subject,
      message:
        'it has no key by which versions of a row belong together, so its history is not kept',
      fix: `Take history out of its entry in cdc.yaml, or: ALTER TABLE ${pgIdent(table.schema, table.table)} ADD PRIMARY KEY (…);`,
    });
  return found;
}

export function fullStatements(relations: readonly string[]): string {
  return relations.map((name) => `ALTER TABLE ${name} REPLICA IDENTITY FULL;`).join(' ');
}

/** Relations, quoted, whose replica identity has to be full for that, and is not. */
export function lackingFull(
  table: SourceTable,
  quoted: (schema: string, table: string) => string,
): string[] {
  const own = table.replicaIdentity === 'f' ? [] : [quoted(table.schema, table.table)];
  // What counts is the identity of the partition that a row is in; new ones take their parent's.
  return [...own, ...(table.notFull ?? [])];
}
