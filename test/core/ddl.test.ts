import { describe, expect, it } from 'vitest';
import { planTable, storageObject } from '../../cli/core/ddl.ts';
import { targetNames } from '../../cli/core/names.ts';
import { column, desiredFor, table } from '../harness/pipeline.ts';

const id = column('id', 'int4', { notNull: true });
const wide = table('s', 't', [id, column('note', 'text'), column('tags', 'text', { array: true })]);
const { target } = desiredFor([wide]);
const [built] = target.tables;
const [sharedQueue] = target.sharedQueues;
if (!built || !sharedQueue) throw new Error('nothing was generated');

describe('storage', () => {
  it('keeps the version with the highest WAL position, never a clock’s', () => {
    expect(built.storage.create).toContain('ENGINE = ReplacingMergeTree(_version)');
    expect(built.storage.create).toContain('_version UInt64');
  });

  it('is ordered by the whole key, in the key’s order', () => {
    const columns = [
      id,
      column('b', 'text', { notNull: true }),
      column('a', 'int8', { notNull: true }),
    ];
    const source = table('s', 'k', columns, { key: ['a', 'b'] });
    const names = [...targetNames([source], undefined).values()][0]!;
    expect(storageObject(planTable(source, names, 'cdc')).create).toMatch(/ORDER BY \(`a`, `b`\)$/);
  });

  it('has room for what no type holds, and tells keys apart by it where two could meet', () => {
    expect(built.storage.create).toContain('_exact Map(String, Nullable(String))');
    expect(built.storage.create).not.toContain('_exact_key');
    const key = column('day', 'date', { notNull: true });
    const dated = desiredFor([table('s', 'd', [key])]).target.tables[0];
    expect(dated?.storage.create).toMatch(/ORDER BY \(`day`, _exact_key\)$/);
  });

  it('has the text of a key that ClickHouse would have no NULL of', () => {
    for (const [type, array] of [
      ['int4', true],
      ['point', false],
      ['vector', false],
    ] as const) {
      const key = column('k', type, { notNull: true, array });
      const keyed = desiredFor([table('s', 'k', [key, column('v', type, { array })])]);
      expect(keyed.target.tables[0]?.storage.create).toContain('`k` String,');
      expect(keyed.target.tables[0]?.storage.create).not.toContain('`v` String');
    }
  });

  it('refuses a table without a key and a type that is not carried', () => {
    const names = [...targetNames([wide], undefined).values()][0]!;
    expect(() => planTable(table('s', 't', [id], { key: [] }), names, 'cdc')).toThrow('no key');
    expect(() => planTable(table('s', 't', [id, column('p', 'regclass')]), names, 'cdc')).toThrow(
      'type regclass of p is not carried',
    );
  });
});

describe('a table without a key, under a full replica identity', () => {
  const source = table('s', 'm', [column('a', 'int4'), column('b', 'text')], {
    key: [],
    replicaIdentity: 'f',
  });
  const { target: counted } = desiredFor([source]);
  const [own] = counted.tables;

  it('keeps what each change added or took away, and knows a change that comes again', () => {
    expect(own?.storage.create).toMatch(
      /ENGINE = ReplacingMergeTree\nORDER BY \(_row_hash, _generation, _version, _ordinal, _sign\)$/,
    );
    const view = counted.sharedQueues
      .flatMap(({ behind }) => behind)
      .find(({ name }) => name === 'm_mv');
    expect(view?.create).toContain(
      "[(toInt8(-1), ifNull(lane.before, '')), (toInt8(1), lane.image)]",
    );
  });

  it('shows a row as often as changes add up, of the current load and what it has not seen', () => {
    expect(own?.view.create).toContain('HAVING __cdc_count > 0');
    expect(own?.view.create).toContain(
      'NOT (__cdc_row._version <= tupleElement(__cdc_generation, 2)',
    );
  });

  it('has no key of messages for Debezium to look for', () => {
    expect(desiredFor([source]).connector).not.toHaveProperty('message.key.columns');
  });
});

describe('the view people query', () => {
  it('hides deleted rows and everything of ours', () => {
    const [columns, rest] = built.view.create.split('FROM');
    expect(columns).not.toMatch(/_version|_deleted|_committed_at/);
    expect(columns).toContain('_exact Map(String, Nullable(String)) MATERIALIZED');
    expect(rest).toContain('FINAL');
    expect(built.view.create).toContain('WHERE _deleted = 0');
  });

  it('hides rows older than the last truncate of their table', () => {
    expect(built.view.create).toContain('_version > (SELECT max(version) FROM `cdc`.`truncates`');
  });
});

describe('a lane', () => {
  it('has generic columns: no change of a table changes its queue', () => {
    const other = desiredFor([table('s', 't')]).target.sharedQueues[0];
    expect(other?.queue.create).toBe(sharedQueue.queue.create);
    expect(other?.behind[0]?.create).toBe(sharedQueue.behind[0]?.create);
    expect(other?.reader.create).toBe(sharedQueue.reader.create);
  });

  it('has one view on its queue, and no password', () => {
    const onQueue = [...sharedQueue.behind, sharedQueue.reader].filter((o) =>
      o.create.includes(`FROM \`${sharedQueue.queue.database}\`.\`${sharedQueue.queue.name}\``),
    );
    expect(onQueue).toEqual([sharedQueue.reader]);
    expect(sharedQueue.queue.create).not.toMatch(/password/i);
  });

  it('sends every message that is no row of its tables on to the dead letters', () => {
    const view = sharedQueue.behind.find(({ name }) => name.endsWith('_exceptions_mv'));
    expect(view?.create).toContain('TO `cdc`.`exceptions`');
    expect(sharedQueue.reader.create).not.toContain('WHERE');
    const letters = target.own.find(({ name }) => name === 'dead_letters_mv');
    expect(letters?.create).toContain("'no such table'");
  });
});
