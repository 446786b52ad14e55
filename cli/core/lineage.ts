import { formatLsn } from './lsn.ts';

/**
 * A WAL position means something within one timeline of one system: of a source that went back to an older state, or is
 * another server, positions come once more, with other changes. So a version of the copy has the number of the source's
 * epoch above the position: every change of a later epoch outranks all of those before it.
 *
 * 54 bits of position are 16 PiB of WAL; 1,024 epochs are as many times that a source went back.
 */
const POSITION_BITS = 54n;

export function versionAt(epoch: number, position: bigint): bigint {
  return (BigInt(epoch) << POSITION_BITS) + position;
}

export function positionIn(version: bigint): bigint {
  return BigInt.asUintN(Number(POSITION_BITS), version);
}

/** The position in a version, in SQL. */
export function positionSql(version: string): string {
  return `bitAnd(${version}, ${(1n << POSITION_BITS) - 1n})`;
}

export function highest(positions: readonly bigint[]): bigint | undefined {
  const [first, ...others] = positions;
  let most = first;
  for (const one of others) if (most !== undefined && one > most) most = one;
  return most;
}

/** What the source says of itself. */
export interface SourcePlace {
  /** As components/postgres/identity.ts says it. */
  readonly source: string;
  readonly timeline: number;
  readonly position: bigint;
  /** Of its newest heartbeat; undefined where there is none. */
  readonly beat: bigint | undefined;
}

/** What is remembered of the source, and how far the copy has come with it; read before the source was asked. */
export interface CopyPlace {
  readonly source: string;
  /** Undefined where an earlier cdc has applied. */
  readonly timeline: number | undefined;
  /** Of the newest heartbeat that has arrived in this epoch. */
  readonly arrived: { readonly position: bigint; readonly beat: bigint } | undefined;
  /** How far the connector says that it has read. */
  readonly acknowledged: bigint | undefined;
}

/**
 * Why the source cannot be gone on with, undefined where it can.
 *
 * @param switchedAt where the timeline that is remembered ended, for the one of now; undefined where it never led to it,
 *                   or that cannot be read.
 */
export function brokenBy(
  source: SourcePlace,
  copy: CopyPlace,
  switchedAt: bigint | undefined,
): string | undefined {
  if (source.source !== copy.source) return 'it is another server or database than before';
  const positions = [copy.arrived?.position, copy.acknowledged].filter((one) => one !== undefined);
  const reached = highest(positions) ?? 0n;
  if (copy.timeline !== undefined && copy.timeline !== source.timeline) {
    const timelines = `it went from timeline ${copy.timeline} to ${source.timeline}`;
    if (switchedAt === undefined) return `${timelines}, and where is not known`;
    if (reached > switchedAt)
      return `${timelines} at ${formatLsn(switchedAt)}, and the copy has changes up to ${formatLsn(reached)}`;
  }
  if (source.position < reached)
    return `its WAL ends at ${formatLsn(source.position)}, and the copy has changes up to ${formatLsn(reached)}`;
  if (source.beat !== undefined && copy.arrived && source.beat < copy.arrived.beat)
    return `its newest heartbeat is number ${source.beat}, and the copy has number ${copy.arrived.beat}`;
  return undefined;
}

/** Where a timeline ended, in the history file of a later one: https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES */
export function timelineEnd(history: string, timeline: number): string | undefined {
  for (const line of history.split('\n')) {
    const [number, lsn] = line.trim().split(/\s+/);
    if (number === String(timeline)) return lsn;
  }
  return undefined;
}
