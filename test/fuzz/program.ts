import fc from 'fast-check';
import { HOSTILE_NAMES } from '../harness/arbitrary.ts';

/**
 * Programs as data. Numbers stand for what only a database knows (which row, which column, which
 * value of a column's type) and are made statements when the program is played.
 */
export interface ColumnSpec {
  readonly name: string;
  /** Picks a type of the type table. */
  readonly type: number;
  readonly form: 'scalar' | 'array' | 'deep';
  readonly notNull: boolean;
  readonly hasDefault: boolean;
  readonly value: number;
  /** Kept out of line as it is, without an attempt to compress it. */
  readonly external: boolean;
}

/** What tells rows apart: a key at every moment, at the end of a statement, of a transaction, or nothing. */
export type Keyed = 'immediate' | 'deferrable' | 'deferred' | 'none';

export interface TableSpec {
  readonly name: string;
  readonly keyed: Keyed;
  /** Ordinary columns where the table has no key. */
  readonly key: readonly ColumnSpec[];
  readonly columns: readonly ColumnSpec[];
  /** Where what tells rows apart comes from; always full where neither a key nor an index does. */
  readonly identity: 'default' | 'full' | 'index';
  readonly partitions: 0 | 2 | 3;
  readonly generated: boolean;
  readonly numbered: boolean;
}

export type Op =
  | { readonly op: 'insert'; readonly rows: readonly number[]; readonly conflict: Conflict }
  | { readonly op: 'copy'; readonly rows: number; readonly value: number }
  | { readonly op: 'bulk'; readonly rows: number; readonly value: number }
  | { readonly op: 'update'; readonly where: Where; readonly sets: readonly Pair[] }
  | { readonly op: 'large'; readonly where: Where; readonly value: number }
  | { readonly op: 'touch'; readonly where: Where }
  | { readonly op: 'key'; readonly where: Where; readonly value: number }
  | { readonly op: 'shift'; readonly by: number }
  | { readonly op: 'swap'; readonly where: Where; readonly value: number }
  | { readonly op: 'again'; readonly where: Where }
  | {
      readonly op: 'twins';
      readonly where: Where;
      readonly times: number;
      readonly copied: boolean;
    }
  | { readonly op: 'delete'; readonly where: Where }
  | { readonly op: 'truncate' }
  | { readonly op: 'begin' }
  | { readonly op: 'commit' }
  | { readonly op: 'rollback' }
  | { readonly op: 'savepoint' }
  | { readonly op: 'back' }
  | { readonly op: 'prepare'; readonly commit: boolean }
  | Ddl;

export type Ddl =
  | { readonly op: 'add'; readonly column: ColumnSpec }
  | { readonly op: 'drop'; readonly column: number }
  | { readonly op: 'rename'; readonly column: number; readonly name: string }
  | { readonly op: 'names'; readonly column: number }
  | {
      readonly op: 'retype';
      readonly column: number;
      readonly to: ColumnSpec;
      readonly using: Using;
    }
  | { readonly op: 'null'; readonly column: number; readonly allowed: boolean }
  | { readonly op: 'default'; readonly column: number; readonly value: number }
  | { readonly op: 'storage'; readonly column: number }
  | { readonly op: 'identity'; readonly full: boolean }
  | { readonly op: 'rekey'; readonly type: number }
  | {
      readonly op: 'keying';
      readonly to: Keyed;
      readonly column: number;
      readonly full: boolean;
    }
  | { readonly op: 'vacuum' }
  | { readonly op: 'label'; readonly nth: number }
  | { readonly op: 'table'; readonly name: string }
  | { readonly op: 'recreate'; readonly table: TableSpec };

export type Conflict = 'fail' | 'nothing' | 'update';
export type Using = 'null' | 'text' | 'value';

/** Some rows of the table, told by a number. */
export interface Where {
  readonly salt: number;
  readonly rows: number;
}

/** A column and a value of it. */
export interface Pair {
  readonly column: number;
  readonly value: number;
}

export interface Step {
  readonly connection: 0 | 1;
  readonly pauseMs: number;
  readonly does: Op;
}

export interface Program {
  readonly table: TableSpec;
  /** Rows that the table has before it is copied. */
  readonly before: readonly Step[];
  /** While the table is loaded. */
  readonly first: readonly Step[];
  /** While it is loaded again, if it is. */
  readonly second: readonly Step[];
  /** With changes of the table's form. */
  readonly third: readonly Step[];
  /** While those are carried over. */
  readonly last: readonly Step[];
  readonly snapshot: 'none' | 'pull' | 'debezium';
}

