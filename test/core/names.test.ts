import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  historyNames,
  pipelineNames,
  slotNameFor,
  type TableId,
  tableLabelKey,
  targetDatabase,
  targetNames,
  topicCollision,
  topicName,
  wantedName,
  workerGroup,
} from '../../cli/core/names.ts';
import { HOSTILE_NAMES, identifier, tableId, tableSet } from '../harness/arbitrary.ts';
import { desiredFor, table } from '../harness/pipeline.ts';

function desired(tables: readonly TableId[], database: string | undefined) {
  return desiredFor(
    tables.map((id) => table(id.schema, id.table, undefined, { history: true })),
    { database },
  );
}

/** Every object that the target gets for a set of tables, one entry an object. */
function allObjects(tables: readonly TableId[], database: string | undefined): string[] {
  const { target } = desired(tables, database);
  return [
    ...target.own,
    ...target.tables.flatMap((t) => [t.storage, t.view, ...Object.values(t.history ?? {})]),
    ...target.sharedQueues.flatMap((l) => [l.queue, ...l.behind, l.reader]),
  ].map((object) => JSON.stringify([object.database, object.name]));
}

function repeated(items: readonly string[]): string[] {
  return items.filter((item, i) => items.indexOf(item) !== i);
}

describe('topic names', () => {
  it('are those of the design', () => {
    expect(topicName('postgres-server', { schema: 'inventory', table: 'orders' })).toBe(
      'postgres-server.inventory.orders',
    );
  });

  it('are always such as Kafka takes', () => {
    fc.assert(
      fc.property(tableId, (id) => {
        const topic = topicName('postgres-server', id);
        expect(topic).toMatch(/^[A-Za-z0-9._-]{1,249}$/);
        expect(['.', '..']).not.toContain(topic);
      }),
    );
  });
});

