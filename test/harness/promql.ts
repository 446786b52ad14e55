import { METRICS } from '../../cli/core/metrics.ts';
import { RECORDING } from '../../cli/core/rules.ts';

const KNOWN = new Set<string>([
  ...Object.keys(METRICS),
  ...Object.entries(METRICS).flatMap(([name, { type }]) =>
    type === 'histogram' ? ['_bucket', '_sum', '_count'].map((suffix) => name + suffix) : [],
  ),
  ...Object.keys(RECORDING),
]);

/** Series of ours (`cdc_…`, `cdc:…`) that an expression names and that do not exist. */
export function unknownSeries(expression: string): string[] {
  const withoutText = expression.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
  const named = withoutText.matchAll(/\bcdc[_:][a-zA-Z0-9_:]+/g);
  return [...new Set([...named].map(([name]) => name))].filter((name) => !KNOWN.has(name));
}
