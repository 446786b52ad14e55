import type pg from 'pg';
import type { Attribute, SourceColumn, SourceTable, TypeForm } from '../../core/source.ts';
import { translatePattern } from '../../core/tableFilter.ts';

/** Every table a user made: ordinary and partitioned, no partitions, nothing of the system's. */
const TABLES = `
SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS "table", c.relkind AS kind,
       c.relreplident AS identity, greatest(c.reltuples, 0)::float8 AS rows,
       pg_table_size(c.oid) AS bytes, c.relpersistence AS persistence,
       coalesce(k.columns, '[]'::json) AS key, coalesce(k.is_primary, false) AS key_is_primary,
       EXISTS (SELECT 1 FROM pg_index p
                WHERE p.indrelid = c.oid AND p.indisprimary AND NOT p.indimmediate) AS key_is_deferrable,
       CASE WHEN c.relkind = 'p' THEN
         (SELECT json_agg(format('%I.%I', pn.nspname, pc.relname) ORDER BY pn.nspname, pc.relname)
            FROM pg_partition_tree(c.oid) t JOIN pg_class pc ON pc.oid = t.relid JOIN pg_namespace pn ON pn.oid = pc.relnamespace
           WHERE t.isleaf AND pc.relkind = 'r' AND pc.relreplident <> 'f') END AS not_full,
       CASE WHEN c.relkind = 'p' THEN
         (SELECT json_agg(t.relid::int8) FROM pg_partition_tree(c.oid) t WHERE t.relid <> c.oid) END AS partitions,
       s.columns AS shape_columns, s.touched AS shape_touched,
       coalesce((SELECT md5(string_agg(pg_relation_filenode(p.relid)::text, ',' ORDER BY p.relid::oid))
                   FROM pg_partition_tree(c.oid) p), pg_relation_filenode(c.oid)::text, '') AS shape_files,
       coalesce(k.identity::text, '') AS shape_key
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN LATERAL (
    SELECT i.indisprimary AS is_primary, i.columns,
           -- REINDEX CONCURRENTLY makes another index of the same constraint.
           coalesce((SELECT o.oid FROM pg_constraint o WHERE o.conindid = i.indexrelid AND o.conrelid = c.oid AND o.contype IN ('p', 'u')),
                    i.indexrelid) AS identity
      FROM (SELECT x.*, (SELECT json_agg(a.attname ORDER BY u.n) FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS u(attnum, n)
                           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.attnum
                          WHERE u.n <= x.indnkeyatts) AS columns
              FROM pg_index x WHERE x.indrelid = c.oid) i
     WHERE i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
       AND NOT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attnotnull
                          AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]))
       AND (i.indisreplident OR c.relreplident <> 'i') AND (i.indisprimary OR c.relreplident <> 'd')
     ORDER BY i.indisreplident DESC, i.indisprimary DESC, i.indexrelid
     LIMIT 1) k ON true
 CROSS JOIN LATERAL (
    SELECT md5(string_agg(concat_ws(' ', a.attnum, a.atttypid, a.atttypmod, a.attname), e'\\n' ORDER BY a.attnum)) AS columns,
           md5(string_agg(a.xmin::text, ',' ORDER BY a.attnum)) AS touched
      FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) s
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%'
   AND n.nspname NOT LIKE 'pg\\_temp%'
   AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY n.nspname, c.relname`;

/**
 * Domains are resolved to what they are made of, arrays to their element and a mark; the element
 * may be a domain again. What a domain says of NULL is not asked: a column of it can be NULL (the row of
 * an outer join that was inserted, a composite's field). An array of arrays (by way of a domain) stays what it is called.
 */
