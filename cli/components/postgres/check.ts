import { nestedArrays, planColumn } from '../../core/columns.ts';
import { nameInCopy } from '../../core/ddl.ts';
import type { Finding } from '../../core/findings.ts';
import { tableLabel } from '../../core/names.ts';
import { isMultiset, type SourceColumn, type SourceTable } from '../../core/source.ts';
import { columnYaml, excludeYaml } from '../../core/yaml.ts';
import { pgIdentShown as pgIdent } from '../../lib/sql.ts';
import { checkMultiset, fullStatements, lackingFull } from './checkMultiset.ts';
import { type CheckInput, checkPublication, checkPublished } from './checkPublication.ts';
import { checkServer } from './checkServer.ts';
import { isUsable, type ObservedSource } from './observe.ts';
import { alterPublicationStatement } from './prepare.ts';

/** Everything in the server and of the role that keeps the pipeline from being exact. */
export function checkSource(input: CheckInput): Finding[] {
  return [...checkServer(input), ...checkChosen(input), ...checkRole(input)];
}

function error(id: string, subject: string, message: string, fix: string): Finding {
  return { id, severity: 'error', subject, message, fix };
}

function checkChosen({ tables }: CheckInput): Finding[] {
  if (tables.length > 0) return [];
  return [
    error(
      'no-tables',
      'source',
      'no table matches source.include',
      'Set source.include in cdc.yaml, such as: include: ["public.*"]',
    ),
  ];
}

/** A slot that is gone: nothing is kept for the copy any more, until `cdc apply` makes another. */
export function lostSlot(slot: ObservedSource['slot'], name: string): Finding[] {
  if (isUsable(slot)) return [];
  const fix = 'cdc apply   # makes a new one and loads the tables again';
  return slot
    ? [
        error(
          'slot-lost',
          name,
          slot.passedBy === undefined
            ? 'the replication slot lost WAL that it needed; changes since then cannot be streamed'
            : `changes passed the replication slot by: ${slot.passedBy}`,
          fix,
        ),
      ]
    : [
        error(
          'slot-missing',
          name,
          'the replication slot is not there: changes are not kept for the copy',
          fix,
        ),
      ];
}

function checkRole(input: CheckInput): Finding[] {
  const { observed, names } = input;
  const { role } = observed;
  const found: Finding[] = [];
  if (!role.replication) {
    found.push(
      error(
        'role-replication',
        role.name,
        'the role may not use replication',
        `ALTER ROLE ${pgIdent(role.name)} REPLICATION;  -- on RDS: GRANT rds_replication TO ${pgIdent(role.name)};`,
      ),
    );
  }
  const needsCreate = !observed.publication || !observed.ownTables;
  if (needsCreate && !role.create) {
    found.push(
      error(
        'role-create',
        role.name,
        `the role may not create the publication and the schema ${names.own} in this database`,
        `GRANT CREATE ON DATABASE ${pgIdent(names.database)} TO ${pgIdent(role.name)};  -- or, for a role that owns nothing: cdc init --sql   # prints one script for the owner`,
      ),
    );
  }
  found.push(...checkPublication(input));
  return found;
}

const NEVER_OUT_OF_LINE = new Set(
  'bool int2 int4 int8 float4 float8 oid money date time timetz timestamp timestamptz interval uuid macaddr macaddr8 point line lseg box circle pg_lsn xid xid8 tid name char'.split(
    ' ',
  ),
);

function mayBeOutOfLine(column: SourceColumn): boolean {
  return column.array || (column.typeKind !== 'e' && !NEVER_OUT_OF_LINE.has(column.type));
}

/** The first names that are one without regard to case. */
function namesOfOne(names: readonly string[]): string[] {
  const groups = new Map<string, string[]>();
  for (const name of names)
    groups.set(name.toLowerCase(), [...(groups.get(name.toLowerCase()) ?? []), name]);
  return [...groups.values()].find((group) => group.length > 1) ?? [];
}

