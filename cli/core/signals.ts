import { literalPattern } from './connector.ts';
import { type TableId, tableLabel } from './names.ts';

/** What Debezium is told through the signal table, and what it tells through its notifications. */

export interface DebeziumSignal {
  readonly id: string;
  readonly type: 'execute-snapshot' | 'stop-snapshot';
  readonly data: Readonly<Record<string, unknown>>;
}

/**
 * Debezium takes a regular expression, and takes the names that match it apart again: it does not
 * find a name with a space or a dot that way. What matches nothing it takes apart as it stands, so a
 * quoted name works, as long as it is an expression at all.
 */
function reference(table: TableId): string {
  const parts = [table.schema, table.table];
  const plain = parts.every((part) => /^[\p{L}\p{N}_]+$/u.test(part));
  const isExpression = parts.some((part) => /[\\^$|?*+()[\]{}]/.test(part));
  return plain || isExpression
    ? literalPattern(tableLabel(table))
    : parts.map((part) => `"${part}"`).join('.');
}

/** Reads a table's rows beside the stream, in chunks by key; those that meet the condition. */
export function snapshotSignal(id: string, table: TableId, where?: string): DebeziumSignal {
  // An expression, too; the signal names one table only.
  const condition = { 'data-collection': '(?s).*', filter: `(${where})` };
  const data = {
    type: 'incremental',
    'data-collections': [reference(table)],
    ...(where === undefined ? {} : { 'additional-conditions': [condition] }),
  };
  return { id, type: 'execute-snapshot', data };
}

/** Whether a condition has an operator with a question mark, which JDBC takes for a parameter. */
export function hasParameterMark(where: string): boolean {
  return where.replaceAll(/'(?:[^']|'')*'|"(?:[^"]|"")*"/g, '').includes('?');
}

/** Ends all such readings. */
export function stopSignal(id: string): DebeziumSignal {
  return { id, type: 'stop-snapshot', data: { type: 'incremental' } };
}

/** How a reading gets on. */
export type ReadingNews =
  | { readonly kind: 'progress'; readonly done: number; readonly totalRows: number }
  | { readonly kind: 'done'; readonly rows: number }
  /** It joined after Debezium read the catalog, and has not changed since. */
  | { readonly kind: 'unknown'; readonly detail: string }
  | { readonly kind: 'failed'; readonly detail: string };

interface Notification {
  aggregate_type?: string;
  type?: string;
  additional_data?: Record<string, string> | null;
}

/** What a notification says about a table; undefined when it is about something else. */
export function snapshotNews(message: string, table: TableId): ReadingNews | undefined {
  const { aggregate_type, type, additional_data } = JSON.parse(message) as Notification;
  const data = additional_data ?? {};
  const label = tableLabel(table);
  if (aggregate_type !== 'Incremental Snapshot') return undefined;
  if (type === 'DATA_COLLECTIONS_RESOLVED' && !data.data_collections?.includes(label))
    return { kind: 'unknown', detail: 'Debezium does not find it by its name' };
  if (type === 'IN_PROGRESS' && data.current_collection_in_progress === label) {
    const of = Math.max(1, Number(data.total_chunks ?? 1));
    const done = Math.min(1, Number(data.chunk_index ?? 0) / of);
    return { kind: 'progress', done, totalRows: Number(data.total_rows ?? 0) };
  }
  if (type === 'TABLE_SCAN_COMPLETED' && data.scanned_collection === label) {
    if (data.status === 'SUCCEEDED' || data.status === 'EMPTY')
      return { kind: 'done', rows: Number(data.total_rows_scanned ?? 0) };
    const detail = `Debezium says ${data.status ?? 'nothing'}`;
    return { kind: data.status === 'UNKNOWN_SCHEMA' ? 'unknown' : 'failed', detail };
  }
  return type === 'ABORTED'
    ? { kind: 'failed', detail: 'Debezium was told to stop reading' }
    : undefined;
}
