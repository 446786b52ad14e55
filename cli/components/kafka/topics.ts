import type { Admin } from 'kafkajs';
import { isNotificationTopic } from '../../core/names.ts';
import { type Place, waiting } from '../../core/positions.ts';
import { PARTITIONS, topicSettings } from '../../core/topics.ts';
import { type WaitOptions, waitFor } from '../../lib/wait.ts';
import type { KafkaEndpoint } from '../../stack/endpoints.ts';
import { kafkaClient, kafkaProblem } from './client.ts';

/** Offsets by topic and partition. */
export type Offsets = Map<string, Map<number, bigint>>;

/** Messages of a topic that a consumer group has not acknowledged. */
export interface GroupLag {
  readonly group: string;
  readonly topic: string;
  readonly messages: number;
}

/**
 * Creates the topics that are missing.
 *
 * @param validateOnly only asks the brokers whether they would: rights, their replication factor, their policies.
 */
export async function createTopics(
  admin: Admin,
  topics: readonly string[],
  replication: number,
  validateOnly = false,
): Promise<string[]> {
  const present = new Set(await admin.listTopics());
  const missing = topics.filter((topic) => !present.has(topic));
  if (missing.length === 0) return [];
  await admin.createTopics({
    waitForLeaders: !validateOnly,
    validateOnly,
    topics: missing.map((topic) => ({
      topic,
      numPartitions: PARTITIONS,
      replicationFactor: replication,
      configEntries: Object.entries(
        topicSettings({
          maxMessageBytes: MAX_MESSAGE_BYTES,
          isNotifications: isNotificationTopic(topic),
        }),
      ).map(([name, value]) => ({ name, value })),
    })),
  });
  return missing;
}

/** Of a topic: on each broker where we run them, else what the brokers have as their default. */
export function replicationOf(endpoint: KafkaEndpoint): number {
  return endpoint.managed ? endpoint.brokers.length : -1;
}

/** A row of PostgreSQL can be large; the producer and the topics agree on this limit. */
export const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/** End offsets by topic and partition; topics that do not exist are absent. */
export async function endOffsets(admin: Admin, topics: readonly string[]): Promise<Offsets> {
  const ends: Offsets = new Map();
  for (const [topic, partitions] of await topicBounds(admin, topics))
    ends.set(topic, new Map([...partitions].map(([partition, { end }]) => [partition, end])));
  return ends;
}

/** Where partitions begin and end. */
type Bounds = Map<string, Map<number, Pick<Place, 'start' | 'end'>>>;

async function topicBounds(admin: Admin, topics: readonly string[]): Promise<Bounds> {
  const present = new Set(await admin.listTopics());
  const found: Bounds = new Map();
  for (const topic of topics) {
    if (!present.has(topic)) continue;
    const offsets = await admin.fetchTopicOffsets(topic);
    const bounds = offsets.map(({ partition, low, high }) => {
      const place = { start: BigInt(low), end: BigInt(high) };
      return [partition, place] as const;
    });
    found.set(topic, new Map(bounds));
  }
  return found;
}

/** Where a group is in its topics; those that do not exist are absent. */
export async function groupPlaces(
  admin: Admin,
  group: string,
  topics: readonly string[],
): Promise<Map<string, Map<number, Place>>> {
  const bounds = await topicBounds(admin, topics);
  if (bounds.size === 0) return new Map();
  const committed = await committedOffsets(admin, group, [...bounds.keys()]);
  const places = ([topic, partitions]: [string, Map<number, Pick<Place, 'start' | 'end'>>]) => {
    const of = committed.get(topic);
    const each = [...partitions].map(([partition, bound]) => {
      const place: Place = { ...bound, committed: of?.get(partition) ?? -1n };
      return [partition, place] as const;
    });
    return [topic, new Map(each)] as const;
  };
  return new Map([...bounds].map(places));
}

/** Acknowledged offsets of a group; -1 where it has acknowledged nothing yet. */
export async function committedOffsets(
  admin: Admin,
  group: string,
  topics: readonly string[],
): Promise<Offsets> {
  const answer = await admin.fetchOffsets({ groupId: group, topics: [...topics] });
  return new Map(
    answer.map(({ topic, partitions }) => [
      topic,
      new Map(partitions.map((p) => [p.partition, BigInt(p.offset)])),
    ]),
  );
}

/** Messages between what a group has acknowledged and what its topics hold. */
export async function groupLag(
  admin: Admin,
  group: string,
  topics: readonly string[],
): Promise<GroupLag[]> {
  const places = await groupPlaces(admin, group, topics);
  return [...places].map(([topic, partitions]) => {
    const messages = [...partitions.values()].reduce((sum, place) => sum + waiting(place), 0n);
    return { group, topic, messages: Number(messages) };
  });
}

