import { pgIdent } from '../../cli/lib/sql.ts';
import type { Op, Where } from './program.ts';
import {
  type Column,
  columnClause,
  columnValue,
  createTable,
  isBlind,
  mix,
  specType,
  type Types,
} from './tables.ts';
import { largeValue, scalarValue } from './values.ts';

/** A table as a statement meets it. */
export interface Setting {
  readonly types: Types;
  readonly table: string;
  /** What the names of the program's tables begin with. */
  readonly base: string;
  readonly columns: readonly Column[];
  readonly partitioned: boolean;
  /** Name of the primary key's constraint. */
  readonly constraint: string | undefined;
  /** Number of the step: names that are new. */
  readonly step: number;
  readonly dropped: readonly string[];
}

/** Statements to run one after the other, in one transaction if `whole`. */
export interface Statements {
  readonly sql: readonly string[];
  readonly whole?: boolean;
}

const none: Statements = { sql: [] };
const list = (columns: readonly Column[]) => columns.map((c) => pgIdent(c.name)).join(', ');

/** Of equal numbers, equal rows: as long as the table is. */
export function rowsOf(table: string, { salt, rows }: Where): string {
  return `(tableoid, ctid) IN (SELECT tableoid, ctid FROM ${table} ORDER BY md5(ctid::text || '${salt}') LIMIT ${rows})`;
}

export function statementsOf(does: Op, setting: Setting): Statements {
  return changeOf(does, setting) ?? ddlOf(does, setting) ?? none;
}

