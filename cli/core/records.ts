import { z } from 'zod';
import { chLiteral } from '../lib/sql.ts';
import type { TableId } from './names.ts';
import { Problem } from './problems.ts';
import { LEGACY } from './recordsLegacy.ts';

/**
 * What cdc remembers of a table or a slot beside its rows: records of some kinds, kept in `cdc.loads` as rows with
 * floor 0, the kind in `chunk` and the text in `state`. A text is JSON that carries its version: `{"v":1,…}`.
 *
 * A kind has one writer. There is a row for each table and kind, written without having been read before, since the
 * agent and commands write different kinds of one table at the same time: one JSON for a table would have one of them
 * lose what the other wrote.
 *
 * Readers ignore fields and kinds that they do not know. What they must not ignore gets another version: then they
 * refuse the record.
 */
const VERSION = 1;

/** A WAL position, or the version of rows: more digits than numbers of JSON keep. */
const UINT64 = z.codec(z.string().regex(/^\d{1,20}$/), z.bigint(), {
  decode: (digits) => BigInt(digits),
  encode: (value) => value.toString(),
});
/** A table that was dropped and made again has another: records of another OID are of another table. */
const OID = z.int();

const SCHEMAS = {
  /**
   * Whose all of these are: the pipeline's name, its source as components/postgres/identity.ts says it, with its timeline
   * and epoch (core/lineage.ts). By pipeline/state/owner.ts.
   */
  pipeline: z.object({
    name: z.string(),
    source: z.string(),
    timeline: z.int().exactOptional(),
    epoch: z.int().exactOptional(),
  }),
  /** The floor of a slot, or of a table's present load; only the latter has an OID. By pipeline/state/baseline.ts. */
  floor: z.object({ position: UINT64, oid: OID.exactOptional() }),
  /**
   * A load beside changes that flow: it is due, at a version that is not known yet, or was begun and is gone on with.
   * Forgotten when it is done. By pipeline/load/resnapshot.ts.
   */
  snapshot: z.discriminatedUnion('state', [
    z.object({ state: z.literal('needed'), oid: OID }),
    z.object({
      state: z.literal('begun'),
      oid: OID,
      version: UINT64,
      /** A change of the table's form made `apply` begin it: then `apply` has to end it. */
      isOfApply: z.boolean(),
    }),
  ]),
  /**
   * Why changes of the table can have passed the copy by; forgotten when a load that began later has come to its end.
   * By pipeline/state/gaps.ts.
   */
  gap: z.object({
    oid: OID,
    why: z.string(),
    /** Milliseconds since 1970. */ since_ms: z.number(),
  }),
  /** How far partitions of topics were acknowledged when that was looked at last. By pipeline/state/positions.ts. */
  positions: z.object({ of: z.array(z.tuple([z.string(), z.int(), UINT64])) }),
  /** The UUID of the table's storage. By pipeline/state/storages.ts. */
  storage: z.object({ oid: OID, uuid: z.string() }),
  /** How the table stood in the publication when it was seen last, as core/membership.ts says it. By pipeline/state/membership.ts. */
  membership: z.object({ oid: OID, mark: z.string() }),
  /** The form that the table had when its rows were read last, as core/source.ts says it. By pipeline/load/resnapshot.ts. */
  shape: z.object({ oid: OID, shape: z.string() }),
  /** The beginning of the table's history; done once all rows are in it, from this version on. By pipeline/load/tableHistory.ts. */
  history: z.discriminatedUnion('state', [
    z.object({ state: z.literal('begun'), oid: OID }),
    z.object({ state: z.literal('done'), oid: OID, version: UINT64 }),
  ]),
  /** The end of its last history, forgotten when another one begins. By pipeline/load/tableHistory.ts. */
  'history end': z.object({ ended: z.literal(true) }),
  /** Why the last load stopped, forgotten when one comes to its end. By pipeline/state/loadFailures.ts. */
  failure: z.object({ oid: OID, why: z.string() }),
  /** The table's queue is one of its own, or was. By pipeline/state/isolate.ts. */
  isolated: z.object({
    /** What ClickHouse said; empty once it has flowed again for a while. */
    why: z.string(),
    /** Milliseconds since 1970. */
    since_ms: z.number(),
    /** How often it was isolated: each time it stays so for longer. */
    times: z.int(),
  }),
  /**
   * What somebody made on a copy and that was taken away, forgotten when it is there again. The record is of that
   * view, or of the part of a storage. By components/clickhouse/dependents.ts.
   */
  'set aside': z.object({
    database: z.string(),
    name: z.string(),
    kind: z.enum(['view', 'constraint', 'index', 'projection', 'column', 'ttl']),
    part: z.string().exactOptional(),
    expression: z.string(),
    take: z.string(),
    back: z.string(),
    statement: z.string(),
    why: z.string(),
    /** Milliseconds since 1970. */
    at_ms: z.number(),
  }),
  /** Names in ClickHouse that the copy was given, and what they were given for. By pipeline/inspect/targets.ts. */
  names: z.object({
    database: z.string(),
    view: z.string(),
    final: z.string(),
    mv: z.string(),
    historyStem: z.string(),
    wanted: z.string(),
  }),
  /** Which of its columns are kept back, forgotten when none is (core/followRules.ts). By pipeline/state/columnRules.ts. */
  rules: z.object({
    schema: z.string(),
    table: z.string(),
    oid: OID,
    rules: z
      .array(z.tuple([z.int(), z.string(), z.enum(['exclude', 'mask'])]).readonly())
      .readonly(),
    partitions: z.array(OID).readonly().exactOptional(),
  }),
  /**
   * A reading of the table by Debezium, so that a killed command goes on with it; forgotten when Debezium gave it up.
   * It is of one load, so its row has the load's version as its floor. By pipeline/load/debezium.ts.
   */
  debezium: z.object({
    id: z.string(),
    /** Notifications of it begin here. */
    offset: UINT64,
    /** Known when all of them have come to the copy. */
    rows: z.number().exactOptional(),
  }),
} as const;

