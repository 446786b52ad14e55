export const ROW_HASH = '_row_hash';

/** What the storage of a table without a key has beside the source's columns (core/multiset-ddl.ts). */
export const MULTISET_COLUMNS = [
  { name: ROW_HASH, type: 'FixedString(16)', codec: '' },
  // 0 for what was streamed.
  { name: '_generation', type: 'UInt64', codec: ' CODEC(Delta, ZSTD(1))' },
  { name: '_version', type: 'UInt64', codec: ' CODEC(Delta, ZSTD(1))' },
  { name: '_ordinal', type: 'UInt64', codec: ' CODEC(Delta, ZSTD(1))' },
  { name: '_sign', type: 'Int8', codec: ' CODEC(ZSTD(1))' },
  { name: '_txid', type: 'UInt32', codec: ' CODEC(Delta, ZSTD(1))' },
] as const;
