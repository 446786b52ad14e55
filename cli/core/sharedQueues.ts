import {
  type SharedQueueNames,
  sharedQueueNames,
  type TableId,
  type TargetNames,
  tableLabelKey,
  topicName,
} from './names.ts';

/** One Kafka engine table and the topics and tables that it serves. */
export interface SharedQueue {
  readonly names: SharedQueueNames;
  readonly topics: readonly string[];
  readonly tables: readonly TableId[];
}

/**
 * Up to this many topics (four tables and the heartbeat) each get a queue of their own, which is
 * quickest; more share queues, since every queue costs about 5 % of a core, idle or not
 * (docs/performance.md).
 */
export const OWN_QUEUE_LIMIT = 5;
/** Topics in one shared queue, on average: its latency grows with the views behind it (docs/performance.md). */
export const SHARED_QUEUE_SIZE = 12;

/**
 * Which tables share a queue. Tables whose topics have the same name must share one: two queues
 * that read the same topic would both store its rows. A table that is isolated shares with no other.
 */
export function planSharedQueues(
  tables: readonly TableId[],
  names: ReadonlyMap<string, TargetNames>,
  options: {
    prefix: string;
    group: string;
    own: string;
    isolated?: ReadonlySet<string> | undefined;
  },
): SharedQueue[] {
  const byTopic = new Map<string, TableId[]>();
  // Sorted, so that what a shared queue is named after does not depend on the order of the tables.
  const ordered = [...tables].sort((a, b) => (tableLabelKey(a) < tableLabelKey(b) ? -1 : 1));
  for (const id of ordered) {
    const topic = topicName(options.prefix, id);
    byTopic.set(topic, [...(byTopic.get(topic) ?? []), id]);
  }
  const topics = [...byTopic.keys()].sort();
  const ownQueue = (topic: string): SharedQueue => {
    const members = byTopic.get(topic) ?? [];
    const first = members[0];
    const own = first && names.get(tableLabelKey(first));
    return { names: sharedQueueNames(options, own, 0), topics: [topic], tables: members };
  };
  if (topics.length <= OWN_QUEUE_LIMIT) return topics.map(ownQueue);
  const isAlone = (topic: string) =>
    byTopic.get(topic)?.some((id) => options.isolated?.has(tableLabelKey(id))) === true;
  // Of all, so that one that is isolated moves no other to another queue.
  const count = Math.ceil(topics.length / SHARED_QUEUE_SIZE);
  // By hash and not by position: a table more must not move every other one to another queue.
  const sharedQueues = new Map<number, string[]>();
  for (const topic of topics.filter((one) => !isAlone(one))) {
    const index = hashOf(topic) % count;
    sharedQueues.set(index, [...(sharedQueues.get(index) ?? []), topic]);
  }
  const shared = [...sharedQueues]
    .sort(([a], [b]) => a - b)
    .map(([index, own]) => ({
      names: sharedQueueNames(options, undefined, index),
      topics: own,
      tables: own.flatMap((topic) => byTopic.get(topic) ?? []),
    }));
  return [...shared, ...topics.filter(isAlone).map(ownQueue)];
}

/** FNV-1a, 32 bits: the same on every machine, which is all that is wanted. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text))
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