describe('names in ClickHouse', () => {
  it('are those of the design', () => {
    const orders = { schema: 'inventory', table: 'orders' };
    const names = targetNames([orders], undefined);
    expect(names.get(tableLabelKey(orders))).toEqual({
      database: 'inventory',
      view: 'orders',
      final: 'orders_final',
      mv: 'orders_mv',
      historyStem: 'orders_',
    });
    expect(allObjects([orders], undefined)).toContain('["inventory","orders_queue"]');
  });

  it.each([undefined, 'one'])('never collide (database: %s)', (database) => {
    fc.assert(
      fc.property(tableSet({ maxLength: 24 }), (tables) => {
        expect(repeated(allObjects(tables, database))).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  it.each([undefined, 'one'])('never collide for all hostile names (database: %s)', (database) => {
    const tables = ['s', 'S', 's__orders', 'cdc'].flatMap((schema) =>
      HOSTILE_NAMES.map((table) => ({ schema, table })),
    );
    expect(repeated(allObjects(tables, database))).toEqual([]);
    for (const few of [tables.slice(0, 12), tables.slice(3, 15)]) {
      expect(repeated(allObjects(few, database))).toEqual([]);
    }
  });

  it('never collide for names built to collide', () => {
    const part = fc.constantFrom('a', 'b', 'a__b', 'a_', '_a', 'b__a');
    const suffix = fc.constantFrom(
      '',
      '_',
      '__',
      '_final',
      '_mv',
      '_queue',
      '__mv',
      '_queue_mv',
      '_queue_rows',
      '_exceptions_mv',
      '_changes',
      '_changes_mv',
      '__as_of',
      '_versions',
    );
    const name = fc.tuple(part, suffix).map(([p, s]) => p + s);
    const sets = fc.uniqueArray(fc.record({ schema: part, table: name }), {
      minLength: 1,
      maxLength: 14,
      selector: tableLabelKey,
    });
    fc.assert(
      fc.property(sets, fc.constantFrom(undefined, 'one'), (tables, database) => {
        expect(repeated(allObjects(tables, database))).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });

  it.each([undefined, 'one'])(
    'that were given stay, whatever joins, and no other table gets one of them (database: %s)',
    (database) => {
      fc.assert(
        fc.property(tableSet({ maxLength: 12 }), fc.nat(), (tables, cut) => {
          fc.pre(tables.length > 0);
          const first = tables.slice(0, 1 + (cut % tables.length));
          const given = targetNames(first, database);
          const known = new Map(
            first.map((id) => {
              const names = given.get(tableLabelKey(id));
              if (!names) throw new Error('no names');
              return [
                tableLabelKey(id),
                { ...names, wanted: wantedName(id, database).key },
              ] as const;
            }),
          );
          const all = targetNames(tables, database, { known, foreign: new Set() });
          for (const id of first)
            expect(all.get(tableLabelKey(id))).toEqual(given.get(tableLabelKey(id)));
          const objects = [...all.values()].flatMap((names) =>
            [names.view, names.final, names.mv, ...Object.values(historyNames(names))].map((name) =>
              JSON.stringify([names.database, name]),
            ),
          );
          expect(repeated(objects)).toEqual([]);
        }),
        { numRuns: 300 },
      );
    },
  );

  it('keep away from what is not ours', () => {
    const id = { schema: 's', table: 'orders' };
    const foreign = (...names: string[]) =>
      targetNames([id], undefined, {
        known: new Map(),
        foreign: new Set(names.map((name) => JSON.stringify(['s', name]))),
      }).get(tableLabelKey(id));
    expect(foreign('orders')?.view).toBe('s__orders');
    expect(foreign('orders_final')).toMatchObject({ view: 'orders', final: 'orders__final' });
  });

  it('do not depend on the order of the tables', () => {
    fc.assert(
      fc.property(tableSet(), fc.constantFrom(undefined, 'one'), (tables, database) => {
        const there = targetNames(tables, database);
        const back = targetNames([...tables].reverse(), database);
        for (const id of tables) {
          expect(back.get(tableLabelKey(id))).toEqual(there.get(tableLabelKey(id)));
        }
      }),
    );
  });

  it('fit into the file name of a dropped table', () => {
    fc.assert(
      fc.property(tableSet(), fc.constantFrom(undefined, 'one'), (tables, database) => {
        for (const object of allObjects(tables, database)) {
          const [folder, name] = JSON.parse(object) as [string, string];
          // database.table.uuid.sql
          const length = escapedLength(folder) + 1 + escapedLength(name) + 1 + 36 + '.sql'.length;
          expect(length).toBeLessThanOrEqual(250);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('stay as they are up to 63 ASCII characters', () => {
    const id = { schema: 's'.repeat(63), table: 't'.repeat(63) };
    expect(targetNames([id], undefined).get(tableLabelKey(id))).toMatchObject({
      database: id.schema,
      view: id.table,
    });
  });

  it('leave ClickHouse’s own databases alone', () => {
    for (const name of ['system', 'information_schema', 'INFORMATION_SCHEMA', 'cdc']) {
      expect(targetDatabase(name, undefined)).toBe(`${name}_`);
    }
    expect(targetDatabase('inventory', undefined)).toBe('inventory');
    expect(targetDatabase('inventory', 'copy')).toBe('copy');
  });
});

describe('names of a pipeline', () => {
  const of = (name: string, settings: object = {}, isOld?: boolean) =>
    pipelineNames({ name, source: {}, connect: {}, clickhouse: {}, ...settings }, isOld);

  it('without a name are those that all pipelines had', () => {
    expect(of('cdc')).toEqual({
      pipeline: 'cdc',
      slot: 'cdc_cdc',
      publication: 'cdc_cdc',
      connector: 'cdc-postgres',
      topicPrefix: 'postgres-server',
      group: 'clickhouse-group',
      own: 'cdc',
    });
  });

  it('of two names have nothing in common', () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,39}$/);
    fc.assert(
      fc.property(name, name, (one, other) => {
        fc.pre(one !== other);
        const seen = Object.values(of(one));
        for (const [key, value] of Object.entries(of(other))) {
          expect(of(one)[key as keyof ReturnType<typeof of>]).not.toBe(value);
        }
        expect(new Set(seen).size).toBeGreaterThan(1);
      }),
    );
  });

  it('are those of cdc.yaml where it says some, and the old ones of a pipeline that has them', () => {
    const given = { connect: { topic_prefix: 'x' }, clickhouse: { consumer_group: 'y' } };
    expect(of('shop', given)).toMatchObject({ topicPrefix: 'x', group: 'y', own: 'cdc_shop' });
    expect(of('shop', {}, true)).toMatchObject({
      slot: 'cdc_shop',
      topicPrefix: 'postgres-server',
      group: 'clickhouse-group',
      own: 'cdc',
    });
  });
});

/** Bytes of a name in ClickHouse's file names: anything but word characters becomes %XX. */
function escapedLength(name: string): number {
  return [...Buffer.from(name)].reduce(
    (sum, byte) => sum + (/\w/.test(String.fromCharCode(byte)) && byte < 128 ? 1 : 3),
    0,
  );
}

describe('consumer groups', () => {
  it('are different for every lane, since two queues of one group would share its topics', () => {
    fc.assert(
      fc.property(
        tableSet({ maxLength: 20 }),
        fc.constantFrom(undefined, 'one'),
        (tables, database) => {
          const { sharedQueues } = desired(tables, database);
          expect(repeated(sharedQueues.map((sharedQueue) => sharedQueue.names.group))).toEqual([]);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('topics', () => {
  it('collide as Kafka sees it when they differ only in . and _', () => {
    expect(topicCollision('p.x.y_z', ['p.a', 'p.x_y.z'])).toBe('p.x_y.z');
    expect(topicCollision('p.x.y_z', ['p.x.y_z', 'p.x.y-z', 'p.x.yz'])).toBeUndefined();
  });
});

describe('slot names', () => {
  it('are such as PostgreSQL takes', () => {
    fc.assert(
      fc.property(identifier, (name) => {
        expect(slotNameFor(name)).toMatch(/^[a-z0-9_]{1,63}$/);
      }),
    );
  });
});

describe('keys of tables', () => {
  it('cannot be faked by another pair of names', () => {
    fc.assert(
      fc.property(tableId, tableId, (a, b) => {
        const same = a.schema === b.schema && a.table === b.table;
        expect(tableLabelKey(a) === tableLabelKey(b)).toBe(same);
      }),
    );
  });
});

describe('the group of Connect workers', () => {
  it.each([
    ['cdc', true, 'cdc-connect'],
    ['cdc', false, 'cdc-connect'],
    ['cdc_my_shop', true, 'cdc-connect'],
    ['cdc_my_shop', false, 'cdc-my-shop-connect'],
  ])('of %s, with brokers of its own: %s, is %s', (own, ownsKafka, group) => {
    expect(workerGroup({ own }, ownsKafka)).toBe(group);
  });
});
