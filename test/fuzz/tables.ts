import type pg from 'pg';
import { pgIdent } from '../../cli/lib/sql.ts';
import { type ColumnSpec, isCounted, type Keyed, type TableSpec } from './program.ts';
import {
  arrayValue,
  type FuzzType,
  fuzzTypes,
  KEY_MISFIT_RARITY,
  MISFIT_RARITY,
  scalarValue,
} from './values.ts';

/** The type table of one schema, as its database knows it. */
export interface Types {
  readonly schema: string;
  readonly all: readonly FuzzType[];
  /** Types that can be a key's. */
  readonly keys: readonly FuzzType[];
  /** By what PostgreSQL calls them: `character varying(20)`. */
  readonly byName: ReadonlyMap<string, FuzzType>;
}

/** A table as a statement meets it. */
export interface Setting {
  readonly types: Types;
  readonly table: string;
  /** What the names of the program's tables begin with. */
  readonly base: string;
  readonly columns: readonly Column[];
  readonly partitioned: boolean;
  /** The primary key's. */
  readonly constraint: { readonly name: string; readonly deferrable: boolean } | undefined;
  /** pg_class.relreplident. */
  readonly identity: string;
  /** Nothing told its rows apart at some time. */
  readonly wasCounted: boolean;
  /** Number of the step: names that are new. */
  readonly step: number;
  readonly dropped: readonly string[];
}

/** Statements to run one after the other, in one transaction if `whole`. */
export interface Statements {
  readonly sql: readonly string[];
  readonly whole?: boolean;
}

export const none: Statements = { sql: [] };

export function list(columns: readonly Column[]): string {
  return columns.map((c) => pgIdent(c.name)).join(', ');
}

/** Asks PostgreSQL for the types' names, and which of them can be keys. */
export async function typesOf(client: pg.ClientBase, schema: string): Promise<Types> {
  const all = fuzzTypes(schema);
  const columns = all.map(({ type }, i) => `c${i} ${type}`).join(', ');
  await client.query(`CREATE TEMPORARY TABLE fuzz_types (${columns})`);
  const names = await client.query<{ name: string; keyed: string }>(
    `SELECT format_type(atttypid, atttypmod) AS name,
            EXISTS (SELECT FROM pg_opclass c JOIN pg_am m ON m.oid = c.opcmethod
                     WHERE m.amname = 'btree' AND c.opcdefault
                       AND (c.opcintype = atttypid OR c.opcintype = typbasetype
                         OR (typtype = 'e' AND c.opcintype = 'anyenum'::regtype)
                         OR (typtype = 'c' AND c.opcintype = 'record'::regtype)
                         OR (typtype = 'r' AND c.opcintype = 'anyrange'::regtype)
                         OR (typtype = 'm' AND c.opcintype = 'anymultirange'::regtype)
                         OR c.opcintype = 'text'::regtype AND typname = 'varchar'))::int AS keyed
       FROM pg_attribute JOIN pg_type t ON t.oid = atttypid
      WHERE attrelid = 'pg_temp.fuzz_types'::regclass AND attnum > 0 ORDER BY attnum`,
  );
  await client.query('DROP TABLE pg_temp.fuzz_types');
  const byName = new Map(names.rows.map((row, i) => [row.name, all[i] as FuzzType]));
  const keys = all.filter((_, i) => names.rows[i]?.keyed === '1');
  return { schema, all, keys, byName };
}

/** A column of a table as it is now. */
export interface Column {
  readonly name: string;
  readonly type: string;
  readonly deep: boolean;
  readonly notNull: boolean;
  readonly hasDefault: boolean;
  readonly key: boolean;
  /** In some unique index. */
  readonly unique: boolean;
  readonly generated: boolean;
}

