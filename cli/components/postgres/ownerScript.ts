import { ownTablesOf, type TableId } from '../../core/names.ts';
import type { PublishedTable } from '../../core/source.ts';
import { pgIdent, pgIdentShown, pgLiteral } from '../../lib/sql.ts';
import { FILTERS_SINCE } from './filter.ts';
import {
  alterPublicationStatement,
  createPublicationStatement,
  filterPublicationStatement,
  ownTableGrants,
  ownTableStatements,
  publishAllStatement,
  publishGeneratedStatement,
} from './prepare.ts';

/** What a role that owns nothing needs in a source, so that it can run the pipeline. */
export interface OwnerScriptInput {
  readonly role: string;
  readonly database: string;
  readonly publication: string;
  readonly slot: string;
  /** The pipeline's own schema. */
  readonly own: string;
  /** Tables that are copied, with their filters and columns. */
  readonly tables: readonly PublishedTable[];
  /** Relations of tables without a key, quoted, whose replica identity has to be made full. */
  readonly identities: readonly string[];
  /** Tables that are chosen and not in the script, each with the reason. */
  readonly omitted: readonly { readonly table: string; readonly why: string }[];
  /** Of the server, as PostgreSQL numbers it. */
  readonly version: number;
  /** Some of them have stored generated columns, which PostgreSQL 18 publishes when it is told to. */
  readonly generated: boolean;
}

const headOf = (
  own: string,
) => `-- What cdc needs in this database, for its owner (or a superuser) to run once; running it again changes
-- nothing. The role that it makes owns nothing: it reads the copied tables, follows their changes, and writes
-- only to the two tables of schema ${own}.`;

/**
 * One complete script: role, grants, a schema with our own tables, publication, default privileges, and how
 * to undo it. It can be run twice. No password is in it.
 */
export function ownerScript(input: OwnerScriptInput): string {
  const { role, database, tables } = input;
  const name = pgIdent(role);
  const schemas = [...new Set(tables.map(({ schema }) => schema))];
  const grants = schemas.flatMap((schema) => [
    `GRANT USAGE ON SCHEMA ${pgIdent(schema)} TO ${name};`,
    ...tables
      .filter((id) => id.schema === schema)
      .map((id) => `GRANT SELECT ON ${pgIdent(id.schema, id.table)} TO ${name};`),
  ]);
  return `${[
    headOf(input.own),
    section('The role. Give it a password: \\password in psql, or ALTER ROLE … PASSWORD'),
    block([
      `IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ${pgLiteral(role)}) THEN`,
      `  CREATE ROLE ${name} LOGIN;`,
      'END IF;',
    ]),
    '-- On Amazon RDS instead: GRANT rds_replication TO the role.',
    block([
      `IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ${pgLiteral(role)} AND (rolreplication OR rolsuper)) THEN`,
      `  ALTER ROLE ${name} REPLICATION;`,
      'END IF;',
    ]),
    section('What it may read'),
    `GRANT CONNECT ON DATABASE ${pgIdent(database)} TO ${name};`,
    ...grants,
    section('Tables to come: of whoever runs this script, and of owners whom they may act for'),
    ...schemas.map((schema) => defaultPrivileges(schema, role)),
    section('The heartbeat, by which cdc knows that changes flow, and signals to Debezium'),
    ...ownTableStatements(input.own).map((statement) => `${statement};`),
    ...ownTableGrants(role, input.own).map((statement) => `${statement};`),
    ...identities(input),
    section('The publication: exactly the tables that are copied'),
    publicationBlock(input),
    ...omissions(input),
    section('To undo all of it, once cdc is stopped:'),
    ...undo(input).map((line) => `-- ${line}`),
  ].join('\n')}\n`;
}

function section(title: string): string {
  return `\n-- ${title}`;
}

/** Its quotes are no part of any name: a name can hold everything but NUL. */
function block(lines: readonly string[], declare = ''): string {
  const body = lines.map((line) => `  ${line}`).join('\n');
  let tag = '$cdc$';
  for (let n = 1; body.includes(tag); n += 1) tag = `$cdc${n}$`;
  return `DO ${tag} ${declare}BEGIN\n${body}\nEND ${tag};`;
}

/** Who makes tables there later is who made those that are there; the statement takes one role at a time. */
function defaultPrivileges(schema: string, role: string): string {
  return block(
    [
      'FOR owner IN',
      '  SELECT current_user UNION SELECT pg_get_userbyid(c.relowner) FROM pg_class c',
      `   WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = ${pgLiteral(schema)})`,
      "     AND c.relkind IN ('r', 'p') AND pg_has_role(c.relowner, 'USAGE')",
      'LOOP',
      `  EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT SELECT ON TABLES TO %I', owner, ${pgLiteral(schema)}, ${pgLiteral(role)});`,
      'END LOOP;',
    ],
    'DECLARE owner name; ',
  );
}

