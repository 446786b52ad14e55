import { xml } from '../lib/xml.ts';
import type { BenchReport, Histogram, Measure } from './bench.ts';

/** Pictures of a run of `cdc bench`: SVG without scripts, fonts or colours from elsewhere; light and dark by the reader's own. */

const WIDTH = 760;
const LABEL_WIDTH = 210;
const VALUE_WIDTH = 130;
const BAR_HEIGHT = 18;
const ROW_HEIGHT = 26;
const TITLE_HEIGHT = 34;

const STYLE = `<style>
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 14px }
  .quiet { fill: #57606a }
  .bar { fill: #2f6fde }
  .limit { fill: #a3adba }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .quiet { fill: #9aa4af } .bar { fill: #6ca4ff } .limit { fill: #59636e }
  }
</style>`;

export interface Chart {
  readonly name: string;
  readonly svg: string;
}

interface Bar {
  readonly label: string;
  readonly value: number;
  readonly text: string;
  /** What the others are held against, not a figure of the copy. */
  readonly isLimit?: boolean;
}

/** A chart for each kind of figure that a run has. */
export function chartsOf(report: BenchReport): Chart[] {
  const of = (scenario: string, wanted: (one: Measure) => boolean = () => true) =>
    report.measures.filter((one) => one.scenario === scenario && wanted(one));
  const limit = (name: string) =>
    of('limits', ({ measure }) => measure === name).map((one) => bar(one, `${name} alone`, true));
  const stages = of('stages').map((one) => bar(one, `${one.measure} alone`, true));
  const charts: [string, string, Bar[]][] = [
    [
      'throughput',
      'Through a backlog, changes/s',
      [...of('throughput').map((one) => bar(one)), ...stages, ...limit('protocol')],
    ],
    [
      'load',
      'Loading existing rows, rows/s',
      [...of('load').map((one) => bar(one, 'load')), ...limit('COPY TO STDOUT')],
    ],
    ['idle', 'While nothing happens, % of a core', of('idle').map((one) => bar(one))],
    ['latency', 'From commit to ClickHouse, ms', of('latency').map((one) => bar(one))],
    ['query', 'Queries, ms', of('query').map((one) => bar(one, one.measure, isPlain(one)))],
  ];
  const drawn = charts
    .filter(([, , bars]) => bars.length > 0)
    .map(([name, title, bars]) => ({ name, svg: barChart(title, bars) }));
  const histograms = Object.entries(report.histograms ?? {})
    .filter(([, buckets]) => buckets.length > 0)
    .map(([name, buckets]) => ({
      name: `latency-${name.replaceAll(' ', '-')}`,
      svg: histogramChart(`${name}: rows by how late they were, ms`, buckets),
    }));
  return [...drawn, ...histograms];
}

const isPlain = ({ measure }: Measure) => measure.endsWith(', plain');

function bar({ measure, value }: Measure, label = measure, isLimit = false): Bar {
  return { label, value, text: value.toLocaleString('en-US'), isLimit };
}

function barChart(title: string, bars: readonly Bar[]): string {
  const most = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
  const room = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
  const rows = bars.map(({ label, value, text, isLimit }, i) => {
    const y = TITLE_HEIGHT + i * ROW_HEIGHT;
    const width = Math.max(1, Math.round((value / most) * room));
    const middle = y + BAR_HEIGHT / 2 + 4;
    return [
      `<text x="${LABEL_WIDTH - 10}" y="${middle}" text-anchor="end">${xml(label)}</text>`,
      `<rect class="${isLimit ? 'limit' : 'bar'}" x="${LABEL_WIDTH}" y="${y}" width="${width}" height="${BAR_HEIGHT}" rx="3"/>`,
      `<text class="quiet" x="${LABEL_WIDTH + width + 8}" y="${middle}">${xml(text)}</text>`,
    ].join('\n');
  });
  return svg(title, TITLE_HEIGHT + bars.length * ROW_HEIGHT + 8, rows);
}

const PLOT_HEIGHT = 120;
const AXIS_HEIGHT = 24;

function histogramChart(title: string, buckets: Histogram): string {
  const most = Math.max(...buckets.map(({ count }) => count), 1);
  const step = (WIDTH - 40) / buckets.length;
  const bottom = TITLE_HEIGHT + PLOT_HEIGHT;
  // As many words on the axis as there is room for.
  const every = Math.max(1, Math.ceil(buckets.length / 12));
  const rows = buckets.map(({ up_to_ms, count }, i) => {
    const height = Math.round((count / most) * PLOT_HEIGHT);
    const x = Math.round(20 + i * step);
    const word =
      i % every === 0
        ? `<text class="quiet" x="${x + step / 2}" y="${bottom + 16}" text-anchor="middle">${Math.round(up_to_ms)}</text>`
        : '';
    return `<rect class="bar" x="${x}" y="${bottom - height}" width="${Math.max(1, Math.round(step - 2))}" height="${height}"><title>up to ${up_to_ms} ms: ${count}</title></rect>${word}`;
  });
  return svg(title, bottom + AXIS_HEIGHT, rows);
}

function svg(title: string, height: number, rows: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${xml(title)}">
${STYLE}
<text class="title" x="20" y="20">${xml(title)}</text>
${rows.join('\n')}
</svg>
`;
}

/** A run as one page that can be read anywhere. */
export function pageOf(report: BenchReport): string {
  const { at, machine, versions, measures } = report;
  const facts = [
    at,
    `${machine.cores} cores, ${machine.cpu}`,
    ...Object.entries(versions).map(([name, version]) => `${name} ${version}`),
  ];
  const row = (cells: readonly string[], tag = 'td') =>
    `<tr>${cells.map((cell) => `<${tag}>${xml(cell)}</${tag}>`).join('')}</tr>`;
  const figures = measures.map(({ scenario, measure, value, unit, on }) =>
    row([scenario, measure, value.toLocaleString('en-US'), unit, on]),
  );
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>cdc bench, ${xml(at)}</title>
<style>
  :root { color-scheme: light dark }
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 800px; margin: 2rem auto; padding: 0 1rem }
  table { border-collapse: collapse; display: block; overflow-x: auto }
  th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #8884 }
  td:nth-child(3) { text-align: right; font-variant-numeric: tabular-nums }
  svg { max-width: 100%; height: auto; margin: 1rem 0 }
</style>
<h1>cdc bench</h1>
<p>${facts.map(xml).join(' · ')}</p>
${chartsOf(report)
  .map(({ svg: drawing }) => drawing)
  .join('\n')}
<table>
<thead>${row(['scenario', 'measure', 'value', 'unit', 'on'], 'th')}</thead>
<tbody>
${figures.join('\n')}
</tbody>
</table>
</html>
`;
}
