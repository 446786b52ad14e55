import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog';
import * as common from '@grafana/grafana-foundation-sdk/common';
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as Stat } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as Table } from '@grafana/grafana-foundation-sdk/table';
import { PanelBuilder as Text } from '@grafana/grafana-foundation-sdk/text';
import { PanelBuilder as Timeseries } from '@grafana/grafana-foundation-sdk/timeseries';
import { ALERTS, type AlertName } from '../../cli/core/alerts.ts';

/** What every dashboard of ours is built of, so that they look and behave alike. */

/** As in grafana/provisioning/datasources. */
export const PROMETHEUS = { type: 'prometheus', uid: 'cdc-prometheus' } as const;
export const CLICKHOUSE = { type: 'grafana-clickhouse-datasource', uid: 'cdc-clickhouse' } as const;

/** Queries that rightly find nothing on a pipeline that is well, and why. */
export const MAY_BE_EMPTY = new Map<string, string>();

interface QueryOptions {
  /** `{{label}}` as Grafana has it. */
  readonly legend?: string;
  /** Why it may find nothing. */
  readonly empty?: string;
  /** The last value only, for tables and single figures. */
  readonly instant?: boolean;
}

export function prom(expr: string, options: QueryOptions = {}): Builder<Dataquery> {
  if (options.empty !== undefined) MAY_BE_EMPTY.set(expr, options.empty);
  const query = new DataqueryBuilder().datasource(PROMETHEUS).expr(expr);
  if (options.legend !== undefined) query.legendFormat(options.legend);
  return options.instant ? query.instant().format(PromQueryFormat.Table) : query.range();
}

/** A query of Grafana’s ClickHouse data source; the SDK has no builder for it. */
export function sql(rawSql: string, shape: 'table' | 'timeseries' = 'table'): Builder<Dataquery> {
  const query = {
    datasource: CLICKHOUSE,
    editorType: 'sql',
    format: shape === 'timeseries' ? 0 : 1,
    queryType: shape,
    rawSql,
  };
  return { build: () => query as unknown as Dataquery };
}

export type Colour = 'green' | 'yellow' | 'orange' | 'red' | 'blue' | 'text';

export interface Step {
  readonly from: number | null;
  readonly colour: Colour;
}

function thresholds(steps: readonly Step[]) {
  return new dashboard.ThresholdsConfigBuilder()
    .mode(dashboard.ThresholdsMode.Absolute)
    .steps(steps.map(({ from, colour }) => ({ value: from, color: colour })));
}

/** Green up to the alert’s own threshold, then the colour of its severity. */
export function asAlert(name: AlertName): Step[] {
  const { threshold, severity } = ALERTS[name];
  if (threshold === undefined) throw new RangeError(`${name} compares no figure`);
  const colour = severity === 'critical' ? 'red' : 'orange';
  // Some alert when a figure falls.
  return name === 'CdcDiskFilling'
    ? [
        { from: null, colour },
        { from: threshold, colour: 'green' },
      ]
    : [
        { from: null, colour: 'green' },
        { from: threshold === 0 ? 1 : threshold, colour },
      ];
}

/** 1 is well, 0 is not. */
export const ONE_IS_WELL: readonly Step[] = [
  { from: null, colour: 'red' },
  { from: 1, colour: 'green' },
];

/** Where the agent’s port is published. */
const RUNBOOKS = 'http://localhost:9464/runbooks';

/** The runbook of an alert, as the agent serves it. */
function runbookLink(name: AlertName) {
  return new dashboard.DashboardLinkBuilder(`Runbook: ${name}`)
    .type(dashboard.DashboardLinkType.Link)
    .url(`$runbooks/${name}`)
    .targetBlank(true);
}