const number = fc.nat();

/** As long as PostgreSQL takes it; whole characters. */
function clipped(name: string, bytes: number): string {
  let clip = '';
  for (const character of name) {
    if (Buffer.byteLength(clip + character) > bytes) break;
    clip += character;
  }
  return clip;
}

/** No double quote: a table name with one is a finding of `cdc doctor`. */
const suffix = fc
  .oneof({ weight: 2, arbitrary: fc.constant('') }, fc.constantFrom(...HOSTILE_NAMES))
  .map((name) => clipped(name.replaceAll('"', ''), 50));
const columnSuffix = fc
  .oneof({ weight: 3, arbitrary: fc.constant('') }, fc.constantFrom(...HOSTILE_NAMES))
  .map((name) => clipped(name, 50));

const column: fc.Arbitrary<ColumnSpec> = fc.record({
  name: columnSuffix,
  type: number,
  form: fc.oneof(
    { weight: 8, arbitrary: fc.constant('scalar' as const) },
    { weight: 2, arbitrary: fc.constant('array' as const) },
    { weight: 1, arbitrary: fc.constant('deep' as const) },
  ),
  notNull: fc.nat(3).map((n) => n === 0),
  hasDefault: fc.nat(3).map((n) => n === 0),
  value: number,
  external: fc.boolean(),
});

const keyed: fc.Arbitrary<Keyed> = fc.oneof(
  // What fails with an ordinary key, too, is told with one.
  { withCrossShrink: true },
  { weight: 6, arbitrary: fc.constant('immediate' as const) },
  { weight: 2, arbitrary: fc.constant('none' as const) },
  { weight: 2, arbitrary: fc.constantFrom('deferrable' as const, 'deferred' as const) },
);

const table: fc.Arbitrary<TableSpec> = fc.record({
  name: suffix,
  keyed,
  key: fc.oneof(
    { weight: 4, arbitrary: fc.tuple(column) },
    { weight: 1, arbitrary: fc.tuple(column, column) },
    { weight: 1, arbitrary: fc.tuple(column, column, column) },
  ),
  columns: fc.array(column, { maxLength: 7, size: 'max' }),
  identity: fc.oneof(
    { weight: 4, arbitrary: fc.constant('default' as const) },
    { weight: 2, arbitrary: fc.constant('full' as const) },
    { weight: 1, arbitrary: fc.constant('index' as const) },
  ),
  partitions: fc.constantFrom(0, 0, 0, 0, 0, 2, 3),
  generated: fc.nat(4).map((n) => n === 0),
  numbered: fc.nat(4).map((n) => n === 0),
});

const where: fc.Arbitrary<Where> = fc.record({
  salt: number,
  rows: fc.oneof(fc.constant(1), fc.integer({ min: 2, max: 12 }), fc.constant(10_000)),
});
const pair: fc.Arbitrary<Pair> = fc.record({ column: number, value: number });

function op<T extends Op>(
  weight: number,
  name: T['op'],
  rest: { [K in keyof Omit<T, 'op'>]: fc.Arbitrary<T[K & keyof T]> },
): fc.WeightedArbitrary<Op> {
  const arbitrary = fc.record({ op: fc.constant(name), ...rest }) as unknown as fc.Arbitrary<Op>;
  return { weight, arbitrary };
}
type Of<Name extends Op['op']> = Extract<Op, { op: Name }>;

const INSERT = op<Of<'insert'>>(12, 'insert', {
  rows: fc.array(number, { minLength: 1, maxLength: 8, size: 'max' }),
  conflict: fc.constantFrom<Conflict[]>('fail', 'nothing', 'nothing', 'update', 'update'),
});
const COPY = op<Of<'copy'>>(3, 'copy', { rows: fc.integer({ min: 1, max: 30 }), value: number });

const CHANGES: readonly fc.WeightedArbitrary<Op>[] = [
  INSERT,
  COPY,
  op<Of<'bulk'>>(1, 'bulk', { rows: fc.integer({ min: 20, max: 150 }), value: number }),
  op<Of<'update'>>(12, 'update', {
    where,
    sets: fc.array(pair, { minLength: 1, maxLength: 3, size: 'max' }),
  }),
  op<Of<'large'>>(5, 'large', { where, value: number }),
  op<Of<'touch'>>(2, 'touch', { where }),
  op<Of<'key'>>(5, 'key', { where, value: number }),
  op<Of<'shift'>>(1, 'shift', { by: fc.constantFrom(1, -1, 1000) }),
  op<Of<'swap'>>(2, 'swap', { where, value: number }),
  op<Of<'again'>>(2, 'again', { where }),
  op<Of<'twins'>>(4, 'twins', {
    where,
    times: fc.integer({ min: 1, max: 3 }),
    copied: fc.boolean(),
  }),
  op<Of<'delete'>>(6, 'delete', { where }),
  op<Of<'truncate'>>(1, 'truncate', {}),
];

