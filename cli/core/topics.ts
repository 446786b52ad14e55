import { notificationTopic } from './names.ts';

/** Topics are made by `apply`, and by Connect where a table has none yet: in one form, said here. */

/** One row's changes need one order. */
export const PARTITIONS = 1;

export function topicSettings(of: {
  readonly maxMessageBytes: number;
  readonly isNotifications?: boolean;
}): Record<string, string> {
  return {
    'cleanup.policy': 'delete',
    // Notifications are few and small, and read by kafkajs, which knows no LZ4.
    'compression.type': of.isNotifications ? 'uncompressed' : 'producer',
    'max.message.bytes': String(of.maxMessageBytes),
  };
}

/**
 * A table that is in the publication and has no topic, since it was renamed or somebody added it a moment ago,
 * would hold the connector up, and all other tables with it. Connect makes its topic; what that holds is
 * read from its beginning when the table gets a queue. Topics that are there are left as they are.
 */
export function topicCreation(of: {
  readonly topicPrefix: string;
  readonly replication: number;
  readonly maxMessageBytes: number;
}): Record<string, string> {
  const { topicPrefix, replication, maxMessageBytes } = of;
  const notifications = notificationTopic(topicPrefix).replaceAll('.', '\\.');
  const shape = {
    partitions: String(PARTITIONS),
    'replication.factor': String(replication),
  };
  const group = (name: string, settings: Readonly<Record<string, string>>) =>
    Object.entries(settings).map(([key, value]) => [`topic.creation.${name}.${key}`, value]);
  return Object.fromEntries([
    ['topic.creation.groups', 'notifications'],
    ...group('default', { ...shape, ...topicSettings({ maxMessageBytes }) }),
    ...group('notifications', {
      include: notifications,
      ...shape,
      ...topicSettings({ maxMessageBytes, isNotifications: true }),
    }),
  ]);
}