const COLUMNS = `
WITH RECURSIVE resolved AS (
  SELECT a.attrelid, a.attnum, a.attname, a.attnotnull AS required, a.atttypmod AS typmod,
         a.atttypid AS typid, format_type(a.atttypid, a.atttypmod) AS display,
         a.attndims::int AS dimensions, false AS array, a.attgenerated AS generated, 0 AS step
    FROM pg_attribute a
   WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid = ANY ($1::oid[])
  UNION ALL
  SELECT r.attrelid, r.attnum, r.attname, r.required,
         CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE r.typmod END,
         CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.typelem END, r.display,
         greatest(r.dimensions, t.typndims), r.array OR t.typtype <> 'd', r.generated, r.step + 1
    FROM resolved r JOIN pg_type t ON t.oid = r.typid
   WHERE t.typtype = 'd'
      OR (NOT r.array AND t.typcategory = 'A' AND t.typelem <> 0 AND t.typlen = -1
          AND t.typname NOT IN ('int2vector', 'oidvector'))
), deepest AS (
  SELECT DISTINCT ON (attrelid, attnum) * FROM resolved ORDER BY attrelid, attnum, step DESC
)
SELECT r.attrelid::int8 AS oid, r.attnum AS number, r.attname AS name, r.required AS notnull, r.typmod, r.display,
       r.array, CASE WHEN r.array THEN greatest(r.dimensions, 1) ELSE 0 END AS dimensions,
       t.typdelim AS delimiter, t.typtype AS kind, r.generated,
       -- A type of a user's can have the name of another: it is no built-in one then, and no extension's.
       CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace
              OR (t.typtype = 'b' AND NOT EXISTS (SELECT FROM pg_type b WHERE b.typname = t.typname AND b.typnamespace = 'pg_catalog'::regnamespace))
            THEN t.typname ELSE format('%I.%I', n.nspname, t.typname) END AS type,
       EXISTS (SELECT FROM pg_cast k WHERE k.castsource IN (t.oid, t.typarray) AND k.casttarget = 'text'::regtype AND k.oid >= 16384) AS cast_made,
       -- Before PostgreSQL 18 no publication has generated columns; virtual ones are in no WAL at all.
       r.generated <> '' AND NOT (r.generated = 's' AND current_setting('server_version_num')::int >= 180000) AS unpublished
  FROM deepest r JOIN pg_type t ON t.oid = r.typid JOIN pg_namespace n ON n.oid = t.typnamespace
 ORDER BY r.attrelid, r.attnum`;

/** Enums and composites by the tables that use them, also through domains, arrays, ranges and other composites. */
const TYPES = `
WITH RECURSIVE used AS (
  SELECT a.attrelid AS rel, a.atttypid AS typ FROM pg_attribute a
   WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid = ANY ($1::oid[])
  UNION
  SELECT u.rel, part.typ FROM used u JOIN pg_type t ON t.oid = u.typ
   CROSS JOIN LATERAL (
     SELECT t.typbasetype AS typ WHERE t.typtype = 'd'
      UNION ALL SELECT t.typelem WHERE t.typelem <> 0
      UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
      UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid
      UNION ALL SELECT r.rngtypid FROM pg_range r WHERE r.rngmultitypid = t.oid) part
)
SELECT u.rel::int8 AS rel, t.oid::int8 AS oid,
       (SELECT json_agg(e.enumlabel ORDER BY e.oid) FROM pg_enum e WHERE e.enumtypid = t.oid) AS labels,
       (SELECT md5(string_agg(concat_ws(' ', a.attnum, a.atttypid, a.atttypmod), ',' ORDER BY a.attnum))
          FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS fields
  FROM used u JOIN pg_type t ON t.oid = u.typ WHERE t.typtype IN ('e', 'c') ORDER BY u.rel, t.oid`;

interface TypeRow {
  rel: string;
  oid: string;
  labels: string | null;
  fields: string | null;
}

interface TableRow {
  oid: string;
  schema: string;
  table: string;
  kind: 'r' | 'p';
  identity: SourceTable['replicaIdentity'];
  rows: string;
  bytes: string;
  persistence: string;
  key: string;
  key_is_primary: string;
  key_is_deferrable: string;
  not_full: string | null;
  partitions: string | null;
  shape_columns: string | null;
  shape_touched: string | null;
  shape_files: string;
  shape_key: string;
}

