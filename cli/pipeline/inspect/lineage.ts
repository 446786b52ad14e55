import { withClickHouse } from '../../components/clickhouse/client.ts';
import { newestBeat } from '../../components/clickhouse/metricsQueries.ts';
import { hasOwnTable } from '../../components/clickhouse/statements.ts';
import { Connect } from '../../components/connect/client.ts';
import { acknowledgedPosition } from '../../components/connect/control.ts';
import { withPostgres } from '../../components/postgres/client.ts';
import { observePlace, switchPosition } from '../../components/postgres/identity.ts';
import type { ObservedSlot } from '../../components/postgres/observe.ts';
import { brokenBy, positionIn, versionAt } from '../../core/lineage.ts';
import { formatLsn } from '../../core/lsn.ts';
import { CH_CDC, heartbeatOf, type PipelineNames } from '../../core/names.ts';
import type { Endpoints } from '../../stack/endpoints.ts';
import { readOwner } from '../state/owner.ts';

/** Which history of the source changes are of (core/lineage.ts). */
export interface Lineage {
  /** Of the versions that changes get, from the next `apply` on where it is broken. */
  readonly epoch: number;
  /** Undefined where the source did not say it. */
  readonly timeline: number | undefined;
  /** It is another one than is remembered; also of a source that can be gone on with, once a standby was promoted. */
  readonly isOtherTimeline: boolean;
  /** Why the source cannot be gone on with: its positions mean something else than before. */
  readonly broken: string | undefined;
  /** How far the connector has read; undefined where it never has, or that is not known. */
  readonly acknowledged: bigint | undefined;
}

export interface Access {
  readonly names: Pick<PipelineNames, 'own' | 'connector'>;
  readonly endpoints: Pick<Endpoints, 'postgres' | 'clickhouse' | 'connect'>;
}

/** What is remembered comes first: what flows meanwhile is then no step back. */
export async function lineageOf({ names, endpoints }: Access): Promise<Lineage> {
  const { owner, arrived } = await withClickHouse(endpoints.clickhouse, async (clickhouse) => {
    const found = await readOwner(clickhouse);
    const base = versionAt(found?.epoch ?? 0, 0n);
    // Somebody can have dropped them; apply makes them again.
    const hasBeats = found !== undefined && (await hasOwnTable(clickhouse, CH_CDC.heartbeats));
    return { owner: found, arrived: hasBeats ? await newestBeat(clickhouse, base) : undefined };
  });
  const acknowledged = await acknowledgedPosition(new Connect(endpoints.connect), names.connector);
  const place = await withPostgres(endpoints.postgres, (client) =>
    observePlace(client, heartbeatOf(names.own)),
  );
  const epoch = owner?.epoch ?? 0;
  const timeline = place?.timeline;
  const unbroken = { epoch, timeline, isOtherTimeline: false, broken: undefined, acknowledged };
  if (!owner || !place) return unbroken;
  const isOtherTimeline = owner.timeline !== undefined && owner.timeline !== place.timeline;
  const switchedAt =
    isOtherTimeline && owner.timeline !== undefined
      ? await switchPosition(endpoints.postgres, place.timeline, owner.timeline)
      : undefined;
  const copy = {
    source: owner.source,
    timeline: owner.timeline,
    arrived: arrived && { position: positionIn(arrived.version), beat: arrived.beat },
    acknowledged,
  };
  const broken = brokenBy(place, copy, switchedAt);
  return broken === undefined
    ? { ...unbroken, isOtherTimeline }
    : { ...unbroken, isOtherTimeline, epoch: epoch + 1, broken };
}

/**
 * Why changes have passed the slot by. Debezium confirms only what Connect has stored that it read, so a slot that is
 * further was advanced by somebody, or dropped and made again.
 *
 * @param slot read before `acknowledged` was.
 */
export function passedBy(
  slot: ObservedSlot | undefined,
  acknowledged: bigint | undefined,
): string | undefined {
  const confirmed = slot?.confirmedFlushLsn;
  if (confirmed === undefined || acknowledged === undefined || confirmed <= acknowledged)
    return undefined;
  return `somebody made it again or advanced it: it begins at ${formatLsn(confirmed)}, and the connector has read up to ${formatLsn(acknowledged)}`;
}
