import { z } from 'zod';

/**
 * What a backup consists of and which of them need one another. A full backup begins a chain; an incremental one holds
 * what ClickHouse has beyond the one before it, and PostgreSQL's WAL of a chain stands in the folder of its full one.
 */

const lsn = z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
/** Relative, and nowhere else than below its folder. */
const path = z
  .string()
  .min(1)
  .refine((text) => !text.startsWith('/') && !text.split('/').includes('..'), 'leads elsewhere');
const file = z.object({ path, bytes: z.int().nonnegative(), sha256 });
const id = z.string().regex(/^\d{8}T\d{6}Z$/);

export const MANIFEST_FILE = 'manifest.json';
export const MANIFEST_VERSION = 1;

export const manifestSchema = z.object({
  v: z.literal(MANIFEST_VERSION),
  id,
  kind: z.enum(['full', 'incremental']),
  /** The full one that the chain begins with; itself, of a full one. */
  full: id,
  /** The one before it in the chain. */
  base: id.optional(),
  started_at: z.iso.datetime(),
  finished_at: z.iso.datetime(),
  /** Of cdc, PostgreSQL and ClickHouse. */
  versions: z.object({ cdc: z.string(), postgres: z.string(), clickhouse: z.string() }),
  pipeline: z.string(),
  /** As components/postgres/identity.ts says it. */
  source: z.string(),
  timeline: z.int().optional(),
  positions: z.object({
    /** All that was committed before it is in ClickHouse's part; absent where the pipeline did not flow. */
    copied: lsn.optional(),
    /** Nothing in ClickHouse's part is younger. */
    end: lsn,
    slot: z.object({ restart: lsn.optional(), confirmed: lsn.optional() }).optional(),
    /** End of each partition of each topic, as Kafka had it. */
    topics: z.record(z.string(), z.record(z.string(), z.string())),
    /** What Connect has stored of the connector, as its REST interface says it. */
    connect: z.unknown().optional(),
  }),
  /** Absent where the source is one of the user's own. */
  postgres: z
    .object({
      start: lsn,
      segment_bytes: z.int(),
      /** Also those that are empty. */
      folders: z.array(path),
    })
    .optional(),
  clickhouse: z.object({ databases: z.array(z.string()) }),
  secrets: z.enum(['encrypted', 'left out']),
  files: z.array(file),
  /** Segments of WAL that came since the one before it, in the folder of the full one. */
  wal: z.array(file),
  bytes: z.int(),
});

export type Manifest = Readonly<z.output<typeof manifestSchema>>;
export type BackupFile = Readonly<z.output<typeof file>>;

/** `20261127T043500Z`: they sort by time. */
export function backupId(at: Date): string {
  return `${at
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(/[-:]/g, '')}`;
}

/** What is needed to restore one, from its full one to itself; undefined where one of them is missing. */
export function chainOf(all: readonly Manifest[], of: Manifest): Manifest[] | undefined {
  const byId = new Map(all.map((manifest) => [manifest.id, manifest]));
  const chain = [of];
  for (let at = of; at.kind === 'incremental'; ) {
    const base = at.base === undefined ? undefined : byId.get(at.base);
    // Ids grow along a chain, so that none can lead back to itself.
    if (!base || base.full !== of.full || base.id >= at.id) return undefined;
    chain.unshift(base);
    at = base;
  }
  return chain;
}

/** The newest that had ended by a time; of all without one. */
export function newestBefore(all: readonly Manifest[], at?: Date): Manifest | undefined {
  return all
    .filter(({ finished_at }) => at === undefined || new Date(finished_at) <= at)
    .toSorted((a, b) => (a.id < b.id ? 1 : -1))[0];
}

export interface Keeping {
  /** So many of the newest. */
  readonly newest?: number;
  /** Those that have ended since. */
  readonly since?: Date;
}

/**
 * What may go, each after those that need it: what is not kept for itself and that nothing which is kept needs. The
 * newest that can be restored is always kept, and while an incremental one is kept, its chain is.
 */
export function prunable(all: readonly Manifest[], keeping: Keeping): Manifest[] {
  const newestFirst = all.toSorted((a, b) => (a.id < b.id ? 1 : -1));
  const good = newestFirst.find((one) => chainOf(all, one) !== undefined);
  const kept = newestFirst.filter(
    (one, index) =>
      one === good ||
      (keeping.newest !== undefined && index < keeping.newest) ||
      (keeping.since !== undefined && new Date(one.finished_at) >= keeping.since),
  );
  const needed = new Set(kept.flatMap((one) => chainOf(all, one) ?? [one]).map((one) => one.id));
  return newestFirst.filter((one) => !needed.has(one.id));
}

/** Why the next backup has to be a full one; undefined where an incremental one will do. */
export function whyFull(
  all: readonly Manifest[],
  here: Pick<Manifest, 'source' | 'timeline' | 'pipeline'>,
  { now, fullEveryMs }: { readonly now: Date; readonly fullEveryMs: number },
): string | undefined {
  const last = newestBefore(all);
  const full = last && chainOf(all, last)?.[0];
  if (!full) return 'there is none that it could begin at';
  if (full.source !== here.source || full.timeline !== here.timeline)
    return 'the source is another one, or was put back, since the last full one';
  if (now.getTime() - new Date(full.started_at).getTime() >= fullEveryMs)
    return 'the last full one is old enough';
  return undefined;
}

// --- segments of WAL: files named by timeline and number

export function segmentOf(lsn: bigint, segmentBytes: number): bigint {
  return lsn / BigInt(segmentBytes);
}

const FOUR_GIB = 0x1_0000_0000n;

export function segmentName(timeline: number, segment: bigint, segmentBytes: number): string {
  const perFile = FOUR_GIB / BigInt(segmentBytes);
  const hex = (value: bigint) => value.toString(16).toUpperCase().padStart(8, '0');
  return `${hex(BigInt(timeline))}${hex(segment / perFile)}${hex(segment % perFile)}`;
}

/** Undefined for what is no name of a segment. */
export function segmentNumber(
  name: string,
  segmentBytes: number,
): { readonly timeline: number; readonly segment: bigint } | undefined {
  const match = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$/.exec(name);
  if (!match) return undefined;
  const [timeline, log, part] = match.slice(1).map((hex) => BigInt(`0x${hex}`));
  const perFile = FOUR_GIB / BigInt(segmentBytes);
  return {
    timeline: Number(timeline),
    segment: (log ?? 0n) * perFile + (part ?? 0n),
  };
}
