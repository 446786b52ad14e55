import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { METRICS, type MetricName, type MetricSpec, type Sample } from '../core/metrics.ts';

/**
 * Latencies are counted once and kept while the agent runs; everything else is a figure of now, made
 * anew for each page: a series that was not read last time is then not there.
 */
export class Latencies {
  readonly registry = new Registry();
  private readonly histograms = new Map<MetricName, Histogram>();

  constructor() {
    for (const [name, spec] of entries()) {
      if (spec.type !== 'histogram') continue;
      const histogram = new Histogram({
        name,
        help: spec.help,
        labelNames: [...spec.labels],
        buckets: [...(spec.buckets ?? [])],
        registers: [this.registry],
      });
      this.histograms.set(name, histogram);
    }
  }

  observe({ metric, labels, value }: Sample): void {
    this.histograms.get(metric)?.observe({ ...labels }, value);
  }
}

/** The page that Prometheus reads. */
export async function page(
  samples: readonly Sample[],
  latencies: Latencies | undefined,
): Promise<string> {
  const registry = new Registry();
  for (const [name, spec] of entries()) {
    const own = samples.filter((sample) => sample.metric === name);
    if (own.length === 0 || spec.type === 'histogram') continue;
    const options = {
      name,
      help: spec.help,
      labelNames: [...spec.labels],
      registers: [registry],
    };
    if (spec.type === 'counter') {
      const metric = new Counter(options);
      for (const { labels, value } of own) metric.inc({ ...labels }, value);
    } else {
      const metric = new Gauge(options);
      for (const { labels, value } of own) metric.set({ ...labels }, value);
    }
  }
  const figures = await registry.metrics();
  return latencies ? `${figures}\n${await latencies.registry.metrics()}` : figures;
}

function entries(): [MetricName, MetricSpec][] {
  return Object.entries(METRICS) as [MetricName, MetricSpec][];
}
