import type { Admin } from 'kafkajs';
import type { Place } from '../../core/positions.ts';
import type { KafkaEndpoint } from '../../stack/endpoints.ts';
import { kafkaClient } from './client.ts';
import { type Cluster, clusterOf } from './cluster.ts';
import { committedOffsets } from './topics.ts';

/** What a consumer group reads. */
export interface GroupTopics {
  readonly group: string;
  readonly topics: readonly string[];
}

export interface GroupPlaces extends GroupTopics {
  readonly places: Map<string, Map<number, Place>>;
  readonly isEmpty: boolean;
}

/** Looks at all topics of some groups with a few requests, on connections that stay. */
export class PlacesReader {
  private readonly admin: Admin;
  private readonly cluster: Cluster;

  private constructor(admin: Admin, cluster: Cluster) {
    this.admin = admin;
    this.cluster = cluster;
  }

  static async connect(endpoint: KafkaEndpoint): Promise<PlacesReader> {
    const reader = new PlacesReader(kafkaClient(endpoint).admin(), clusterOf(endpoint));
    try {
      await reader.admin.connect();
      await reader.cluster.connect();
    } catch (error) {
      await reader.close();
      throw error;
    }
    return reader;
  }

  async close(): Promise<void> {
    await this.admin.disconnect().catch(() => {});
    await this.cluster.disconnect().catch(() => {});
  }

  async read(groups: readonly GroupTopics[]): Promise<GroupPlaces[]> {
    const present = new Set(await this.admin.listTopics());
    const topics = [...new Set(groups.flatMap((one) => one.topics))].filter((t) => present.has(t));
    // The group's first: what is read meanwhile is then no hole.
    const committed = new Map<string, Awaited<ReturnType<typeof committedOffsets>>>();
    for (const { group, topics: own } of groups) {
      const known = own.filter((topic) => present.has(topic));
      if (known.length > 0) committed.set(group, await committedOffsets(this.admin, group, known));
    }
    const [starts, ends] = [await this.offsets(topics, true), await this.offsets(topics, false)];
    const { groups: described } = await this.admin.describeGroups(groups.map(({ group }) => group));
    const members = new Map(described.map((one) => [one.groupId, one.members.length]));
    return groups.map(({ group, topics: own }) => ({
      group,
      topics: own,
      isEmpty: members.get(group) === 0,
      places: new Map(
        own.map((topic) => [
          topic,
          new Map(
            [...(starts.get(topic) ?? [])].map(([partition, start]) => [
              partition,
              {
                start,
                end: ends.get(topic)?.get(partition) ?? start,
                committed: committed.get(group)?.get(topic)?.get(partition) ?? -1n,
              },
            ]),
          ),
        ]),
      ),
    }));
  }

  private async offsets(
    topics: readonly string[],
    fromBeginning: boolean,
  ): Promise<Map<string, Map<number, bigint>>> {
    if (topics.length === 0) return new Map();
    await this.cluster.addMultipleTargetTopics(topics);
    await this.cluster.refreshMetadataIfNecessary();
    const asked = topics.map((topic) => ({
      topic,
      fromBeginning,
      partitions: this.cluster
        .findTopicPartitionMetadata(topic)
        .map(({ partitionId }) => ({ partition: partitionId })),
    }));
    const found = await this.cluster.fetchTopicsOffset(asked);
    return new Map(
      found.map(({ topic, partitions }) => [
        topic,
        new Map(partitions.map(({ partition, offset }) => [partition, BigInt(offset)])),
      ]),
    );
  }
}