const TRANSACTIONS: readonly fc.WeightedArbitrary<Op>[] = [
  op<Of<'begin'>>(8, 'begin', {}),
  op<Of<'commit'>>(6, 'commit', {}),
  op<Of<'rollback'>>(3, 'rollback', {}),
  op<Of<'savepoint'>>(3, 'savepoint', {}),
  op<Of<'back'>>(2, 'back', {}),
  op<Of<'prepare'>>(1, 'prepare', { commit: fc.boolean() }),
];

const DDL: readonly fc.WeightedArbitrary<Op>[] = [
  op<Of<'add'>>(8, 'add', { column }),
  op<Of<'drop'>>(4, 'drop', { column: number }),
  op<Of<'rename'>>(3, 'rename', { column: number, name: columnSuffix }),
  op<Of<'names'>>(1, 'names', { column: number }),
  op<Of<'retype'>>(6, 'retype', {
    column: number,
    to: column,
    using: fc.constantFrom<Using[]>('null', 'text', 'value'),
  }),
  op<Of<'null'>>(3, 'null', { column: number, allowed: fc.boolean() }),
  op<Of<'default'>>(2, 'default', { column: number, value: number }),
  op<Of<'storage'>>(2, 'storage', { column: number }),
  op<Of<'identity'>>(2, 'identity', { full: fc.boolean() }),
  op<Of<'rekey'>>(2, 'rekey', { type: number }),
  op<Of<'keying'>>(5, 'keying', {
    to: fc.constantFrom<Keyed[]>('none', 'deferrable', 'deferred', 'immediate', 'immediate'),
    column: number,
    full: fc.boolean(),
  }),
  op<Of<'vacuum'>>(1, 'vacuum', {}),
  op<Of<'label'>>(1, 'label', { nth: number }),
  op<Of<'table'>>(1, 'table', { name: suffix }),
  op<Of<'recreate'>>(1, 'recreate', { table }),
];

function steps(
  ops: readonly fc.WeightedArbitrary<Op>[],
  range: { minLength?: number; maxLength: number },
): fc.Arbitrary<Step[]> {
  const step = fc.record({
    connection: fc.constantFrom<(0 | 1)[]>(0, 0, 1),
    // Spreads what is written over the time that a load takes.
    pauseMs: fc.constantFrom(0, 0, 0, 20, 150),
    does: fc.oneof(...ops),
  });
  return fc.array(step, { ...range, size: 'max' });
}

export const program: fc.Arbitrary<Program> = fc.record({
  table,
  before: steps([INSERT, COPY, ...CHANGES.slice(2, 5)], { maxLength: 5 }),
  first: steps([...CHANGES, ...TRANSACTIONS], { maxLength: 16 }),
  second: steps([...CHANGES, ...TRANSACTIONS], { minLength: 4, maxLength: 20 }),
  third: fc.oneof(
    { weight: 1, arbitrary: steps(CHANGES, { maxLength: 2 }) },
    { weight: 4, arbitrary: steps([...CHANGES, ...TRANSACTIONS, ...DDL], { maxLength: 20 }) },
  ),
  last: steps([...CHANGES, ...TRANSACTIONS], { maxLength: 12 }),
  snapshot: fc.oneof(
    { weight: 22, arbitrary: fc.constant('none' as const) },
    { weight: 7, arbitrary: fc.constant('pull' as const) },
    { weight: 1, arbitrary: fc.constant('debezium' as const) },
  ),
});

/** Whether nothing tells the table's rows apart at every moment: a replica identity index would. */
export function isCounted({ keyed, identity }: TableSpec): boolean {
  return keyed !== 'immediate' && identity !== 'index';
}

/** How a program is drawn: by `fc.sample` and by `fc.check` alike. */
export function drawOf(seed: number, index: number) {
  // Spread, so that neighbouring seeds share no programs.
  const spread = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) + Math.imul(index, 0xc2b2ae35)) | 0;
  return { seed: spread, numRuns: 1, unbiased: true };
}

/** The program of a run with this seed at this place. */
export function programAt(seed: number, index: number): Program {
  const [drawn] = fc.sample(program, drawOf(seed, index));
  if (!drawn) throw new Error('fast-check drew nothing');
  return drawn;
}
