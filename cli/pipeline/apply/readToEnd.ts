import { withKafkaAdmin } from '../../components/kafka/client.ts';
import type { GroupTopics } from '../../components/kafka/positions.ts';
import { groupLag } from '../../components/kafka/topics.ts';
import { Problem } from '../../core/problems.ts';
import { WaitTimeout, waitFor } from '../../lib/wait.ts';
import type { LoadEvents } from '../load/events.ts';
import type { Stack } from '../state/stack.ts';
import type { Plan } from './plan.ts';

/**
 * Waits until ClickHouse has read what an earlier slot brought to Kafka. Such a change is older than
 * the new baseline; of a row that is deleted by now it must be there when the load ends older rows.
 */
export async function readToEnd(
  stack: Stack,
  queues: readonly GroupTopics[],
  signal: AbortSignal,
  events: LoadEvents,
): Promise<void> {
  try {
    await withKafkaAdmin(stack.endpoints.kafka, (admin) =>
      waitFor('ClickHouse to read', { timeoutMs: 600_000, everyMs: 100, signal }, async () => {
        let messages = 0;
        for (const { group, topics } of queues) {
          for (const lag of await groupLag(admin, group, topics)) messages += lag.messages;
        }
        if (messages === 0) return { ready: true };
        const seen = `${messages} messages not read`;
        events.step(`waiting for ClickHouse to read what an earlier slot brought: ${seen}`);
        return { seen };
      }),
    );
  } catch (error) {
    if (!(error instanceof WaitTimeout)) throw error;
    throw new Problem('LOAD_FAILED', { table: 'all tables', detail: error.message });
  }
}

/** The queues that a plan makes, or leaves. */
export function queuesDesired({ desired }: Plan): GroupTopics[] {
  return desired.sharedQueues.map(({ names, topics }) => ({ group: names.group, topics }));
}
