import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyOverrides, type ColumnRule } from '../../cli/core/overrides.ts';
import { canBe } from '../../cli/core/types/mapping.ts';
import { identifier } from '../harness/arbitrary.ts';
import { column, table } from '../harness/pipeline.ts';

const users = table('shop', 'users', [
  column('id', 'int4', { notNull: true }),
  column('password', 'text'),
  column('born', 'date'),
]);

const apply = (pattern: string, columns: Record<string, ColumnRule>) =>
  applyOverrides([users], { [pattern]: { columns } });

describe('applyOverrides', () => {
  it('takes excluded columns away and remembers their names', () => {
    const { tables, findings } = apply('shop.users', { password: 'exclude', born: 'text' });
    expect(findings).toEqual([]);
    expect(tables[0]?.columns.map((c) => [c.name, c.carry])).toEqual([
      ['id', undefined],
      ['born', 'text'],
    ]);
    expect(tables[0]?.excluded).toEqual(['password']);
  });

  it('chooses tables by wildcards', () => {
    expect(apply('*.us?rs', { password: 'mask' }).tables[0]?.columns[1]?.carry).toBe('mask');
  });

  it.each([
    ['shop.user', 'password', 'override-table', '"shop.users"'],
    ['shop.users', 'pasword', 'override-column', '"password"'],
  ])('asks for what was meant by %s, %s', (pattern, name, id, meant) => {
    const [finding] = apply(pattern, { [name]: 'exclude' }).findings;
    expect(finding).toMatchObject({ id, severity: 'error' });
    expect(finding?.fix).toContain(meant);
  });

  it.each(['exclude', 'mask'] as const)('refuses to %s a column of the key', (rule) => {
    const { tables, findings, ofTable } = apply('shop.users', { id: rule });
    expect(findings).toEqual([]);
    expect(ofTable.get(users.oid)).toMatchObject([
      { id: 'override-key', severity: 'error', subject: 'shop.users.id' },
    ]);
    expect(tables[0]?.columns.map((c) => c.name)).toContain('id');
  });

  it.each([
    ['born', 'Date', undefined],
    ['born', 'DateTime', 'One of: Date'],
    ['password', 'LowCardinality(String)', undefined],
    ['password', 'String) ENGINE = Null; DROP TABLE x; --', 'One of: LowCardinality(String)'],
    ['id', 'Int64', 'key column'],
  ])('%s as %s is taken, or refused with what can be', (name, type, fix) => {
    const { tables, findings } = apply('shop.users', { [name]: { type } });
    expect(tables[0]?.columns.find((c) => c.name === name)?.chosenType).toBe(type);
    expect(findings.map((f) => [f.id, f.severity])).toEqual(
      fix === undefined ? [] : [['override-type', 'error']],
    );
    if (fix !== undefined) expect(findings[0]?.fix).toContain(fix);
  });

  it.each([
    ['numeric', 'Decimal(77, 2)'],
    ['numeric', 'Decimal(5, 6)'],
    ['numeric', 'Nullable(Int8)'],
    // ClickHouse throws where a scale overflows, and an exception stops every table of the queue.
    ['timestamptz', "DateTime64(9, 'UTC')"],
    ['timestamptz', "DateTime64(3, 'Nowhere/Here')"],
    ['timestamptz', "DateTime64(3, 'UTC') DEFAULT throwIf(1)"],
    ['jsonb', 'JSON'],
    ['float8', 'Decimal(10, 2)'],
    ['constructor', 'Int8'],
  ])('%s cannot be %s', (type, chosen) => {
    expect(canBe(column('c', type), chosen)).toBe(false);
  });

  it('keeps the history of tables that the last fitting entry says to', () => {
    const of = (entries: Record<string, boolean>) =>
      applyOverrides(
        [users],
        Object.fromEntries(
          Object.entries(entries).map(([k, history]) => [k, { columns: {}, history }]),
        ),
      ).tables[0]?.history;
    expect(of({ 'shop.*': true })).toBe(true);
    expect(of({ 'shop.*': true, 'shop.users': false })).toBe(false);
    expect(of({ 'shop.users': false, '*.*': true })).toBe(true);
  });

  it('takes the filter of the last entry that names a table, beside its columns', () => {
    const rules = { 'shop.*': { columns: {}, where: 'id > 1' } };
    const [one] = applyOverrides([users], {
      ...rules,
      '*.users': { columns: {}, where: 'id > 2' },
    }).tables;
    expect(one?.where).toBe('id > 2');
    const [two] = applyOverrides([users], {
      ...rules,
      '*.users': { columns: { born: 'text' } },
    }).tables;
    expect(two?.where).toBe('id > 1');
    expect(apply('shop.users', {}).tables[0]).not.toHaveProperty('where');
  });

  it('carries the key as text', () => {
    expect(apply('shop.users', { id: 'text' }).findings).toEqual([]);
  });

  it('splits the columns of a table, whatever they are called', () => {
    const names = fc.uniqueArray(identifier, { minLength: 2, maxLength: 6 });
    const rule = fc.constantFrom<(ColumnRule | undefined)[]>(undefined, 'exclude', 'mask', 'text');
    fc.assert(
      fc.property(names, fc.array(rule, { minLength: 6, maxLength: 6 }), (all, rules) => {
        const source = table(
          's',
          't',
          all.map((name) => column(name, 'int4')),
          { key: [all[0] ?? ''] },
        );
        const columns = Object.fromEntries(
          all.flatMap((name, i) => (rules[i] && i > 0 ? [[name, rules[i]]] : [])),
        );
        const [changed] = applyOverrides([source], { 's.t': { columns } }).tables;
        const kept = changed?.columns.map((c) => c.name) ?? [];
        expect([...kept, ...(changed?.excluded ?? [])].sort()).toEqual([...all].sort());
        for (const name of changed?.excluded ?? []) expect(columns[name]).toBe('exclude');
      }),
    );
  });
});