/** Before they are published: PostgreSQL would refuse updates of them then. */
function identities({ identities: relations }: OwnerScriptInput): string[] {
  if (relations.length === 0) return [];
  return [
    section(
      'Tables without a key: of a change PostgreSQL has to write the whole old row to the WAL',
    ),
    block(
      relations.flatMap((name) => [
        `IF EXISTS (SELECT FROM pg_class WHERE oid = ${pgLiteral(name)}::regclass AND relreplident <> 'f') THEN`,
        `  ALTER TABLE ${name} REPLICA IDENTITY FULL;`,
        'END IF;',
      ]),
    ),
  ];
}

function omissions({ omitted }: OwnerScriptInput): string[] {
  if (omitted.length === 0) return [];
  const oneLine = (text: string) => text.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ');
  return [
    section('Not in it, since they cannot be copied as they are:'),
    ...omitted.map(({ table, why }) => oneLine(`-- ${table}: ${why}`)),
  ];
}

function publicationBlock(input: OwnerScriptInput): string {
  const { publication, tables, generated, version } = input;
  const all: readonly PublishedTable[] = [...tables, ...ownTablesOf(input.own)];
  const member = (id: TableId) =>
    `EXISTS (SELECT FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.pubname = ${pgLiteral(publication)} AND n.nspname = ${pgLiteral(id.schema)} AND c.relname = ${pgLiteral(id.table)}`;
  const other = (id: PublishedTable) =>
    `(pg_get_expr(r.prqual, r.prrelid) IS DISTINCT FROM ${id.where === undefined ? 'NULL' : pgLiteral(id.where)} OR ${otherColumns(id)})`;
  const isLacking = (condition: string) =>
    `IF EXISTS (SELECT FROM pg_publication WHERE pubname = ${pgLiteral(publication)} AND NOT (${condition})) THEN`;
  const hasFilters = version >= FILTERS_SINCE;
  return block([
    // A filter's constants are printed as the session says; these are the settings they were read with.
    ...(hasFilters
      ? ["DateStyle', 'ISO, MDY", "IntervalStyle', 'postgres", "TimeZone', 'UTC"].map(
          (setting) => `PERFORM set_config('${setting}', true);`,
        )
      : []),
    `IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = ${pgLiteral(publication)}) THEN`,
    `  ${createPublicationStatement(publication, all, generated)};`,
    'END IF;',
    ...all.flatMap((id) => [
      `IF NOT ${member(id)}) THEN`,
      `  ${alterPublicationStatement(publication, 'ADD', id)};`,
      ...(hasFilters
        ? [
            `ELSIF ${member(id)} AND ${other(id)}) THEN`,
            `  ${filterPublicationStatement(publication, id)};`,
          ]
        : []),
      'END IF;',
    ]),
    isLacking('pubinsert AND pubupdate AND pubdelete AND pubtruncate AND pubviaroot'),
    `  ${publishAllStatement(publication)};`,
    'END IF;',
    ...(generated
      ? [isLacking("pubgencols = 's'"), `  ${publishGeneratedStatement(publication)};`, 'END IF;']
      : []),
  ]);
}

function otherColumns({ listed }: PublishedTable): string {
  if (!listed) return 'r.prattrs IS NOT NULL';
  return `ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs::int2[]) ORDER BY a.attnum) <> ARRAY[${listed.map(pgLiteral).join(', ')}]`;
}

/** Comments end at a carriage return, too: names are shown without any. */
function undo({ role, publication, slot, own, identities: relations }: OwnerScriptInput): string[] {
  const name = pgIdentShown(role);
  return [
    `SELECT pg_drop_replication_slot(${pgLiteral(slot)});  -- a slot that nobody reads keeps WAL`,
    `DROP PUBLICATION ${pgIdentShown(publication)};`,
    `DROP SCHEMA ${pgIdentShown(own)} CASCADE;`,
    ...relations.map((table) => `ALTER TABLE ${table} REPLICA IDENTITY DEFAULT;`),
    `GRANT ${name} TO CURRENT_USER;  -- only for the next line, which a superuser may run without`,
    `DROP OWNED BY ${name};  -- what was granted to it here, of tables to come, too`,
    `DROP ROLE ${name};`,
  ].flatMap((statement) => statement.split(/[\r\n]/));
}