export type RecordKind = keyof typeof SCHEMAS;
export type RecordOf<K extends RecordKind> = z.output<(typeof SCHEMAS)[K]>;
/** Of these a table, a slot or a part of a storage has one. */
export type WholeKind = Exclude<RecordKind, 'debezium'>;

export const RECORD_KINDS = Object.keys(SCHEMAS) as RecordKind[];

/** @param record undefined: what was remembered holds no more. */
export function encode<K extends RecordKind>(kind: K, record: RecordOf<K> | undefined): string {
  const schema = schemaOf(kind);
  const content = record === undefined ? { forgotten: true } : z.encode(schema, record);
  return JSON.stringify({ v: VERSION, ...(content as object) });
}

/**
 * The record that a text is, undefined when it was forgotten. Throws RECORD_UNREADABLE for any other text: to take it
 * for none could let values through that are to be kept back, or load tables again.
 */
export function decode<K extends RecordKind>(
  kind: K,
  text: string,
  of: TableId,
): RecordOf<K> | undefined {
  const refuse = (detail: string): Problem => {
    const subject = of.schema === '' ? `slot ${of.table}` : `${of.schema}.${of.table}`;
    return new Problem('RECORD_UNREADABLE', { subject, kind, detail });
  };
  const json = objectIn(text);
  const version = json?.v;
  if (typeof version === 'number' && version > VERSION)
    throw refuse(`A newer cdc wrote it: it is of version ${version}, this one knows ${VERSION}.`);
  const other = () => refuse(`It is no text that any cdc writes: ${text.slice(0, 200)}`);
  if (version !== undefined && version !== VERSION) throw other();
  const isForgotten = version === VERSION && json?.forgotten === true;
  const content = version === undefined ? LEGACY[kind](text) : json;
  if (isForgotten || content === undefined) return undefined;
  const found = z.safeDecode(schemaOf(kind), content as never);
  if (!found.success) throw other();
  return found.data;
}

/** Whether an earlier cdc wrote the text, in SQL. */
export const IS_LEGACY_SQL = "NOT JSONHas(state, 'v')";

/** What the records of a table's history say, in SQL: for the view that answers by them. */
export const HISTORY_SQL = {
  isBegin: `chunk = ${chLiteral('history' satisfies RecordKind)}`,
  isEnd: `chunk = ${chLiteral('history end' satisfies RecordKind)}`,
  isDone: "JSONExtractString(state, 'state') = 'done'",
  version: "JSONExtractString(state, 'version')",
  isEnded: "JSONExtractBool(state, 'ended')",
} as const;

/** Loads have rows with other floors there: one for all of it, and one for each of its ranges, when they are done. */
export const LOAD = { whole: '', done: 'done' } as const;
/** Whether the row says that a load is done, in SQL. */
export const IS_LOADED_SQL = `chunk = ${chLiteral(LOAD.whole)} AND state = ${chLiteral(LOAD.done)}`;

function schemaOf<K extends RecordKind>(kind: K) {
  return SCHEMAS[kind] as unknown as z.ZodType<RecordOf<K>>;
}

function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
