import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  canonicalRowSource,
  canonicalRowTarget,
  type IncrementalSnapshot,
  planColumn,
} from '../../cli/core/columns.ts';
import { CARRIED_TYPES, TYPES_NOT_CARRIED } from '../../cli/core/types/mapping.ts';
import { identifier } from '../harness/arbitrary.ts';
import { column } from '../harness/pipeline.ts';

const typeOf = (...args: Parameters<typeof column>) => planColumn(column(...args))?.type;

describe('types of columns', () => {
  it.each([
    ['int2', 'Int16'],
    ['int4', 'Int32'],
    ['int8', 'Int64'],
    ['float4', 'Float32'],
    ['float8', 'Float64'],
    ['text', 'String'],
    ['varchar', 'String'],
    ['bpchar', 'String'],
    ['bool', 'Bool'],
    ['date', 'Date32'],
    ['time', 'Time64(6)'],
    ['timestamp', "DateTime64(6, 'UTC')"],
    ['timestamptz', "DateTime64(6, 'UTC')"],
    ['uuid', 'UUID'],
    ['bytea', 'String'],
    ['json', 'String'],
    ['jsonb', 'String'],
    ['oid', 'UInt32'],
    ['interval', 'String'],
    ['tstzmultirange', 'String'],
    ['polygon', 'String'],
    ['sparsevec', 'String'],
    ['hstore', 'String'],
    // Made by a user, or by an extension that nobody here has heard of.
    ['anything', 'String'],
    ['constructor', 'String'],
    ['__proto__', 'String'],
  ])('%s becomes %s', (type, target) => {
    expect(typeOf('c', type, { notNull: true })).toBe(target);
    expect(typeOf('c', type)).toBe(`Nullable(${target})`);
    expect(typeOf('c', type, { array: true })).toBe(`Array(Nullable(${target}))`);
  });

  it.each([
    [10, 2, 'Decimal(10, 2)'],
    [9, 0, 'Decimal(9, 0)'],
    [76, 76, 'Decimal(76, 76)'],
    [77, 2, 'Decimal(76, 2)'],
    [5, -2, 'Decimal(7, 0)'],
    [2, 5, 'Decimal(5, 5)'],
    [70, -7, 'Decimal(76, 0)'],
    [1000, 500, 'Decimal(76, 38)'],
    [undefined, undefined, 'Decimal(76, 38)'],
  ])('numeric(%s, %s) becomes %s', (precision, scale, target) => {
    expect(typeOf('n', 'numeric', { precision, scale, notNull: true })).toBe(target);
  });

  it('an enum becomes text whatever its name is', () => {
    const mood = (options: Parameters<typeof column>[2]) =>
      typeOf('c', 'int4', { ...options, typeKind: 'e' });
    expect(mood({ notNull: true })).toBe('LowCardinality(String)');
    expect(mood({})).toBe('LowCardinality(Nullable(String))');
    expect(mood({ array: true })).toBe('Array(LowCardinality(Nullable(String)))');
  });

  it('money is a number, but in an array the text that the server prints', () => {
    expect(typeOf('c', 'money', { notNull: true })).toBe('Decimal(19, 2)');
    expect(typeOf('c', 'money', { array: true })).toBe('Array(Nullable(String))');
  });

  it.each([
    ['point', 'Point'],
    ['vector', 'Array(Float32)'],
    ['halfvec', 'Array(Float32)'],
  ])('%s becomes %s, of which there is no NULL, and text in arrays', (type, target) => {
    for (const notNull of [true, false]) expect(typeOf('c', type, { notNull })).toBe(target);
    expect(typeOf('c', type, { array: true })).toBe('Array(Nullable(String))');
    // What a user made, and called so.
    expect(typeOf('c', type, { typeKind: 'c', notNull: true })).toBe('String');
    expect(typeOf('c', type, { typeKind: 'r', notNull: true })).toBe('String');
  });

  it('an array declared with several dimensions is text', () => {
    expect(typeOf('c', 'int4', { array: true, dimensions: 2 })).toBe('Nullable(String)');
  });

  it.each(TYPES_NOT_CARRIED)('%s is not carried unless as text', (type) => {
    expect(planColumn(column('c', type))).toBeUndefined();
    expect(typeOf('c', type, { carry: 'text' })).toBe('Nullable(String)');
  });

  it('any type is carried as text or masked where cdc.yaml says so', () => {
    for (const type of [...CARRIED_TYPES, ...TYPES_NOT_CARRIED]) {
      for (const carry of ['text', 'mask'] as const) {
        for (const array of [true, false])
          expect(typeOf('c', type, { carry, array })).toBe('Nullable(String)');
      }
    }
  });
});

describe('expressions of columns', () => {
  const texts = ({ parse, store, unfit }: IncrementalSnapshot) => [
    parse?.('r') ?? '',
    store('r', 'p'),
    unfit?.('r', 'p') ?? '',
  ];
  const everyType = fc.constantFrom(...CARRIED_TYPES);

  it('are made for every type that is carried, and balanced', () => {
    fc.assert(
      fc.property(
        everyType,
        fc.boolean(),
        fc.boolean(),
        identifier,
        (type, array, notNull, name) => {
          const plan = planColumn(column(name, type, { array, notNull }));
          if (!plan) throw new Error(`no plan for ${type}`);
          for (const text of [
            ...texts(plan.wired),
            plan.loadSelect('c'),
            ...texts(plan.loaded),
            plan.canonicalSource('c'),
            plan.canonicalTarget('c'),
          ]) {
            const bare = text.replace(/'(?:[^'\\]|\\.|'')*'/g, '');
            expect(bare.split('(').length).toBe(bare.split(')').length);
          }
        },
      ),
    );
  });

  it('tell of every value that may not fit, and of none that always does', () => {
    const told = (type: string, options = {}) =>
      planColumn(column('c', type, options))?.loaded.unfit !== undefined;
    for (const type of ['numeric', 'date', 'timestamp', 'timestamptz', 'money'])
      expect([type, told(type)]).toEqual([type, true]);
    for (const type of ['int4', 'text', 'uuid', 'bytea', 'jsonb', 'time', 'interval'])
      expect([type, told(type)]).toEqual([type, false]);
    // ClickHouse has no NULL of these.
    expect(told('int4', { array: true })).toBe(true);
    for (const type of ['point', 'vector', 'halfvec']) expect(told(type)).toBe(true);
  });

  it('join fields of both sides by one separator', () => {
    const plans = ['a', 'b'].map((name) => planColumn(column(name, 'int4', { notNull: true }))!);
    expect(canonicalRowSource(plans, 's').split('\u001f')).toHaveLength(2);
    expect(canonicalRowTarget(plans).split('\\x1F')).toHaveLength(2);
  });
});