/** What keeps one table from being copied exactly. */
export function checkTable(table: SourceTable, input: CheckInput): Finding[] {
  const subject = tableLabel(table);
  const sqlName = pgIdent(table.schema, table.table);
  const leaveOut = `or leave it out in cdc.yaml: ${excludeYaml([table])}`;
  const found: Finding[] = [];
  if (/"/.test(table.schema + table.table)) {
    // Debezium's parser of table names stops at it, for good: the slot still holds the change.
    found.push(
      error(
        'name-not-carried',
        subject,
        'a schema or table name with a double quote stops Debezium',
        `ALTER TABLE ${sqlName} RENAME TO …;  -- ${leaveOut}`,
      ),
    );
  }
  const same = namesOfOne(table.listed ?? table.attributes.map(({ name }) => name));
  if (same.length > 0) {
    found.push(
      error(
        'columns-by-case',
        subject,
        `the names of its columns ${same.join(' and ')} differ by case only: Debezium takes them for one`,
        `ALTER TABLE ${sqlName} RENAME COLUMN ${pgIdent(same.at(-1) ?? '')} TO …;  -- ${leaveOut}`,
      ),
    );
  }
  for (const { name } of table.columns) {
    const called = nameInCopy(name, table);
    if (called === name) continue;
    found.push({
      id: 'column-renamed',
      severity: 'info',
      subject: `${subject}.${name}`,
      message: `in the copy it is called ${called}: ${name} is a name of the copy's own, or one that ClickHouse keeps for itself`,
      fix: 'As it is, nothing is lost.',
    });
  }
  if (isMultiset(table)) {
    found.push(...checkMultiset(table, leaveOut));
  } else if (table.replicaIdentity === 'n') {
    found.push(
      error(
        'replica-identity-nothing',
        subject,
        'its replica identity is nothing: updates and deletes cannot be published',
        `ALTER TABLE ${sqlName} REPLICA IDENTITY DEFAULT;`,
      ),
    );
  }
  if (table.widenedBy) {
    const lacking = lackingFull(table, pgIdent);
    if (lacking.length > 0) {
      found.push(
        error(
          'order-by-identity',
          subject,
          `its order_by has ${table.widenedBy.join(', ')} beside the key, and its replica identity is not full, so an update does not say under which value the old row is stored`,
          `${fullStatements(lacking)}  -- PostgreSQL writes the whole old row to the WAL then; or take ${table.widenedBy.join(', ')} out of order_by in cdc.yaml`,
        ),
      );
    }
  }
  for (const name of table.unpublished) {
    found.push({
      id: 'generated-not-published',
      severity: 'warning',
      subject: `${subject}.${name}`,
      message: 'PostgreSQL does not publish what it computes here: the copy is without this column',
      fix: 'Compute it in a view of ClickHouse, or make it STORED (PostgreSQL 18 publishes that).',
    });
  }
  if (table.unlogged) {
    found.push(
      error(
        'table-unlogged',
        subject,
        'it is unlogged: its changes are not in the WAL',
        `ALTER TABLE ${sqlName} SET LOGGED;  -- ${leaveOut}`,
      ),
    );
  }
  // PostgreSQL compares no composite with a text that has no type.
  const blindKey = table.columns.find((c) => table.key.includes(c.name) && c.typeKind === 'c');
  if (blindKey && table.replicaIdentity !== 'f' && table.columns.some(mayBeOutOfLine)) {
    found.push({
      id: 'key-not-looked-up',
      severity: 'warning',
      subject: `${subject}.${blindKey.name}`,
      message: `a long value that an update leaves as it is is not in the WAL, and cannot be looked up by a key of type ${blindKey.displayType}: such an update would be left out`,
      fix: `ALTER TABLE ${sqlName} REPLICA IDENTITY FULL;`,
    });
  }
  if (table.history && table.replicaIdentity !== 'f' && !isMultiset(table)) {
    const late = table.columns.some(mayBeOutOfLine)
      ? '; a long value that an update leaves as it is is looked up, and may be a later one'
      : '';
    found.push({
      id: 'history-identity',
      severity: 'info',
      subject,
      message: `its history knows of a row before a change only the key${late}`,
      fix: `ALTER TABLE ${sqlName} REPLICA IDENTITY FULL;  -- PostgreSQL writes the whole old row to the WAL then`,
    });
  }
  const planned = table.columns.map(planColumn);
  for (const [i, column] of table.columns.entries()) {
    if (planned[i]) continue;
    found.push(
      error(
        'type-not-carried',
        `${subject}.${column.name}`,
        `what PostgreSQL prints for type ${column.displayType} depends on the session's search_path`,
        `In cdc.yaml: ${columnYaml(table, column.name, 'exclude')}, or text instead of exclude if every session has the same search_path`,
      ),
    );
  }
  for (const name of nestedArrays(planned)) {
    found.push({
      id: 'nested-arrays',
      severity: 'info',
      subject: `${subject}.${name}`,
      message:
        'kept as text: ClickHouse takes arrays whose names have the same beginning before a dot for parts of one Nested, and refuses rows in which they differ in length',
      fix: `As it is, nothing is lost. To have an array: ALTER TABLE ${sqlName} RENAME COLUMN ${pgIdent(name)} TO …;`,
    });
  }
  const rights = input.rights.get(table.oid);
  if (rights && !rights.select) {
    found.push(
      error(
        'table-select',
        subject,
        `role ${input.observed.role.name} may not read it`,
        `GRANT USAGE ON SCHEMA ${pgIdent(table.schema)} TO ${pgIdent(input.observed.role.name)}; GRANT SELECT ON ${sqlName} TO ${pgIdent(input.observed.role.name)};`,
      ),
    );
  }
  const published =
    input.observed.publication?.some((p) => p.schema === table.schema && p.table === table.table) ??
    false;
  // Who adds a table to a publication must own both.
  const { ownsPublication } = input.observed;
  if (rights && !published && (!rights.owner || ownsPublication === false)) {
    const what = rights.owner ? `publication ${input.names.publication}` : 'it';
    found.push(
      error(
        'table-owner',
        subject,
        `role ${input.observed.role.name} does not own ${what} and so cannot add it to the publication`,
        input.observed.publication
          ? `${alterPublicationStatement(input.names.publication, 'ADD', table)};  -- as its owner`
          : `cdc init --sql   # prints one script for the owner: publication, grants, schema ${input.names.own}`,
      ),
    );
  }
  found.push(...checkPublished(table, input));
  return found;
}
