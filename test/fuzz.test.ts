import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Beside,
  countedDifferences,
  differencesOf,
  digitsIn,
  elementsOf,
  type OracleColumn,
  ofCopy,
  ofSource,
  rowOf,
} from './fuzz/oracle.ts';
import { drawOf, isCounted, type Program, program, programAt } from './fuzz/program.ts';
import { runOf } from './fuzz/run.ts';
import { arrayValue, fuzzTypes, scalarValue } from './fuzz/values.ts';
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

  it('is made smaller until only what fails is left, also of a table without a key', () => {
    const all = ({ before, first, second, third, last }: Program) =>
      [before, first, second, third, last].flat().map(({ does }) => does.op);
    const smallest = (fails: (drawn: Program) => boolean) => {
      const { counterexample } = fc.check(
        fc.property(program, (drawn) => !fails(drawn)),
        { seed: 7, numRuns: 2000 },
      );
      if (!counterexample) throw new Error('none fails');
      return counterexample[0];
    };
    const twins = smallest((p) => p.table.keyed === 'none' && all(p).includes('twins'));
    expect(all(twins).filter((op) => op === 'twins')).toHaveLength(1);
    expect(all(twins).length).toBeLessThanOrEqual(5);
    expect(twins.table.columns).toEqual([]);
    expect(smallest((p) => all(p).includes('keying')).table.keyed).toBe('immediate');
  });

  it('has a table that is counted, one in three of them', () => {
    const counted = Array.from({ length: 300 }, (_, i) => isCounted(programAt(1, i).table));
    expect(counted.filter((is) => is).length / 300).toBeCloseTo(1 / 3, 1);
  });

  it('does everything that programs can do, in a thousand of them', () => {
    const seen = new Set<string>();
    const types = new Set<number>();
    const { length } = typeCases('s');
    for (let i = 0; i < 1000; i += 1) {
      const { table, before, first, second, third, last, snapshot } = programAt(1, i);
      for (const { does } of [...before, ...first, ...second, ...third, ...last]) seen.add(does.op);
      seen.add(snapshot).add(table.identity).add(`${table.partitions}`).add(table.keyed);
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
        "deferrable",
        "deferred",
        "delete",
        "drop",
        "full",
        "identity",
        "immediate",
        "index",
        "insert",
        "key",
        "keying",
        "label",
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
        "twins",
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

  it('do not fit, one in six of a type that has such', () => {
    for (const type of fuzzTypes('s').filter(({ misfits }) => misfits.length > 0)) {
      const odd = new Set(type.misfits.map((misfit) => `(${misfit})::${type.type}`));
      const values = Array.from({ length: 6000 }, (_, n) => scalarValue(type, n));
      expect(values.filter((value) => odd.has(value)).length).toBeGreaterThanOrEqual(1000);
    }
  });

  it('are such that do not fit, of every kind that there is', () => {
    const drawn = (name: string) => {
      const type = fuzzTypes('s').find((t) => t.type === name);
      if (!type) throw new Error(`no type ${name}`);
      const values = Array.from({ length: 20_000 }, (_, n) => scalarValue(type, n));
      return type.misfits.filter((misfit) => !values.includes(`(${misfit})::${name}`));
    };
    for (const type of ['numeric(12,2)', 'numeric', 'date', 's.cents', 's.moods'])
      expect(drawn(type)).toEqual([]);
  });

  it('are arrays of every shape', () => {
    const [integers] = fuzzTypes('s').filter(({ type }) => type === 'integer');
    if (!integers) throw new Error('no integers');
    const values = Array.from({ length: 1000 }, (_, n) => arrayValue(integers, n, false));
    for (const shape of ['ARRAY[ARRAY[', "('[0:1]=' ||", "('[-7:-7]=' ||", "('[1:2][0:0]=' ||"])
      expect(values.filter((value) => value.startsWith(shape)).length).toBeGreaterThan(0);
  });
});

const column = (base: string, more: Partial<OracleColumn> = {}): OracleColumn => ({
  name: 'c',
  base,
  array: false,
  asText: false,
  nullable: true,
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
    [column('numeric'), '1.50', '1.5'],
    [numeric(1000, 500), `1.5${'0'.repeat(499)}`, '1.5'],
    [
      column('numeric'),
      `-${'9'.repeat(38)}.${'9'.repeat(38)}`,
      `-${'9'.repeat(38)}.${'9'.repeat(38)}`,
    ],
    [column('time'), '10:20:30.5', '10:20:30.500000'],
    [column('time'), '24:00:00', '24:00:00.000000'],
    [numeric(9, 2), '-0.50', '-0.5'],
    [numeric(5, -2), '1234600', '1234600'],
    [column('money'), '-$1,234.50', '-1234.5'],
    [column('timestamp'), '2024-01-01 10:00:00', '2024-01-01 10:00:00.000000'],
    [column('timestamptz'), '2024-01-01 10:00:00.5+00', '2024-01-01 10:00:00.500000'],
    [column('text'), 'NULL', 'NULL'],
    [column('point'), '(1e-300,-0)', [1e-300, -0]],
    [column('point'), '(NaN,-Infinity)', ['nan', '-inf']],
    [column('point', { array: true }), '{"(1,2)"}', ['(1,2)']],
    [column('int4', { array: true }), '{1,NULL}', [1, null]],
    [column('text', { array: true }), '{"a,\\"b\\\\",NULL,"NULL"}', ['a,"b\\', null, 'NULL']],
    [column('int4', { array: true, asText: true }), '{{1},{2}}', '{{1},{2}}'],
  ])('takes %o %s for what ClickHouse shows as %o', (of, text, shown) => {
    expect(ofCopy(of, shown)).toEqual(ofSource(of, text));
  });

  it.each([
    [column('float8'), '0', -0],
    [column('float8'), '0.1', 0.10000000000000002],
    [column('numeric'), '1.50', '1.05'],
    [numeric(9, 2), '1.50', '1.51'],
    [column('text'), '', null],
    [column('text'), 'NULL', null],
    [column('bpchar'), 'a ', 'a'],
    [column('bool'), 'f', null],
    [column('timestamp'), '2024-01-01 10:00:00.000001', '2024-01-01 10:00:00.000000'],
    [column('point'), '(0,1)', [-0, 1]],
    [column('point'), '(0,1)', [0]],
    [column('point'), '(NaN,NaN)', null],
    [column('int4', { array: true }), '{1,NULL}', [1, 0]],
    [column('int4', { array: true }), '{1}', []],
    [column('text', { array: true }), '{NULL}', ['NULL']],
  ])('tells %o %s from what ClickHouse shows as %o', (of, text, shown) => {
    expect(ofCopy(of, shown)).not.toEqual(ofSource(of, text));
  });

  it('tells a NULL array from an empty one', () => {
    const array = column('int4', { array: true });
    expect(ofCopy(array, [], [['c', null]])).toEqual(ofSource(array, null));
    expect(ofCopy(array, [], [])).toEqual(ofSource(array, '{}'));
    expect(ofSource(array, null)).not.toEqual(ofSource(array, '{}'));
  });

  it('tells a NULL point from one that is nowhere', () => {
    const point = column('point');
    expect(ofCopy(point, ['nan', 'nan'], [['c', null]])).toEqual(ofSource(point, null));
    expect(ofCopy(point, ['nan', 'nan'], [])).toEqual(ofSource(point, '(NaN,NaN)'));
    expect(ofSource(point, null)).not.toEqual(ofSource(point, '(NaN,NaN)'));
  });

  const required = { nullable: false };
  it.each([
    [numeric(9, 2), 'NaN', null],
    [{ ...numeric(9, 2), ...required }, 'NaN', '0'],
    [column('numeric'), '-Infinity', null],
    [column('numeric', required), 'Infinity', '0'],
    [column('numeric'), `1${'0'.repeat(38)}`, null],
    [column('numeric'), `7.${'0'.repeat(37)}15`, `7.${'0'.repeat(37)}1`],
    [column('numeric'), `-0.${'0'.repeat(49)}1`, '0'],
    [numeric(100, 2), `1${'0'.repeat(74)}.25`, null],
    [numeric(1000, 500), `0.${'1'.repeat(500)}`, `0.${'1'.repeat(38)}`],
    [column('date'), 'infinity', '2299-12-31'],
    [column('date'), '-infinity', '1900-01-01'],
    [column('date'), '1899-12-31', '1900-01-01'],
    [column('date'), '5874897-12-31', '2299-12-31'],
    [column('timestamp'), '2300-01-01 00:00:00', '2299-12-31 23:59:59.999999'],
    [column('timestamptz'), '1999-01-01 00:00:00+00 BC', '1900-01-01 00:00:00.000000'],
    [column('timestamptz'), '20000-01-01 00:00:00+00', '2299-12-31 23:59:59.999999'],
    [column('int4', { array: true }), '{{1}}', []],
    [column('int4', { array: true }), '[0:1]={1,2}', []],
    [
      column('date', { array: true }),
      '{infinity,NULL,2024-01-01}',
      ['2299-12-31', null, '2024-01-01'],
    ],
    [column('numeric', { array: true, ...required }), '{NaN,1.50}', [null, '1.5']],
  ])('of %o %s wants %o to be shown, and the text beside', (of, text, shown) => {
    expect(ofCopy(of, shown, [['c', text]])).toEqual(ofSource(of, text));
    expect(ofCopy(of, shown, [])).not.toEqual(ofSource(of, text));
    expect(ofCopy(of, shown, [['c', `9${text}`]])).not.toEqual(ofSource(of, text));
    expect(ofCopy(of, shown, [['c', null]])).not.toEqual(ofSource(of, text));
    const twice: Beside = [
      ['c', text],
      ['c', text],
    ];
    expect(ofCopy(of, shown, twice)).not.toEqual(ofSource(of, text));
  });

  it('wants no text beside a value that fits', () => {
    const date = column('date');
    expect(ofCopy(date, '2024-01-01', [['c', '2024-01-01']])).not.toEqual(
      ofSource(date, '2024-01-01'),
    );
  });

  it('takes numbers beside for equal where only zeros at the end tell them apart', () => {
    const number = column('numeric', { array: true });
    expect(ofCopy(number, [null, '1.5'], [['c', '{NaN,1.5}']])).toEqual(
      ofSource(number, '{NaN,1.50}'),
    );
  });

  it('reads precision and scale as PostgreSQL packs them', () => {
    expect(digitsIn(numeric(12, 2).modifier)).toEqual({ whole: 10, scale: 2 });
    expect(digitsIn(numeric(5, -2).modifier)).toEqual({ whole: 7, scale: 0 });
    expect(digitsIn(numeric(2, 5).modifier)).toEqual({ whole: 0, scale: 5 });
    expect(digitsIn(numeric(100, 2).modifier)).toEqual({ whole: 74, scale: 2 });
    expect(digitsIn(numeric(1000, 500).modifier)).toEqual({ whole: 38, scale: 38 });
    expect(digitsIn(-1)).toEqual({ whole: 38, scale: 38 });
  });

  it('takes arrays of boxes apart where PostgreSQL does', () => {
    expect(elementsOf('{(3,4),(1,2);(5,6),(0,0)}', ';')).toEqual(['(3,4),(1,2)', '(5,6),(0,0)']);
  });

  it('names what is missing, extra, different and twice', () => {
    const row = (key: string, text: string) => ({ key, text });
    const found = differencesOf(
      [row('1', 'a'), row('2', 'b'), row('3', 'c'), row('4', 'd')],
      [row('1', 'a'), row('1', 'a'), row('2', 'x'), row('4', 'd'), row('9', 'y')],
    );
    expect(found.map(({ key, how }) => `${key} ${how}`)).toEqual([
      '1 twice',
      '2 different',
      '3 missing',
      '9 extra',
    ]);
  });

  it('counts rows where no key tells them apart, each one that is missing or too many', () => {
    const found = countedDifferences(['a', 'a', 'a', 'b', 'c'], ['a', 'c', 'c', 'd', 'b']);
    expect(found.map(({ key, how }) => `${key} ${how}`)).toEqual([
      'a missing',
      'a missing',
      'c extra',
      'd extra',
    ]);
  });

  it('tells keys apart by their texts where the same stands in for them', () => {
    const day = column('date', { nullable: false });
    const keyOf = (text: string) => rowOf([ofSource(day, text)], () => true).key;
    expect(new Set(['infinity', '20000-01-01', '2299-12-31'].map(keyOf)).size).toBe(3);
  });

  it('overlooks no text beside that is of no column', () => {
    const row = (strangers: Beside) => rowOf([{ shown: '1' }], () => true, strangers).text;
    expect(row([['gone', 'infinity']])).not.toBe(row([]));
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
