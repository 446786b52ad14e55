import { describe, expect, it } from 'vitest';
import { hasParameterMark, snapshotNews, snapshotSignal } from '../../cli/core/signals.ts';

const orders = { schema: 'inventory', table: 'orders' };
const told = (type: string, data: Record<string, string>, aggregate = 'Incremental Snapshot') =>
  JSON.stringify({ id: 'x', type, aggregate_type: aggregate, additional_data: data });

describe('readSignal', () => {
  it.each([
    [orders, 'inventory\\.orders'],
    [{ schema: 's', table: 'br[1]' }, 's\\.br\\[1\\]'],
    [{ schema: 's', table: 'with space' }, '"s"."with space"'],
    [{ schema: 's', table: 'a.b' }, '"s"."a.b"'],
  ])('names a table so that Debezium finds it: %j', (table, reference) => {
    expect(snapshotSignal('1', table)).toEqual({
      id: '1',
      type: 'execute-snapshot',
      data: { type: 'incremental', 'data-collections': [reference] },
    });
  });

  it('has the filter of a table in parentheses of its own, whatever the table is called', () => {
    const { data } = snapshotSignal('1', { schema: 's', table: 'a\nb' }, 'n = 1 OR n = 2');
    const [condition] = data['additional-conditions'] as { [key: string]: string }[];
    expect(condition?.filter).toBe('(n = 1 OR n = 2)');
    expect(condition?.['data-collection']).toBe('(?s).*');
  });
});

describe('hasParameterMark', () => {
  it.each([
    [`(a ? 'b'::text)`, true],
    [`(a ?| ARRAY['b'::text])`, true],
    [`(a = 'what? it''s ?'::text)`, false],
    [`("which?" > 1)`, false],
  ])('%s: %s', (where, expected) => expect(hasParameterMark(where)).toBe(expected));
});

describe('readingNews', () => {
  it('tells progress, the end, and that there is none to come', () => {
    const progress = { chunk_index: '5', total_chunks: '20', total_rows: '1000' };
    const current = { current_collection_in_progress: 'inventory.orders' };
    const scanned = { scanned_collection: 'inventory.orders', total_rows_scanned: '7' };
    const news = (type: string, data: Record<string, string>) =>
      snapshotNews(told(type, data), orders);
    expect(news('IN_PROGRESS', { ...progress, ...current })).toEqual({
      kind: 'progress',
      done: 0.25,
      totalRows: 1000,
    });
    const done = { kind: 'done', rows: 7 };
    expect(news('TABLE_SCAN_COMPLETED', { ...scanned, status: 'SUCCEEDED' })).toEqual(done);
    expect(news('TABLE_SCAN_COMPLETED', { ...scanned, status: 'EMPTY' })).toEqual(done);
    expect(news('TABLE_SCAN_COMPLETED', { ...scanned, status: 'UNKNOWN_SCHEMA' })?.kind).toBe(
      'unknown',
    );
    for (const status of ['SQL_EXCEPTION', 'NO_PRIMARY_KEY'])
      expect(news('TABLE_SCAN_COMPLETED', { ...scanned, status })?.kind).toBe('failed');
    expect(news('ABORTED', {})?.kind).toBe('failed');
    expect(news('DATA_COLLECTIONS_RESOLVED', { data_collections: '' })?.kind).toBe('unknown');
  });

  it('leaves alone what is about other tables and other snapshots', () => {
    const scanned = { scanned_collection: 'inventory.others', status: 'SUCCEEDED' };
    expect(snapshotNews(told('TABLE_SCAN_COMPLETED', scanned), orders)).toBeUndefined();
    expect(snapshotNews(told('COMPLETED', {}, 'Initial Snapshot'), orders)).toBeUndefined();
    expect(
      snapshotNews(
        told('DATA_COLLECTIONS_RESOLVED', { data_collections: 'inventory.orders' }),
        orders,
      ),
    ).toBeUndefined();
  });
});
