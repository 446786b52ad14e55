import { describe, expect, it } from 'vitest';
import { checkDebezium, checkVersion, isOlder } from '../../cli/core/versions.ts';

describe('versions', () => {
  it('are compared by their numbers, whatever stands behind them', () => {
    for (const [version, than] of [
      ['3.5.2', '3.6'],
      ['2.8.0', '3.6'],
      ['3', '3.6'],
      ['25.9.1.1', '25.12'],
      ['3.5.1-ccs', '3.6'],
    ] as const)
      expect(isOlder(version, than), version).toBe(true);
    for (const [version, than] of [
      ['3.6.0', '3.6'],
      ['3.10.0', '3.6'],
      ['4.3.1', '3.6'],
      ['25.12.1.5', '25.12'],
      ['26.1', '25.12'],
      ['7.6.0-ccs', '3.6'],
    ] as const)
      expect(isOlder(version, than), version).toBe(false);
  });

  it('that are too old are errors which name the server, its version, and what is needed', () => {
    const [connect] = checkVersion('connect', '3.5.2');
    expect(connect).toMatchObject({ id: 'connect-version', severity: 'error' });
    expect(connect?.message).toContain('Kafka Connect is version 3.5.2; 3.6 or newer is needed');
    expect(checkVersion('clickhouse', '25.8.4.13')[0]?.message).toContain(
      'ClickHouse is version 25.8.4.13; 25.12 or newer is needed',
    );
    expect(checkVersion('connect', '3.6.0')).toEqual([]);
    expect(checkVersion('clickhouse', '26.7.2.1')).toEqual([]);
  });

  it('of Debezium have to be the one whose classes are replaced; another patch of it is a warning', () => {
    const judged = (version: string | undefined) =>
      checkDebezium(version, '3.7.0.Final').map(({ id, severity }) => `${severity} ${id}`);
    expect(judged('3.7.0.Final')).toEqual([]);
    expect(judged('3.7.2.Final')).toEqual(['warning debezium-version']);
    expect(judged('3.6.3.Final')).toEqual(['error debezium-version']);
    expect(judged('4.7.0.Final')).toEqual(['error debezium-version']);
    expect(judged(undefined)).toEqual(['error debezium-missing']);
    expect(checkDebezium('3.6.3.Final', '3.7.0.Final')[0]?.message).toContain('3.6.3.Final');
  });
});
