/** What `profile` means for every server of the pipeline. */
export interface Profile {
  /** Kafka engine: a block is flushed after this long. */
  readonly flushMs: number;
  /** Kafka engine: how long one poll waits; it is waited out in full when little arrives. */
  readonly pollTimeoutMs: number;
  /** Kafka engine: the wait between two rounds of a consumer. */
  readonly rescheduleMs: number;
  /**
   * Flush and poll of a lane that many tables share. Each round costs some milliseconds a table,
   * idle or not: rounds that are too short take the CPU from the rest and make everything later.
   */
  readonly sharedFlushMs: number;
  readonly maxBlockSize: number;
  /** Debezium: how often its queue is looked at when it was empty. */
  readonly connectPollMs: number;
  readonly connectBatch: number;
  readonly producerLingerMs: number;
  readonly heartbeatMs: number;
}

/** Sources: the measurements in docs/performance.md. */
export const PROFILES: Readonly<Record<'low-latency' | 'balanced' | 'throughput', Profile>> = {
  'low-latency': {
    flushMs: 20,
    pollTimeoutMs: 20,
    rescheduleMs: 5,
    sharedFlushMs: 60,
    maxBlockSize: 65_536,
    connectPollMs: 5,
    connectBatch: 8192,
    producerLingerMs: 1,
    heartbeatMs: 500,
  },
  balanced: {
    flushMs: 200,
    pollTimeoutMs: 100,
    rescheduleMs: 50,
    sharedFlushMs: 200,
    maxBlockSize: 65_536,
    connectPollMs: 50,
    connectBatch: 8192,
    producerLingerMs: 5,
    heartbeatMs: 1000,
  },
  throughput: {
    flushMs: 1000,
    pollTimeoutMs: 500,
    rescheduleMs: 100,
    sharedFlushMs: 1000,
    maxBlockSize: 262_144,
    connectPollMs: 100,
    connectBatch: 16_384,
    producerLingerMs: 20,
    heartbeatMs: 1000,
  },
};

/** The profile of lanes that several tables share. */
export function sharedProfile(profile: Profile): Profile {
  return { ...profile, flushMs: profile.sharedFlushMs, pollTimeoutMs: profile.sharedFlushMs };
}
