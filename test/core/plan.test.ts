import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ownTablesOf, tableLabelKey } from '../../cli/core/names.ts';
import {
  commentOf,
  connectorDiff,
  createStatement,
  digestOf,
  objectKey,
  parseComment,
  publicationDiff,
} from '../../cli/core/plan.ts';
import { identifier, tableSet } from '../harness/arbitrary.ts';
import { column, desiredFor, table } from '../harness/pipeline.ts';

const OWN_TABLES = ownTablesOf('cdc');
const plain = desiredFor([table('s', 't')]).target;
const wider = desiredFor([
  table('s', 't', [column('id', 'int4', { notNull: true }), column('note', 'text')]),
]).target;

describe('comments', () => {
  it('say of every object what it is and which statement made it', () => {
    const objects = [...plain.own, ...plain.tables.flatMap((t) => [t.storage, t.view])];
    for (const object of objects) {
      expect(parseComment(commentOf(object))).toEqual({
        kind: object.kind,
        digest: digestOf(object),
        marks: { layout: '', options: '' },
        own: 'cdc',
      });
      expect(createStatement(object)).toContain(commentOf(object));
    }
  });

  it('say whose an object is, where its pipeline has a name', () => {
    const { target } = desiredFor([table('s', 't')], { name: 'shop-eu' });
    const objects = [
      ...target.own,
      ...target.tables.flatMap((t) => [t.storage, t.view]),
      ...target.sharedQueues.flatMap(({ queue, behind, reader }) => [queue, ...behind, reader]),
    ];
    for (const object of objects) {
      expect(commentOf(object)).toMatch(/ of cdc_shop_eu$/);
      expect(parseComment(commentOf(object))?.own).toBe('cdc_shop_eu');
      expect(object.create).not.toMatch(/`cdc`|'cdc\\/);
    }
  });

  it('say of a storage how it is stored, where cdc.yaml says something of that', () => {
    const [stored] = desiredFor([
      {
        ...table('s', 't'),
        storage: { partitionBy: 'id % 7', settings: { min_rows_for_wide_part: 1 } },
      },
    ]).target.tables;
    const marks = parseComment(commentOf(stored!.storage))?.marks;
    expect(marks).toEqual(stored!.storage.marks);
    expect(marks?.layout).toMatch(/^[0-9a-f]{8}$/);
    expect(marks?.options).not.toBe(marks?.layout);
  });

  it('change with the statement, and only with it', () => {
    const [before] = plain.tables;
    const [after] = wider.tables;
    const [again] = desiredFor([table('s', 't')]).target.tables;
    if (!before || !after || !again) throw new Error('no table');
    expect(digestOf(again.storage)).toBe(digestOf(before.storage));
    expect(digestOf(after.storage)).not.toBe(digestOf(before.storage));
  });

  it.each([
    '',
    'cdc',
    'cdc storage',
    'cdc storage 123',
    'made by hand',
    'cdc table 0123456789abcdef',
  ])('that are somebody else’s are left alone: %j', (comment) => {
    expect(parseComment(comment)).toBeUndefined();
  });
});

describe('publicationDiff', () => {
  it('leads from what is there to exactly what is wanted, and our own tables', () => {
    fc.assert(
      fc.property(tableSet(), tableSet(), (present, wanted) => {
        const { add, remove } = publicationDiff(present, wanted, OWN_TABLES);
        const after = new Set(present.map(tableLabelKey));
        for (const id of remove) expect(after.delete(tableLabelKey(id))).toBe(true);
        for (const id of add) expect(after.has(tableLabelKey(id))).toBe(false);
        for (const id of add) after.add(tableLabelKey(id));
        expect(after).toEqual(new Set([...wanted, ...OWN_TABLES].map(tableLabelKey)));
        const second = publicationDiff([...wanted, ...OWN_TABLES], wanted, OWN_TABLES);
        expect(second).toEqual({ add: [], remove: [], filter: [] });
      }),
    );
  });

  it('tells a filter that is new, changed or gone', () => {
    const plain = { schema: 's', table: 't' };
    const filtered = { ...plain, where: 'n > 1' };
    const filterOf = (a: object, b: object) =>
      publicationDiff([{ ...plain, ...a }], [{ ...plain, ...b }], OWN_TABLES).filter;
    expect(filterOf(plain, filtered)).toEqual([filtered]);
    expect(filterOf(filtered, { where: 'n > 2' })).toEqual([{ ...plain, where: 'n > 2' }]);
    expect(filterOf(filtered, plain)).toEqual([plain]);
    expect(filterOf(filtered, filtered)).toEqual([]);
  });

  it('tells columns that are named anew, others, or no more', () => {
    const plain = { schema: 's', table: 't' };
    const some = { ...plain, listed: ['id', 'name'] };
    const listOf = (a: object, b: object) =>
      publicationDiff([{ ...plain, ...a }], [{ ...plain, ...b }], OWN_TABLES).filter;
    expect(listOf(plain, some)).toEqual([some]);
    expect(listOf(some, { listed: ['id'] })).toEqual([{ ...plain, listed: ['id'] }]);
    expect(listOf(some, plain)).toEqual([plain]);
    expect(listOf(some, { listed: ['id', 'name'] })).toEqual([]);
  });
});

describe('connectorDiff', () => {
  it('names what differs, what is new and what is gone', () => {
    expect(connectorDiff({ a: '1', b: '2', c: '3' }, { a: '1', b: 'x', d: '4' })).toEqual([
      'b',
      'c',
      'd',
    ]);
  });

  it('finds nothing in an equal configuration; Connect adds the name', () => {
    expect(connectorDiff({ a: '1', name: 'cdc-postgres' }, { a: '1' })).toEqual([]);
  });

  it('names everything where there is no connector', () => {
    expect(connectorDiff(undefined, { a: '1', b: '2' })).toEqual(['a', 'b']);
  });
});

describe('objectKey', () => {
  it('is different for different objects', () => {
    fc.assert(
      fc.property(identifier, identifier, identifier, identifier, (a, b, c, d) => {
        const same = a === c && b === d;
        const key = objectKey({ database: a, name: b });
        expect(key === objectKey({ database: c, name: d })).toBe(same);
      }),
    );
  });
});
