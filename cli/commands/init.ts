import { relative, resolve } from 'node:path';
import { CONFIG_FILE } from '../config/load.ts';
import { oneLine } from '../config/template.ts';
import { plural } from '../core/problems.ts';
import type { Printer } from '../kernel/printer.ts';
import { type CommandSpec, UsageError } from '../kernel/program.ts';
import { formatBytes, formatCount } from '../lib/format.ts';
import { type InitResult, writeConfig } from '../pipeline/inspect/init.ts';
import { printScript } from './script.ts';

export const init: CommandSpec = {
  usage: 'init',
  summary: 'write a commented cdc.yaml, from the catalog of a database if one is named',
  examples: [
    'cdc init',
    'CDC_SOURCE_PASSWORD=… cdc init --source postgres://me@db.example.com/shop',
    'cdc init --sql --source postgres://owner@db.example.com/shop | psql postgres://owner@db.example.com/shop',
  ],
  options: [
    {
      flags: '--source <url>',
      description: 'the PostgreSQL to copy; it is read, not changed',
      parse: parseSource,
    },
    {
      flags: '--sql',
      description:
        'print one script for the owner of the database instead: role, grants, schema cdc, publication, and how to undo them; for the tables that cdc.yaml chooses, or all',
    },
    {
      flags: '--role <name>',
      description:
        'with --sql: the role that shall run the pipeline (default: the user of source.url in cdc.yaml, else cdc)',
    },
  ],
  async run(session, _args, options) {
    if (options.sql === true)
      return printScript(session, {
        source: options.source as string | undefined,
        role: options.role as string | undefined,
      });
    if (options.role !== undefined) throw new UsageError('--role goes with --sql');
    const { context, printer } = session;
    const path = resolve(context.cwd, session.configFile ?? context.env.CDC_CONFIG ?? CONFIG_FILE);
    const file = relative(context.cwd, path) || path;
    const result = await printer.during('reading the catalog of the source', () =>
      writeConfig(path, file, options.source as string | undefined, context.env),
    );
    if (result.password_file) {
      printer.note(
        `The password of the URL is in ${result.password_file} (readable by you only), not in ${file}.`,
      );
    }
    printer.result(result, () => initText(printer, result));
    return undefined;
  },
};

function parseSource(text: string): string {
  const isUrl =
    /^postgres(ql)?:\/\//.test(text) && URL.canParse(text) && !/%(?![0-9A-Fa-f]{2})/.test(text);
  // The text can hold a password, so it is not repeated.
  if (!isUrl) {
    throw new UsageError(
      '--source takes postgres://user@host:port/database; characters such as @ : / in a user or password must be %-encoded',
    );
  }
  return text;
}

function initText(printer: Printer, result: InitResult): string {
  const { paint } = printer;
  const copied = result.tables.filter((found) => !found.excluded).length;
  const left = result.tables.length - copied;
  const what =
    result.tables.length === 0
      ? ''
      : `: ${plural(copied, 'table')} to copy${left > 0 ? `, ${left} left out` : ''}`;
  const rows = result.tables.map((found) => [
    oneLine(found.table),
    oneLine(found.key.join(', ')) || 'none',
    found.rows === undefined ? '' : `~${formatCount(found.rows)}`,
    found.bytes === undefined ? '' : formatBytes(found.bytes),
    found.why.map((finding) => finding.id).join(', '),
  ]);
  const lines = [`${paint.green('✔')} ${paint.bold(`${result.file} written`)}${what}`];
  if (rows.length > 0)
    lines.push(printer.table(['table', 'key', 'rows', 'size', 'left out because'], rows));
  if (result.findings.length > 0)
    lines.push('', paint.bold('before cdc up:'), printer.findings(result.findings));
  lines.push(`  next: ${paint.cyan(result.findings.length > 0 ? 'cdc doctor' : 'cdc up')}`);
  return lines.join('\n');
}
