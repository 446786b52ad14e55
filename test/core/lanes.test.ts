import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LANE_SIZE, OWN_QUEUE_LIMIT, planLanes } from '../../cli/core/lanes.ts';
import { type TableId, tableLabelKey, targetNames, topicName } from '../../cli/core/names.ts';
import { tableSet } from '../harness/arbitrary.ts';

const OPTIONS = { prefix: 'postgres-server', group: 'clickhouse-group' };
const lanesOf = (tables: readonly TableId[]) =>
  planLanes(tables, targetNames(tables, undefined), OPTIONS);
const numbered = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ schema: 's', table: `t${i}` }));

describe('planLanes', () => {
  it('puts every topic into exactly one lane, and every table with its topic', () => {
    fc.assert(
      fc.property(tableSet({ maxLength: 40 }), (tables) => {
        const lanes = lanesOf(tables);
        const topics = lanes.flatMap((lane) => lane.topics);
        expect(new Set(topics).size).toBe(topics.length);
        expect(lanes.flatMap((lane) => lane.tables.map(tableLabelKey)).sort()).toEqual(
          tables.map(tableLabelKey).sort(),
        );
        for (const lane of lanes) {
          const needed = new Set(lane.tables.map((id) => topicName(OPTIONS.prefix, id)));
          expect(new Set(lane.topics)).toEqual(needed);
        }
      }),
    );
  });

  it('puts tables whose topics have one name into one lane', () => {
    const tables = [
      { schema: 's', table: 'a b' },
      { schema: 's', table: 'a_b' },
      { schema: 's', table: 'c' },
    ];
    const lanes = lanesOf(tables);
    expect(lanes.map((lane) => lane.tables.length).sort()).toEqual([1, 2]);
  });

  it('does not depend on the order of the tables', () => {
    fc.assert(
      fc.property(tableSet({ maxLength: 40 }), (tables) => {
        expect(lanesOf([...tables].reverse())).toEqual(lanesOf(tables));
      }),
    );
  });

  it('gives few tables a queue of their own, named after them', () => {
    const lanes = lanesOf(numbered(OWN_QUEUE_LIMIT));
    expect(lanes).toHaveLength(OWN_QUEUE_LIMIT);
    expect(lanes.map((lane) => lane.names.queue)).toContain('t0_queue');
  });

  it('lets many tables share lanes that are about equally full', () => {
    const lanes = lanesOf(numbered(100));
    const sizes = lanes.map((lane) => lane.topics.length);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(2 * LANE_SIZE);
    expect(lanes[0]?.names.queue).toBe('lane_0_queue');
  });

  it('makes no lane of nothing', () => {
    expect(lanesOf([])).toEqual([]);
  });
});
