import { isOwnColumn } from '../../core/ddl.ts';
import {
  columnDependent,
  type Dependent,
  dependentLabel,
  partDependent,
  ttlDependent,
  viewDependent,
} from '../../core/dependents.ts';
import type { Finding } from '../../core/findings.ts';
import type { TableId } from '../../core/names.ts';
import { isOwnedSql, objectKey } from '../../core/plan.ts';
import type { RecordOf } from '../../core/records.ts';
import { constraintsOf, type ObjectName, shortError, ttlOf } from '../../core/stalls.ts';
import { isOwnTtl } from '../../core/storage.ts';
import { chIdent, chLiteral } from '../../lib/sql.ts';
import type { ClickHouse } from './client.ts';
import { forgetRecord, recordsOf, writeRecord } from './records.ts';
import { statementsOf } from './statements.ts';

/** What was taken away is remembered with its statement until it is there again. */
export type SetAside = RecordOf<'set aside'>;

interface TableRow {
  database: string;
  name: string;
  uuid: string;
  ours: number;
  fed: [string, string][];
}

/** Everything that somebody made on a storage, and the views behind it, through others, too. */
export async function dependentsOf(
  clickhouse: ClickHouse,
  storage: ObjectName,
): Promise<Dependent[]> {
  const place = 'database = {database:String} AND table = {name:String}';
  const { database, name } = storage;
  const rows = <T>(sql: string) => clickhouse.rows<T>(sql, { database, name });
  const [tables, indices, projections, columns] = await Promise.all([
    rows<TableRow>(
      `SELECT database, name, toString(uuid) AS uuid, comment LIKE 'cdc %' AS ours,
              arrayZip(dependencies_database, dependencies_table) AS fed
         FROM system.tables
        WHERE notEmpty(dependencies_table) OR engine = 'MaterializedView'
           OR (database = {database:String} AND name = {name:String})`,
    ),
    rows<{ name: string; type: string; expr: string; granularity: string }>(
      `SELECT name, type_full AS type, expr, granularity FROM system.data_skipping_indices WHERE ${place}`,
    ),
    rows<{ name: string; query: string }>(
      `SELECT name, query FROM system.projections WHERE ${place}`,
    ),
    rows<{ name: string; kind: string; expression: string }>(
      `SELECT name, default_kind AS kind, default_expression AS expression FROM system.columns
        WHERE ${place} AND default_kind != ''`,
    ),
  ]);
  const own = (await statementsOf(clickhouse, [storage])).get(objectKey(storage));
  const views = await viewsBehind(clickhouse, tables, storage);
  const ttl = ttlOf(own?.engineFull ?? '');
  return [
    ...(ttl === undefined || isOwnTtl(ttl) ? [] : [ttlDependent(storage, ttl)]),
    ...constraintsOf(own?.statement ?? '').map(({ constraint, text }) =>
      partDependent(storage, 'constraint', constraint, text),
    ),
    ...indices.map(({ name: index, type, expr, granularity }) =>
      partDependent(
        storage,
        'index',
        index,
        `INDEX ${chIdent(index)} ${expr} TYPE ${type} GRANULARITY ${granularity}`,
      ),
    ),
    ...projections.map(({ name: projection, query }) =>
      partDependent(
        storage,
        'projection',
        projection,
        `PROJECTION ${chIdent(projection)} (${query})`,
      ),
    ),
    ...columns
      .filter((c) => !isOwnColumn(c.name))
      .map((c) => columnDependent(storage, c.name, c.kind, c.expression)),
    ...views.map(({ view, statement }) => viewDependent(view, statement)),
  ];
}

async function viewsBehind(
  clickhouse: ClickHouse,
  tables: readonly TableRow[],
  storage: ObjectName,
): Promise<{ view: TableRow; statement: string }[]> {
  const found = new Map<TableRow, string>();
  const follow = async (from: ObjectName) => {
    const row = tables.find((t) => t.database === from.database && t.name === from.name);
    for (const [database, name] of row?.fed ?? []) {
      const view = tables.find((t) => t.database === database && t.name === name);
      if (!view || view.ours === 1 || found.has(view)) continue;
      const { statement = '' } =
        (await statementsOf(clickhouse, [view])).get(objectKey(view)) ?? {};
      found.set(view, statement);
      // Where it stores: a table that is named, or one of its own, which has the view's name or UUID in its.
      const to = /^CREATE MATERIALIZED VIEW \S+ TO (?:`([^`]+)`|(\w+))\.(?:`([^`]+)`|(\w+))/.exec(
        statement,
      );
      if (to) await follow({ database: to[1] ?? to[2] ?? '', name: to[3] ?? to[4] ?? '' });
      else
        for (const inner of tables.filter(
          (t) =>
            t.database === database &&
            [`.inner.${name}`, `.inner_id.${view.uuid}`].includes(t.name),
        ))
          await follow(inner);
    }
  };
  await follow(storage);
  return [...found].map(([view, statement]) => ({ view, statement }));
}

/** Those that are not there again, and could be. */
export async function readSetAside(clickhouse: ClickHouse): Promise<SetAside[]> {
  return (await lookForSetAside(clickhouse)).away;
}