/** Statements that change rows. */
function changeOf(does: Op, setting: Setting): Statements | undefined {
  const { types, columns } = setting;
  const table = pgIdent(types.schema, setting.table);
  const written = columns.filter((c) => !c.generated);
  const keys = columns.filter((c) => c.key);
  const others = written.filter((c) => !c.unique);
  const row = (n: number, byDefault: boolean) =>
    `(${written
      .map((column, i) =>
        byDefault && column.hasDefault && mix(n, i) % 7 === 2
          ? 'DEFAULT'
          : columnValue(types, column, mix(n, i)),
      )
      .join(', ')})`;
  const into = `INSERT INTO ${table} (${list(written)})`;
  switch (does.op) {
    case 'insert': {
      const update = others.map((c) => `${pgIdent(c.name)} = EXCLUDED.${pgIdent(c.name)}`);
      const conflict = {
        fail: '',
        nothing: ' ON CONFLICT DO NOTHING',
        update: ` ON CONFLICT (${list(keys)}) DO ${update.length > 0 ? `UPDATE SET ${update.join(', ')}` : 'NOTHING'}`,
      }[does.conflict];
      return {
        sql: [`${into} VALUES ${does.rows.map((n) => row(n, true)).join(', ')}${conflict}`],
      };
    }
    case 'bulk': {
      const rows = Array.from({ length: does.rows }, (_, i) => row(mix(does.value, i), true));
      return { sql: [`${into} VALUES ${rows.join(', ')} ON CONFLICT DO NOTHING`] };
    }
    case 'copy': {
      const rows = Array.from({ length: does.rows }, (_, i) => row(mix(does.value, i), false));
      const file = `/tmp/cdc-fuzz-${types.schema}-${mix(does.value, setting.step)}`;
      // One row per key, and none that is there: COPY knows no conflicts.
      const free = `SELECT DISTINCT ON (${list(keys)}) * FROM (VALUES ${rows.join(', ')}) AS v (${list(written)}) WHERE NOT EXISTS (SELECT FROM ${table} t WHERE ${keys.map((c) => `t.${pgIdent(c.name)} = v.${pgIdent(c.name)}`).join(' AND ')})`;
      return {
        sql: [
          `COPY (${free}) TO PROGRAM 'cat > ${file}'`,
          `COPY ${table} (${list(written)}) FROM PROGRAM 'cat ${file} && rm ${file}'`,
        ],
      };
    }
    case 'update': {
      const sets = new Map(
        does.sets.flatMap(({ column, value }) => {
          const chosen = others[column % Math.max(others.length, 1)];
          return chosen ? [[chosen.name, columnValue(types, chosen, value)] as const] : [];
        }),
      );
      if (sets.size === 0) return none;
      const assigned = [...sets].map(([name, value]) => `${pgIdent(name)} = ${value}`);
      return {
        sql: [`UPDATE ${table} SET ${assigned.join(', ')} WHERE ${rowsOf(table, does.where)}`],
      };
    }
    case 'large': {
      const able = others.filter((c) => largeValue(c.type, 0) !== undefined);
      const chosen = able[does.value % Math.max(able.length, 1)];
      if (!chosen) return none;
      return {
        sql: [
          `UPDATE ${table} SET ${pgIdent(chosen.name)} = ${largeValue(chosen.type, does.value)} WHERE ${rowsOf(table, { ...does.where, rows: Math.min(does.where.rows, 12) })}`,
        ],
      };
    }
    case 'touch': {
      const chosen = written[does.where.salt % written.length] as Column;
      const name = pgIdent(chosen.name);
      return { sql: [`UPDATE ${table} SET ${name} = ${name} WHERE ${rowsOf(table, does.where)}`] };
    }
    case 'key': {
      const unique = written.filter((c) => c.unique);
      const chosen = unique[does.value % unique.length] as Column;
      const rows = Array.from({ length: Math.min(does.where.rows, 3) }, (_, i) => i);
      return {
        sql: rows.map(
          (i) =>
            `UPDATE ${table} SET ${pgIdent(chosen.name)} = ${columnValue(types, chosen, mix(does.value, i))} WHERE ${rowsOf(table, { salt: does.where.salt + i, rows: 1 })}`,
        ),
      };
    }
    case 'shift': {
      const chosen = keys.find((c) => /^(smallint|integer|bigint)$/.test(c.type));
      if (!chosen) return none;
      const name = pgIdent(chosen.name);
      return { sql: [`UPDATE ${table} SET ${name} = ${name} + ${does.by}::${chosen.type}`] };
    }
    case 'swap': {
      const [key, ...more] = keys;
      if (!key || more.length > 0) return none;
      return {
        sql: swapped(table, key, does.where, columnValue(types, key, does.value)),
        whole: true,
      };
    }
    case 'again':
      return {
        sql: [
          `WITH gone AS (DELETE FROM ${table} WHERE ${rowsOf(table, does.where)} RETURNING *) ${into} SELECT ${list(written)} FROM gone`,
        ],
      };
    case 'delete':
      return { sql: [`DELETE FROM ${table} WHERE ${rowsOf(table, does.where)}`] };
    case 'truncate':
      return { sql: [`TRUNCATE ${table}`] };
    default:
      return undefined;
  }
}

/** Two rows change their keys by way of a spare one; what they were is kept in settings. */
function swapped(table: string, key: Column, where: Where, spare: string): string[] {
  const name = pgIdent(key.name);
  const remember = (setting: string, offset: number) =>
    `SELECT set_config('fuzz.${setting}', ${name}::text, false) FROM (SELECT ${name} FROM ${table} ORDER BY md5(ctid::text || '${where.salt}') LIMIT 1 OFFSET ${offset}) AS k`;
  const kept = (setting: string) => `current_setting('fuzz.${setting}')::${key.type}`;
  const move = (to: string, from: string) =>
    `UPDATE ${table} SET ${name} = ${to} WHERE ${name} = ${from}`;
  return [
    remember('a', 0),
    remember('b', 1),
    move(spare, kept('a')),
    move(kept('a'), kept('b')),
    move(kept('b'), spare),
  ];
}

