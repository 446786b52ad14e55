import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tableLabel } from '../../cli/core/names.ts';
import {
  isNamed,
  matchesPattern,
  ownSchemas,
  patternOf,
  selectTables,
} from '../../cli/core/tableFilter.ts';
import { tableId, tableSet } from '../harness/arbitrary.ts';

const orders = { schema: 'inventory', table: 'orders' };

describe('patterns', () => {
  it.each([
    ['inventory.orders', true],
    ['inventory.*', true],
    ['*.orders', true],
    ['*.*', true],
    ['inv*.ord?rs', true],
    ['inventory.order', false],
    ['nventory.orders', false],
    ['Inventory.orders', false],
    ['inventory.orders*', true],
    ['inventory?orders', false],
    ['inventory.(orders)', false],
    ['inventory.[o]rders', false],
    ['orders', false],
    ['public.orders', false],
  ])('%s names inventory.orders: %s', (pattern, expected) => {
    expect(matchesPattern(orders, pattern)).toBe(expected);
  });

  it('without a dot names a table of public', () => {
    expect(matchesPattern({ schema: 'public', table: 'orders' }, 'orders')).toBe(true);
    expect(matchesPattern({ schema: 'public', table: 'orders' }, 'ord*')).toBe(true);
  });

  it('take a wildcard literally after a backslash', () => {
    const star = { schema: 'shop', table: 'a*b' };
    const other = { schema: 'shop', table: 'axb' };
    expect([star, other].map((id) => matchesPattern(id, 'shop.a*b'))).toEqual([true, true]);
    expect([star, other].map((id) => matchesPattern(id, 'shop.a\\*b'))).toEqual([true, false]);
    expect(matchesPattern({ schema: 'shop', table: 'back\\slash' }, 'shop.back\\slash')).toBe(true);
  });

  it('of a table match it, and no other', () => {
    fc.assert(
      fc.property(tableId, tableId, (id, other) => {
        expect(matchesPattern(id, patternOf(id))).toBe(true);
        expect(isNamed(id, [patternOf(id)])).toBe(true);
        const isSame = tableLabel(other) === tableLabel(id);
        expect(matchesPattern(other, patternOf(id))).toBe(isSame);
      }),
    );
  });

  it.each([
    [['*.*'], false],
    [['inventory.order?'], false],
    [['inventory.*', 'inventory.orders'], true],
    [['orders'], false],
  ])('%j name inventory.orders itself: %s', (patterns, expected) => {
    expect(isNamed(orders, patterns)).toBe(expected);
  });

  it('*.* is every table, whatever characters it has', () => {
    fc.assert(fc.property(tableId, (id) => matchesPattern(id, '*.*')));
  });
});

function column(schema: string, table: string, names: readonly string[]) {
  return { schema, table, columns: names.map((name) => ({ name })) };
}

describe('selectTables', () => {
  it('takes away what is excluded, whichever pattern included it', () => {
    const tables = [orders, { schema: 'inventory', table: 'orders_old' }];
    expect(selectTables(tables, ['*.*', 'inventory.orders_old'], ['*.*_old'])).toEqual([orders]);
  });

  it('never takes a table of cdc’s own schema', () => {
    const own = { schema: 'cdc', table: 'heartbeat' };
    expect(selectTables([own, orders], ['*.*', 'cdc.heartbeat'], [])).toEqual([orders]);
  });

  it('never takes what pipelines keep in their schemas, and takes what only looks like that', () => {
    const own = (schema: string, heartbeat = ['id', 'beat', 'at']) => [
      column(schema, 'heartbeat', heartbeat),
      column(schema, 'signal', ['id', 'type', 'data']),
    ];
    const theirs = [...own('cdc_shop'), ...own('cdc_mine')];
    const users = [
      ...own('cdc_zoo', ['id', 'pulse']),
      ...own('clinic'),
      column('cdc_lone', 'heartbeat', ['id', 'beat', 'at']),
    ];
    const all = [...theirs, ...users];
    expect(selectTables(all, ['*.*'], [], ownSchemas(all, 'cdc_mine'))).toEqual(users);
  });

  it('takes nothing without a pattern', () => {
    expect(selectTables([orders], [], [])).toEqual([]);
  });

  it('keeps the order and invents nothing', () => {
    fc.assert(
      fc.property(tableSet(), (tables) => {
        const kept = selectTables(tables, ['*.*'], ['*.*_final']);
        expect(tables.filter((t) => kept.includes(t))).toEqual(kept);
      }),
    );
  });
});
