import type { Admin } from 'kafkajs';
import type { KafkaEndpoint } from '../../stack/endpoints.ts';
import { clusterOf } from './cluster.ts';

/**
 * Takes consumers out of a group that are gone and did not say so. Those of ClickHouse do not leave
 * their group when their table is dropped (ClickHouse issue 104305): for the 6 s that their session
 * lasts, nobody else of the group reads. `isGone` is asked with a member's client id.
 */
export async function removeGroupMembers(
  endpoint: KafkaEndpoint,
  admin: Admin,
  group: string,
  isGone: (clientId: string) => boolean,
): Promise<void> {
  const { groups } = await admin.describeGroups([group]);
  const gone = (groups[0]?.members ?? []).filter(({ clientId }) => isGone(clientId));
  if (gone.length === 0) return;
  const cluster = clusterOf(endpoint);
  try {
    await cluster.connect();
    const coordinator = await cluster.findGroupCoordinator({ groupId: group });
    for (const { memberId } of gone) {
      await coordinator.leaveGroup({ groupId: group, memberId }).catch((error: unknown) => {
        // Its session ended meanwhile. Nothing that the broker refuses here is worth more than the wait.
        if ((error as Error).name !== 'KafkaJSProtocolError') throw error;
      });
    }
  } finally {
    await cluster.disconnect().catch(() => {});
  }
}
