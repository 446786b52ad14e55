import type pg from 'pg';
import type { Finding } from '../../core/findings.ts';
import { tableLabel, tableLabelKey } from '../../core/names.ts';
import {
  isMultiset,
  type PublishedTable,
  type SourceTable,
  sameColumns,
} from '../../core/source.ts';
import { pgIdentShown as pgIdent } from '../../lib/sql.ts';
import { FILTERS_SINCE } from './filter.ts';
import type { ObservedSource } from './observe.ts';
import { alterPublicationStatement, filterPublicationStatement } from './prepare.ts';

/**
 * Column lists of publications. What cdc.yaml excludes is not sent at all where the publication names the other
 * columns. PostgreSQL then refuses every UPDATE and DELETE of a row whose replica identity has a column that is
 * not named: where that would be so there is no list, and Kafka Connect drops the values.
 */
export interface ListInput {
  readonly observed: ObservedSource;
  readonly tables: readonly SourceTable[];
  readonly publication: string;
  /** source.column_lists of cdc.yaml. */
  readonly isOn: boolean;
  /** For whoever owns the publication: as it should be, and not as it is. */
  readonly forOwner: boolean;
}

interface Listed {
  readonly table: SourceTable;
  readonly findings: readonly Finding[];
}

/** The tables with the columns that the publication is to name, and what is to be told about each. */
export async function listColumns(
  client: pg.ClientBase,
  input: ListInput,
): Promise<{ tables: SourceTable[]; findings: Map<number, readonly Finding[]> }> {
  const listed: Listed[] = [];
  for (const table of input.tables) {
    const obstacle = await obstacleTo(client, table, input);
    listed.push(listOf(table, obstacle, input));
  }
  return {
    tables: listed.map(({ table }) => table),
    findings: new Map(listed.map(({ table, findings }) => [table.oid, findings])),
  };
}

interface Obstacle {
  readonly why: string;
  readonly fix: string;
  /** With a list PostgreSQL would refuse UPDATE and DELETE. */
  readonly refuses?: boolean;
}

/** Columns that a list would have. */
function sentColumns({ attributes, excluded }: SourceTable): string[] {
  return attributes
    .filter(({ name, isPublished }) => isPublished && !excluded.includes(name))
    .map(({ name }) => name);
}

/** Why there can be no list; undefined where there can, and where there is nothing to keep back. */
async function obstacleTo(
  client: pg.ClientBase,
  table: SourceTable,
  { observed, isOn }: ListInput,
): Promise<Obstacle | undefined> {
  if (table.excluded.length === 0) return undefined;
  if (observed.version < FILTERS_SINCE) {
    const major = Math.floor(observed.version / 10_000);
    const why = `PostgreSQL ${major} cannot name columns in a publication; 15 and newer can`;
    return { why, fix: 'Upgrade PostgreSQL.' };
  }
  if (!isOn)
    return {
      why: 'source.column_lists is false in cdc.yaml',
      fix: 'In cdc.yaml: source: { column_lists: true }',
    };
  const identity = 'REPLICA IDENTITY DEFAULT;  -- if nothing needs the whole old row';
  const name = pgIdent(table.schema, table.table);
  if (isMultiset(table) && table.mode !== 'append')
    return {
      why: 'it has no key, so its changes have to say what the whole row was',
      fix: `ALTER TABLE ${name} ADD PRIMARY KEY (…); ALTER TABLE ${name} ${identity}`,
      refuses: true,
    };
  if (table.kind === 'r' && table.replicaIdentity === 'f')
    return {
      why: 'its replica identity is full, which needs every column',
      fix: `ALTER TABLE ${name} ${identity}`,
      refuses: true,
    };
  const partition =
    table.kind === 'p' ? await uncoveredPartition(client, table, sentColumns(table)) : undefined;
  if (partition === undefined) return undefined;
  return {
    why: `the replica identity of its partition ${partition} needs what is excluded`,
    fix: `ALTER TABLE ${partition} ${identity}`,
    refuses: true,
  };
}