/** What somebody has brought back is no concern any more, also when it is dropped later. */
export async function forgetReturned(clickhouse: ClickHouse): Promise<void> {
  const { back } = await lookForSetAside(clickhouse);
  for (const one of back) await forgetRecord(clickhouse, recordId(one), 'set aside');
}

/** Of what is gone with its table or its database, neither. */
async function lookForSetAside(
  clickhouse: ClickHouse,
): Promise<{ away: SetAside[]; back: SetAside[] }> {
  const all = (await recordsOf(clickhouse, 'set aside')).map(({ record }) => record);
  const [away, back]: [SetAside[], SetAside[]] = [[], []];
  if (all.length === 0) return { away, back };
  const databases = [...new Set(all.map(({ database }) => database))];
  const rows = await clickhouse.rows<ObjectName>(
    'SELECT database, name FROM system.tables WHERE database IN ({databases:Array(String)})',
    { databases },
  );
  const isThere = (one: ObjectName) =>
    rows.some(({ database, name }) => database === one.database && name === one.name);
  for (const one of all) {
    if (one.kind === 'view') {
      if (isThere(one)) back.push(one);
      else if (rows.some(({ database }) => database === one.database)) away.push(one);
    } else if (isThere(one)) {
      const now = await dependentsOf(clickhouse, one);
      const isBack = now.some(({ kind, part }) => kind === one.kind && part === one.part);
      (isBack ? back : away).push(one);
    }
  }
  return { away, back };
}

function recordId({ database, name, kind, part }: Dependent): TableId {
  return {
    schema: database,
    table: kind === 'view' ? name : [name, kind, ...(part === undefined ? [] : [part])].join('.'),
  };
}

/** Takes it away; what is not written down could not be named, so that comes first. */
export async function setAside(
  clickhouse: ClickHouse,
  dependent: Dependent,
  error: string,
): Promise<string> {
  await recordSetAside(clickhouse, dependent, error);
  await clickhouse.command(dependent.take);
  return `${dependentLabel(dependent)} is set aside`;
}

/** Of what is not there any more. */
export async function recordSetAside(
  clickhouse: ClickHouse,
  dependent: Dependent,
  error: string,
): Promise<void> {
  const record = { ...dependent, why: shortError(error), at_ms: Date.now() };
  await writeRecord(clickhouse, recordId(dependent), 'set aside', record);
}

export async function checkSetAside(clickhouse: ClickHouse): Promise<Finding[]> {
  const all = await readSetAside(clickhouse);
  return all.map((one) => {
    const { kind, database, name, back, statement, why, at_ms } = one;
    const since = new Date(at_ms).toISOString().slice(0, 19);
    const how = {
      view: 'it is detached, and has not seen what came after',
      column: 'its expression is taken off, and its values stay',
      constraint: 'it is dropped',
      index: 'it is dropped',
      projection: 'it is dropped',
      ttl: 'it is removed',
    }[kind];
    const made = statement === back ? '' : `\nIt was made so: ${statement}`;
    return {
      id: `${kind}-set-aside`,
      severity: 'warning',
      subject: `${database}.${name}`,
      message: `${dependentLabel(one)} held up the copy; since ${since}Z (UTC) ${how}: ${why}`,
      fix: `${back}   -- in ClickHouse, once rows can pass it${made}`,
    };
  });
}

/** Copies of which ClickHouse deletes rows, or values, that the source has: cdc.yaml knows nothing of their TTL. */
export async function checkExpiring(clickhouse: ClickHouse): Promise<Finding[]> {
  const rows = await clickhouse.rows<ObjectName & { columns: string; engine_full: string }>(
    `SELECT database, name, engine_full, substring(create_table_query, 1, position(create_table_query, concat('ENGINE = ', engine))) AS columns
       FROM system.tables
      WHERE ${isOwnedSql(clickhouse.own, 'storage')} AND database != ${chLiteral(clickhouse.own)} AND position(create_table_query, ' TTL ') > 0
      ORDER BY database, name`,
  );
  return rows.flatMap(({ database, name, columns, engine_full }): Finding[] => {
    const table = chIdent(database, name);
    const finding = (what: string, which: string, fix: string): Finding => ({
      id: 'foreign-ttl',
      severity: 'warning',
      subject: `${database}.${name}`,
      message: `somebody gave ${what} a TTL that cdc.yaml does not have: ClickHouse deletes what the source still has${which}`,
      fix,
    });
    const ttl = ttlOf(engine_full);
    if (ttl !== undefined && !isOwnTtl(ttl))
      return [
        finding(
          'its storage',
          ` (${ttl})`,
          `ALTER TABLE ${table} REMOVE TTL   -- in ClickHouse, then: cdc snapshot; or say ttl for the table in cdc.yaml`,
        ),
      ];
    if (ttlOf(columns) === undefined) return [];
    return [
      finding(
        'columns of its storage',
        '',
        `SHOW CREATE TABLE ${table}   -- in ClickHouse: which columns; then for each: ALTER TABLE ${table} MODIFY COLUMN … REMOVE TTL, and cdc snapshot`,
      ),
    ];
  });
}
