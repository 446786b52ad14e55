import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decimalOf,
  differencesOf,
  elementsOf,
  NO_FIT,
  type OracleColumn,
  type OracleRow,
  ofCopy,
  ofSource,
} from './fuzz/oracle.ts';
import { drawOf, type Program, program, programAt } from './fuzz/program.ts';
import { runOf } from './fuzz/run.ts';
import { fuzzTypes, scalarValue } from './fuzz/values.ts';
import { typeCases } from './harness/types.ts';

describe('a program', () => {
  it('is the same for the same seed and place, and another one elsewhere', () => {
    const places = Array.from({ length: 20 }, (_, i) => JSON.stringify(programAt(7, i)));
    expect(places).toEqual(places.map((_, i) => JSON.stringify(programAt(7, i))));
    expect(new Set(places).size).toBe(20);
    expect(places).not.toContain(JSON.stringify(programAt(8, 0)));
  });

  it('is the one that is made smaller when it fails', () => {
    let first: Program | undefined;
    fc.check(
      fc.property(program, (drawn) => {
        first = drawn;
        return true;
      }),
      drawOf(7, 3),
    );
    expect(first).toEqual(programAt(7, 3));
  });

  it('does everything that programs can do, in a thousand of them', () => {
    const seen = new Set<string>();
    const types = new Set<number>();
    const { length } = typeCases('s');
    for (let i = 0; i < 1000; i += 1) {
      const { table, before, first, second, third, last, snapshot } = programAt(1, i);
      for (const { does } of [...before, ...first, ...second, ...third, ...last]) seen.add(does.op);
      seen.add(snapshot).add(table.identity).add(`${table.partitions}`);
      for (const column of table.columns) types.add(column.type % length);
    }
    expect([...seen].sort()).toMatchInlineSnapshot(`
      [
        "0",
        "2",
        "3",
        "add",
        "again",
        "back",
        "begin",
        "bulk",
        "commit",
        "copy",
        "debezium",
        "default",
        "delete",
        "drop",
        "full",
        "identity",
        "index",
        "insert",
        "key",
        "large",
        "names",
        "none",
        "null",
        "prepare",
        "pull",
        "recreate",
        "rekey",
        "rename",
        "retype",
        "rollback",
        "savepoint",
        "shift",
        "storage",
        "swap",
        "table",
        "touch",
        "truncate",
        "update",
        "vacuum",
      ]
    `);
    expect(types.size).toBe(length);
  });
});

describe('values', () => {
  it('are drawn for every type of the type table, and the same for the same number', () => {
    for (const type of fuzzTypes('s')) {
      const values = Array.from({ length: 300 }, (_, n) => scalarValue(type, n));
      expect(values).toEqual(values.map((_, n) => scalarValue(type, n)));
      for (const value of values) expect(value).not.toContain('undefined');
    }
  });
});

const column = (base: string, more: Partial<OracleColumn> = {}): OracleColumn => ({
  name: 'c',
  base,
  array: false,
  asText: false,
  modifier: -1,
  delimiter: ',',
  ...more,
});
const numeric = (precision: number, scale: number) =>
  column('numeric', { modifier: ((precision << 16) | (scale & 0x7ff)) + 4 });

