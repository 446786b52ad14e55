/** Where a topic's partitions begin and end in Kafka, and how far ClickHouse has acknowledged them. */
export interface Place {
  /** The oldest message that is there, and the one after the newest. */
  readonly start: bigint;
  readonly end: bigint;
  /** The next message of the group that reads it; -1 when it has acknowledged none. */
  readonly committed: bigint;
}

/** Messages that wait; those that were deleted never come. */
export function waiting({ start, end, committed }: Place): bigint {
  // A group can have come further since the end was asked for.
  const from = committed > start ? committed : start;
  return end > from ? end - from : 0n;
}

/** By topic and partition. A topic that a queue reads and Kafka does not have has no partitions. */
export type Places = ReadonlyMap<string, ReadonlyMap<number, Place>>;
/** How far topics were acknowledged at an earlier look, which can be long ago. */
export type Acknowledged = ReadonlyMap<string, ReadonlyMap<number, bigint>>;

export interface QueueLook {
  readonly group: string;
  /** The Kafka engine table that read it last, by its UUID. */
  readonly queue: string | undefined;
  readonly places: Places;
  /** The group had no member, or none of ClickHouse: anybody could move its offsets. */
  readonly isUnread: boolean;
  /** Messages that its consumers have read since they were made, by consumer. */
  readonly read: ReadonlyMap<string, bigint>;
}

export const LOST = {
  deleted: 'its topic was deleted: messages of it can be lost',
  begins: 'its topic was deleted and made again: messages of it can be lost',
  expired: 'messages of its topic were deleted before ClickHouse had read them',
  moved: 'the offsets of its consumer group were moved past messages that nobody has read',
} as const;

/**
 * Topics of which messages passed the copy by, with the reason. An acknowledged offset of long ago is as good as one of
 * now: it only makes more of what was deleted since count as not read.
 */
export function passedBy(known: Acknowledged, places: Places): Map<string, string> {
  const found = new Map<string, string>();
  for (const [topic, partitions] of places) {
    const before = known.get(topic);
    if (before === undefined) continue;
    for (const [partition, acknowledged] of before) {
      const place = partitions.get(partition);
      if (place === undefined) {
        if (acknowledged > 0n) found.set(topic, LOST.deleted);
      } else if (place.end < acknowledged) found.set(topic, LOST.begins);
      else if (place.start > acknowledged) found.set(topic, LOST.expired);
    }
  }
  return found;
}

/**
 * Topics whose group came further than its consumers have read. Kafka moves offsets only of groups that have no
 * member; what a consumer that is gone by now has read is not known, so only a group that had none tells, whose queue is
 * the same: `apply` can have made it anew more than once between two looks.
 */
export function movedPast(before: QueueLook | undefined, now: QueueLook): Map<string, string> {
  if (!before?.isUnread || before.group !== now.group || before.queue !== now.queue)
    return new Map();
  const advanced = new Map<string, bigint>();
  for (const [topic, partitions] of now.places) {
    for (const [partition, { committed }] of partitions) {
      const was = before.places.get(topic)?.get(partition)?.committed;
      // One that had acknowledged nothing begins where the topic begins, or where another queue had come to.
      if (was === undefined || was < 0n || committed <= was) continue;
      advanced.set(topic, (advanced.get(topic) ?? 0n) + committed - was);
    }
  }
  let read = 0n;
  for (const [consumer, messages] of now.read) read += messages - (before.read.get(consumer) ?? 0n);
  const total = [...advanced.values()].reduce((sum, n) => sum + n, 0n);
  return total > read
    ? new Map([...advanced.keys()].map((topic) => [topic, LOST.moved]))
    : new Map();
}

/**
 * What is known after a look. A group that stands where its topic has no message is put at the beginning by its
 * consumer; it was told once. What no queue reads at the moment stays known.
 */
export function acknowledgedNow(
  known: Acknowledged,
  places: Places,
): Map<string, ReadonlyMap<number, bigint>> {
  const next = new Map(known);
  for (const [topic, partitions] of places) {
    if (partitions.size === 0) next.delete(topic);
    else next.set(topic, new Map([...partitions].map(([n, place]) => [n, positionIn(place)])));
  }
  return next;
}

function positionIn({ start, end, committed }: Place): bigint {
  return committed < start || committed > end ? start : committed;
}
