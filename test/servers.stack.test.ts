import { KafkaJSServerDoesNotSupportApiKey } from 'kafkajs';
import { expect, test } from 'vitest';
import { checkWorker } from '../cli/components/connect/checkWorker.ts';
import { Connect } from '../cli/components/connect/client.ts';
import { isUnknownRequest } from '../cli/components/kafka/check.ts';
import { withKafkaAdmin } from '../cli/components/kafka/client.ts';
import { createTopics } from '../cli/components/kafka/topics.ts';
import { checkServers } from '../cli/pipeline/inspect/servers.ts';
import { stack } from './harness/database.ts';

test('servers that cdc runs have all that is needed, and their clocks are this machine’s', async () => {
  expect(await checkServers(stack().endpoints)).toEqual([]);
});

test('a worker with another Debezium, or one that works for another Kafka, is named before it gets a connector', async () => {
  const connect = new Connect(stack().endpoints.connect);
  const found = await checkWorker(connect, { debezium: '3.5.0.Final', kafka: 'elsewhere' });
  expect(found.map(({ id, severity }) => `${severity} ${id}`)).toEqual([
    'error debezium-version',
    'error connect-other-kafka',
  ]);
  expect(found[0]?.message).toMatch(/^its Debezium is version \d+\.\d+\.\d+\.Final; /);
  const { kafka_cluster_id: cluster } = await connect.worker();
  expect(found[1]?.message).toContain(`cluster ${cluster}) than kafka.brokers (cluster elsewhere)`);
});

test('brokers say whether they would make topics, and make none', async () => {
  const { kafka } = stack().endpoints;
  const topic = 'postgres-server.nobody.made';
  await withKafkaAdmin(kafka, async (admin) => {
    expect(await createTopics(admin, [topic], 1, true)).toEqual([topic]);
    expect(await admin.listTopics()).not.toContain(topic);
  });
  const tooMany = withKafkaAdmin(kafka, (admin) => createTopics(admin, [topic], 99, true));
  await expect(tooMany).rejects.toMatchObject({ code: 'KAFKA_REFUSED' });
});

test('of what brokers answer only a request that they do not know tells that they are too old', () => {
  expect(
    isUnknownRequest(
      new KafkaJSServerDoesNotSupportApiKey('', {
        apiKey: 45,
        apiName: 'ListPartitionReassignments',
      }),
    ),
  ).toBe(true);
  expect(isUnknownRequest(new Error('CLUSTER_AUTHORIZATION_FAILED'))).toBe(false);
});
