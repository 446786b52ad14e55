import { describe, expect, it } from 'vitest';
import { decode, encode, type RecordKind } from '../../cli/core/records.ts';

/** What copies hold that were made before records carried a version. */
const TEXTS: readonly (readonly [RecordKind, string, unknown])[] = [
  ['floor', '29003544', { position: 29003544n }],
  ['floor', '29107632:16487', { position: 29107632n, oid: 16487 }],
  ['floor', '18446744073709551615:4294967295', { position: 2n ** 64n - 1n, oid: 4294967295 }],
  ['floor', '', undefined],
  ['snapshot', 'needed:16493', { state: 'needed', oid: 16493 }],
  [
    'snapshot',
    '29127575:16493',
    { state: 'begun', oid: 16493, version: 29127575n, isOfApply: false },
  ],
  [
    'snapshot',
    '29127575:16493:apply',
    { state: 'begun', oid: 16493, version: 29127575n, isOfApply: true },
  ],
  ['snapshot', 'done', undefined],
  [
    'shape',
    '50a19b87f2a2331562c6e27baec7b833 009ace3e008165baac6ab17af90d7175 16481 cc662de73dfb333c45b2d37c711c5a88 16486 16476-2-7f302b83:16481',
    {
      oid: 16481,
      shape:
        '50a19b87f2a2331562c6e27baec7b833 009ace3e008165baac6ab17af90d7175 16481 cc662de73dfb333c45b2d37c711c5a88 16486 16476-2-7f302b83',
    },
  ],
  [
    'shape',
    '0728050b7a9445088b9d5af03ac2d183 da8845d74ed9e82bfe1bb7099c51463d 16487  16492 :16487',
    {
      oid: 16487,
      shape: '0728050b7a9445088b9d5af03ac2d183 da8845d74ed9e82bfe1bb7099c51463d 16487  16492 ',
    },
  ],
  ['history', 'begun:16481', { state: 'begun', oid: 16481 }],
  ['history', 'done:16481:29139408', { state: 'done', oid: 16481, version: 29139408n }],
  ['history end', 'ended', { ended: true }],
  ['history end', 'open', undefined],
  [
    'failure',
    '16501:The load of s.t stopped: it says: no\nand more',
    { oid: 16501, why: 'The load of s.t stopped: it says: no\nand more' },
  ],
  ['failure', '', undefined],
  [
    'isolated',
    '{"why":"","since_ms":1795709973568,"times":2}',
    { why: '', since_ms: 1795709973568, times: 2 },
  ],
  [
    'set aside',
    '{"database":"legacy","name":"theirs","uuid":"cbe1fcf6-5078-4cd1-b698-ce7293ea270c","statement":"CREATE MATERIALIZED VIEW legacy.theirs …","engine_full":"","ours":0,"fed":[],"kind":"view","expression":"AS SELECT id","take":"DETACH TABLE `legacy`.`theirs` PERMANENTLY SYNC","back":"ATTACH TABLE `legacy`.`theirs`","why":"Value passed to \'throwIf\'","at_ms":1795709973568}',
    {
      database: 'legacy',
      name: 'theirs',
      kind: 'view',
      expression: 'AS SELECT id',
      take: 'DETACH TABLE `legacy`.`theirs` PERMANENTLY SYNC',
      back: 'ATTACH TABLE `legacy`.`theirs`',
      statement: 'CREATE MATERIALIZED VIEW legacy.theirs …',
      why: "Value passed to 'throwIf'",
      at_ms: 1795709973568,
    },
  ],
  ['set aside', '', undefined],
  [
    'names',
    '{"database":"legacy","view":"items","final":"items_final","mv":"items_mv","historyStem":"items_","wanted":"[\\"legacy\\",\\"items\\"]"}',
    {
      database: 'legacy',
      view: 'items',
      final: 'items_final',
      mv: 'items_mv',
      historyStem: 'items_',
      wanted: '["legacy","items"]',
    },
  ],
  [
    'rules',
    '{"schema":"legacy","table":"users","oid":16493,"rules":[[3,"password","exclude"],[4,"email","mask"]]}',
    {
      schema: 'legacy',
      table: 'users',
      oid: 16493,
      rules: [
        [3, 'password', 'exclude'],
        [4, 'email', 'mask'],
      ],
    },
  ],
  [
    'rules',
    '{"schema":"s","table":"t","oid":7,"rules":[],"partitions":[8,9]}',
    { schema: 's', table: 't', oid: 7, rules: [], partitions: [8, 9] },
  ],
  ['rules', '', undefined],
  [
    'debezium',
    '{"id":"32645b19-d6d7-4e7d-8b52-69420c79b594","offset":"3","rows":99}',
    { id: '32645b19-d6d7-4e7d-8b52-69420c79b594', offset: 3n, rows: 99 },
  ],
  ['debezium', '{"id":"32645b19","offset":"3"}', { id: '32645b19', offset: 3n }],
  ['debezium', 'failed', undefined],
];

describe('a text of an earlier cdc', () => {
  const of = { schema: 's', table: 't' };

  it.each(TEXTS)('is understood: %s %s', (kind, text, record) => {
    expect(decode(kind, text, of)).toEqual(record);
  });

  it.each(TEXTS)('says the same once it is written anew: %s %s', (kind, text, record) => {
    const anew = encode(kind, decode(kind, text, of));
    expect(JSON.parse(anew)).toMatchObject({ v: 1 });
    expect(decode(kind, anew, of)).toEqual(record);
  });

  it('of a rule keeps the order in which it is compared with what is to be remembered', () => {
    const [, text = ''] = TEXTS.find(([kind]) => kind === 'rules') ?? [];
    expect(JSON.stringify(decode('rules', text, of))).toBe(text);
    const [, names = ''] = TEXTS.find(([kind]) => kind === 'names') ?? [];
    expect(JSON.stringify(decode('names', names, of))).toBe(names);
  });
});
