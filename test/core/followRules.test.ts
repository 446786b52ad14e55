import { describe, expect, it } from 'vitest';
import { memoryOf, type RememberedTable, ruledTables } from '../../cli/core/followRules.ts';
import { applyOverrides, type ColumnRule } from '../../cli/core/overrides.ts';
import type { SourceTable } from '../../cli/core/source.ts';
import { column, table } from '../harness/pipeline.ts';

/** Numbers and names of a table's columns; the first is its key. */
function users(attributes: readonly (readonly [number, string])[], name = 'users'): SourceTable {
  return table(
    's',
    name,
    attributes.map(([, called]) => column(called, 'text', { notNull: called === 'id' })),
    {
      oid: 7,
      key: ['id'],
      attributes: attributes.map(([number, called]) => ({
        number,
        name: called,
        isPublished: true,
      })),
    },
  );
}

const RULES: Readonly<Record<string, ColumnRule>> = { password: 'exclude', email: 'mask' };
const before = users([
  [1, 'id'],
  [2, 'password'],
  [3, 'email'],
  [4, 'note'],
]);

function apply(
  source: SourceTable,
  rules: Readonly<Record<string, ColumnRule>>,
  memory?: RememberedTable,
) {
  const remembered = new Map(memory ? [[memory.oid, memory]] : []);
  const { tables, findings } = applyOverrides(
    [source],
    { 's.users': { columns: rules } },
    remembered,
  );
  const [changed] = tables;
  if (!changed) throw new Error('no table');
  return {
    excluded: changed.excluded,
    masked: changed.columns.filter((c) => c.carry === 'mask').map((c) => c.name),
    findings: findings.map(({ id, subject }) => `${id} ${subject}`),
    memory: memoryOf(changed, remembered),
  };
}

const given = apply(before, RULES).memory;

describe('rules that keep values back', () => {
  it('are remembered by the columns’ numbers', () => {
    expect(given).toEqual({
      schema: 's',
      table: 'users',
      oid: 7,
      rules: [
        [2, 'password', 'exclude'],
        [3, 'email', 'mask'],
      ],
    });
  });

  it('follow columns that are renamed, again and again, until cdc.yaml calls them by their names', () => {
    const once = users([
      [1, 'id'],
      [2, 'secret'],
      [3, 'mail'],
      [4, 'note'],
    ]);
    const first = apply(once, RULES, given);
    expect(first).toMatchObject({ excluded: ['secret'], masked: ['mail'] });
    expect(first.findings).toEqual(['rule-follows s.users.secret', 'rule-follows s.users.mail']);
    const twice = users([
      [1, 'id'],
      [2, 'hash'],
      [3, 'mail'],
      [4, 'note'],
    ]);
    const second = apply(twice, RULES, first.memory);
    expect(second).toMatchObject({ excluded: ['hash'], masked: ['mail'] });
    const called = apply(twice, { hash: 'exclude', mail: 'mask' }, second.memory);
    expect(called.findings).toEqual([]);
    expect(called.memory?.rules.map(([, name]) => name)).toEqual(['hash', 'mail']);
  });

  it('hold for whatever has the name now, too', () => {
    const swapped = users([
      [1, 'id'],
      [2, 'password'],
      [3, 'note'],
      [4, 'email'],
    ]);
    expect(apply(swapped, RULES, given).masked).toEqual(['note', 'email']);
  });

  it('end with their column, and where cdc.yaml has them no more', () => {
    const dropped = users([
      [1, 'id'],
      [4, 'note'],
    ]);
    const first = apply(dropped, RULES, given);
    expect(first).toMatchObject({ excluded: [], masked: [], findings: [] });
    // cdc.yaml still names what is gone, at the next command, too.
    expect(apply(dropped, RULES, first.memory)).toEqual(first);
    expect(apply(dropped, {}, first.memory).memory).toBeUndefined();
    const renamed = users([
      [1, 'id'],
      [2, 'password'],
      [3, 'mail'],
      [4, 'note'],
    ]);
    expect(apply(renamed, { password: 'exclude' }, given).masked).toEqual([]);
  });

  it('follow the table', () => {
    const members = users(
      before.attributes.map(({ number, name }) => [number, name] as const),
      'members',
    );
    const found = apply(members, RULES, given);
    expect(found).toMatchObject({ excluded: ['password'], masked: ['email'] });
    expect(found.memory).toMatchObject({ table: 'users', oid: 7 });
  });

  it('are told to the connector with the names that it is sent: those that the publication has', () => {
    const told = (table: SourceTable) => ruledTables([{ ...table, isRuled: true }]);
    const columns = ['1 id', '2 password', '3 email', '4 note'];
    expect(told(before)).toEqual({
      7: { table: 's.users', columns, sent: ['id', 'password', 'email', 'note'] },
    });
    expect(told({ ...before, listed: ['id', 'email', 'note'] })).toEqual({
      7: { table: 's.users', columns, sent: ['id', 'email', 'note'] },
    });
  });

  it('without a memory a name that no column has stays an error', () => {
    const renamed = users([
      [1, 'id'],
      [2, 'password'],
      [3, 'mail'],
    ]);
    expect(apply(renamed, RULES).findings).toEqual([
      'override-column tables."s.users".columns."email"',
    ]);
  });
});