export async function columnsOf(client: pg.ClientBase, oid: string): Promise<Column[]> {
  const found = await client.query<Record<keyof Column, string>>(
    `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
            (a.attndims > 1)::int AS deep, a.attnotnull::int AS "notNull",
            (a.atthasdef OR a.attidentity <> '')::int AS "hasDefault",
            EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisprimary
                       AND a.attnum = ANY (i.indkey))::int AS key,
            EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid
                       AND a.attnum = ANY (i.indkey))::int AS unique,
            (a.attgenerated <> '')::int AS generated
       FROM pg_attribute a
      WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    [oid],
  );
  return found.rows.map((row) => ({
    name: row.name,
    type: row.type,
    deep: row.deep === '1',
    notNull: row.notNull === '1',
    hasDefault: row.hasDefault === '1',
    key: row.key === '1',
    unique: row.unique === '1',
    generated: row.generated === '1',
  }));
}

/** Spreads two numbers over the naturals below 2^31. */
export function mix(a: number, b: number): number {
  let h = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x7f4a7c15, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  return (h ^ (h >>> 13)) >>> 1;
}

/** One in so many values is NULL, where it may be. */
const NULL_RARITY = 10;

/** A value for a column, NULL now and then where it may be. */
export function columnValue(types: Types, column: Column, n: number): string {
  // To ClickHouse, NULL is no array and no point: one of the values that do not fit.
  const rarity = /\[\]$|^point$/.test(column.type) ? MISFIT_RARITY : NULL_RARITY;
  if (!column.notNull && n % rarity === 3) return `NULL::${column.type}`;
  const element = types.byName.get(column.type.replace(/\[\]$/, ''));
  // A type that only a change of type could have made, such as that of an array of arrays.
  if (!element) return `NULL::${column.type}`;
  if (column.type.endsWith('[]')) return arrayValue(element, n, column.deep);
  return scalarValue(element, n, column.key ? KEY_MISFIT_RARITY : undefined);
}

const USUAL_KEYS = ['integer', 'bigint', 'text', 'uuid'];

function keyType(types: Types, n: number): FuzzType {
  const usual = types.all.filter(({ type }) => USUAL_KEYS.includes(type));
  const unfit = types.keys.filter(({ misfits }) => misfits.length > 0);
  const from = n % 2 === 0 ? usual : n % 4 === 3 ? unfit : types.keys;
  return from[(n >> 3) % from.length] as FuzzType;
}

/** Found by no look-up: a finding of `cdc doctor` whose fix is replica identity FULL. */
export function isBlind({ type }: { readonly type: string }): boolean {
  return /"Pair"$/.test(type);
}

export function specType(types: Types, spec: ColumnSpec): string {
  const { type } = types.all[spec.type % types.all.length] as FuzzType;
  return `${type}${spec.form === 'scalar' ? '' : spec.form === 'array' ? '[]' : '[][]'}`;
}

function specValue(types: Types, spec: ColumnSpec): string {
  const element = types.all[spec.type % types.all.length] as FuzzType;
  return spec.form === 'scalar'
    ? scalarValue(element, spec.value)
    : arrayValue(element, spec.value, spec.form === 'deep');
}

export function columnClause(types: Types, name: string, spec: ColumnSpec): string {
  const byDefault = spec.hasDefault ? ` DEFAULT ${specValue(types, spec)}` : '';
  return `${pgIdent(name)} ${specType(types, spec)}${byDefault}${spec.notNull && spec.hasDefault ? ' NOT NULL' : ''}`;
}

/** The clause that makes columns a key. */
export function keyClause(keyed: Exclude<Keyed, 'none'>, names: readonly string[]): string {
  const when = {
    immediate: '',
    deferrable: ' DEFERRABLE',
    deferred: ' DEFERRABLE INITIALLY DEFERRED',
  }[keyed];
  return `PRIMARY KEY (${names.map((name) => pgIdent(name)).join(', ')})${when}`;
}

/** Whole characters of a name that fit into an identifier. */
const shortened = (name: string) => [...name].slice(0, 15).join('');

/** More columns than ClickHouse's parser takes in a view by itself; of few tables, since each takes long. */
function widthOf({ columns: [first] }: TableSpec): number {
  return first !== undefined && first.value % 50 === 7 ? 700 : 0;
}

/** Statements that make a table; the last ones may be refused, and change only its storage. */
export function createTable(types: Types, name: string, spec: TableSpec): string[] {
  const table = pgIdent(types.schema, name);
  const keys = spec.key.map((column, i) => ({
    name: `k${i}${column.name}`,
    type: `${keyType(types, column.type).type}${column.form === 'array' ? '[]' : ''}`,
    clause: spec.keyed !== 'none' || column.notNull ? ' NOT NULL' : '',
  }));
  const columns = spec.columns.map((column, i) => ({ name: `c${i}${column.name}`, column }));
  const first = keys[0] as (typeof keys)[number];
  const isInteger = /^(smallint|integer|bigint)$/.test(first.type);
  const clauses = [
    ...keys.map((key) => `${pgIdent(key.name)} ${key.type}${key.clause}`),
    ...columns.map(({ name: own, column }) => columnClause(types, own, column)),
    ...(spec.generated && isInteger
      ? [`g int GENERATED ALWAYS AS ((${pgIdent(first.name)} % 7)::int) STORED`]
      : []),
    ...(spec.numbered ? ['n bigint GENERATED BY DEFAULT AS IDENTITY'] : []),
    ...Array.from({ length: widthOf(spec) }, (_, i) => `w${i} integer`),
    ...(spec.identity === 'index' ? ['u bigint NOT NULL'] : []),
    ...(spec.keyed === 'none'
      ? []
      : [
          keyClause(
            spec.keyed,
            keys.map((key) => key.name),
          ),
        ]),
  ];
  const isPartitioned = spec.partitions > 0 && isInteger && spec.identity !== 'index';
  const parts = isPartitioned ? Array.from({ length: spec.partitions }, (_, i) => i) : [];
  const part = (i: number) => pgIdent(types.schema, shortened(`p${i}_${name}`));
  const isFull = spec.identity === 'full' || isCounted(spec) || keys.some(isBlind);
  const identity = spec.identity === 'index' ? 'INDEX' : isFull ? 'FULL' : 'DEFAULT';
  return [
    `CREATE TABLE ${table} (${clauses.join(', ')})${isPartitioned ? ` PARTITION BY HASH (${pgIdent(first.name)})` : ''}`,
    ...parts.map(
      (i) =>
        `CREATE TABLE ${part(i)} PARTITION OF ${table} FOR VALUES WITH (MODULUS ${parts.length}, REMAINDER ${i})`,
    ),
    ...(identity === 'INDEX'
      ? [
          `CREATE UNIQUE INDEX ${pgIdent(shortened(`u_${name}`))} ON ${table} (u)`,
          `ALTER TABLE ${table} REPLICA IDENTITY USING INDEX ${pgIdent(shortened(`u_${name}`))}`,
        ]
      : [table, ...parts.map(part)].map((t) => `ALTER TABLE ${t} REPLICA IDENTITY ${identity}`)),
    ...columns
      .filter(({ column }) => column.external)
      .map(
        ({ name: own }) => `ALTER TABLE ${table} ALTER COLUMN ${pgIdent(own)} SET STORAGE EXTERNAL`,
      ),
  ];
}
