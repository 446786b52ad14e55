import type { Admin } from 'kafkajs';
import type { Finding } from '../../core/findings.ts';

/**
 * What is wrong with the brokers. They tell no version; they tell which requests they know, and one of
 * those came with the version that is needed (KIP-455; KIP-464: topics with the brokers' own replication factor).
 */
export async function checkBrokers(admin: Admin): Promise<Finding[]> {
  try {
    await admin.listPartitionReassignments({});
    return [];
  } catch (error) {
    return isUnknownRequest(error) ? [TOO_OLD] : [];
  }
}

const TOO_OLD: Finding = {
  id: 'kafka-version',
  severity: 'error',
  subject: 'kafka',
  message:
    'its brokers are older than version 2.4, which is needed: topics take the replication factor that they have as default',
  fix: 'Upgrade Kafka to 2.4 or newer.',
};

/** Anything else that it answers, a right that is missing say, comes from who knows the request. */
export function isUnknownRequest(error: unknown): boolean {
  return error instanceof Error && error.name === 'KafkaJSServerDoesNotSupportApiKey';
}
