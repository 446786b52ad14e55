import { CDC_SCHEMA, OWN_TABLES, type TableId } from '../../core/names.ts';
import type { PublishedTable } from '../../core/source.ts';
import { pgIdent, pgLiteral } from '../../lib/sql.ts';
import {
  alterPublicationStatement,
  createPublicationStatement,
  ownTableStatements,
} from './prepare.ts';

/** What a role that owns nothing needs in a source, so that it can run the pipeline. */
export interface OwnerScriptInput {
  readonly role: string;
  readonly database: string;
  readonly publication: string;
  readonly slot: string;
  /** Tables that are copied, with their filters. */
  readonly tables: readonly PublishedTable[];
  /** Some of them have stored generated columns, which PostgreSQL 18 publishes when it is told to. */
  readonly generated: boolean;
}

const HEAD = `-- What cdc needs in this database, for its owner (or a superuser) to run once; running it again changes
-- nothing. The role that it makes owns nothing: it reads the copied tables, follows their changes, and writes
-- only to the two tables of schema cdc.`;

/**
 * One complete script: role, grants, schema `cdc` with its tables, publication, default privileges, and how
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
  const later = schemas.map(
    (schema) =>
      `ALTER DEFAULT PRIVILEGES IN SCHEMA ${pgIdent(schema)} GRANT SELECT ON TABLES TO ${name};`,
  );
  const own = OWN_TABLES.map((id) => pgIdent(id.schema, id.table)).join(', ');
  return `${[
    HEAD,
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
    section(
      'Tables to come, of whoever runs this script (for others: ALTER DEFAULT PRIVILEGES FOR ROLE …)',
    ),
    ...later,
    section('The heartbeat, by which cdc knows that changes flow, and signals to Debezium'),
    ...ownTableStatements().map((statement) => `${statement};`),
    `GRANT USAGE ON SCHEMA ${pgIdent(CDC_SCHEMA)} TO ${name};`,
    `GRANT SELECT, INSERT, UPDATE, DELETE ON ${own} TO ${name};`,
    section('The publication: exactly the tables that are copied'),
    publicationBlock(input),
    section('To undo all of it, once cdc is stopped:'),
    ...undo(input, schemas).map((line) => `-- ${line}`),
  ].join('\n')}\n`;
}

function section(title: string): string {
  return `\n-- ${title}`;
}

/** Its quotes are no part of any name: a name can hold everything but NUL. */
function block(lines: readonly string[]): string {
  const body = lines.map((line) => `  ${line}`).join('\n');
  let tag = '$cdc$';
  for (let n = 1; body.includes(tag); n += 1) tag = `$cdc${n}$`;
  return `DO ${tag} BEGIN\n${body}\nEND ${tag};`;
}

function publicationBlock({ publication, tables, generated }: OwnerScriptInput): string {
  const all: readonly PublishedTable[] = [...tables, ...OWN_TABLES];
  const has = (id: TableId) =>
    `EXISTS (SELECT FROM pg_publication_tables WHERE pubname = ${pgLiteral(publication)} AND schemaname = ${pgLiteral(id.schema)} AND tablename = ${pgLiteral(id.table)})`;
  return block([
    `IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = ${pgLiteral(publication)}) THEN`,
    `  ${createPublicationStatement(publication, all, generated)};`,
    'END IF;',
    ...all.flatMap((id) => [
      `IF NOT ${has(id)} THEN`,
      `  ${alterPublicationStatement(publication, 'ADD', id)};`,
      'END IF;',
    ]),
  ]);
}

function undo({ role, publication, slot }: OwnerScriptInput, schemas: readonly string[]): string[] {
  const name = pgIdent(role);
  return [
    `SELECT pg_drop_replication_slot(${pgLiteral(slot)});  -- a slot that nobody reads keeps WAL`,
    `DROP PUBLICATION ${pgIdent(publication)};`,
    `DROP SCHEMA ${pgIdent(CDC_SCHEMA)} CASCADE;`,
    ...schemas.map(
      (schema) =>
        `ALTER DEFAULT PRIVILEGES IN SCHEMA ${pgIdent(schema)} REVOKE SELECT ON TABLES FROM ${name};`,
    ),
    `DROP OWNED BY ${name};  -- what was granted to it here`,
    `DROP ROLE ${name};`,
  ].flatMap((statement) => statement.split('\n'));
}
