import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { alertManagement } from './alerts.ts';
import { businessAnalytics } from './business.ts';
import { infrastructureHealth } from './infrastructure.ts';
import { MAY_BE_EMPTY } from './model.ts';
import { pipelineStatus } from './pipeline.ts';

/** The files in grafana/dashboards/, held equal by a test. */
export function dashboardFiles(): Record<string, string> {
  const pages = {
    'cdc-pipeline.json': pipelineStatus(),
    'cdc-infrastructure.json': infrastructureHealth(),
    'cdc-business.json': businessAnalytics(),
    'cdc-alerts.json': alertManagement(),
  };
  return Object.fromEntries(
    Object.entries(pages).map(([name, builder]) => [
      name,
      `${JSON.stringify(numbered(builder.build()), null, 2)}\n`,
    ]),
  );
}

/** Grafana would number panels itself, differently with every start. */
function numbered(dashboard: Dashboard): Dashboard {
  const panels = (dashboard.panels ?? []).map((panel, i) => ({ ...panel, id: i + 1 }));
  return { ...dashboard, panels };
}

/** Queries of all panels that may find nothing, with the reason; they declare it where they are built. */
export function mayBeEmpty(): ReadonlyMap<string, string> {
  dashboardFiles();
  return MAY_BE_EMPTY;
}
