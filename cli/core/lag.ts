/** Percentiles of some milliseconds; absent when there is no sample. */
export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** Nearest-rank percentiles: each is a value that was measured. */
export function percentiles(samples: readonly number[]): Percentiles | undefined {
  if (samples.length === 0) return undefined;
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number) => {
    const rank = Math.min(sorted.length, Math.max(1, Math.ceil(share * sorted.length)));
    return Math.round((sorted[rank - 1] ?? 0) * 10) / 10;
  };
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

/** One heartbeat's times at every stage, in microseconds since 1970. */
export interface HeartbeatTimes {
  readonly committed: number;
  readonly captured: number;
  readonly queued: number;
  readonly written: number;
}

export interface StageLag {
  /** Commit in PostgreSQL to Debezium. */
  readonly connector_ms: Percentiles | undefined;
  /** Debezium to Kafka. */
  readonly kafka_ms: Percentiles | undefined;
  /** Kafka to ClickHouse. */
  readonly clickhouse_ms: Percentiles | undefined;
  readonly end_to_end_ms: Percentiles | undefined;
}

/**
 * Lag of each stage. `targetAheadMs` is how far ClickHouse's clock is ahead of PostgreSQL's; it is
 * taken off where a stage crosses from one machine to the other.
 */
export function stageLag(beats: readonly HeartbeatTimes[], targetAheadMs: number): StageLag {
  const stage = (
    from: (t: HeartbeatTimes) => number,
    to: (t: HeartbeatTimes) => number,
    shiftMs: number,
  ) => percentiles(beats.map((t) => Math.max(0, (to(t) - from(t)) / 1000 - shiftMs)));
  return {
    connector_ms: stage(
      (t) => t.committed,
      (t) => t.captured,
      0,
    ),
    kafka_ms: stage(
      (t) => t.captured,
      (t) => t.queued,
      0,
    ),
    clickhouse_ms: stage(
      (t) => t.queued,
      (t) => t.written,
      targetAheadMs,
    ),
    end_to_end_ms: stage(
      (t) => t.committed,
      (t) => t.written,
      targetAheadMs,
    ),
  };
}

/** A heartbeat, and what the source says now. */
export interface BeatAge {
  readonly committedUs: number;
  readonly beat: bigint;
  /** By the same clock; it can have been put back since. */
  readonly nowUs: number;
  /** The number of the heartbeat that was written last. */
  readonly writtenBeat: bigint;
  /** How often they are written. */
  readonly everyMs: number;
}

/**
 * How old the newest heartbeat that arrived is: by the source's clock, and by the heartbeats that were written after it,
 * of which the first is at least so old as those after it took. A clock that goes back makes nothing young.
 */
export function beatAgeMs({ committedUs, beat, nowUs, writtenBeat, everyMs }: BeatAge): number {
  const byClock = Math.round((nowUs - committedUs) / 1000);
  const byCount = Number(writtenBeat - beat - 1n) * everyMs;
  return Math.max(0, byClock, byCount);
}
