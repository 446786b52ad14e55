import { alertManagement } from './alerts.ts';
import { businessAnalytics } from './business.ts';
import { infrastructureHealth } from './infrastructure.ts';
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
      `${JSON.stringify(builder.build(), null, 2)}\n`,
    ]),
  );
}
