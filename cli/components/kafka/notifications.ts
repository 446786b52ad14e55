import type { KafkaEndpoint } from '../../stack/endpoints.ts';
import { kafkaClient, kafkaProblem } from './client.ts';

export interface FollowOptions {
  readonly topic: string;
  readonly from: bigint;
  /** Consumer group, removed afterwards. */
  readonly group: string;
  readonly signal: AbortSignal;
  /** Longest silence. */
  readonly idleMs: number;
}

/** Thrown when nothing came for too long. */
export class IdleTimeoutError extends Error {}

/** Hands over a topic's messages from an offset on, until one is answered with true. */
export async function followTopic(
  endpoint: KafkaEndpoint,
  options: FollowOptions,
  take: (value: string) => boolean,
): Promise<void> {
  const kafka = kafkaClient(endpoint);
  const consumer = kafka.consumer({
    groupId: options.group,
    maxWaitTimeInMs: 200,
    sessionTimeout: 10_000,
  });
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  try {
    await consumer.connect();
    await consumer.subscribe({ topic: options.topic, fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      const rest = () => {
        clearTimeout(timer);
        const silent = () => reject(new IdleTimeoutError(`nothing for ${options.idleMs / 1000} s`));
        timer = setTimeout(silent, options.idleMs);
      };
      rest();
      onAbort = () => reject(options.signal.reason);
      if (options.signal.aborted) onAbort();
      options.signal.addEventListener('abort', onAbort);
      consumer.on(consumer.events.CRASH, ({ payload }) => {
        if (!payload.restart) reject(payload.error);
      });
      consumer
        .run({
          autoCommit: false,
          eachMessage: async ({ message }) => {
            rest();
            try {
              if (take(message.value?.toString() ?? 'null')) resolve();
            } catch (error) {
              reject(error);
            }
          },
        })
        .catch(reject);
      consumer.seek({ topic: options.topic, partition: 0, offset: String(options.from) });
    });
  } catch (error) {
    throw kafkaProblem(endpoint, error);
  } finally {
    clearTimeout(timer);
    if (onAbort) options.signal.removeEventListener('abort', onAbort);
    await consumer.disconnect().catch(() => {});
    const admin = kafka.admin();
    await admin
      .connect()
      .then(() => admin.deleteGroups([options.group]))
      .catch(() => {});
    await admin.disconnect().catch(() => {});
  }
}
