import type { Kafka } from 'kafkajs';
import type { KafkaEndpoint } from '../../stack/endpoints.ts';
import { kafkaClient } from './client.ts';

/** What kafkajs keeps to itself of a connection to a cluster: requests that its admin has not, or makes one by one. */
export interface Cluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>;
  refreshMetadataIfNecessary(): Promise<void>;
  findTopicPartitionMetadata(topic: string): readonly { readonly partitionId: number }[];
  fetchTopicsOffset(
    topics: readonly {
      readonly topic: string;
      readonly fromBeginning: boolean;
      readonly partitions: readonly { readonly partition: number }[];
    }[],
  ): Promise<
    {
      readonly topic: string;
      readonly partitions: readonly { readonly partition: number; readonly offset: string }[];
    }[]
  >;
  findGroupCoordinator(options: { groupId: string }): Promise<{
    leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>;
  }>;
}

export function clusterOf(endpoint: KafkaEndpoint): Cluster {
  const kafka: Kafka = kafkaClient(endpoint);
  const create = Object.getOwnPropertySymbols(kafka).find(
    (symbol) => symbol.description === 'private:Kafka:createCluster',
  );
  if (create === undefined) throw new TypeError('kafkajs has no way to make a cluster any more');
  return (kafka as unknown as Record<symbol, (options: object) => Cluster>)[create]?.(
    {},
  ) as Cluster;
}