/** What counts is the identity of the partition that a row is in. */
async function uncoveredPartition(
  client: pg.ClientBase,
  table: SourceTable,
  columns: readonly string[],
): Promise<string | undefined> {
  const found = await client.query<{ schema: string; partition: string }>(
    `SELECT n.nspname AS schema, c.relname AS partition
       FROM pg_partition_tree($1::oid) t JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE t.isleaf AND c.relkind = 'r'
        AND (c.relreplident = 'f' OR EXISTS (
          SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
           WHERE i.indrelid = c.oid AND a.attname <> ALL ($2::text[])
             AND CASE c.relreplident WHEN 'd' THEN i.indisprimary AND i.indimmediate
                                     WHEN 'i' THEN i.indisreplident ELSE false END))
      ORDER BY 1, 2 LIMIT 1`,
    [table.oid, columns],
  );
  const [row] = found.rows;
  return row && pgIdent(row.schema, row.partition);
}

function listOf(table: SourceTable, obstacle: Obstacle | undefined, input: ListInput): Listed {
  const { observed, publication, forOwner } = input;
  const isNeeded = table.excluded.length > 0 && obstacle === undefined;
  const wanted: SourceTable = isNeeded ? { ...table, listed: sentColumns(table) } : table;
  const present = forOwner ? undefined : memberOfOthers(observed, table);
  // Nobody else has to be asked for what is there.
  if (!present || sameColumns(present.listed, wanted.listed)) {
    const findings = obstacle ? [reachesConnect(table, obstacle)] : priceOf(wanted, publication);
    return { table: wanted, findings };
  }
  return ofOthers(wanted, present, obstacle, input);
}

function memberOfOthers(observed: ObservedSource, id: SourceTable): PublishedTable | undefined {
  if (observed.ownsPublication !== false) return undefined;
  const key = tableLabelKey(id);
  return observed.publication?.find((one) => tableLabelKey(one) === key);
}

/** A list that this role may not change is taken as it is, if it has what is to be copied. */
function ofOthers(
  wanted: SourceTable,
  present: PublishedTable,
  obstacle: Obstacle | undefined,
  { observed, publication }: ListInput,
): Listed {
  const { listed: _, ...plain } = wanted;
  const table: SourceTable = present.listed ? { ...plain, listed: present.listed } : plain;
  const fix = `${filterPublicationStatement(publication, wanted)};  -- as its owner`;
  const has = new Set(present.listed ?? sentColumns({ ...wanted, excluded: [] }));
  const lacking = wanted.columns.filter(({ name }) => !has.has(name));
  if (lacking.length > 0) {
    const names = lacking.map(({ name }) => pgIdent(name)).join(', ');
    const message = `publication ${publication} sends it without ${names}, and role ${observed.role.name} may not change that`;
    return {
      table,
      findings: [
        { id: 'list-owner', severity: 'error', subject: tableLabel(wanted), message, fix },
      ],
    };
  }
  if (present.listed && obstacle?.refuses) {
    const message = `PostgreSQL refuses UPDATE and DELETE of its rows: publication ${publication} names its columns, and ${obstacle.why}`;
    const subject = tableLabel(wanted);
    return {
      table,
      findings: [{ id: 'list-identity', severity: 'warning', subject, message, fix }],
    };
  }
  const isSent = wanted.excluded.some((name) => has.has(name));
  if (!isSent) return { table, findings: priceOf(table, publication) };
  const why = `publication ${publication} sends them, and role ${observed.role.name} may not change it`;
  return { table, findings: [reachesConnect(wanted, obstacle ?? { why, fix })] };
}

function reachesConnect(table: SourceTable, { why, fix }: Obstacle): Finding {
  const names = table.excluded.map((name) => pgIdent(name)).join(', ');
  return {
    id: 'excluded-reaches-connect',
    severity: 'info',
    subject: tableLabel(table),
    message: `PostgreSQL sends the values of ${names} as far as Kafka Connect, which drops them: ${why}`,
    fix,
  };
}

/** What an application has to know before it alters the table. */
function priceOf(table: SourceTable, publication: string): Finding[] {
  if (!table.listed || table.excluded.length === 0) return [];
  const take = alterPublicationStatement(publication, 'DROP', table);
  return [
    {
      id: 'columns-listed',
      severity: 'info',
      subject: tableLabel(table),
      message: `publication ${publication} names its columns, so that excluded values stay in PostgreSQL; PostgreSQL therefore refuses DROP COLUMN and ALTER COLUMN … TYPE of the others, and UPDATE and DELETE while its replica identity is full or has an excluded column`,
      fix: `ALTER TABLE ${pgIdent(table.schema, table.table)} DROP COLUMN … CASCADE;  -- or, before any of these and in the same transaction: ${take}; the agent or cdc apply takes the table in again and loads it. Without column lists: source: { column_lists: false } in cdc.yaml`,
    },
  ];
}
