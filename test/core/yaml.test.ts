import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { tableLabel } from '../../cli/core/names.ts';
import { matchesPattern, selectTables } from '../../cli/core/tableFilter.ts';
import { columnYaml, excludeYaml } from '../../cli/core/yaml.ts';
import { tableId, tableSet } from '../harness/arbitrary.ts';

describe('text for cdc.yaml', () => {
  it('leaves out exactly the tables that it names, whatever they are called', () => {
    fc.assert(
      fc.property(tableSet(), fc.nat(), (tables, n) => {
        const out = tables.filter((_, i) => i % 3 === n % 3);
        const labels = new Set(out.map(tableLabel));
        const { exclude } = parse(excludeYaml(out)).source as { exclude: string[] };
        const kept = selectTables(tables, ['*.*'], exclude);
        // Of two that differ only in where their dot is, a pattern can name both only.
        const expected = tables.filter((t) => t.schema !== 'cdc' && !labels.has(tableLabel(t)));
        expect(kept).toEqual(expected);
      }),
    );
  });

  it('names one column of one table, whatever they are called', () => {
    fc.assert(
      fc.property(tableId, tableId, (id, { table: column }) => {
        const { tables } = parse(columnYaml(id, column, 'exclude'));
        const [pattern] = Object.keys(tables) as [string];
        expect(matchesPattern(id, pattern)).toBe(true);
        expect(tables[pattern]).toEqual({ columns: { [column]: 'exclude' } });
      }),
    );
  });

  it('is one line that a terminal shows as it is', () => {
    fc.assert(
      fc.property(tableId, (id) => {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it is about
        expect(excludeYaml([id])).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff]/);
      }),
    );
  });

  it('is what people would write', () => {
    expect(excludeYaml([{ schema: 'hx', table: 'Weird "Name" *' }])).toBe(
      String.raw`source: { exclude: ["hx.Weird \"Name\" \\*"] }`,
    );
  });
});
