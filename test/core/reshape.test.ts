import { describe, expect, it } from 'vitest';
import { storageObject } from '../../cli/core/ddl.ts';
import { commentOf, digestOf, type ObservedObject } from '../../cli/core/plan.ts';
import { isReshaped, reshapeStatements } from '../../cli/core/reshape.ts';
import { mayDiffer, type SourceColumn, shapeText } from '../../cli/core/source.ts';
import { column, desiredFor, table } from '../harness/pipeline.ts';

const id = column('id', 'int4', { notNull: true });

function storageOf(columns: readonly SourceColumn[], key = ['id']) {
  const plan = desiredFor([table('s', 't', columns, { key })]).tables[0];
  if (!plan) throw new Error('no table');
  return storageObject(plan);
}

function standing(columns: readonly SourceColumn[], key = ['id']): ObservedObject {
  const storage = storageOf(columns, key);
  const own = ['_version', '_deleted', '_committed_at', '_written_at'];
  return {
    database: 's',
    name: 't_final',
    engine: 'ReplacingMergeTree',
    digest: digestOf(storage),
    columns: [
      ...storage.columns.map(({ name, type }) => ({
        name,
        type: type.replaceAll(',', ', ').replaceAll(',  ', ', '),
        isKey: key.includes(name),
        isComputed: false,
      })),
      ...own.map((name) => ({ name, type: 'UInt64', isKey: false, isComputed: false })),
      { name: 'by_somebody', type: 'UInt8', isKey: false, isComputed: true },
    ],
  };
}

const changes = (from: readonly SourceColumn[], to: readonly SourceColumn[]) =>
  reshapeStatements(storageOf(to), standing(from))
    .slice(0, -1)
    .map((statement) => statement.replace('ALTER TABLE `s`.`t_final` ', ''));

describe('storage of another form', () => {
  it('gets columns at their place, and loses those that are gone', () => {
    const a = column('a', 'numeric', { precision: 10, scale: 2 });
    const b = column('it`s', 'text');
    expect(changes([id, a], [id, b, a])).toEqual([
      'ADD COLUMN IF NOT EXISTS `it\\`s` Nullable(String) AFTER `id`',
    ]);
    expect(changes([id, b, a], [id, a])).toEqual(['DROP COLUMN IF EXISTS `it\\`s`']);
  });

  it('converts only what every value survives', () => {
    const n = (type: string, notNull = false) => [id, column('n', type, { notNull })];
    expect(changes(n('int2'), n('int8'))).toEqual(['MODIFY COLUMN `n` Nullable(Int64)']);
    expect(changes(n('int4', true), n('int4'))).toEqual(['MODIFY COLUMN `n` Nullable(Int32)']);
    for (const [from, to] of [
      [n('int8'), n('int2')],
      [n('int4'), n('int8', true)],
      [n('text'), n('int4')],
      [n('int4'), n('uuid')],
    ] as const) {
      expect(changes(from, to)[0]).toBe('DROP COLUMN IF EXISTS `n`');
      expect(changes(from, to)[1]).toMatch(/^ADD COLUMN IF NOT EXISTS `n` .* AFTER `id`$/);
    }
  });

  it('is made anew when the key has other columns or types, and not for their order', () => {
    const other = column('b', 'int4', { notNull: true });
    const [drop, create] = reshapeStatements(storageOf([id, other], ['b']), standing([id, other]));
    expect(drop).toBe('DROP TABLE IF EXISTS `s`.`t_final` SYNC');
    expect(create).toContain('ORDER BY (`b`)');
    const wide = column('id', 'int8', { notNull: true });
    expect(reshapeStatements(storageOf([wide]), standing([id]))[0]).toContain('DROP TABLE');
    const turned = storageOf([id, other], ['b', 'id']);
    expect(isReshaped(turned, standing([id, other], ['id', 'b']))).toBe(false);
  });

  it('ends with the comment that says which form it has', () => {
    const storage = storageOf([id, column('a', 'text')]);
    expect(isReshaped(storage, standing([id]))).toBe(true);
    expect(isReshaped(storage, undefined)).toBe(false);
    expect(reshapeStatements(storage, standing([id])).at(-1)).toContain(commentOf(storage));
  });
});

describe('rows may have got other values', () => {
  const shape = { columns: 'c', touched: 't', files: 'f' };

  it.each([
    [{ columns: 'other' }, true],
    [{ touched: 'other' }, false],
    [{ files: 'other' }, false],
    [{ touched: 'other', files: 'other' }, true],
    [{}, false],
  ])('after %j: %j', (change, expected) => {
    expect(mayDiffer({ shape: { ...shape, ...change } }, shapeText({ shape }))).toBe(expected);
  });

  it('after another filter, also of a copy that was loaded before there were any', () => {
    const filtered = { shape, where: 'n > 1' };
    expect(mayDiffer(filtered, shapeText({ shape }))).toBe(true);
    expect(mayDiffer({ shape }, shapeText(filtered))).toBe(true);
    expect(mayDiffer(filtered, 'c t f')).toBe(true);
    expect(mayDiffer({ shape }, 'c t f')).toBe(false);
    expect(mayDiffer(filtered, shapeText(filtered))).toBe(false);
  });
});
