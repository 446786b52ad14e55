import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { Finding } from '../../core/findings.ts';
import { type TableId, tableLabel, tableLabelKey } from '../../core/names.ts';
import type { PublishedTable, SourceTable } from '../../core/source.ts';
import { patternOf } from '../../core/tableFilter.ts';
import { yamlString } from '../../core/yaml.ts';
import { pgIdent } from '../../lib/sql.ts';

/**
 * Row filters of publications. What cdc.yaml says is the user's text: PostgreSQL parses it, and from
 * then on only what PostgreSQL prints for it is used, which means the same in every session and
 * cannot break out of its parentheses.
 */

export const FILTERS_SINCE = 150_000;
/** CREATE PUBLICATION waits for a VACUUM of the table; a check does not wait long. */
const LOCK_TIMEOUT = '5s';

/** A condition that PostgreSQL has parsed, and the columns that it uses. */
interface Parsed {
  readonly where: string;
  readonly columns: readonly string[];
}

/** What of the source is asked here. */
interface Published {
  readonly version: number;
  readonly publication: readonly PublishedTable[] | undefined;
  readonly ownsPublication: boolean | undefined;
  readonly role: { readonly name: string };
}

export interface FilterInput {
  readonly observed: Published;
  readonly tables: readonly SourceTable[];
  readonly names: { readonly publication: string; readonly database: string };
}

/** The tables with their conditions as PostgreSQL prints them; what is wrong with those, by table. */
export async function parseFilters(
  client: pg.ClientBase,
  input: FilterInput,
): Promise<{ tables: SourceTable[]; findings: Map<number, Finding[]> }> {
  const findings = new Map<number, Finding[]>();
  const tables: SourceTable[] = [];
  for (const table of input.tables) {
    const read = table.where === undefined ? undefined : await parseFilter(client, table, input);
    tables.push(read?.table ?? table);
    if (read) findings.set(table.oid, read.findings);
  }
  return { tables, findings };
}

async function parseFilter(
  client: pg.ClientBase,
  table: SourceTable,
  { observed, names }: FilterInput,
): Promise<{ table: SourceTable; findings: Finding[] }> {
  const text = table.where ?? '';
  const subject = tableLabel(table);
  const shown = yamlString(patternOf(table));
  const error = (id: string, message: string, fix: string, about = subject): Finding => ({
    id,
    severity: 'error',
    subject: about,
    message,
    fix,
  });
  if (observed.version < FILTERS_SINCE) {
    const found = `PostgreSQL ${Math.floor(observed.version / 10_000)} has no row filters; 15 and newer have`;
    const fix = `Remove where of tables: ${shown} from cdc.yaml, or upgrade PostgreSQL.`;
    return { table, findings: [error('filter-version', found, fix)] };
  }
  let isParsed = false;
  try {
    const published = publishedFilter(observed, table);
    const same = await isSameCondition(client, table, text, published);
    isParsed = true;
    const parsed =
      published !== undefined && same
        ? { where: published, columns: await columnsUsed(client, names.publication, table) }
        : await tryFilter(client, table, text);
    const uncovered = await uncoveredBy(client, table, parsed.columns);
    return {
      table: { ...table, where: parsed.where },
      findings: uncovered.map(({ relation, columns }) =>
        error(
          'filter-identity',
          `the filter of ${subject} uses ${columns.join(', ')}, which its replica identity lacks: PostgreSQL would refuse every UPDATE and DELETE`,
          `ALTER TABLE ${pgIdent(relation.schema, relation.table)} REPLICA IDENTITY FULL;  -- or USING INDEX, a unique one over NOT NULL columns that has ${columns.join(', ')}, too`,
          tableLabel(relation),
        ),
      ),
    };
  } catch (cause) {
    if (!(cause instanceof pg.DatabaseError) || isPassing(cause)) throw cause;
    const isRefused = cause.code === '42501';
    // Who may not try a filter may not set it either: that is found of the table, with the statement.
    if (isRefused && isParsed && observed.ownsPublication !== true)
      return { table: { ...table, where: closed(text) }, findings: [] };
    // Some of them quote the statement.
    const parts = [cause.message, cause.detail, cause.hint].filter((part) => part !== undefined);
    const sentence = parts.join(': ').replaceAll(/\s+/g, ' ');
    const role = pgIdent(observed.role.name);
    const refusedFix = isParsed
      ? `GRANT CREATE ON DATABASE ${pgIdent(names.database)} TO ${role};  -- the role must own the table, too: the filter belongs to the publication`
      : `GRANT USAGE ON SCHEMA ${pgIdent(table.schema)} TO ${role}; GRANT SELECT ON ${pgIdent(table.schema, table.table)} TO ${role};`;
    const fix = isRefused
      ? refusedFix
      : `Correct where of tables: ${shown} in cdc.yaml; it may use columns of the table, operators and immutable functions of PostgreSQL itself.`;
    const finding = error('filter-invalid', `PostgreSQL refuses its filter: ${sentence}`, fix);
    return { table, findings: [finding] };
  }
}

/** A comment at its end must not swallow the parenthesis. */
function closed(text: string): string {
  return text.includes('--') ? `${text}\n` : text;
}

/** The server's state and not the condition: shutdown, locks, memory. */
function isPassing({ code = '' }: pg.DatabaseError): boolean {
  return /^(08[^P]|53|55|57|58|40)/.test(code);
}

function publishedFilter(observed: Published, table: SourceTable): string | undefined {
  const key = tableLabelKey(table);
  return observed.publication?.find((id) => tableLabelKey(id) === key)?.where;
}

