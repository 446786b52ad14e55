import type { Logger } from 'pino';
import { ClickHouse } from '../components/clickhouse/client.ts';
import { messagesRead } from '../components/clickhouse/consumers.ts';
import { queueUuids, storageUuids } from '../components/clickhouse/observe.ts';
import { type Queue, queuesOf } from '../components/clickhouse/queues.ts';
import { recordsOf } from '../components/clickhouse/records.ts';
import { withKafkaAdmin } from '../components/kafka/client.ts';
import { PlacesReader } from '../components/kafka/positions.ts';
import { createTopics, replicationOf } from '../components/kafka/topics.ts';
import { tableLabel, topicName } from '../core/names.ts';
import {
  type Acknowledged,
  acknowledgedNow,
  movedPast,
  passedBy,
  type QueueLook,
} from '../core/positions.ts';
import { errorText } from '../core/problems.ts';
import { pause } from '../lib/wait.ts';
import { refuseOtherPipelines } from '../pipeline/inspect/others.ts';
import { recordGap } from '../pipeline/state/gaps.ts';
import { readPositions, recordPositions } from '../pipeline/state/positions.ts';
import type { Stack } from '../pipeline/state/stack.ts';

const LOOK_MS = 2000;
/** Which queues there are costs ClickHouse more than anything else here. */
const QUEUES_MS = 15_000;
/** What was recorded long ago is as good, but for topics whose messages are deleted sooner than that. */
const RECORD_MS = 60_000;

/**
 * Looks whether messages went past the copy: topics that were deleted or lost what was not read, offsets that somebody
 * moved. What it finds is recorded of each table as a known gap, which `apply` closes.
 */
export class GapWatch {
  private readonly stack: () => Stack;
  private readonly log: Logger;
  private clickhouse: ClickHouse | undefined;
  private kafka: PlacesReader | undefined;
  private known: Acknowledged | undefined;
  private queues: readonly Queue[] = [];
  private queuesAtMs = Number.NEGATIVE_INFINITY;
  private changedAtMs = Number.NEGATIVE_INFINITY;
  private recordedAtMs = 0;
  private before: readonly QueueLook[] = [];
  private storages = '';
  private found = 0;

  constructor(stack: () => Stack, log: Logger) {
    this.stack = stack;
    this.log = log;
  }

  /** Another one when there is a gap more, or storages that were not there: something for `apply` to look at. */
  get digest(): string {
    return `${this.found} ${this.storages}`;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.look();
      } catch (error) {
        // Servers that are gone are said by those who watch them.
        if (!signal.aborted) this.log.debug({ error: errorText(error) }, 'looking for gaps');
        await this.kafka?.close();
        this.kafka = undefined;
      }
      await pause(LOOK_MS, signal).catch(() => {});
    }
    await this.kafka?.close();
    await this.clickhouse?.close();
  }

  private async look(): Promise<void> {
    const stack = this.stack();
    const clickhouse = await this.connected(stack);
    const uuids = await storageUuids(clickhouse);
    const storages = JSON.stringify([...uuids].sort());
    if (storages !== this.storages) this.changedAtMs = performance.now();
    this.storages = storages;
    // Tables that come get their queue soon after.
    const lookedMs = performance.now() - this.queuesAtMs;
    if (lookedMs > QUEUES_MS || performance.now() - this.changedAtMs < QUEUES_MS) {
      this.queues = withDetached(this.queues, await queuesOf(clickhouse));
      this.queuesAtMs = performance.now();
    }
    const { known = new Map(), queues } = this;
    if (queues.length === 0) return;
    this.kafka ??= await PlacesReader.connect(stack.endpoints.kafka);
    const [groups, read, tables] = [
      await this.kafka.read(queues),
      await messagesRead(clickhouse),
      // The last: what was counted was read by this queue, or by one that is not the one of before.
      await queueUuids(clickhouse),
    ];
    const looks = groups.map(({ group, places, isEmpty }, i): QueueLook => {
      const name = queues[i]?.name ?? '';
      const ofQueue = read.get(name) ?? new Map();
      const before = this.before.find((one) => one.group === group);
      // Of one that is detached: it is the same when it is attached again.
      const queue = tables.get(name) ?? before?.queue;
      return { group, queue, places, isUnread: isEmpty || ofQueue.size === 0, read: ofQueue };
    });
    let next: Acknowledged = known;
    const lost = new Map<string, string>();
    for (const now of looks) {
      const before = this.before.find(({ group }) => group === now.group);
      for (const [topic, why] of [...movedPast(before, now), ...passedBy(known, now.places)])
        lost.set(topic, why);
      next = acknowledgedNow(next, now.places);
    }
    if (lost.size > 0) await this.record(stack, clickhouse, lost);
    // What was found is recorded first: were this to fail, the next look finds it again.
    this.known = next;
    this.before = looks;
    if (lost.size > 0 || performance.now() - this.recordedAtMs > RECORD_MS) {
      await recordPositions(clickhouse, next);
      this.recordedAtMs = performance.now();
    }
    // The last: a role that may not make topics must not hinder the looks to come.
    await this.makeTopics(stack, clickhouse, looks);
  }

  /**
   * A topic that is gone is made at once, not by the `apply` that closes its gap: Connect's producer waits for it with
   * the messages of all tables, and so does whoever loads a table then, `apply` itself as well.
   */
  private async makeTopics(
    { endpoints, names }: Stack,
    clickhouse: ClickHouse,
    looks: readonly QueueLook[],
  ): Promise<void> {
    const gone = new Set(
      looks.flatMap(({ places }) =>
        [...places].flatMap(([topic, at]) => (at.size === 0 ? topic : [])),
      ),
    );
    if (gone.size === 0) return;
    // The queue of a table that left can be gone since they were listed, and its topic is then wanted by nobody.
    const topics = (await queuesOf(clickhouse))
      .flatMap((queue) => queue.topics)
      .filter((topic) => topic.startsWith(`${names.topicPrefix}.`) && gone.has(topic));
    const made = await withKafkaAdmin(endpoints.kafka, (admin) =>
      createTopics(admin, topics, replicationOf(endpoints.kafka)),
    );
    if (made.length > 0) this.log.warn({ topics: made }, 'topics that were gone are made again');
  }

  /** Records that are another pipeline's are none of ours. */
  private async connected(stack: Stack): Promise<ClickHouse> {
    this.clickhouse ??= new ClickHouse(stack.endpoints.clickhouse, { maxConnections: 2 });
    if (this.known === undefined) {
      await refuseOtherPipelines(stack);
      this.known = await readPositions(this.clickhouse);
    }
    return this.clickhouse;
  }

  private async record(
    stack: Stack,
    clickhouse: ClickHouse,
    lost: ReadonlyMap<string, string>,
  ): Promise<void> {
    // Of a table that was never loaded nothing is missing: its first load is to come.
    for (const { id, record } of await recordsOf(clickhouse, 'shape')) {
      const why = lost.get(topicName(stack.names.topicPrefix, id));
      if (why === undefined) continue;
      this.log.warn({ table: tableLabel(id), why }, 'a known gap');
      await recordGap(clickhouse, { ...id, oid: record.oid }, why);
    }
    this.found += 1;
  }
}

/** A queue that somebody detached is not there; nobody else reads its topics, and its group can be moved. */
function withDetached(before: readonly Queue[], now: readonly Queue[]): Queue[] {
  const read = new Set(now.flatMap(({ topics }) => topics));
  return [...now, ...before.filter(({ topics }) => topics.every((topic) => !read.has(topic)))];
}
