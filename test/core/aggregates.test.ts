import { describe, expect, it } from 'vitest';
import { aggregateStep, inOrder, parseAggregates } from '../../cli/core/aggregates.ts';
import { parseComment } from '../../cli/core/plan.ts';

const parse = (text: string) => parseAggregates('a.sql', text, { own: 'cdc', isShipped: false });
const QUERY = 'REFRESH EVERY 1 MINUTE ENGINE = Log AS SELECT 1';

describe('a file of views', () => {
  it('may have several, with comments, and semicolons inside texts and names', () => {
    const { aggregates, faults } = parse(`-- first; of two
CREATE MATERIALIZED VIEW IF NOT EXISTS shop.a REFRESH EVERY 10 SECOND /* ; */ ENGINE = Log
AS SELECT ';', 'it''s \\';' AS \`x;y\` FROM shop.t; -- done;
create or replace view \`my shop\`.\`a "b"\`
as select 1;

`);
    expect(faults).toEqual([]);
    expect(
      aggregates.map(({ database, name, isRefreshed }) => [database, name, isRefreshed]),
    ).toEqual([
      ['shop', 'a', true],
      ['my shop', 'a "b"', false],
    ]);
    expect(aggregates[0]?.create).toMatch(
      /^CREATE MATERIALIZED VIEW shop\.a REFRESH EVERY 10 SECOND/,
    );
    expect(aggregates[0]?.create).toMatch(/AS `x;y` FROM shop\.t$/);
    expect(aggregates[1]?.create).toBe('CREATE VIEW `my shop`.`a "b"`\nas select 1');
  });

  it.each([
    ['SELECT 1', 'neither'],
    ['CREATE TABLE shop.t (a Int8) ENGINE = Log', 'neither'],
    ['CREATE VIEW a AS SELECT 1', 'in no database'],
    ['CREATE MATERIALIZED VIEW shop.a ENGINE = Log AS SELECT 1', 'has no REFRESH'],
    ["CREATE MATERIALIZED VIEW shop.a ENGINE = Log AS SELECT ' REFRESH EVERY '", 'has no REFRESH'],
    [`CREATE MATERIALIZED VIEW shop.a ${QUERY.replace('ENGINE', 'APPEND ENGINE')}`, 'APPEND'],
    [`CREATE MATERIALIZED VIEW shop.a ${QUERY} COMMENT 'mine'`, 'COMMENT'],
  ])('is refused with its reason: %s', (text, reason) => {
    const { aggregates, faults } = parse(text);
    expect(aggregates).toEqual([]);
    expect(faults).toEqual([{ file: 'a.sql', detail: expect.stringContaining(reason) }]);
  });
});

describe('a view that changes', () => {
  it('is filled beside the one that is there before it takes its place', () => {
    const [view] = parse(`CREATE MATERIALIZED VIEW shop.a ${QUERY}`).aggregates;
    if (!view) throw new Error('no view');
    const first = aggregateStep(view, false).sql;
    expect(first[0]).toMatch(/^CREATE MATERIALIZED VIEW `shop`\.`a` REFRESH/);
    expect(first[1]).toBe('SYSTEM WAIT VIEW `shop`.`a`');
    const [comment = ''] = /cdc aggregate [0-9a-f]+/.exec(first[0] ?? '') ?? [];
    expect(parseComment(comment)?.kind).toBe('aggregate');
    const again = aggregateStep(view, true).sql;
    expect(again.map((sql) => sql.split('\n')[0]?.replace(/ REFRESH.*/, ''))).toEqual([
      'DROP VIEW IF EXISTS `shop`.`a__next` SYNC',
      'CREATE MATERIALIZED VIEW `shop`.`a__next`',
      'SYSTEM WAIT VIEW `shop`.`a__next`',
      'EXCHANGE TABLES `shop`.`a__next` AND `shop`.`a`',
      'DROP VIEW `shop`.`a__next` SYNC',
    ]);
    // The same mark, or the next run would make it again.
    expect(again[1]).toContain(comment);
  });
});

describe('views that read one another', () => {
  it('come after what they read, and a circle ends', () => {
    const view = (label: string, ...reads: string[]) => ({ label, reads });
    const order = (...views: ReturnType<typeof view>[]) => inOrder(views).map((v) => v.label);
    expect(order(view('c', 'b'), view('b', 'a', 't'), view('a', 't'))).toEqual(['a', 'b', 'c']);
    expect(order(view('x', 'y'), view('y', 'x'), view('a', 'a'))).toEqual(['a', 'x', 'y']);
  });
});
