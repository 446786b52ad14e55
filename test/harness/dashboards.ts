import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../cli/lib/packageRoot.ts';
import { CLICKHOUSE, PROMETHEUS } from '../../grafana/src/model.ts';

/** The committed dashboards, as Grafana reads them. */

interface Panel {
  readonly id?: number;
  readonly datasource?: unknown;
  readonly type: string;
  readonly title?: string;
  readonly description?: string;
  readonly gridPos?: { x: number; y: number; w: number; h: number };
  readonly targets?: Record<string, unknown>[];
  readonly panels?: Panel[];
  readonly fieldConfig?: { defaults?: { unit?: string } };
  readonly links?: { title: string; url: string }[];
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: Panel[];
  readonly templating: { list: { name: string; type: string; query: unknown }[] };
}

const FOLDER = join(packageRoot(), 'grafana', 'dashboards');

export function dashboards(): Dashboard[] {
  return readdirSync(FOLDER).map((name) => JSON.parse(readFileSync(join(FOLDER, name), 'utf8')));
}

export function panelsOf(dashboard: Dashboard): Panel[] {
  return dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
}

export interface PanelQuery {
  /** `Dashboard / panel`. */
  readonly where: string;
  readonly kind: 'promql' | 'sql';
  readonly text: string;
}

export function queriesOf(dashboard: Dashboard): PanelQuery[] {
  return panelsOf(dashboard).flatMap((panel) =>
    (panel.targets ?? []).map((target): PanelQuery => {
      const where = `${dashboard.title} / ${panel.title}`;
      const { uid } = target.datasource as { uid: string };
      if (uid === PROMETHEUS.uid) return { where, kind: 'promql', text: String(target.expr) };
      if (uid === CLICKHOUSE.uid) return { where, kind: 'sql', text: String(target.rawSql) };
      throw new Error(`${where} asks a data source that nobody provisions: ${uid}`);
    }),
  );
}

/** As Grafana would send it, with every variable at its default and the last hour shown. */
export function asSent({ kind, text }: PanelQuery): string {
  if (kind === 'promql') {
    return text
      .replaceAll('$__rate_interval', '1m')
      .replaceAll('$__range', '1h')
      .replaceAll('$table', '.*');
  }
  return text
    .replaceAll('$database', 'ecommerce')
    .replaceAll(/\$__timeFilter\(([^)]*)\)/g, '$1 >= now() - INTERVAL 1 DAY AND $1 <= now() + 60')
    .replaceAll(/\$__timeInterval\(([^)]*)\)/g, 'toStartOfInterval($1, INTERVAL 60 second)');
}
