/** What `profile` means for every server of the pipeline. */
export interface Profile {
  /**
   * Kafka engine: how long one poll waits; it is waited out in full when little arrives. A block is
   * flushed after one poll, see flushMs().
   */
  readonly pollTimeoutMs: number;
  /** Kafka engine: the wait between two rounds of a consumer. */
  readonly rescheduleMs: number;
  /**
   * The same in a queue that many tables share. Each round costs some milliseconds a table, idle or
   * not: rounds that are too short take the CPU from the rest and make everything later.
   */
  readonly sharedPollTimeoutMs: number;
  readonly maxBlockSize: number;
  /** Debezium: how long it sleeps before it reads WAL again, when nothing came for a while. */
  readonly connectPollMs: number;
  /**
   * Debezium: changes in a batch; four batches wait in its queue. Those of larger queues outlive the young generation,
   * and collecting them costs more than reading them.
   */
  readonly connectBatch: number;
  readonly producerLingerMs: number;
  readonly heartbeatMs: number;
}

/** Sources: the measurements in docs/performance.md. */
export const PROFILES: Readonly<Record<'low-latency' | 'balanced' | 'throughput', Profile>> = {
  'low-latency': {
    pollTimeoutMs: 20,
    rescheduleMs: 50,
    sharedPollTimeoutMs: 50,
    maxBlockSize: 65_536,
    connectPollMs: 5,
    connectBatch: 1024,
    producerLingerMs: 2,
    heartbeatMs: 500,
  },
  balanced: {
    pollTimeoutMs: 100,
    rescheduleMs: 50,
    sharedPollTimeoutMs: 200,
    maxBlockSize: 65_536,
    connectPollMs: 50,
    connectBatch: 1024,
    producerLingerMs: 5,
    heartbeatMs: 1000,
  },
  throughput: {
    pollTimeoutMs: 500,
    rescheduleMs: 100,
    sharedPollTimeoutMs: 1000,
    maxBlockSize: 262_144,
    connectPollMs: 100,
    connectBatch: 4096,
    producerLingerMs: 20,
    heartbeatMs: 1000,
  },
};

/**
 * Kafka engine: a block is flushed when this much time has passed since its first poll. Shorter than
 * the poll, because ClickHouse asks a clock that ticks every 4 ms: with equal figures every other
 * block waits for a second poll and is twice as late (docs/performance.md).
 */
export function flushMs(profile: Profile): number {
  return Math.round(profile.pollTimeoutMs * 0.75);
}

/** The profile of queues that several tables share. */
export function sharedProfile(profile: Profile): Profile {
  return { ...profile, pollTimeoutMs: profile.sharedPollTimeoutMs };
}
