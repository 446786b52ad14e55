import fc from 'fast-check';
import type { TableId } from '../../cli/core/names.ts';

/** Names that have broken something somewhere; PostgreSQL takes every one of them. */
export const HOSTILE_NAMES = [
  'orders',
  'Orders',
  'ORDERS',
  'orders_final',
  'orders_mv',
  'orders_queue',
  'orders_queue_rows',
  'orders_queue_mv',
  'orders_exceptions_mv',
  'orders__final',
  'orders__mv',
  'a b',
  'a_b',
  'a.b',
  'a__b',
  'with "double" quotes',
  "it's",
  'back\\slash',
  'back`tick',
  'tab\there',
  'new\nline',
  '🐘→🏠',
  'naïve',
  'nai\u0308ve',
  'select',
  'system',
  'cdc',
  'heartbeat',
  'lane_0',
  'lane_0_queue',
  '{x}',
  '%s',
  '$1',
  '*',
  '?',
  ' ',
  '.',
  '..',
  '-',
  'x'.repeat(63),
  `${'x'.repeat(61)}_q`,
  'é'.repeat(31),
] as const;

const bytes = (text: string) => Buffer.byteLength(text);

/** Any identifier that PostgreSQL can hold: 1 to 63 bytes of text without NUL. */
export const identifier: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...HOSTILE_NAMES) },
  {
    weight: 2,
    arbitrary: fc
      .string({ unit: 'binary', minLength: 1, maxLength: 63 })
      .filter((text) => bytes(text) <= 63 && !text.includes('\0')),
  },
  { weight: 1, arbitrary: fc.stringMatching(/^[a-b._ ]{1,4}$/) },
);

export const tableId: fc.Arbitrary<TableId> = fc.record({ schema: identifier, table: identifier });

/** A set of tables as a catalog could hold it: no table twice. */
export function tableSet(options: { maxLength?: number } = {}): fc.Arbitrary<TableId[]> {
  return fc.uniqueArray(tableId, {
    minLength: 1,
    maxLength: options.maxLength ?? 12,
    selector: (id) => JSON.stringify([id.schema, id.table]),
  });
}
