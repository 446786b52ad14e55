import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type TableId, tableLabelKey, targetNames, topicName } from '../../cli/core/names.ts';
import {
  OWN_QUEUE_LIMIT,
  planSharedQueues,
  SHARED_QUEUE_SIZE,
} from '../../cli/core/sharedQueues.ts';
import { tableSet } from '../harness/arbitrary.ts';

const OPTIONS = { prefix: 'postgres-server', group: 'clickhouse-group', own: 'cdc' };
const lanesOf = (tables: readonly TableId[]) =>
  planSharedQueues(tables, targetNames(tables, undefined), OPTIONS);
const numbered = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ schema: 's', table: `t${i}` }));

describe('planLanes', () => {
  it('puts every topic into exactly one lane, and every table with its topic', () => {
    fc.assert(
      fc.property(tableSet({ maxLength: 40 }), (tables) => {
        const sharedQueues = lanesOf(tables);
        const topics = sharedQueues.flatMap((sharedQueue) => sharedQueue.topics);
        expect(new Set(topics).size).toBe(topics.length);
        expect(
          sharedQueues.flatMap((sharedQueue) => sharedQueue.tables.map(tableLabelKey)).sort(),
        ).toEqual(tables.map(tableLabelKey).sort());
        for (const sharedQueue of sharedQueues) {
          const needed = new Set(sharedQueue.tables.map((id) => topicName(OPTIONS.prefix, id)));
          expect(new Set(sharedQueue.topics)).toEqual(needed);
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
    const sharedQueues = lanesOf(tables);
    expect(sharedQueues.map((sharedQueue) => sharedQueue.tables.length).sort()).toEqual([1, 2]);
  });

  it('does not depend on the order of the tables', () => {
    fc.assert(
      fc.property(tableSet({ maxLength: 40 }), (tables) => {
        expect(lanesOf([...tables].reverse())).toEqual(lanesOf(tables));
      }),
    );
  });

  it('isolates a table from all others, and moves none of these', () => {
    const tables = numbered(30);
    const before = lanesOf(tables);
    const names = targetNames(tables, undefined);
    const [one, two] = [tables[7], tables[20]].map((id) => tableLabelKey(id as TableId));
    const after = planSharedQueues(tables, names, {
      ...OPTIONS,
      isolated: new Set([one ?? '', two ?? '']),
    });
    const alone = after.filter((sharedQueue) => sharedQueue.names.queue !== before[0]?.names.queue);
    expect(
      alone
        .filter((sharedQueue) => sharedQueue.topics.length === 1)
        .map((sharedQueue) => sharedQueue.names.queue),
    ).toEqual(['t20_queue', 't7_queue']);
    const rest = before.map((sharedQueue) => ({
      ...sharedQueue,
      topics: sharedQueue.topics.filter((topic) => !/\.t(7|20)$/.test(topic)),
      tables: sharedQueue.tables.filter(({ table }) => !['t7', 't20'].includes(table)),
    }));
    expect(after.slice(0, rest.length)).toEqual(rest);
  });

  it('gives few tables a queue of their own, named after them', () => {
    const sharedQueues = lanesOf(numbered(OWN_QUEUE_LIMIT));
    expect(sharedQueues).toHaveLength(OWN_QUEUE_LIMIT);
    expect(sharedQueues.map((sharedQueue) => sharedQueue.names.queue)).toContain('t0_queue');
  });

  it('lets many tables share lanes that are about equally full', () => {
    const sharedQueues = lanesOf(numbered(100));
    const sizes = sharedQueues.map((sharedQueue) => sharedQueue.topics.length);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(2 * SHARED_QUEUE_SIZE);
    expect(sharedQueues[0]?.names.queue).toBe('lane_0_queue');
  });

  it('makes no lane of nothing', () => {
    expect(lanesOf([])).toEqual([]);
  });
});