interface ColumnRow {
  oid: string;
  number: string;
  name: string;
  notnull: string;
  typmod: string;
  display: string;
  array: string;
  dimensions: string;
  delimiter: string;
  type: string;
  kind: string;
  generated: string;
  unpublished: string;
  cast_made: string;
}

/** Reads the catalog of the connected database, as it is at one moment: DDL may be going on. */
export async function readCatalog(client: pg.ClientBase): Promise<SourceTable[]> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const { tables, columns, types } = await readRows(client).finally(() => client.query('COMMIT'));
  const byTable = new Map<string, SourceColumn[]>();
  const unpublished = new Map<string, string[]>();
  const attributes = new Map<string, Attribute[]>();
  for (const row of columns) {
    const { name } = row;
    const attribute = { number: Number(row.number), name, isPublished: row.unpublished !== 't' };
    attributes.set(row.oid, [...(attributes.get(row.oid) ?? []), attribute]);
    if (row.unpublished === 't')
      unpublished.set(row.oid, [...(unpublished.get(row.oid) ?? []), row.name]);
    else byTable.set(row.oid, [...(byTable.get(row.oid) ?? []), columnOf(row)]);
  }
  const isGenerated = new Set(
    columns.filter((c) => c.generated !== '' && c.unpublished !== 't').map((c) => c.oid),
  );
  return tables.map((row) => ({
    oid: Number(row.oid),
    schema: row.schema,
    table: row.table,
    kind: row.kind,
    columns: byTable.get(row.oid) ?? [],
    attributes: attributes.get(row.oid) ?? [],
    excluded: [],
    unpublished: unpublished.get(row.oid) ?? [],
    hasGenerated: isGenerated.has(row.oid),
    key: keyOf(row, unpublished.get(row.oid) ?? []),
    keyIsPrimary: row.key_is_primary === 't',
    keyIsDeferrable: row.key_is_deferrable === 't',
    ...(row.partitions ? { partitions: JSON.parse(row.partitions) as number[] } : {}),
    ...(row.not_full ? { notFull: JSON.parse(row.not_full) as string[] } : {}),
    replicaIdentity: row.identity,
    estimatedRows: Number(row.rows),
    bytes: Number(row.bytes),
    unlogged: row.persistence === 'u',
    shape: {
      columns: row.shape_columns ?? '',
      touched: row.shape_touched ?? '',
      files: row.shape_files,
      key: row.shape_key,
      types: types.filter(({ rel }) => rel === row.oid).map(typeOf),
    },
  }));
}

async function readRows(
  client: pg.ClientBase,
): Promise<{ tables: TableRow[]; columns: ColumnRow[]; types: TypeRow[] }> {
  const tables = (await client.query<TableRow>(TABLES)).rows;
  const oids = [tables.map((t) => t.oid)];
  const columns = (await client.query<ColumnRow>(COLUMNS, oids)).rows;
  const types = (await client.query<TypeRow>(TYPES, oids)).rows;
  return { tables, columns, types };
}

function typeOf({ oid, labels, fields }: TypeRow): TypeForm {
  return {
    oid: Number(oid),
    ...(labels === null ? {} : { labels: JSON.parse(labels) as string[] }),
    ...(fields === null ? {} : { fields }),
  };
}

/** A key that is not published tells no row from another. */
function keyOf(row: TableRow, unpublished: readonly string[]): string[] {
  const key = JSON.parse(row.key) as string[];
  return key.some((name) => unpublished.includes(name)) ? [] : key;
}

