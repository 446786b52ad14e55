import { pgIdent } from '../../cli/lib/sql.ts';
import { ddlOf } from './forms.ts';
import type { Op, Where } from './program.ts';
import {
  type Column,
  columnValue,
  list,
  mix,
  none,
  type Setting,
  type Statements,
} from './tables.ts';
import { largeValue } from './values.ts';

/**
 * Which rows a statement is about. Of equal numbers, equal rows: as long as the table is. Where rows can be
 * identical it is also one of several such, or all that are identical to one.
 */
function rowsOf(table: string, { salt, rows }: Where, alike: boolean): string {
  const dice = `md5(ctid::text || '${salt}')`;
  const chosen = (from: string) => `(tableoid, ctid) IN (SELECT tableoid, ctid FROM ${from})`;
  const some = (what: string) => `SELECT ${what} FROM ${table} AS twin`;
  const variant = alike ? salt % 3 : 0;
  if (variant === 1) {
    const twins = `count(*) OVER same AS twins, row_number() OVER (same ORDER BY ${dice}) AS nth`;
    return chosen(
      `(${some(`tableoid, ctid, ${twins}`)} WINDOW same AS (PARTITION BY twin::text)) AS t ORDER BY twins > 1 DESC, nth, ${dice} LIMIT ${rows}`,
    );
  }
  if (variant === 2)
    return chosen(
      `${table} AS all_of WHERE all_of::text IN (${some('twin::text')} ORDER BY ${dice} LIMIT ${rows})`,
    );
  return chosen(`${table} ORDER BY ${dice} LIMIT ${rows}`);
}

export function statementsOf(does: Op, setting: Setting): Statements {
  return changeOf(does, setting) ?? ddlOf(does, setting) ?? none;
}

