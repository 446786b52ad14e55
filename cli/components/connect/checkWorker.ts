import { checkClock } from '../../core/clocks.ts';
import { CONNECTOR_CLASS } from '../../core/connector.ts';
import type { Finding } from '../../core/findings.ts';
import { checkDebezium, checkVersion } from '../../core/versions.ts';
import type { Connect } from './client.ts';

/** A class of the converter's jar that the worker lists; the others it finds through Debezium only. */
const CONVERTER_CLASS = 'cdc.BoundedJson';

const SECOND_MS = 1000;

/**
 * What a worker lacks before it gets a connector.
 *
 * @param needed.debezium the version whose classes the converter's jar replaces.
 * @param needed.kafka the cluster that everything else reads and writes; absent when it is not known.
 */
export async function checkWorker(
  connect: Connect,
  needed: { readonly debezium: string; readonly kafka: string | undefined },
): Promise<Finding[]> {
  const askedMs = Date.now();
  const worker = await connect.worker();
  const answeredMs = Date.now();
  const old = checkVersion('connect', worker.version);
  if (old.length > 0) return old;
  const plugins = await connect.plugins();
  const debezium = plugins.find((plugin) => plugin.class === CONNECTOR_CLASS);
  const found = checkDebezium(debezium?.version ?? (debezium && 'unknown'), needed.debezium);
  if (debezium && !plugins.some((plugin) => plugin.class === CONVERTER_CLASS))
    found.push(CONVERTER_MISSING);
  if (needed.kafka !== undefined && worker.kafka_cluster_id !== needed.kafka)
    found.push(otherKafka(worker.kafka_cluster_id, needed.kafka));
  // It may have been up to a second later, which is as if the answer had taken so much longer.
  const clock = worker.clockMs !== undefined && {
    askedMs: askedMs - SECOND_MS,
    answeredMs,
    saidMs: worker.clockMs,
  };
  if (clock) found.push(...checkClock('connect', 'Kafka Connect', clock));
  return found;
}

const CONVERTER_MISSING: Finding = {
  id: 'converter-missing',
  severity: 'error',
  subject: 'connect',
  message:
    'its Debezium has no cdc-postgres-text.jar beside it, which sends values as PostgreSQL prints them',
  fix: "Copy connectors/postgres-text/cdc-postgres-text.jar into Debezium's plug-in folder on every worker of Kafka Connect and restart the workers.",
};

function otherKafka(theirs: string, ours: string): Finding {
  return {
    id: 'connect-other-kafka',
    severity: 'error',
    subject: 'connect',
    message: `it works for another Kafka (cluster ${theirs}) than kafka.brokers (cluster ${ours}): ClickHouse would read topics that nothing writes`,
    fix: 'Name in kafka.brokers the brokers of bootstrap.servers of the workers, or another Kafka Connect in connect.url.',
  };
}