function columnOf(row: ColumnRow): SourceColumn {
  const typmod = Number(row.typmod);
  const sized = typmod >= 4;
  const isNumeric = row.type === 'numeric';
  // numeric's modifier packs precision and an 11 bit signed scale, offset by 4.
  const scale = ((((typmod - 4) & 0x7ff) ^ 1024) - 1024) | 0;
  return {
    name: row.name,
    type: row.type,
    displayType: row.display,
    typeKind: row.kind,
    array: row.array === 't',
    dimensions: Number(row.dimensions),
    delimiter: row.delimiter,
    precision: isNumeric && sized ? ((typmod - 4) >> 16) & 0xffff : undefined,
    scale: isNumeric && sized ? scale : undefined,
    length: !isNumeric && sized ? typmod - 4 : undefined,
    notNull: row.notnull === 't',
    ...(row.cast_made === 't' ? { hasTextCast: true } : {}),
  };
}

/**
 * A digest of everything in the catalog on which the copy's form depends, of the tables that the
 * patterns choose and of those in the publication: cheap enough to be asked twice a second.
 */
export async function catalogFingerprint(
  client: pg.ClientBase,
  options: {
    publication: string;
    include: readonly string[];
    exclude: readonly string[];
  },
): Promise<string> {
  const patterns = [options.include, options.exclude].map((list) => list.map(likePattern));
  const found = await client.query<{ digest: string }>(FINGERPRINT, [
    options.publication,
    ...patterns,
  ]);
  return found.rows[0]?.digest ?? '';
}

const FINGERPRINT = `
WITH chosen AS (
  SELECT c.oid, concat_ws(' ', c.oid, c.relkind, c.relreplident, c.relpersistence, c.relispartition, n.nspname, c.relname, r.oid, r.xmin) AS line
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_publication p ON p.pubname = $1
    LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = c.oid
   WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND NOT c.relispartition
     AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
     AND (r.oid IS NOT NULL OR n.nspname || '.' || c.relname LIKE ANY ($2::text[])
          AND NOT n.nspname || '.' || c.relname LIKE ANY ($3::text[]))
)
SELECT md5(concat_ws(e'\\n',
  (SELECT string_agg(line, e'\\n' ORDER BY oid) FROM chosen),
  -- Its options, as they are and as they were for a moment.
  (SELECT concat_ws(' ', p.oid, p.xmin) FROM pg_publication p WHERE p.pubname = $1),
  (SELECT string_agg(concat_ws(' ', a.attrelid, a.attnum, a.xmin, a.attname), e'\\n' ORDER BY a.attrelid, a.attnum)
     FROM pg_attribute a JOIN chosen ON a.attrelid = chosen.oid WHERE a.attnum > 0),
  (SELECT string_agg(concat_ws(' ', i.indexrelid, i.xmin, i.indisvalid), e'\\n' ORDER BY i.indexrelid)
     FROM pg_index i JOIN chosen ON i.indrelid = chosen.oid),
  -- What is detached was a partition.
  (SELECT string_agg(concat_ws(' ', h.inhparent, h.inhrelid), ',' ORDER BY h.inhparent, h.inhrelid)
     FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhparent WHERE c.relkind = 'p'),
  -- All enums and composites: which of them the tables use would be dearer to know.
  (SELECT string_agg(concat_ws(' ', e.oid, e.xmin), ',' ORDER BY e.oid) FROM pg_enum e),
  (SELECT string_agg(concat_ws(' ', a.attrelid, a.attnum, a.xmin), ',' ORDER BY a.attrelid, a.attnum)
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relkind = 'c' AND a.attnum > 0),
  -- What a partition's rows are told apart by decides over what PostgreSQL takes of the whole table.
  (SELECT string_agg(concat_ws(' ', c.oid, c.relreplident, i.indexrelid), e'\\n' ORDER BY c.oid)
     FROM pg_class c LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisreplident
    WHERE c.relispartition AND c.relkind = 'r' AND c.relreplident <> 'd'))) AS digest`;

/** As in core/tableFilter.ts, for LIKE. */
function likePattern(pattern: string): string {
  return translatePattern(pattern, {
    many: '%',
    one: '_',
    literal: (char) => char.replace(/[\\%_]/, '\\$&'),
  });
}
