import { describe, expect, it } from 'vitest';
import { storageObject } from '../../cli/core/ddl.ts';
import { commentOf, digestOf, type ObservedObject } from '../../cli/core/plan.ts';
import { mayDiffer, type SourceColumn, schemaFingerprint } from '../../cli/core/source.ts';
import { isMigrated, migrationStatements } from '../../cli/core/storageMigration.ts';
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
    marks: storage.marks,
    engineFull: '',
    columns: [
      ...storage.columns.map(({ name, type }) => ({
        name,
        type: type.replaceAll(',', ', ').replaceAll(',  ', ', '),
        isKey: key.includes(name),
        isComputed: false,
        hasCodec: false,
      })),
      ...own.map((name) => ({
        name,
        type: 'UInt64',
        isKey: false,
        isComputed: false,
        hasCodec: false,
      })),
      { name: 'by_somebody', type: 'UInt8', isKey: false, isComputed: true, hasCodec: false },
    ],
  };
}

const statements = (...asked: Parameters<typeof migrationStatements>) => {
  const { first, last } = migrationStatements(...asked);
  return [...first, ...last];
};

const changes = (from: readonly SourceColumn[], to: readonly SourceColumn[]) =>
  statements(storageOf(to), standing(from))
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
      // As what was copied before points and vectors had types of their own.
      [n('line'), n('point')],
      [n('line', true), n('vector', true)],
    ] as const) {
      expect(changes(from, to)[0]).toBe('DROP COLUMN IF EXISTS `n`');
      expect(changes(from, to)[1]).toMatch(/^ADD COLUMN IF NOT EXISTS `n` .* AFTER `id`$/);
    }
  });

  it('is written anew from its rows when the key has other columns or types, and not for their order', () => {
    const other = column('b', 'int4', { notNull: true });
    const rebuild = statements(storageOf([id, other], ['b']), standing([id, other]));
    const next = rebuild[0]?.split(' ')[4];
    expect(next).toMatch(/^`cdc`\.`rebuild_[0-9a-f]{16}`$/);
    expect(rebuild[1]).toContain('ORDER BY (`b`)');
    expect(rebuild.slice(2)).toEqual([
      `INSERT INTO ${next} (\`id\`, \`b\`, \`_exact\`, \`_version\`, \`_deleted\`, \`_committed_at\`, \`_written_at\`) SELECT \`id\`, \`b\`, \`_exact\`, \`_version\`, \`_deleted\`, \`_committed_at\`, \`_written_at\` FROM \`s\`.\`t_final\` FINAL WHERE _deleted = 0 SETTINGS max_partitions_per_insert_block = 0`,
      `EXCHANGE TABLES ${next} AND \`s\`.\`t_final\``,
      `DROP TABLE IF EXISTS ${next} SYNC`,
    ]);
    const wide = column('id', 'int8', { notNull: true });
    expect(statements(storageOf([wide]), standing([id]))[2]).toContain('`id`');
    const turned = storageOf([id, other], ['b', 'id']);
    expect(isMigrated(turned, standing([id, other], ['id', 'b']))).toBe(false);
  });

  it('has what the view asks for before the view is made anew, and loses columns after that', () => {
    const [a, b] = [column('a', 'text'), column('b', 'text')];
    const { first, last } = migrationStatements(storageOf([id, b]), standing([id, a]));
    expect(first).toEqual([
      'ALTER TABLE `s`.`t_final` ADD COLUMN IF NOT EXISTS `b` Nullable(String) AFTER `id`',
    ]);
    expect(last[0]).toBe('ALTER TABLE `s`.`t_final` DROP COLUMN IF EXISTS `a`');
    expect(last[1]).toContain('MODIFY COMMENT');
  });

  it('begins empty where its rows lack a column of the new key, or have it as another type', () => {
    const added = column('b', 'int4', { notNull: true });
    const other = column('id', 'uuid', { notNull: true });
    for (const storage of [storageOf([id, added], ['id', 'b']), storageOf([other])]) {
      const [drop, create] = statements(storage, standing([id]));
      expect(drop).toBe('DROP TABLE IF EXISTS `s`.`t_final` SYNC');
      expect(create).toContain('CREATE TABLE IF NOT EXISTS `s`.`t_final`');
    }
  });

  it('ends with the comment that says which form it has', () => {
    const storage = storageOf([id, column('a', 'text')]);
    expect(isMigrated(storage, standing([id]))).toBe(true);
    expect(isMigrated(storage, undefined)).toBe(false);
    expect(statements(storage, standing([id])).at(-1)).toContain(commentOf(storage));
  });
});

describe('rows may have got other values', () => {
  const color = { oid: 7, labels: ['red', 'green'] };
  const pair = { oid: 8, fields: 'a b' };
  const shape = { columns: 'c', touched: 't', files: 'f', key: 'k', types: [color, pair] };

  it.each([
    [{ columns: 'other' }, true],
    [{ touched: 'other' }, false],
    [{ files: 'other' }, false],
    [{ key: 'other' }, true],
    [{ touched: 'other', files: 'other' }, true],
    [{ types: [{ oid: 7, labels: ['rouge', 'green'] }, pair] }, true],
    [{ types: [{ oid: 7, labels: ['red', 'green', 'blue'] }, pair] }, false],
    [{ types: [{ oid: 7, labels: ['red', 'vert', 'blue'] }, pair] }, true],
    [{ types: [color, { oid: 8, fields: 'a b c' }] }, true],
    [{ types: [color] }, false],
    [{}, false],
  ])('after %j: %j', (change, expected) => {
    expect(mayDiffer({ shape: { ...shape, ...change } }, schemaFingerprint({ shape }))).toBe(
      expected,
    );
  });

  it('after another filter, also of a copy that was loaded before there were any', () => {
    const filtered = { shape, where: 'n > 1' };
    expect(mayDiffer(filtered, schemaFingerprint({ shape }))).toBe(true);
    expect(mayDiffer({ shape }, schemaFingerprint(filtered))).toBe(true);
    expect(mayDiffer(filtered, 'c t f')).toBe(true);
    expect(mayDiffer({ shape }, 'c t f')).toBe(false);
    expect(mayDiffer({ shape }, 'c t f  k')).toBe(false);
    expect(mayDiffer(filtered, schemaFingerprint(filtered))).toBe(false);
  });

  it('other columns in the publication, whoever has named them', () => {
    const listed = { shape, listed: ['id', 'name'] };
    expect(mayDiffer(listed, schemaFingerprint({ shape }))).toBe(true);
    expect(mayDiffer({ shape }, schemaFingerprint(listed))).toBe(true);
    expect(mayDiffer({ ...listed, listed: ['id'] }, schemaFingerprint(listed))).toBe(true);
    expect(mayDiffer(listed, schemaFingerprint(listed))).toBe(false);
  });
});