describe('the oracle', () => {
  it.each([
    [column('int8'), '-9223372036854775808', '-9223372036854775808'],
    [column('float4'), '1.1754944e-38', 1.1754944e-38],
    [column('float8'), '-0', -0],
    [column('float8'), 'NaN', 'nan'],
    [column('float8'), '-Infinity', '-inf'],
    [column('bool'), 't', true],
    [column('bytea'), '\\x00ff', '00FF'],
    [column('numeric'), '1.50', '1.50'],
    [numeric(9, 2), '-0.50', '-0.5'],
    [numeric(5, -2), '1234600', '1234600'],
    [column('money'), '-$1,234.50', '-1234.5'],
    [column('timestamp'), '2024-01-01 10:00:00', '2024-01-01 10:00:00.000000'],
    [column('timestamptz'), '2024-01-01 10:00:00.5+00', '2024-01-01 10:00:00.500000'],
    [column('text'), 'NULL', 'NULL'],
    [column('int4', { array: true }), '{1,NULL}', [1, null]],
    [column('text', { array: true }), '{"a,\\"b\\\\",NULL,"NULL"}', ['a,"b\\', null, 'NULL']],
    [column('int4', { array: true, asText: true }), '{{1},{2}}', '{{1},{2}}'],
  ])('takes %o %s for what ClickHouse shows as %o', (of, text, shown) => {
    expect(ofCopy(of, shown, false)).toBe(ofSource(of, text));
  });

  it.each([
    [column('float8'), '0', -0],
    [column('float8'), '0.1', 0.10000000000000002],
    [column('numeric'), '1.50', '1.5'],
    [numeric(9, 2), '1.50', '1.51'],
    [column('text'), '', null],
    [column('text'), 'NULL', null],
    [column('bpchar'), 'a ', 'a'],
    [column('bool'), 'f', null],
    [column('timestamp'), '2024-01-01 10:00:00.000001', '2024-01-01 10:00:00.000000'],
    [column('int4', { array: true }), '{1,NULL}', [1, 0]],
    [column('int4', { array: true }), '{1}', []],
    [column('text', { array: true }), '{NULL}', ['NULL']],
  ])('tells %o %s from what ClickHouse shows as %o', (of, text, shown) => {
    expect(ofCopy(of, shown, false)).not.toBe(ofSource(of, text));
  });

  it('tells a NULL array from an empty one', () => {
    const array = column('int4', { array: true });
    expect(ofCopy(array, [], true)).toBe(ofSource(array, null));
    expect(ofCopy(array, [], false)).toBe(ofSource(array, '{}'));
    expect(ofSource(array, null)).not.toBe(ofSource(array, '{}'));
  });

  it.each([
    [numeric(9, 2), 'NaN'],
    [column('date'), 'infinity'],
    [column('date'), '1899-12-31'],
    [column('timestamp'), '2300-01-01 00:00:00'],
    [column('timestamptz'), '1999-01-01 00:00:00+00 BC'],
    [column('int4', { array: true }), '{{1}}'],
    [column('int4', { array: true }), '[0:1]={1,2}'],
    [column('date', { array: true }), '{infinity}'],
  ])('knows that %o cannot hold %s', (of, text) => {
    expect(ofSource(of, text)).toBe(NO_FIT);
  });

  it('reads precision and scale as PostgreSQL packs them', () => {
    expect(decimalOf(numeric(12, 2).modifier)).toEqual({ scale: 2 });
    expect(decimalOf(numeric(5, -2).modifier)).toEqual({ scale: 0 });
    expect(decimalOf(numeric(2, 5).modifier)).toEqual({ scale: 5 });
    expect(decimalOf(numeric(100, 2).modifier)).toBeUndefined();
    expect(decimalOf(-1)).toBeUndefined();
  });

  it('takes arrays of boxes apart where PostgreSQL does', () => {
    expect(elementsOf('{(3,4),(1,2);(5,6),(0,0)}', ';')).toEqual(['(3,4),(1,2)', '(5,6),(0,0)']);
  });

  it('names what is missing, extra, different and twice, and no row that does not fit', () => {
    const row = (key: string, text: OracleRow['text']): OracleRow => ({ key, text });
    const found = differencesOf(
      [row('1', 'a'), row('2', 'b'), row('3', 'c'), row('4', NO_FIT), row('5', NO_FIT)],
      [row('1', 'a'), row('1', 'a'), row('2', 'x'), row('4', 'older'), row('9', 'y')],
    );
    expect(found.map(({ key, how }) => `${key} ${how}`)).toEqual([
      '1 twice',
      '2 different',
      '3 missing',
      '9 extra',
    ]);
  });
});

describe('a run', () => {
  it('is what the environment says', () => {
    expect(runOf({})).toMatchObject({ from: 0, shrinkMs: 0 });
    expect(runOf({ CDC_FUZZ_SEED: '9', CDC_FUZZ_PROGRAMS: '300' })).toMatchObject({
      seed: 9,
      from: 0,
      programs: 300,
    });
    expect(runOf({ CDC_FUZZ_ONLY: '17' })).toMatchObject({ from: 17, programs: 1 });
    expect(runOf({ CDC_FUZZ_ONLY: '20-39' })).toMatchObject({ from: 20, programs: 20 });
  });
});
