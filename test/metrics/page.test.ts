import { describe, expect, it } from 'vitest';
import { METRICS, type MetricSpec, sample, states } from '../../cli/core/metrics.ts';
import { Latencies, page } from '../../cli/metrics/exposition.ts';

const specs: [string, MetricSpec][] = Object.entries(METRICS);
/** Lines of a page that are series, with their values. */
const series = (text: string) => text.split('\n').filter((line) => line !== '' && line[0] !== '#');

describe('the table of metrics', () => {
  it.each(specs)('%s follows Prometheus’ conventions', (name, spec) => {
    expect(name).toMatch(/^cdc_[a-z][a-z0-9_]*[a-z0-9]$/);
    expect(name.endsWith('_total')).toBe(spec.type === 'counter');
    expect(name).not.toMatch(/_(ms|milliseconds|minutes|kb|mb|kilobytes|percent)(_|$)/);
    expect(spec.help).toMatch(/\.$/);
    expect(spec.type === 'histogram').toBe(spec.buckets !== undefined);
    for (const label of spec.labels) expect(label).toMatch(/^[a-z][a-z_]*$/);
  });
});

describe('a page', () => {
  it('has nothing of what was not read: no 0, no empty series', async () => {
    expect(series(await page([], undefined))).toEqual([]);
    const text = await page(sample('cdc_heartbeat_age_seconds', undefined), undefined);
    expect(text).not.toContain('cdc_heartbeat_age_seconds');
  });

  it('shows a 0 that was read', async () => {
    const text = await page(sample('cdc_dead_letters_unresolved', 0), undefined);
    expect(series(text)).toEqual(['cdc_dead_letters_unresolved 0']);
  });

  it('has one series per state, the current one being 1, also of a state nobody knew', async () => {
    const samples = states('cdc_slot_wal_status', 'status', ['reserved', 'lost'], 'odd');
    expect(series(await page(samples, undefined))).toEqual([
      'cdc_slot_wal_status{status="reserved"} 0',
      'cdc_slot_wal_status{status="lost"} 0',
      'cdc_slot_wal_status{status="odd"} 1',
    ]);
  });

  it('quotes what stands in labels', async () => {
    const samples = sample('cdc_table_rows', 1, { table: 'a"b\\c\nd' });
    expect(series(await page(samples, undefined))).toEqual([
      'cdc_table_rows{table="a\\"b\\\\c\\nd"} 1',
    ]);
  });

  it('counts latencies on, from page to page', async () => {
    const latencies = new Latencies();
    for (const value of [0.04, 0.3]) {
      for (const one of sample('cdc_end_to_end_seconds', value)) latencies.observe(one);
      await page([], latencies);
    }
    const text = await page([], latencies);
    expect(text).toContain('cdc_end_to_end_seconds_bucket{le="0.05"} 1');
    expect(text).toContain('cdc_end_to_end_seconds_bucket{le="+Inf"} 2');
    expect(text).toContain('cdc_end_to_end_seconds_count 2');
  });
});
