import { chIdent } from '../lib/sql.ts';
import type { TargetObject } from './ddl.ts';
import { tableLabel } from './names.ts';
import { createStatement } from './plan.ts';
import type { StepOf } from './steps.ts';

/** A view that a file declares: made and kept by `apply`. */
export interface Aggregate extends TargetObject {
  readonly kind: 'aggregate';
  readonly file: string;
  /** It holds rows, which are recreated now and then; else it is only a query. */
  readonly isRefreshed: boolean;
  /** The statement after the view's name. */
  readonly body: string;
  /** One of the examples that come with cdc. */
  readonly isShipped: boolean;
}

/** What keeps a file's statement from being a view that stays right. */
export interface AggregateFault {
  readonly file: string;
  readonly detail: string;
}

const NAME = '(?:`(?:[^`\\\\]|\\\\.)+`|[A-Za-z_]\\w*)';
const HEAD = new RegExp(
  `^CREATE\\s+(?:OR\\s+REPLACE\\s+)?(MATERIALIZED\\s+)?VIEW\\s+(?:IF\\s+NOT\\s+EXISTS\\s+)?(?:(${NAME})\\s*\\.\\s*)?(${NAME})(?=[\\s(])`,
  'i',
);

/** The views that a file declares, or why it does not. */
export function parseAggregates(
  file: string,
  text: string,
  { own, isShipped }: Pick<Aggregate, 'own' | 'isShipped'>,
): { aggregates: Aggregate[]; faults: AggregateFault[] } {
  const parsed = splitStatements(text).map((s) => parseStatement(file, s, { own, isShipped }));
  return {
    aggregates: parsed.filter((one) => 'kind' in one),
    faults: parsed.filter((one) => 'detail' in one),
  };
}

function parseStatement(
  file: string,
  { text, words }: Statement,
  of: Pick<Aggregate, 'own' | 'isShipped'>,
): Aggregate | AggregateFault {
  const fault = (detail: string): AggregateFault => ({ file, detail });
  const head = HEAD.exec(text);
  const beginning = `"${text.slice(0, 40).split('\n')[0]}…"`;
  if (!head)
    return fault(`${beginning} is neither CREATE VIEW nor CREATE MATERIALIZED VIEW … REFRESH`);
  const [whole, materialized, database, name = ''] = head;
  if (database === undefined)
    return fault(`the view ${name} is in no database: write database.${name}`);
  // What stands before the query, without texts and comments.
  const options = words.slice(0, Math.max(0, words.search(/\bAS\s+(?:SELECT|WITH|\()/i)));
  const isRefreshed = materialized !== undefined;
  if (isRefreshed && !/\sREFRESH\s+(?:EVERY|AFTER)\s/i.test(options))
    return fault(
      `the materialized view ${name} has no REFRESH: it would add up changes, and count every update twice`,
    );
  if (/\sAPPEND\s/i.test(options))
    return fault(`the view ${name} has APPEND: its rows would never go`);
  if (/\sCOMMENT\s+'\s*'/i.test(words))
    return fault(`the view ${name} has a COMMENT, where cdc keeps which version of it is there`);
  const kind = isRefreshed ? 'MATERIALIZED VIEW' : 'VIEW';
  return {
    database: unquoted(database),
    name: unquoted(name),
    kind: 'aggregate',
    file,
    isRefreshed,
    ...of,
    body: text.slice(whole.length),
    create: `CREATE ${kind} ${database}.${name}${text.slice(whole.length)}`,
  };
}

/**
 * Makes a view, and waits until it has its rows. One that is there is read until then, and changes
 * its place with the new one in one step.
 */
export function aggregateStep(aggregate: Aggregate, isPresent: boolean): StepOf<'aggregate'> {
  const { database, name, isRefreshed } = aggregate;
  const own = chIdent(database, name);
  const next = chIdent(database, `${name}__next`);
  const made = isPresent ? next : own;
  const statement = createStatement(aggregate);
  const sql = [
    ...(isPresent ? [`DROP VIEW IF EXISTS ${next} SYNC`] : []),
    statement.replace(aggregate.create, () => createAs(aggregate, made)),
    ...(isRefreshed ? [`SYSTEM WAIT VIEW ${made}`] : []),
    ...(isPresent ? [`EXCHANGE TABLES ${next} AND ${own}`, `DROP VIEW ${next} SYNC`] : []),
  ];
  return {
    kind: 'aggregate',
    component: 'clickhouse',
    action: isPresent ? 'replace' : 'create',
    object: `aggregate ${database}.${name}`,
    view: `${database}.${name}`,
    sql,
    reason: `${aggregate.file} declares it`,
    undo: `DROP VIEW IF EXISTS ${made} SYNC`,
    file: aggregate.file,
  };
}

function createAs({ isRefreshed, body }: Aggregate, name: string): string {
  return `CREATE ${isRefreshed ? 'MATERIALIZED VIEW' : 'VIEW'} ${name}${body}`;
}

function unquoted(name: string): string {
  return name.startsWith('`') ? name.slice(1, -1).replaceAll(/\\(.)/g, '$1') : name;
}

interface Statement {
  readonly text: string;
  /** Of the same length, with blanks for comments and for what is between quotes. */
  readonly words: string;
}

const TOKEN =
  /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`|;/g;

/** Statements end with `;`, but not inside texts, names and comments. */
function splitStatements(text: string): Statement[] {
  const blank = (token: string) => token.replaceAll(/[^\n]/g, ' ');
  let words = text.replaceAll(TOKEN, (token) =>
    token.startsWith("'") ? `'${blank(token.slice(2))}'` : token === ';' ? token : blank(token),
  );
  const statements: Statement[] = [];
  let rest = text;
  while (rest !== '') {
    const end = words.indexOf(';');
    const to = end < 0 ? rest.length : end;
    // A leading comment is not of the statement; names between quotes are blank here, but follow CREATE.
    const from = words.slice(0, to).search(/\S/);
    if (from >= 0)
      statements.push({ text: rest.slice(from, to).trimEnd(), words: words.slice(from, to) });
    rest = rest.slice(to + 1);
    words = words.slice(to + 1);
  }
  return statements;
}

/** Columns without which the examples' views mean other tables of the same names. */
const EXAMPLE_COLUMNS: Readonly<Record<string, readonly string[]>> = {
  'ecommerce.events': ['event_id', 'event_type', 'timestamp', 'user_id', 'session_id'],
  'ecommerce.products': ['product_id', 'product_name', 'category'],
  'ecommerce.transactions': ['product_id', 'quantity', 'total_amount', 'payment_method'],
};

/** Whether the tables are those of the e-commerce example. */
export function hasExample(
  tables: readonly {
    readonly schema: string;
    readonly table: string;
    readonly columns: readonly { readonly name: string }[];
  }[],
): boolean {
  return Object.entries(EXAMPLE_COLUMNS).every(([label, columns]) => {
    const found = tables.find((table) => tableLabel(table) === label);
    return columns.every((name) => found?.columns.some((column) => column.name === name));
  });
}

/** Those that read others come after them; a circle stays as it is, and ClickHouse says so. */
export function inOrder<T extends { readonly reads: readonly string[]; readonly label: string }>(
  views: readonly T[],
): T[] {
  const ordered: T[] = [];
  let left = [...views];
  while (left.length > 0) {
    const ready = left.filter((view) =>
      view.reads.every((name) => !left.some((other) => other !== view && other.label === name)),
    );
    const next = ready.length > 0 ? ready : left;
    ordered.push(...next);
    left = left.filter((view) => !next.includes(view));
  }
  return ordered;
}
