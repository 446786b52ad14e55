import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ConnectorInput, connectorConfig } from '../../cli/core/connector.ts';
import type { TableId } from '../../cli/core/names.ts';
import { tableLabel } from '../../cli/core/names.ts';
import { PROFILES } from '../../cli/core/profiles.ts';
import { tableId } from '../harness/arbitrary.ts';

function configFor(
  tables: readonly TableId[],
  options: { columns?: Partial<ConnectorInput['columns']> } = {},
) {
  return connectorConfig({
    own: 'cdc',
    topicPrefix: 'postgres-server',
    slot: 'cdc_cdc',
    publication: 'cdc_cdc',
    tables,
    include: tables.map(tableLabel),
    profile: PROFILES['low-latency'],
    toastPlaceholder: '__cdc_unavailable',
    message: 'read',
    maxMessageBytes: 64 * 1024 * 1024,
    replication: 1,
    database: {
      host: 'postgres',
      port: 5432,
      user: 'u',
      password: 'p',
      database: 'd',
      sslmode: undefined,
      tls: {},
    },
    columns: { excluded: [], asText: [], masked: [], ruled: {}, private: [], ...options.columns },
  });
}

const orders = { schema: 'inventory', table: 'orders' };

describe('connectorConfig', () => {
  it('sets every option whose default hurts', () => {
    expect(configFor([orders])).toMatchObject({
      'plugin.name': 'pgoutput',
      'publication.autocreate.mode': 'disabled',
      'message.prefix.exclude.list': '.*',
      'publish.via.partition.root': 'true',
      'include.unknown.datatypes': 'true',
      'tombstones.on.delete': 'false',
      'decimal.handling.mode': 'string',
      'time.precision.mode': 'isostring',
      'errors.max.retries': '-1',
    });
    expect(Number(configFor([orders])['max.queue.size.in.bytes'])).toBeGreaterThan(0);
  });

  it('lets no name of a column have Connect read a file', () => {
    const name = ['a.b.$', '{file:/etc/passwd:root}'].join('');
    const config = configFor([orders], {
      columns: {
        excluded: [name],
        asText: [name],
        masked: [name],
        ruled: { 1: name },
        private: [name],
      },
    });
    expect(JSON.stringify(config)).not.toContain(['$', '{'].join(''));
    expect(JSON.parse(config['text.columns'] ?? '')).toEqual([name]);
  });

  it('has only texts: Connect’s REST interface takes nothing else', () => {
    for (const value of Object.values(configFor([orders]))) expect(value).toBeTypeOf('string');
  });

  it('names columns that stay behind by patterns, and those sent otherwise as a list', () => {
    const config = configFor([orders], {
      columns: { excluded: ['a b.c.d,e'], asText: ['s.t."x"'], masked: ['s.t.m'] },
    });
    expect(config['column.exclude.list']).toBe('(?-i)a\\u0020b\\u002ec\\u002ed\\u002ce');
    expect(JSON.parse(config['text.columns'] ?? '')).toEqual(['s.t."x"']);
    expect(JSON.parse(config['text.masked'] ?? '')).toEqual(['s.t.m']);
    expect(configFor([orders])).not.toHaveProperty('column.exclude.list');
  });

  it('takes a snapshot only when a row of the signal table says so', () => {
    const config = configFor([orders]);
    expect(config['snapshot.mode']).toBe('no_data');
    expect(config['signal.enabled.channels']).toBe('source');
    expect(config['signal.data.collection']).toBe('cdc.signal');
    expect(config['notification.sink.topic.name']).toBe('postgres-server.cdc.notifications');
  });

  it('sends a message as large as a topic takes', () => {
    const config = configFor([orders]);
    expect(config['producer.override.max.request.size']).toBe(String(64 * 1024 * 1024));
    expect(Number(config['producer.override.buffer.memory'])).toBeGreaterThan(64 * 1024 * 1024);
  });

  it('names each table by a pattern that matches it alone, among tables alike', () => {
    fc.assert(
      fc.property(tableId, tableId, (id, other) => {
        // In cdc.yaml a table that is called * stands for any.
        fc.pre(!/[*?]/.test(tableLabel(id)));
        // Debezium splits the list at commas that no backslash precedes, and matches whole names.
        const list = configFor([id])['table.include.list'] ?? '';
        const patterns = list.split(/(?<!\\),/);
        expect(patterns).toHaveLength(2);
        const expression = new RegExp(`^(?:${patterns[0]})$`, 'is');
        expect(expression.test(tableLabel(id))).toBe(true);
        const alike = tableLabel(id).toLowerCase() === tableLabel(other).toLowerCase();
        if (!alike) expect(expression.test(tableLabel(other))).toBe(false);
      }),
      { numRuns: 300 },
    );
  });
});