/** Statements that change the table's form. */
function ddlOf(does: Op, setting: Setting): Statements | undefined {
  const { types, columns, step, constraint } = setting;
  const table = pgIdent(types.schema, setting.table);
  const alter = (what: string): Statements => ({ sql: [`ALTER TABLE ${table} ${what}`] });
  const others = columns.filter((c) => !c.unique && !c.generated);
  const pick = (n: number, from: readonly Column[] = others) => from[n % Math.max(from.length, 1)];
  switch (does.op) {
    case 'add': {
      const gone = does.column.value % 3 === 0 ? setting.dropped.at(-1) : undefined;
      return alter(
        `ADD COLUMN ${columnClause(types, gone ?? `a${step}${does.column.name}`, does.column)}`,
      );
    }
    case 'drop': {
      const column = pick(does.column);
      return column && alter(`DROP COLUMN ${pgIdent(column.name)}`);
    }
    case 'rename': {
      const column = pick(does.column, columns) as Column;
      return alter(`RENAME COLUMN ${pgIdent(column.name)} TO ${pgIdent(`r${step}${does.name}`)}`);
    }
    case 'names': {
      const [a, b] = [pick(does.column), pick(does.column + 1)];
      if (!a || !b || a === b) return none;
      const rename = (from: string, to: string) =>
        `ALTER TABLE ${table} RENAME COLUMN ${pgIdent(from)} TO ${pgIdent(to)}`;
      const sql = [rename(a.name, 'spare'), rename(b.name, a.name), rename('spare', b.name)];
      return { sql, whole: true };
    }
    case 'retype': {
      const column = pick(does.column);
      if (!column) return none;
      const name = pgIdent(column.name);
      const type = does.using === 'text' && does.to.value % 2 ? 'text' : specType(types, does.to);
      const element = types.all[does.to.type % types.all.length];
      const using = {
        null: `NULL::${type}`,
        text: `${name}::text::${type}`,
        value:
          element && does.to.form === 'scalar'
            ? scalarValue(element, does.to.value)
            : `'{}'::${type}`,
      }[does.using];
      return alter(
        `ALTER COLUMN ${name} DROP DEFAULT, ALTER COLUMN ${name} TYPE ${type} USING ${using}`,
      );
    }
    case 'null': {
      const column = pick(does.column);
      return (
        column &&
        alter(`ALTER COLUMN ${pgIdent(column.name)} ${does.allowed ? 'DROP' : 'SET'} NOT NULL`)
      );
    }
    case 'default': {
      const column = pick(does.column);
      return (
        column &&
        alter(
          `ALTER COLUMN ${pgIdent(column.name)} SET DEFAULT ${columnValue(types, column, does.value)}`,
        )
      );
    }
    case 'storage': {
      const column = pick(does.column);
      return column && alter(`ALTER COLUMN ${pgIdent(column.name)} SET STORAGE EXTERNAL`);
    }
    case 'identity': {
      const own = columns.some((c) => c.unique && !c.key);
      const blind = columns.some((c) => c.key && isBlind(c));
      if (own || setting.partitioned || (blind && !does.full)) return none;
      return alter(`REPLICA IDENTITY ${does.full ? 'FULL' : 'DEFAULT'}`);
    }
    case 'rekey':
      return constraint === undefined || setting.partitioned
        ? none
        : rekeyed(table, constraint, columns, step, does.type);
    case 'vacuum':
      return { sql: [`VACUUM FULL ${table}`] };
    case 'table':
      return alter(`RENAME TO ${pgIdent(`${setting.base}x${step}${does.name}`)}`);
    case 'recreate': {
      const sql = [`DROP TABLE ${table}`, ...createTable(types, setting.table, does.table)];
      return { sql, whole: true };
    }
    default:
      return undefined;
  }
}

function rekeyed(
  table: string,
  constraint: string,
  columns: readonly Column[],
  step: number,
  type: number,
): Statements {
  const name = pgIdent(`key${step}`);
  const made =
    type % 2 === 0
      ? 'bigint GENERATED BY DEFAULT AS IDENTITY'
      : 'uuid NOT NULL DEFAULT gen_random_uuid()';
  const also = type % 3 === 0 ? `, ${list(columns.filter((c) => c.key))}` : '';
  return {
    whole: true,
    sql: [
      `ALTER TABLE ${table} ADD COLUMN ${name} ${made}`,
      `ALTER TABLE ${table} DROP CONSTRAINT ${pgIdent(constraint)}`,
      `ALTER TABLE ${table} ADD PRIMARY KEY (${name}${also})`,
    ],
  };
}
