import type { Finding } from './findings.ts';

/** The oldest versions that have what is used of them, and what that is. */
const OLDEST = {
  connect: { version: '3.6', why: 'it has to stop a connector and change its offsets' },
  clickhouse: { version: '25.12', why: 'older ones have no Time64 without a setting' },
} as const;

/** Numbers of a version, as far as it has some: `4.3.1`, `26.7.2.1`, `3.7.0.Final`, `7.6.0-ccs`. */
function numbers(version: string): number[] {
  const [text = ''] = /^\d+(?:\.\d+)*/.exec(version) ?? [];
  return text.split('.').filter(Boolean).map(Number);
}

/** Whether a version comes before another. */
export function isOlder(version: string, than: string): boolean {
  const [a, b] = [numbers(version), numbers(than)];
  for (const [i, n] of b.entries()) {
    const m = a[i] ?? 0;
    if (m !== n) return m < n;
  }
  return false;
}

const TITLES = { connect: 'Kafka Connect', clickhouse: 'ClickHouse' } as const;

/** A server that lacks what is used of it. What says no version is taken at its word by what it does. */
export function checkVersion(server: keyof typeof OLDEST, version: string): Finding[] {
  const oldest = OLDEST[server];
  if (numbers(version).length === 0 || !isOlder(version, oldest.version)) return [];
  return [
    {
      id: `${server}-version`,
      severity: 'error',
      subject: server,
      message: `${TITLES[server]} is version ${version}; ${oldest.version} or newer is needed: ${oldest.why}`,
      fix: `Upgrade ${TITLES[server]} to ${oldest.version} or newer.`,
    },
  ];
}

/**
 * The converter's jar stands in for classes of one Debezium. Those of its patches fit, as a rule; those of another
 * minor version need not have what Debezium calls, or do what it expects.
 *
 * @param version of the plug-in; absent where the workers have none.
 */
export function checkDebezium(version: string | undefined, needed: string): Finding[] {
  const install = `Install Debezium's connector for PostgreSQL ${needed} on every worker of Kafka Connect, connectors/postgres-text/cdc-postgres-text.jar beside its jars, and restart the workers.`;
  const finding = (severity: Finding['severity'], id: string, message: string): Finding[] => [
    { id, severity, subject: 'connect', message, fix: install },
  ];
  if (version === undefined)
    return finding('error', 'debezium-missing', "it has no connector of Debezium's for PostgreSQL");
  const [major, minor, patch] = numbers(version);
  const [ours, oursMinor, oursPatch] = numbers(needed);
  const message = `its Debezium is version ${version}; the converter beside it replaces classes of ${needed}`;
  if (major !== ours || minor !== oursMinor) return finding('error', 'debezium-version', message);
  return patch === oursPatch ? [] : finding('warning', 'debezium-version', message);
}