export interface PanelOptions {
  readonly title: string;
  readonly says: string;
  readonly queries: readonly Builder<Dataquery>[];
  readonly unit?: string;
  readonly decimals?: number;
  readonly steps?: readonly Step[];
  readonly alerts?: readonly AlertName[];
  /** Words in place of 0 and 1. */
  readonly words?: { readonly zero: string; readonly one: string };
  readonly width?: number;
  readonly height?: number;
  readonly noValue?: string;
}

type AnyPanel = Stat | Timeseries | Table;

function dressed<P extends AnyPanel>(panel: P, options: PanelOptions): P {
  panel.title(options.title).description(options.says);
  panel.span(options.width ?? 12).height(options.height ?? 8);
  const queries = options.queries.map((query, i) => ({
    ...(query.build() as Dataquery & { datasource: dashboard.DataSourceRef }),
    refId: String.fromCharCode('A'.charCodeAt(0) + i),
  }));
  for (const query of queries) panel.withTarget({ build: () => query });
  if (queries[0]) panel.datasource(queries[0].datasource);
  if (options.unit !== undefined) panel.unit(options.unit);
  if (options.decimals !== undefined) panel.decimals(options.decimals);
  if (options.steps !== undefined) panel.thresholds(thresholds(options.steps));
  if (options.words !== undefined) {
    const word = (text: string, color: Colour, index: number) => ({ text, color, index });
    panel.mappings([
      {
        type: dashboard.MappingType.ValueToText,
        options: {
          '0': word(options.words.zero, 'red', 0),
          '1': word(options.words.one, 'green', 1),
        },
      },
    ]);
  }
  panel.noValue(options.noValue ?? 'not read');
  panel.links((options.alerts ?? []).map(runbookLink));
  return panel;
}

/** One large figure, coloured by its thresholds. */
export function figure(options: PanelOptions): Stat {
  return dressed(new Stat(), { width: 4, height: 4, ...options })
    .colorMode(common.BigValueColorMode.Background)
    .graphMode(common.BigValueGraphMode.None)
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']));
}

export function graph(options: PanelOptions): Timeseries {
  const panel = dressed(new Timeseries(), options)
    .lineWidth(1)
    .fillOpacity(8)
    .showPoints(common.VisibilityMode.Never)
    .legend(
      new common.VizLegendOptionsBuilder()
        .displayMode(common.LegendDisplayMode.List)
        .placement(common.LegendPlacement.Bottom)
        .showLegend(true),
    )
    .tooltip(new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Multi));
  return options.steps === undefined
    ? panel
    : panel.thresholdsStyle(
        new common.GraphThresholdsStyleConfigBuilder().mode(common.GraphThresholdsStyleMode.Dashed),
      );
}

export function table(options: PanelOptions): Table {
  return dressed(new Table(), options);
}

export function text(title: string, markdown: string, height = 8): Text {
  return new Text().title(title).span(24).height(height).content(markdown);
}

export function row(title: string): dashboard.RowBuilder {
  return new dashboard.RowBuilder(title);
}

/** An empty page of ours: links to the others, where runbooks are, how often it looks. */
export function page(uid: string, title: string, says: string): dashboard.DashboardBuilder {
  const others = new dashboard.DashboardLinkBuilder('cdc')
    .type(dashboard.DashboardLinkType.Dashboards)
    .tags(['cdc'])
    .asDropdown(true)
    .keepTime(true);
  const runbooks = new dashboard.TextBoxVariableBuilder('runbooks')
    .label('Runbooks')
    .description('Where the agent serves the runbooks of alerts.')
    .defaultValue(RUNBOOKS)
    .current({ text: RUNBOOKS, value: RUNBOOKS });
  return new dashboard.DashboardBuilder(title)
    .uid(uid)
    .description(says)
    .tags(['cdc'])
    .timezone('browser')
    .refresh('10s')
    .time({ from: 'now-30m', to: 'now' })
    .tooltip(dashboard.DashboardCursorSync.Crosshair)
    .withVariable(runbooks)
    .link(others);
}
