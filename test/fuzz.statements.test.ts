import { describe, expect, it } from 'vitest';
import type { Keyed, Op } from './fuzz/program.ts';
import { statementsOf } from './fuzz/statements.ts';
import type { Setting } from './fuzz/tables.ts';
import { fuzzTypes } from './fuzz/values.ts';

describe('statements', () => {
  const all = fuzzTypes('s');
  const byName = new Map(all.map((type) => [type.type, type]));
  const part = { type: 'integer', deep: false, notNull: true, hasDefault: false, generated: false };
  const setting = (key: boolean, deferrable = false): Setting => ({
    types: { schema: 's', all, keys: all, byName },
    table: 't',
    base: 't',
    columns: [{ ...part, name: 'a', key, unique: key }],
    partitioned: false,
    constraint: key ? { name: 't_pkey', deferrable } : undefined,
    identity: key && !deferrable ? 'd' : 'f',
    wasCounted: false,
    step: 1,
    dropped: [],
  });
  const where = { salt: 7, rows: 1 };
  const sqlOf = (does: Op, now: Setting) => statementsOf(does, now).sql.join(';\n');

  it.each(['insert', 'copy', 'bulk'] as const)(
    'of %s write rows that are identical where nothing forbids it, and only there',
    (op) => {
      const does: Op =
        op === 'insert' ? { op, rows: [3, 4], conflict: 'nothing' } : { op, rows: 20, value: 1 };
      const repeated = / (\(\(\S+\)::integer\)), \1/;
      expect(sqlOf(does, setting(false))).toMatch(repeated);
      expect(sqlOf(does, setting(true))).not.toContain('SELECT * FROM');
      // No ON CONFLICT knows a deferrable key.
      expect(sqlOf(does, setting(true, true))).toMatch(/DISTINCT ON(?!.*CONFLICT)/);
    },
  );

  it('choose one of several identical rows, all that are identical to one, or any', () => {
    const chosen = (salt: number, now: Setting) =>
      sqlOf({ op: 'delete', where: { salt, rows: 1 } }, now).replaceAll(`'${salt}'`, '');
    const variants = (now: Setting) => new Set([1, 2, 3, 4].map((salt) => chosen(salt, now))).size;
    expect(variants(setting(false))).toBe(3);
    expect(variants(setting(true))).toBe(1);
  });

  it('insert rows once more by INSERT and by COPY, where they can be', () => {
    const twins = (copied: boolean, now: Setting) =>
      sqlOf({ op: 'twins', where, times: 2, copied }, now);
    expect(twins(false, setting(false))).toMatch(/^INSERT .* generate_series\(1, 2\)/);
    expect(twins(true, setting(false))).toMatch(/^COPY \(SELECT .*;\nCOPY /);
    expect(twins(true, setting(true))).toBe('');
  });

  it('swap deferrable keys by one statement, and by two between which both have the same', () => {
    const swap = (salt: number) =>
      sqlOf({ op: 'swap', where: { salt, rows: 1 }, value: 1 }, setting(true, true));
    expect(swap(2)).toContain('CASE WHEN');
    expect(swap(1)).toContain('SET CONSTRAINTS ALL DEFERRED');
  });

  it('let a key go, come and be deferrable, and have changes tell the whole row meanwhile', () => {
    const keying = (to: Keyed, now: Setting) =>
      sqlOf({ op: 'keying', to, column: 0, full: false }, now);
    expect(keying('none', setting(true))).toMatch(/FULL;\n.*DROP CONSTRAINT "t_pkey"$/);
    expect(keying('deferred', setting(true))).toMatch(/FULL;\n.*DROP .*;\n.* INITIALLY DEFERRED$/);
    expect(keying('deferrable', setting(false))).toMatch(/FULL;\nDELETE .*;\n.* DEFERRABLE$/);
    expect(keying('immediate', setting(false))).toMatch(/PRIMARY KEY \("a"\);\n.* DEFAULT$/);
    expect(keying('none', setting(false))).toBe('');
  });
});
