import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { renewedAsOf } from '../../cli/core/history-ddl.ts';
import { Problem } from '../../cli/core/problems.ts';
import {
  decode,
  encode,
  HISTORY_SQL,
  RECORD_KINDS,
  type RecordKind,
  type RecordOf,
} from '../../cli/core/records.ts';

const id = { schema: 'shop', table: 'orders' };
const text = fc.string({ unit: 'binary' });
const oid = fc.nat();
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const optional: { requiredKeys: [] } = { requiredKeys: [] };

/** Anything that each kind may remember. */
const ANY: { readonly [K in RecordKind]: fc.Arbitrary<RecordOf<K>> } = {
  pipeline: fc.record({ name: text, source: text }),
  floor: fc.record({ position: uint64, oid }, { requiredKeys: ['position'] }),
  snapshot: fc.oneof(
    fc.record({ state: fc.constant('needed' as const), oid }),
    fc.record({
      state: fc.constant('begun' as const),
      oid,
      version: uint64,
      isOfApply: fc.boolean(),
    }),
  ),
  gap: fc.record({ oid, why: text, since_ms: fc.nat() }),
  positions: fc.record({
    of: fc.array(fc.tuple(text, fc.nat(), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }))),
  }),
  storage: fc.record({ oid, uuid: text }),
  membership: fc.record({ oid, mark: text }),
  shape: fc.record({ oid, shape: text }),
  history: fc.oneof(
    fc.record({ state: fc.constant('begun' as const), oid }),
    fc.record({ state: fc.constant('done' as const), oid, version: uint64 }),
  ),
  'history end': fc.constant({ ended: true as const }),
  failure: fc.record({ oid, why: text }),
  isolated: fc.record({ why: text, since_ms: fc.nat(), times: fc.nat() }),
  'set aside': fc
    .tuple(
      fc.record({
        database: text,
        name: text,
        kind: fc.constantFrom('view', 'constraint', 'index', 'projection', 'column', 'ttl'),
        expression: text,
        take: text,
        back: text,
        statement: text,
        why: text,
        at_ms: fc.nat(),
      }),
      fc.record({ part: text }, optional),
    )
    .map(([one, more]) => ({ ...one, ...more })),
  names: fc.record({
    database: text,
    view: text,
    final: text,
    mv: text,
    historyStem: text,
    wanted: text,
  }),
  rules: fc
    .tuple(
      fc.record({
        schema: text,
        table: text,
        oid,
        rules: fc.array(fc.tuple(fc.nat(), text, fc.constantFrom('exclude', 'mask'))),
      }),
      fc.record({ partitions: fc.array(oid) }, optional),
    )
    .map(([one, more]) => ({ ...one, ...more })),
  debezium: fc
    .tuple(fc.record({ id: text, offset: uint64 }), fc.record({ rows: fc.nat() }, optional))
    .map(([one, more]) => ({ ...one, ...more })),
};

/** The code that reading a text ends with, and what it says. */
function refused(kind: RecordKind, state: string, of = id) {
  try {
    return { read: decode(kind, state, of) };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { code: error.code, text: `${error.message} ${error.causeText}` };
  }
}