/** Statements that change rows. */
function changeOf(does: Op, setting: Setting): Statements | undefined {
  const { types, columns, constraint } = setting;
  const table = pgIdent(types.schema, setting.table);
  const written = columns.filter((c) => !c.generated);
  const keys = columns.filter((c) => c.key);
  const unique = columns.filter((c) => c.unique);
  const others = written.filter((c) => !c.unique);
  const alike = unique.length === 0;
  const chosen = (where: Where) => rowsOf(table, where, alike);
  const row = (n: number, byDefault: boolean) =>
    `(${written
      .map((column, i) =>
        byDefault && column.hasDefault && mix(n, i) % 7 === 2
          ? 'DEFAULT'
          : columnValue(types, column, mix(n, i)),
      )
      .join(', ')})`;
  const into = `INSERT INTO ${table} (${list(written)})`;
  // Where nothing forbids it, some rows are there several times.
  const rowsFor = (numbers: readonly number[], byDefault: boolean) =>
    numbers.flatMap((n) =>
      Array.from({ length: alike && n % 3 === 0 ? 2 + (n % 4) : 1 }, () => row(n, byDefault)),
    );
  const drawn = (count: number, value: number) =>
    Array.from({ length: count }, (_, i) => mix(value, i));
  /** One row per key, and none that is there: COPY knows no conflicts, nor do deferrable keys. */
  const free = (rows: readonly string[]) => {
    const apart = keys.length > 0 ? keys : unique;
    const values = `FROM (VALUES ${rows.join(', ')}) AS v (${list(written)})`;
    return alike
      ? `SELECT * ${values}`
      : `SELECT DISTINCT ON (${list(apart)}) * ${values} WHERE NOT EXISTS (SELECT FROM ${table} t WHERE ${apart.map((c) => `t.${pgIdent(c.name)} = v.${pgIdent(c.name)}`).join(' AND ')})`;
  };
  const isArbiter = constraint !== undefined && !constraint.deferrable;
  const copied = (query: string, n: number) => {
    const file = `/tmp/cdc-fuzz-${types.schema}-${mix(n, setting.step)}`;
    return {
      sql: [
        `COPY (${query}) TO PROGRAM 'cat > ${file}'`,
        `COPY ${table} (${list(written)}) FROM PROGRAM 'cat ${file} && rm ${file}'`,
      ],
    };
  };
  switch (does.op) {
    case 'insert': {
      if (!isArbiter && does.conflict !== 'fail')
        return { sql: [`${into} ${free(rowsFor(does.rows, false))}`] };
      const update = others.map((c) => `${pgIdent(c.name)} = EXCLUDED.${pgIdent(c.name)}`);
      const conflict = {
        fail: '',
        nothing: ' ON CONFLICT DO NOTHING',
        update: ` ON CONFLICT (${list(keys)}) DO ${update.length > 0 ? `UPDATE SET ${update.join(', ')}` : 'NOTHING'}`,
      }[does.conflict];
      return {
        sql: [`${into} VALUES ${rowsFor(does.rows, true).join(', ')}${conflict}`],
      };
    }
    case 'bulk': {
      const rows = rowsFor(drawn(does.rows, does.value), isArbiter);
      return {
        sql: [
          isArbiter
            ? `${into} VALUES ${rows.join(', ')} ON CONFLICT DO NOTHING`
            : `${into} ${free(rows)}`,
        ],
      };
    }
    case 'copy':
      return copied(free(rowsFor(drawn(does.rows, does.value), false)), does.value);
    case 'twins': {
      if (!alike) return none;
      const where = { ...does.where, rows: Math.min(does.where.rows, 12) };
      const again = `SELECT ${list(written)} FROM ${table} CROSS JOIN generate_series(1, ${does.times}) AS times WHERE ${chosen(where)}`;
      return does.copied ? copied(again, does.where.salt) : { sql: [`${into} ${again}`] };
    }
    case 'update': {
      const sets = new Map(
        does.sets.flatMap(({ column, value }) => {
          const set = others[column % Math.max(others.length, 1)];
          return set ? [[set.name, columnValue(types, set, value)] as const] : [];
        }),
      );
      if (sets.size === 0) return none;
      const assigned = [...sets].map(([name, value]) => `${pgIdent(name)} = ${value}`);
      return {
        sql: [`UPDATE ${table} SET ${assigned.join(', ')} WHERE ${chosen(does.where)}`],
      };
    }
    case 'large': {
      const able = others.filter((c) => largeValue(c.type, 0) !== undefined);
      const set = able[does.value % Math.max(able.length, 1)];
      if (!set) return none;
      return {
        sql: [
          `UPDATE ${table} SET ${pgIdent(set.name)} = ${largeValue(set.type, does.value)} WHERE ${chosen({ ...does.where, rows: Math.min(does.where.rows, 12) })}`,
        ],
      };
    }
    case 'touch': {
      const name = pgIdent((written[does.where.salt % written.length] as Column).name);
      return { sql: [`UPDATE ${table} SET ${name} = ${name} WHERE ${chosen(does.where)}`] };
    }
    case 'key': {
      const able = alike ? written : unique;
      const set = able[does.value % able.length] as Column;
      const rows = Array.from({ length: Math.min(does.where.rows, 3) }, (_, i) => i);
      return {
        sql: rows.map(
          (i) =>
            `UPDATE ${table} SET ${pgIdent(set.name)} = ${columnValue(types, set, mix(does.value, i))} WHERE ${chosen({ salt: does.where.salt + i, rows: 1 })}`,
        ),
      };
    }
    case 'shift': {
      const from = alike ? written : keys;
      const set = from.find((c) => /^(smallint|integer|bigint)$/.test(c.type));
      if (!set) return none;
      const name = pgIdent(set.name);
      return { sql: [`UPDATE ${table} SET ${name} = ${name} + ${does.by}::${set.type}`] };
    }
    case 'swap': {
      const [key, ...more] = keys;
      if (!key || more.length > 0) return none;
      const spare = columnValue(types, key, does.value);
      return {
        sql: swapped(table, key, does.where, constraint?.deferrable ? undefined : spare),
        whole: true,
      };
    }
    case 'again':
      return {
        sql: [
          `WITH gone AS (DELETE FROM ${table} WHERE ${chosen(does.where)} RETURNING *) ${into} SELECT ${list(written)} FROM gone`,
        ],
      };
    case 'delete':
      return { sql: [`DELETE FROM ${table} WHERE ${chosen(does.where)}`] };
    case 'truncate':
      return { sql: [`TRUNCATE ${table}`] };
    default:
      return undefined;
  }
}

/**
 * Two rows change their keys by way of a spare one; what they were is kept in settings. Without a spare one, by
 * one statement or by two between which both have the same.
 */
function swapped(table: string, key: Column, where: Where, spare: string | undefined): string[] {
  const name = pgIdent(key.name);
  const remember = (setting: string, offset: number, what = name) =>
    `SELECT set_config('fuzz.${setting}', ${what}::text, false) FROM (SELECT ${what} FROM ${table} ORDER BY md5(ctid::text || '${where.salt}') LIMIT 1 OFFSET ${offset}) AS k`;
  const kept = (setting: string) => `current_setting('fuzz.${setting}')::${key.type}`;
  const move = (to: string, from: string) =>
    `UPDATE ${table} SET ${name} = ${to} WHERE ${name} = ${from}`;
  const [first, second] = [remember('a', 0), remember('b', 1)];
  if (spare === undefined && where.salt % 2 === 0)
    return [
      first,
      second,
      `UPDATE ${table} SET ${name} = CASE WHEN ${name} = ${kept('a')} THEN ${kept('b')} ELSE ${kept('a')} END WHERE ${name} IN (${kept('a')}, ${kept('b')})`,
    ];
  if (spare === undefined)
    return [
      first,
      second,
      remember('row', 1, 'ctid'),
      'SET CONSTRAINTS ALL DEFERRED',
      move(kept('b'), kept('a')),
      `${move(kept('a'), kept('b'))} AND ctid = current_setting('fuzz.row')::tid`,
    ];
  return [
    first,
    second,
    move(spare, kept('a')),
    move(kept('a'), kept('b')),
    move(kept('b'), spare),
  ];
}