/** One statement only, whatever the text holds: the simple protocol would run several. */
function single(text: string): pg.QueryConfig {
  return { text, queryMode: 'extended' } as pg.QueryConfig;
}

async function rolledBack<T>(
  client: pg.ClientBase,
  begin: string,
  work: () => Promise<T>,
): Promise<T> {
  await client.query(begin);
  try {
    return await work();
  } finally {
    await client.query('ROLLBACK');
  }
}

/**
 * Has PostgreSQL parse the text, and compares it with a condition that was parsed before. The text
 * stands in one pair of parentheses and in two: what fits both cannot leave the inner one of two.
 * The comparison is of what the planner makes of both, in one plan.
 */
async function isSameCondition(
  client: pg.ClientBase,
  table: SourceTable,
  text: string,
  other: string | undefined,
): Promise<boolean> {
  // A comment at its end must not swallow the parenthesis.
  const conditions = [`${text}\n`, ...(other === undefined ? [] : [other])];
  const output = conditions.map((condition) => `((${condition}) IS TRUE)`).join(', ');
  const explain = `EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) SELECT ${output} FROM ONLY ${pgIdent(table.schema, table.table)} WHERE (${text}\n)`;
  const found = await rolledBack(client, 'BEGIN READ ONLY', () =>
    client.query<{ 'QUERY PLAN': string }>(single(explain)),
  );
  const [plan] = JSON.parse(found.rows[0]?.['QUERY PLAN'] ?? '[]') as {
    Plan: { Output: string[] };
  }[];
  const [mine, others] = plan?.Plan.Output ?? [];
  return mine !== undefined && mine === others;
}

/** What PostgreSQL makes of the text as a publication's filter, in a transaction that is rolled back. */
async function tryFilter(client: pg.ClientBase, table: SourceTable, text: string): Promise<Parsed> {
  const name = `cdc_trial_${randomUUID()}`;
  return rolledBack(client, 'BEGIN', async () => {
    await client.query(`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`);
    const create = `CREATE PUBLICATION ${pgIdent(name)} FOR TABLE ONLY ${pgIdent(table.schema, table.table)} WHERE (${text}\n) WITH (publish_via_partition_root = true)`;
    await client.query(single(create));
    const [found] = await publishedTables(client, name, FILTERS_SINCE);
    return { where: found?.where ?? 'true', columns: await columnsUsed(client, name, table) };
  });
}

/** Tables of a publication, with their filters and the columns that it names. */
export async function publishedTables(
  client: pg.ClientBase,
  publication: string,
  version: number,
): Promise<PublishedTable[]> {
  const hasBoth = version >= FILTERS_SINCE;
  const where = hasBoth ? 'pg_get_expr(r.prqual, r.prrelid)' : 'NULL';
  const listed = hasBoth
    ? '(SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs::int2[]))'
    : 'NULL';
  const found = await client.query<{
    schema: string;
    table: string;
    where: string | null;
    listed: string | null;
  }>(
    `SELECT n.nspname AS schema, c.relname AS "table", ${where} AS "where", ${listed} AS listed
       FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
       JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE p.pubname = $1 ORDER BY 1, 2`,
    [publication],
  );
  return found.rows.map(({ schema, table, ...row }) => ({
    schema,
    table,
    ...(row.where === null ? {} : { where: row.where }),
    ...(row.listed === null ? {} : { listed: JSON.parse(row.listed) as string[] }),
  }));
}

/** Of the filter alone: what the publication depends on are the columns that it names, too. */
async function columnsUsed(
  client: pg.ClientBase,
  publication: string,
  table: SourceTable,
): Promise<string[]> {
  const found = await client.query<{ name: string }>(
    `SELECT a.attname AS name
       FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
       JOIN pg_attribute a ON a.attrelid = r.prrelid AND a.attnum > 0
        AND a.attnum IN (SELECT m[1]::int2 FROM regexp_matches(r.prqual::text, ':varattno (\\d+)', 'g') m)
      WHERE p.pubname = $1 AND r.prrelid = $2::oid`,
    [publication, table.oid],
  );
  return found.rows.map((row) => row.name);
}

/** Relations of the table whose replica identity lacks some of the columns; partitions have their own. */
async function uncoveredBy(
  client: pg.ClientBase,
  table: SourceTable,
  columns: readonly string[],
): Promise<{ relation: TableId; columns: string[] }[]> {
  const found = await client.query<{ schema: string; relation: string; columns: string }>(
    `SELECT n.nspname AS schema, c.relname AS relation, json_agg(used.name ORDER BY used.name) AS columns
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      CROSS JOIN unnest($2::text[]) AS used(name)
      WHERE (c.oid = $1::oid AND c.relkind = 'r'
             OR c.oid IN (SELECT t.relid FROM pg_partition_tree($1::oid) t WHERE t.isleaf))
        AND c.relkind = 'r' AND c.relreplident <> 'f'
        AND NOT EXISTS (
          SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = used.name
           WHERE i.indrelid = c.oid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
             AND CASE c.relreplident WHEN 'd' THEN i.indisprimary AND i.indimmediate
                                     WHEN 'i' THEN i.indisreplident ELSE false END)
      GROUP BY 1, 2 ORDER BY 1, 2`,
    [table.oid, columns],
  );
  return found.rows.map((row) => ({
    relation: { schema: row.schema, table: row.relation },
    columns: (JSON.parse(row.columns) as string[]).map((name) => pgIdent(name)),
  }));
}
