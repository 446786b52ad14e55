import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ClickHouse, withClickHouse } from '../../components/clickhouse/client.ts';
import { clockUs } from '../../components/clickhouse/metricsQueries.ts';
import { checkWorker } from '../../components/connect/checkWorker.ts';
import { Connect } from '../../components/connect/client.ts';
import { checkBrokers } from '../../components/kafka/check.ts';
import { withKafkaAdmin } from '../../components/kafka/client.ts';
import { withPostgres } from '../../components/postgres/client.ts';
import { clockUs as sourceClockUs } from '../../components/postgres/observe.ts';
import { type ClockReading, checkClock } from '../../core/clocks.ts';
import type { Finding } from '../../core/findings.ts';
import { Problem, plural } from '../../core/problems.ts';
import { checkVersion } from '../../core/versions.ts';
import { packageRoot } from '../../lib/packageRoot.ts';
import type { Endpoints } from '../../stack/endpoints.ts';

/**
 * What is wrong with the servers themselves, of those that are known: versions, what Kafka Connect has
 * installed, clocks. Changes nothing; throws what a server answers that cannot be asked.
 */
export async function checkServers({
  postgres,
  kafka,
  connect,
  clickhouse,
}: Partial<Endpoints>): Promise<Finding[]> {
  const [broker, target, sourceClock] = await Promise.all([
    kafka &&
      withKafkaAdmin(kafka, async (admin) => ({
        cluster: (await admin.describeCluster()).clusterId,
        findings: await checkBrokers(admin),
      })),
    clickhouse && withClickHouse(clickhouse, targetFindings),
    postgres &&
      withPostgres(postgres, async (client) =>
        checkClock('postgres', 'PostgreSQL', await reading(() => sourceClockUs(client))),
      ),
  ]);
  const needed = { debezium: debeziumVersion(), kafka: broker?.cluster };
  return [
    ...(sourceClock ?? []),
    ...(broker?.findings ?? []),
    ...(connect ? await checkWorker(new Connect(connect), needed) : []),
    ...(target ?? []),
  ];
}

async function targetFindings(clickhouse: ClickHouse): Promise<Finding[]> {
  const rows = await clickhouse.rows<{ version: string }>('SELECT version() AS version');
  return [
    ...checkVersion('clickhouse', rows[0]?.version ?? ''),
    ...checkClock('clickhouse', 'ClickHouse', await reading(() => clockUs(clickhouse))),
  ];
}

/** The connection is there already: the first question is not asked for the answer. */
async function reading(clockUsNow: () => Promise<number>): Promise<ClockReading> {
  const askedMs = Date.now();
  const saidMs = (await clockUsNow()) / 1000;
  return { askedMs, answeredMs: Date.now(), saidMs };
}

/** The one whose classes the converter's jar replaces. */
function debeziumVersion(): string {
  const text = readFileSync(join(packageRoot(), 'versions.json'), 'utf8');
  return (JSON.parse(text) as { jars: { debezium: string } }).jars.debezium;
}

/** Ends a command before it changes anything; what is no error is for who can show it. */
export function refuseServers(findings: readonly Finding[]): void {
  const errors = findings.filter(({ severity }) => severity === 'error');
  if (errors.length === 0) return;
  throw new Problem('SERVERS_NOT_READY', {
    count: plural(errors.length, 'finding'),
    detail: errors.map((f) => `${f.subject}: ${f.message} [${f.id}]\n  ${f.fix}`).join('\n'),
  });
}
