/**
 * Why a queue stands: ClickHouse reads a block again and again whose storing fails, and says why in text alone.
 */

export interface ObjectName {
  readonly database: string;
  readonly name: string;
}

/** `db.name`, quoted where ClickHouse thinks it has to be. */
const PART = '(`(?:[^`\\\\]|\\\\.|``)*`|[A-Za-z_][A-Za-z0-9_]*)';
const NAME = `${PART}\\.${PART}`;

function objectsAfter(text: string, words: string): ObjectName[] {
  const found = text.matchAll(new RegExp(`${words} ${NAME}`, 'g'));
  return [...found].map(([, database = '', name = '']) => ({
    database: unquoted(database),
    name: unquoted(name),
  }));
}

function unquoted(part: string): string {
  if (!part.startsWith('`')) return part;
  return part.slice(1, -1).replaceAll(/\\(.)|``/g, (_, escaped) => escaped ?? '`');
}

/** Views through which the block passed as it failed, the one that failed first. */
export function viewsOf(error: string): ObjectName[] {
  return objectsAfter(error, 'while pushing to view');
}

/** The constraint that refused a row, and whose it is. */
export function constraintOf(
  error: string,
): { readonly constraint: string; readonly table: ObjectName } | undefined {
  const named = new RegExp(`Constraint ${PART} for table ${NAME}`).exec(error);
  if (!named) return undefined;
  const [, constraint = '', database = '', name = ''] = named;
  return {
    constraint: unquoted(constraint),
    table: { database: unquoted(database), name: unquoted(name) },
  };
}

/**
 * Errors that pass: memory, disk, network, too many parts, a server that is ending. Nothing that somebody has made is
 * the cause of these.
 */
const PASSING = new RegExp(
  `\\((?:${[
    'MEMORY_LIMIT_EXCEEDED',
    'NOT_ENOUGH_SPACE',
    'CANNOT_WRITE_TO_FILE_DESCRIPTOR',
    'TIMEOUT_EXCEEDED',
    'TOO_SLOW',
    'TOO_MANY_PARTS',
    'TOO_MANY_SIMULTANEOUS_QUERIES',
    'NETWORK_ERROR',
    'SOCKET_TIMEOUT',
    'ALL_CONNECTION_TRIES_FAILED',
    'QUERY_WAS_CANCELLED',
    'ABORTED',
    'TABLE_IS_DROPPED',
    'TABLE_IS_READ_ONLY',
    'KEEPER_EXCEPTION',
    'DEADLOCK_AVOIDED',
  ].join('|')})\\)`,
);

export function isPassing(error: string): boolean {
  return PASSING.test(error);
}

/** The sentence alone, without code and trace. */
export function shortError(error: string): string {
  const [first = ''] = error.split(/[.,] Stack trace/);
  return first
    .replace(/^Code: \d+\. DB::Exception: /, '')
    .replace(/ \(version [^)]*\)$/, '')
    .trim();
}

/** Functions that an error names: `FUNCTION f(…)`, `'f' function`. */
export function functionsOf(error: string): string[] {
  const found = error.matchAll(/FUNCTION (\w+)\(|'(\w+)' function|function '?(\w+)/g);
  return [...new Set([...found].map(([, a, b, c]) => a ?? b ?? c ?? ''))].filter((f) => f !== '');
}

/** `CONSTRAINT name CHECK …`, as a table's statement has them. */
export function constraintsOf(statement: string): { constraint: string; text: string }[] {
  const found = statement.matchAll(new RegExp(`CONSTRAINT ${PART} CHECK `, 'g'));
  return [...found].map((match) => ({
    constraint: unquoted(match[1] ?? ''),
    text: statement.slice(match.index, endOfExpression(statement, match.index + match[0].length)),
  }));
}

/** Text in which the words stand that are meant: what is quoted stays together. */
const PLAIN = "(?:[^`']|`(?:[^`\\\\]|\\\\.)*`|'(?:[^'\\\\]|\\\\.)*')*?";
const TTL = new RegExp(`^${PLAIN} TTL (${PLAIN})(?: SETTINGS |$)`, 's');

/** A table's TTL, as ClickHouse writes it in `engine_full`. */
export function ttlOf(engineFull: string): string | undefined {
  return TTL.exec(engineFull)?.[1];
}

/** Where a definition ends in a list: at a comma, or the bracket that ends the list. */
function endOfExpression(text: string, from: number): number {
  let depth = 0;
  for (let i = from; i < text.length; i++) {
    const char = text[i] as string;
    if (char === "'" || char === '`' || char === '"') {
      for (i++; i < text.length && text[i] !== char; i++) if (text[i] === '\\') i++;
    } else if ('([{'.includes(char)) depth++;
    else if (')]}'.includes(char)) {
      if (depth === 0) return i;
      depth--;
    } else if (char === ',' && depth === 0) return i;
  }
  return text.length;
}
