import { describe, expect, it } from 'vitest';
import { columnDependent, culprits, viewDependent, viewsNamed } from '../../cli/core/dependents.ts';
import {
  constraintOf,
  constraintsOf,
  functionsOf,
  isPassing,
  shortError,
  ttlOf,
  viewsOf,
} from '../../cli/core/stalls.ts';

/** As ClickHouse 26.7 wrote them. */
const THROWN =
  "Code: 395. DB::Exception: Value passed to 'throwIf' function is non-zero: while executing 'FUNCTION throwIf(equals(v, 'bad'_String) :: 1) -> throwIf(equals(v, 'bad'_String)) UInt8 : 2': while pushing to view s.t0_theirs: while pushing to view `a b`.`t0 \\` mv`. (FUNCTION_THROW_IF_VALUE_IS_NON_ZERO), Stack trace (when copying this message, always include the lines below):\n\n0. ? @ 0x000000001c8fa4b3";

describe('an error of a queue', () => {
  it('names the views through which the block went, the one that threw first', () => {
    expect(viewsOf(THROWN)).toEqual([
      { database: 's', name: 't0_theirs' },
      { database: 'a b', name: 't0 ` mv' },
    ]);
  });

  it('names the constraint, and the table that has it', () => {
    const error =
      "Code: 469. DB::Exception: Constraint `no, (bad)` for table s.t3_final is violated at row 1. Expression: (v != 'bad'). (VIOLATED_CONSTRAINT)";
    expect(constraintOf(error)).toEqual({
      constraint: 'no, (bad)',
      table: { database: 's', name: 't3_final' },
    });
    expect(constraintOf(THROWN)).toBeUndefined();
  });

  it('names the functions that threw', () => {
    expect(functionsOf(THROWN)).toEqual(['throwIf']);
  });

  it('is shown without code, identifiers and version', () => {
    expect(shortError(THROWN)).toMatch(/^Value passed to 'throwIf'/);
    expect(shortError(THROWN)).not.toMatch(/Stack|0x/);
  });

  it('passes where memory, disk or network is the cause', () => {
    expect(isPassing('Code: 241. DB::Exception: … (MEMORY_LIMIT_EXCEEDED)')).toBe(true);
    expect(isPassing(THROWN)).toBe(false);
  });
});

describe('constraints', () => {
  const statement =
    "CREATE TABLE s.t (`id` Int32, `v` String, CONSTRAINT a CHECK (v != ',)') AND (id IN (1, 2)), CONSTRAINT `b c` CHECK id > 0) ENGINE = MergeTree ORDER BY id";

  it('are cut out of their table’s statement', () => {
    expect(constraintsOf(statement)).toEqual([
      { constraint: 'a', text: "CONSTRAINT a CHECK (v != ',)') AND (id IN (1, 2))" },
      { constraint: 'b c', text: 'CONSTRAINT `b c` CHECK id > 0' },
    ]);
  });
});

describe('what somebody made on a storage', () => {
  const storage = { database: 's', name: 't_final' };
  const column = columnDependent(storage, 'theirs', 'MATERIALIZED', 'toString(`c 0`)');
  const view = viewDependent({ database: 's', name: 'their view' }, 'CREATE … AS SELECT *');

  it('is a column whose expression gives what its type does not take', () => {
    const error =
      "Code: 349. DB::Exception: Cannot convert NULL value to non-Nullable type: while executing 'FUNCTION _CAST(toString(c 0) :: 0, 'String'_String :: 2) -> _CAST(toString(c 0), 'String'_String) String : 3': while pushing to view s.t_mv. (CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN)";
    expect(culprits([view, column], error)).toEqual([column]);
    expect(culprits([view, column], error.replaceAll('c 0', 'd'))).toEqual([]);
  });

  it('is a view that ClickHouse names as it refuses to drop a column, whatever it selects', () => {
    const error =
      "Trying to ALTER DROP column c0 which is referenced by materialized view ['their view'].  (ALTER_OF_COLUMN_IS_FORBIDDEN)";
    expect(viewsNamed([view, column], error)).toEqual([view]);
    expect(viewsNamed([view, column], THROWN)).toEqual([]);
  });

  it('is a TTL, wherever the word stands else', () => {
    const engine = (order: string, ttl: string) =>
      `MergeTree ORDER BY ${order}${ttl} SETTINGS index_granularity = 8192`;
    expect(ttlOf(engine('`a TTL b`', ''))).toBeUndefined();
    expect(ttlOf(engine('id', ' TTL d + toIntervalDay(1)'))).toBe('d + toIntervalDay(1)');
    expect(ttlOf(engine('`a TTL b`', " TTL d + f(' SETTINGS ')"))).toBe("d + f(' SETTINGS ')");
  });
});