describe.each(RECORD_KINDS)('a record of the kind %s', (kind) => {
  const any: fc.Arbitrary<RecordOf<RecordKind>> = ANY[kind];

  it('comes back as it was written, in JSON that carries its version', () => {
    fc.assert(
      fc.property(any, (record) => {
        const state = encode(kind, record);
        expect(JSON.parse(state)).toMatchObject({ v: 1 });
        expect(decode(kind, state, id)).toEqual(record);
      }),
    );
  });

  it('is none once it was forgotten', () => {
    expect(decode(kind, encode(kind, undefined), id)).toBeUndefined();
  });

  it('is refused where a newer cdc wrote it, and read where that only added something', () => {
    fc.assert(
      fc.property(any, (record) => {
        const content = JSON.parse(encode(kind, record)) as object;
        const newer = refused(kind, JSON.stringify({ ...content, v: 2 }));
        expect(newer).toMatchObject({ code: 'RECORD_UNREADABLE' });
        expect(newer.text).toContain('A newer cdc wrote it: it is of version 2');
        const more = JSON.stringify({ ...content, later: 1 });
        expect(decode(kind, more, id)).toEqual(record);
      }),
    );
  });

  // What an earlier cdc wrote may be as short: of a slot its floor, of a failure its table.
  const texts = [
    '{',
    '{}',
    '{"v":1}',
    '{"v":0,"forgotten":true}',
    '{"forgotten":true}',
    '5:',
    ':5',
    '{"v":"1"}',
    '{"v":null}',
    '[]',
    'null',
    'no:record',
    '7',
  ].filter(
    (state) => !(kind === 'floor' && state === '7') && !(kind === 'failure' && state === '5:'),
  );
  it.each(texts)('is never taken for none: %s', (state) => {
    // A position alone is the floor of a slot.
    if (kind === 'floor' && state === '7') return;
    expect(refused(kind, state)).toMatchObject({ code: 'RECORD_UNREADABLE' });
  });
});

it('a problem with a record names its table or its slot', () => {
  expect(refused('floor', 'x').text).toContain('something about shop.orders');
  const slot = { schema: '', table: 'cdc_cdc' };
  expect(refused('floor', 'x', slot).text).toContain('something about slot cdc_cdc');
});

describe('what views read of a history', () => {
  it('is in the records under these names', () => {
    const done = encode('history', { state: 'done', oid: 1, version: 2n ** 64n - 1n });
    expect(JSON.parse(done)).toMatchObject({ state: 'done', version: '18446744073709551615' });
    expect(JSON.parse(encode('history end', { ended: true }))).toMatchObject({ ended: true });
    expect(JSON.parse(encode('history end', undefined))).not.toHaveProperty('ended');
    expect(HISTORY_SQL).toMatchObject({
      isDone: "JSONExtractString(state, 'state') = 'done'",
      version: "JSONExtractString(state, 'version')",
      isEnded: "JSONExtractBool(state, 'ended')",
    });
  });

  it('is read so by a view of an earlier cdc that is made anew, and no other view is', () => {
    const earlier =
      "CREATE VIEW shop.orders_as_of COMMENT 'cdc view 1795a9cf7e16a403' AS SELECT id FROM (SELECT id FROM shop.orders_versions WHERE (_version >= (SELECT max(if(chunk = 'history', toUInt64OrZero(splitByChar(':', state)[3]), 0)) + throwIf(NOT (countIf((chunk = 'history') AND startsWith(state, 'done') AND (at <= {at:DateTime64(6, 'UTC')})) > countIf((chunk = 'history end') AND (state = 'ended') AND (at < {at:DateTime64(6, 'UTC')}))), 'cdc: …') FROM cdc.loads FINAL WHERE (schema_name = 'shop') AND (table_name = 'orders') AND (floor = 0))) GROUP BY id)";
    const anew = renewedAsOf(earlier) ?? '';
    expect(anew).toBe(
      "CREATE OR REPLACE VIEW shop.orders_as_of COMMENT 'cdc view 1795a9cf7e16a403' AS SELECT id FROM (SELECT id FROM shop.orders_versions WHERE (_version >= (SELECT max(if(chunk = 'history', toUInt64OrZero(JSONExtractString(state, 'version')), 0)) + throwIf(NOT (countIf((chunk = 'history') AND JSONExtractString(state, 'state') = 'done' AND (at <= {at:DateTime64(6, 'UTC')})) > countIf((chunk = 'history end') AND (JSONExtractBool(state, 'ended')) AND (at < {at:DateTime64(6, 'UTC')}))), 'cdc: …') FROM cdc.loads FINAL WHERE (schema_name = 'shop') AND (table_name = 'orders') AND (floor = 0))) GROUP BY id)",
    );
    expect(renewedAsOf(anew)).toBeUndefined();
    expect(renewedAsOf('CREATE VIEW shop.late AS SELECT * FROM cdc.loads')).toBeUndefined();
  });
});