/**
 * Lets a group begin where the groups of other queues have come to: tables move between queues,
 * and each queue has a group of its own. Only a group without members can be moved; one that reads
 * keeps its place (reading messages again is slow and harmless).
 */
export async function copyGroupOffsets(
  endpoint: KafkaEndpoint,
  admin: Admin,
  group: string,
  isSibling: (group: string) => boolean,
  topics: readonly string[],
): Promise<void> {
  const { groups } = await admin.listGroups();
  const others = groups.map((g) => g.groupId).filter((id) => id !== group && isSibling(id));
  const { groups: described } = await admin.describeGroups([group]);
  if (described[0]?.members.length) return;
  const own = await committedOffsets(admin, group, topics);
  const siblings = [];
  for (const other of others) siblings.push(await committedOffsets(admin, other, topics));
  const ahead: Offsets = new Map();
  for (const topic of topics) {
    const further = [...furthest(siblings, topic)].filter(
      ([partition, offset]) => offset > (own.get(topic)?.get(partition) ?? -1n),
    );
    if (further.length > 0) ahead.set(topic, new Map(further));
  }
  await setGroupOffsets(endpoint, group, ahead);
}

/** Per partition, the highest of some groups' offsets. */
function furthest(groups: readonly Offsets[], topic: string): Map<number, bigint> {
  const found = new Map<number, bigint>();
  for (const group of groups) {
    for (const [partition, offset] of group.get(topic) ?? []) {
      if (offset > (found.get(partition) ?? -1n)) found.set(partition, offset);
    }
  }
  return found;
}

/**
 * Lets a group that nobody is in yet begin at these offsets. As kafkajs's own setOffsets does it
 * (a consumer that seeks, which commits, and leaves with its first fetch), but for all topics at
 * once and without waiting 5 s for messages: the queue stands still meanwhile.
 */
export async function setGroupOffsets(
  endpoint: KafkaEndpoint,
  group: string,
  offsets: Offsets,
): Promise<void> {
  const topics = [...offsets.keys()];
  if (topics.length === 0) return;
  const consumer = kafkaClient(endpoint).consumer({
    groupId: group,
    maxWaitTimeInMs: 50,
    // Should this process be killed here, the queue's reader waits this long for it, not a minute.
    sessionTimeout: 6000,
    rebalanceTimeout: 6000,
    heartbeatInterval: 1000,
  });
  try {
    await consumer.connect();
    await consumer.subscribe({ topics, fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      consumer.on(consumer.events.FETCH, () => consumer.stop().then(resolve, reject));
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
      consumer.run({ eachBatchAutoResolve: false, eachBatch: async () => {} }).catch(reject);
      // It is to read nothing: other consumers' compression is none that kafkajs knows.
      consumer.pause(topics.map((topic) => ({ topic })));
      for (const [topic, partitions] of offsets) {
        for (const [partition, offset] of partitions)
          consumer.seek({ topic, partition, offset: String(offset) });
      }
    });
  } catch (error) {
    throw kafkaProblem(endpoint, error);
  } finally {
    await consumer.disconnect().catch(() => {});
  }
}

/** Waits until a group has acknowledged everything that its topics hold at the time of the call. */
export async function waitForGroupLag(
  admin: Admin,
  group: string,
  topics: readonly string[],
  options: WaitOptions,
): Promise<void> {
  const ends = await endOffsets(admin, topics);
  await waitFor('ClickHouse to read its topics', { ...options, everyMs: 20 }, async () => {
    const behind = await unread(admin, group, ends);
    return behind === undefined ? { ready: true } : { seen: behind };
  });
}

/** What a group has not acknowledged up to these offsets, in words; undefined when it has all. */
export async function unread(
  admin: Admin,
  group: string,
  ends: Offsets,
): Promise<string | undefined> {
  const acknowledged = await committedOffsets(admin, group, [...ends.keys()]);
  for (const [topic, partitions] of ends) {
    for (const [partition, end] of partitions) {
      const at = acknowledged.get(topic)?.get(partition) ?? -1n;
      if (end > 0n && at < end && (await hasMessages(admin, topic, partition, end)))
        return `${topic}: ${at} of ${end}`;
    }
  }
  return undefined;
}

/** Whether there is a message before this offset: a consumer acknowledges nothing where all were deleted. */
async function hasMessages(
  admin: Admin,
  topic: string,
  partition: number,
  before: bigint,
): Promise<boolean> {
  const bounds = await topicBounds(admin, [topic]);
  const start = bounds.get(topic)?.get(partition)?.start;
  return start !== undefined && start < before;
}
